internal import Conversations
import Glibc
import GymClient
import GymCore
import GymProtocol
import GymServer
import Synchronization

/// Server and client with shared memory in which a third one writes at random, anywhere: to the server the client is
/// hostile then, to the client the server. Beside them, a client that nobody disturbs.
package final class MemorySiege: Sendable {
    private let server: Server
    /// What the neighbour saw when it was alone.
    private let expected: [[UInt8]]

    /// Looks at the clock only to end: how long one batch is besieged, in nanoseconds.
    private static let duration: UInt64 = 250_000_000
    /// Writes between two looks at the clock.
    private static let burst = 64

    /// A server of its own.
    package init() throws {
        server = try FuzzEnvironments.server()
        expected = try MemorySiege.episodes(server)
    }

    /// The neighbour got something else than when it was alone.
    package struct Harm: Error {}

    /// Besieges one batch of environments, which the seed chooses.
    ///
    /// - Throws: what the client throws and does not document; ``Harm``.
    package func run(seed: UInt64) throws {
        var generator = FuzzGenerator(seed: seed)
        let make = generator.pick(MemorySiege.batches)
        let memory = Passed()
        let interposer = try Interposer(server: server, onRequest: { _ in }) { _, passed in
            if let passed { memory.value.withLock { $0 = passed } }
        }
        let vandalSeed = generator.next()
        let vandal = try JoinableThread {
            var generator = FuzzGenerator(seed: vandalSeed)
            let end = MemorySiege.nanoseconds() + MemorySiege.duration
            while MemorySiege.nanoseconds() < end {
                if let memory = memory.value.withLock({ $0 }) {
                    for _ in 0..<MemorySiege.burst { MemorySiege.vandalise(memory, &generator) }
                }
                sched_yield()
            }
            // Who waits for an answer that was written over waits no longer.
            interposer.cut()
        }
        let besieged = Result { try MemorySiege.use(interposer.path, make, &generator) }
        let neighbour = Result { try MemorySiege.episodes(server) }
        vandal.join()
        interposer.end()
        try besieged.get()
        guard try neighbour.get() == expected else { throw Harm() }
    }

    private final class Passed: Sendable {
        let value = Mutex<MappedMemory?>(nil)
    }

    private static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Writes somewhere; one time in four where the sides wait for each other.
    private static func vandalise(_ memory: MappedMemory, _ generator: inout FuzzGenerator) {
        switch generator.below(16) {
        case 0:
            memory.write(bytes(of: generator.number(near: 1), count: 4), at: generator.pick([0, 4, 64, 68, 128, 192]))
        case 1:
            // The step that the client waits for is said to be done.
            memory.write(
                bytes(of: UInt64(memory.load(MappedMemory.requestWord)), count: 4), at: MappedMemory.responseWord)
            memory.write(bytes(of: UInt64(generator.below(5)), count: 4), at: MappedMemory.responseWord + 4)
            memory.wake(MappedMemory.responseWord)
        case 2:
            // Another step is asked for.
            memory.write(
                bytes(of: UInt64(memory.load(MappedMemory.responseWord) &+ 1), count: 4), at: MappedMemory.requestWord)
            memory.wake(MappedMemory.requestWord)
        default:
            let width = generator.pick([1, 4, 8, 8, 64])
            let pattern = bytes(of: generator.eightBytes(near: generator.next()), count: 8)
            memory.write(
                Array((0..<width).map { pattern[$0 % 8] }), at: 256 + generator.below(max(memory.size - 256, 1)))
        }
    }

    private static func bytes(of number: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
    }

    /// All environments whose spaces can be shared, in all modes.
    private static let batches: [MakeParameters] = FuzzEnvironments.registry.specs.flatMap { spec in
        AutoresetMode.allCases.map { mode in
            var make = MakeParameters(
                id: spec.id,
                settings: VectorEnvironmentSettings(
                    count: 4, autoreset: mode, timeLimit: .steps(5), checksObservations: mode == .nextStep))
            make.transport = .sharedMemory
            make.passesOutOfBounds = mode == .sameStep
            return make
        }
    }

    /// Steps, resets and asks until the connection is cut.
    private static func use(_ path: String, _ make: MakeParameters, _ generator: inout FuzzGenerator) throws {
        do {
            let connection = try Connection(path: path, name: "besieged")
            let batch = try connection.make(make)
            while true {
                do {
                    switch generator.below(40) {
                    case 0: try batch.reset(seeds: [UInt64(generator.below(9))])
                    case 1: try batch.restore(try batch.states())
                    case 2: _ = try batch.contains(.action, batch.actions)
                    case 3: _ = try batch.contains(.observation, batch.results.observation)
                    case 4:
                        let sample = try batch.sample()
                        for row in 0..<batch.count { batch.actions.copyRow(row, from: sample, row: row) }
                    default:
                        try batch.step(wantsInfo: generator.oneIn(4))
                        ClientScript.read(batch)
                    }
                } catch GymError.refused(let error) where !error.isFatal {
                    if error.code == .needsReset { try batch.reset() }
                } catch GymError.environmentFaults {
                }
            }
        } catch is GymError {}
    }

    /// What an honest client gets of a batch over each transport: everything that it is told, as bytes.
    private static func episodes(_ server: Server) throws -> [[UInt8]] {
        try Transport.allCases.map { transport in
            let interposer = try Interposer(server: server, onRequest: { _ in }) { _, _ in }
            defer { interposer.end() }
            let connection = try Connection(path: interposer.path, name: "neighbour")
            let batch = try connection.make("CartPole-v1", count: 3, autoreset: .sameStep, transport: transport)
            try batch.reset(seeds: [7])
            var seen: [UInt8] = []
            for step in 0..<100 {
                for row in 0..<3 { batch.actions.elements(as: Int64.self)[row] = Int64((step + row) % 2) }
                try batch.step()
                seen += batch.results.observation.bytes(ofLeaf: 0)
                for row in 0..<3 {
                    seen += bytes(of: batch.results.rewards[row].bitPattern, count: 8)
                    seen += [batch.results.terminated[row], batch.results.truncated[row]]
                }
            }
            return seen
        }
    }
}
