import Foundation
import Glibc
import Synchronization

/// What a round trip between two processes costs at the least on this machine: no protocol, nothing done with it.
///
/// The other process is this program again, as `gym-bench peer`.
enum BarePingPong {
    /// What a step of a single CartPole would send at the least: an action and an envelope.
    static let requestBytes = 16
    /// And receive: an observation, a reward, flags.
    static let responseBytes = 48

    /// A peer that answers on a socket.
    final class SocketPeer {
        private let process: Process
        private let descriptor: Int32

        init() throws {
            var descriptors: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0 else {
                throw BenchError("socketpair")
            }
            descriptor = descriptors[0]
            process = try startPeer(["socket"], input: FileHandle(fileDescriptor: descriptors[1], closeOnDealloc: true))
        }

        deinit {
            close(descriptor)
            process.waitUntilExit()
        }

        func roundTrip() {
            withUnsafeTemporaryAllocation(byteCount: 64, alignment: 16) { buffer in
                exchange(descriptor, buffer.baseAddress!, sending: requestBytes, receiving: responseBytes)
            }
        }

        /// Answers on standard input, which is a socket, until it closes.
        static func answer() {
            withUnsafeTemporaryAllocation(byteCount: 64, alignment: 16) { buffer in
                while readFully(0, buffer.baseAddress!, requestBytes) {
                    _ = write(0, buffer.baseAddress!, responseBytes)
                }
            }
        }
    }

    /// A peer that spins on a word in shared memory.
    final class SharedMemoryPeer {
        private let process: Process
        private let words: UnsafeMutablePointer<Atomic<UInt32>>
        private var sequence: UInt32 = 0

        /// The answer lies a cache line further on.
        private static let answerIndex = 32
        private static let size = 4096

        init() throws {
            var template = Array("/dev/shm/gym-bench-XXXXXX".utf8CString)
            let descriptor = mkstemp(&template)
            guard descriptor >= 0, ftruncate(descriptor, SharedMemoryPeer.size) == 0 else {
                throw BenchError("shared memory")
            }
            words = try SharedMemoryPeer.map(descriptor)
            let path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            process = try startPeer(["shared-memory", path], input: FileHandle.nullDevice)
            roundTrip()
            unlink(path)
            close(descriptor)
        }

        deinit {
            words[0].store(.max, ordering: .releasing)
            process.waitUntilExit()
            munmap(words, SharedMemoryPeer.size)
        }

        func roundTrip() {
            sequence += 1
            words[0].store(sequence, ordering: .releasing)
            while words[SharedMemoryPeer.answerIndex].load(ordering: .acquiring) != sequence {}
        }

        /// Spins between two looks at whether the benchmark is still there; a look costs a system call.
        private static let spinsBetweenLooks = 1 << 20

        /// Answers in the memory of the file until told to end, or until the benchmark has gone.
        static func answer(path: String) throws {
            let benchmark = getppid()
            let descriptor = open(path, O_RDWR)
            guard descriptor >= 0 else { throw BenchError("open \(path)") }
            let words = try map(descriptor)
            var seen: UInt32 = 0
            var spins = 0
            while seen != .max {
                let word = words[0].load(ordering: .acquiring)
                if word == seen {
                    spins += 1
                    if spins.isMultiple(of: spinsBetweenLooks), getppid() != benchmark { return }
                    continue
                }
                seen = word
                words[answerIndex].store(seen, ordering: .releasing)
            }
        }

        private static func map(_ descriptor: Int32) throws -> UnsafeMutablePointer<Atomic<UInt32>> {
            let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            guard let mapped, mapped != MAP_FAILED else { throw BenchError("map shared memory") }
            return mapped.assumingMemoryBound(to: Atomic<UInt32>.self)
        }
    }

    private static func startPeer(_ arguments: [String], input: FileHandle) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["peer"] + arguments
        process.standardInput = input
        try process.run()
        return process
    }

    private static func exchange(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer, sending: Int, receiving: Int) {
        guard write(descriptor, buffer, sending) == sending, readFully(descriptor, buffer, receiving) else {
            fatalError("the benchmark's peer has gone")
        }
    }

    private static func readFully(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int) -> Bool {
        var have = 0
        while have < count {
            let got = read(descriptor, buffer + have, count - have)
            if got <= 0 { return false }
            have += got
        }
        return true
    }
}

/// Something that a benchmark needs and did not get.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ operation: String) { description = "\(operation): \(String(cString: strerror(errno)))" }
}
