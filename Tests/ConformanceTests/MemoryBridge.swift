import CSystemCalls
import Conformance
import Foundation

/// What is wrong with shared memory.
struct MemoryMutation: Sendable {
    /// Whether the client's memory is sealed.
    var isSealed = true
    /// Spoils the memory before the client sees it.
    var start: @Sendable (UnsafeMutableRawBufferPointer) -> Void = { _ in }
    /// Changes what the client rings with before the server sees it; `nil`: the server does not hear of it.
    var request: @Sendable (UInt32) -> UInt32? = { $0 }
    /// Changes the request's flags.
    var flags: @Sendable (UInt32) -> UInt32 = { $0 }
    /// Changes the status.
    var status: @Sendable (UInt32) -> UInt32 = { $0 }
    /// Changes what the response word is for a request.
    var response: @Sendable (UInt32) -> UInt32 = { $0 }
    /// Changes the results: the client's memory after the server's was copied there, and the status.
    var results: @Sendable (UnsafeMutableRawBufferPointer, Message, UInt32) -> Void = { _, _, _ in }
    /// Whether a client that sleeps is woken.
    var wakes = true
}

/// A memory of the client's own, that a thread keeps the same as the server's.
final class MemoryBridge: @unchecked Sendable {
    private let server: UnsafeMutableRawBufferPointer
    private let client: UnsafeMutableRawBufferPointer
    private let control: Int
    private let layout: Message
    private let mutation: MemoryMutation
    private var descriptor: Int32
    private let lock = NSLock()
    private var isEnding = false

    // The control block's words (S4).
    private static let flags = 4
    private static let response = 64
    private static let status = 68
    private static let requestSleeper = 128
    private static let responseSleeper = 192
    private static let controlBytes = 256

    init?(server descriptor: Int32, layout: Message, mutation: MemoryMutation) {
        let size = layout.integer("size")
        guard descriptor >= 0, let server = MemoryBridge.map(descriptor, size) else { return nil }
        let own = mutation.isSealed ? gym_sealed_memory("mutant", UInt64(size)) : dup(fileno(tmpfile()))
        guard own >= 0, mutation.isSealed || ftruncate(own, size) == 0, let client = MemoryBridge.map(own, size) else {
            return nil
        }
        (self.server, self.client, self.layout, self.mutation) = (server, client, layout, mutation)
        control = layout.integer("control_offset")
        self.descriptor = own
        mutation.start(client)
        Thread.detachNewThread { [self] in run() }
    }

    /// The client's memory, for whoever takes it.
    func takeDescriptor() -> Int32 {
        defer { descriptor = -1 }
        return descriptor
    }

    func end() { lock.withLock { isEnding = true } }

    private static func map(_ descriptor: Int32, _ size: Int) -> UnsafeMutableRawBufferPointer? {
        let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else { return nil }
        return UnsafeMutableRawBufferPointer(start: mapped, count: size)
    }

    private func word(_ memory: UnsafeMutableRawBufferPointer, _ offset: Int) -> UnsafeMutablePointer<UInt32> {
        (memory.baseAddress! + control + offset).assumingMemoryBound(to: UInt32.self)
    }

    /// Copies everything but the control block.
    private func copy(_ from: UnsafeMutableRawBufferPointer, to: UnsafeMutableRawBufferPointer) {
        let after = control + MemoryBridge.controlBytes
        memcpy(to.baseAddress!, from.baseAddress!, control)
        memcpy(to.baseAddress! + after, from.baseAddress! + after, from.count - after)
    }

    private func run() {
        defer {
            munmap(server.baseAddress!, server.count)
            munmap(client.baseAddress!, client.count)
        }
        var asked: UInt32 = 0
        while !lock.withLock({ isEnding }) {
            let request = gym_load(word(client, 0))
            guard request != asked else {
                usleep(100)
                continue
            }
            asked = request
            guard let passed = mutation.request(request) else { continue }
            copy(client, to: server)
            gym_store(word(server, MemoryBridge.flags), mutation.flags(gym_load(word(client, MemoryBridge.flags))))
            gym_store(word(server, 0), passed)
            if gym_load(word(server, MemoryBridge.requestSleeper)) != 0 { gym_futex_wake(word(server, 0)) }
            while gym_load(word(server, MemoryBridge.response)) != passed, !lock.withLock({ isEnding }) { usleep(100) }
            let status = gym_load(word(server, MemoryBridge.status))
            copy(server, to: client)
            mutation.results(client, layout, status)
            gym_store(word(client, MemoryBridge.status), mutation.status(status))
            gym_store(word(client, MemoryBridge.response), mutation.response(request))
            if mutation.wakes, gym_load(word(client, MemoryBridge.responseSleeper)) != 0 {
                gym_futex_wake(word(client, MemoryBridge.response))
            }
        }
    }
}
