internal import CSystemCalls
import Glibc
public import GymCore

/// Memory that a server and a client both map: actions one way, results the other, and a doorbell each way.
///
/// The descriptor is sealed, so the memory cannot shrink under either side. What the other side may write is read
/// with care: the server copies actions before it looks at them, and what it reads back of its own results decides
/// nothing but what this client is told.
public final class SharedMemory: Sendable {
    /// Where things lie.
    public let layout: SharedMemoryLayout
    /// The request doorbell: the client rings, the server waits.
    public let request: Doorbell
    /// The response doorbell: the server rings, the client waits.
    public let response: Doorbell

    // The mapping, which lasts as long as this object. What lies in it is another process's to change at any time anyway:
    // the doorbells say whose turn it is.
    nonisolated(unsafe) private let base: UnsafeMutableRawPointer

    /// What follows on the socket after the response doorbell has rung.
    public enum Status: UInt32, Sendable {
        /// Nothing: the results are all there is.
        case done = 0
        /// A response frame with faults or `info`; the results are there too.
        case frameFollows = 1
        /// A response frame with an error; nothing was stepped.
        case failed = 2
        /// The handle is closed; nothing will come any more.
        case closed = 3
    }

    // Places in the control block. What one side writes and the other polls has a cache line of its own.
    private static let requestOffset = 0
    private static let requestFlagsOffset = 4
    private static let responseOffset = 64
    private static let responseStatusOffset = 68
    private static let requestSleeperOffset = 128
    private static let responseSleeperOffset = 192

    private static let wantsInfoFlag: UInt32 = 1

    /// Makes new memory; the descriptor is for the other side and stays the caller's.
    public static func create(_ layout: SharedMemoryLayout) throws -> (SharedMemory, descriptor: OwnedDescriptor) {
        let descriptor = gym_sealed_memory("gym-environments", UInt64(layout.size))
        guard descriptor >= 0 else { throw SystemError("create \(layout.size) bytes of shared memory", -descriptor) }
        let owner = OwnedDescriptor(owning: descriptor)
        return (try SharedMemory(mapping: descriptor, layout), owner)
    }

    /// Maps memory that the other side made.
    ///
    /// - Throws: ``WireError`` when the memory is not sealed or smaller than the layout says, ``SystemError``.
    public convenience init(passed descriptor: OwnedDescriptor, _ layout: SharedMemoryLayout) throws {
        var status = stat()
        guard fstat(descriptor.number, &status) == 0 else { throw SystemError("fstat of the shared memory") }
        guard gym_is_sealed(descriptor.number) != 0, Int(status.st_size) >= layout.size else {
            throw WireError.malformed("the shared memory is not sealed, or smaller than its layout")
        }
        try self.init(mapping: descriptor.number, layout)
    }

    private init(mapping descriptor: Int32, _ layout: SharedMemoryLayout) throws {
        let mapped = mmap(nil, layout.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else { throw SystemError("map \(layout.size) bytes of shared memory") }
        base = mapped
        self.layout = layout
        let control = mapped + layout.controlOffset
        request = Doorbell(
            word: control + SharedMemory.requestOffset, sleeper: control + SharedMemory.requestSleeperOffset)
        response = Doorbell(
            word: control + SharedMemory.responseOffset, sleeper: control + SharedMemory.responseSleeperOffset)
    }

    deinit { munmap(base, layout.size) }

    /// Whether the client wants `info` with its next step. Written before the request doorbell rings.
    public var wantsInfo: Bool {
        get { control(SharedMemory.requestFlagsOffset).load(as: UInt32.self) & SharedMemory.wantsInfoFlag != 0 }
        set {
            control(SharedMemory.requestFlagsOffset).storeBytes(
                of: newValue ? SharedMemory.wantsInfoFlag : 0, as: UInt32.self)
        }
    }

    /// What follows the results. Written before the response doorbell rings.
    public var status: Status {
        get { Status(rawValue: control(SharedMemory.responseStatusOffset).load(as: UInt32.self)) ?? .closed }
        set { control(SharedMemory.responseStatusOffset).storeBytes(of: newValue.rawValue, as: UInt32.self) }
    }

    private func control(_ offset: Int) -> UnsafeMutableRawPointer { base + layout.controlOffset + offset }

    /// The actions, as a batch that lies in this memory; it must not outlive it.
    public func actions(of space: Space, count: Int) -> BatchBuffer {
        BatchBuffer(leaves: space.leaves.map(\.leaf), count: count, memory: layout.actions.map { base + $0.offset })
    }

    /// Whether results say how long steps took.
    private var isTimed: Bool { layout.results.first.map { $0.fields.count == ResultField.all.count } ?? false }

    /// A set of results, as buffers that lie in this memory; they must not outlive it.
    public func results(_ set: Int, observationSpace: Space, count: Int) -> StepBuffers {
        let results = layout.results[set]
        // Without same-step autoreset there is no final observation; its buffer is then never written.
        let final = results.finalObservation.isEmpty ? results.observation : results.finalObservation
        return StepBuffers(
            observationSpace: observationSpace, count: count, isTimed: isTimed,
            memory: StepBuffers.Memory(
                observation: results.observation.map { base + $0.offset },
                finalObservation: final.map { base + $0.offset }, results: results.fields.map { base + $0.offset }))
    }
}
