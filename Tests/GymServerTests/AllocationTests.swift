import AllocationCounter
import Glibc
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
import Testing

/// In a steady state the server allocates nothing for a step, from the environment's step before to the one after it:
/// answering, waiting, receiving, decoding, checking.
///
/// The environment itself looks at the count of the thread that steps it, and observes it.
@Suite(.enabled(if: allocations_are_counted(), "the allocator is not ours to count")) struct AllocationTests {
    /// Allocations of the server's thread in each of the last 100 steps that it made without a change of thread.
    ///
    /// A handle starts with a thread of its own and moves, once, when its requests have shown to be quick.
    private func allocations(
        _ transport: Transport, count: Int, box: Bool, handles: Int = 1, allocating: Bool = false
    ) throws -> [Int64] {
        var registry = EnvironmentRegistry()
        registry.register(AllocationObserver.spec) {
            AllocationObserver(takesBox: $0.bool("box"), allocates: $0.bool("allocates"))
        }
        // One thread: which of several steps a row is chance, and each warms up by itself.
        let running = try RunningServer(registry: registry) {
            $0.threads = 1
            // However busy the machine is, a quick handle stays where it is.
            $0.slowRequestSeconds = .infinity
        }
        let connection = try running.connect()
        let batches = try (0..<handles).map { _ in
            try connection.make(
                AllocationObserver.spec.id, count: count, options: ["box": .bool(box), "allocates": .bool(allocating)],
                transport: transport)
        }
        for batch in batches { try batch.reset() }
        var counts: [Int64] = []
        var thread: Int64?
        // Of as many steps of one thread, the first half warms up.
        for _ in 0..<100_000 where counts.count < 200 {
            for batch in batches { try batch.step() }
            let observed = batches[0].results.observation.elements(as: Int64.self)
            if observed[1] != thread { counts = [] }
            thread = observed[1]
            counts.append(observed[0])
        }
        try #require(counts.count == 200, "no thread made 200 steps in a row")
        return zip(counts.dropFirst(), counts).map { $0 - $1 }.suffix(100)
    }

    @Test(arguments: Transport.allCases, [1, 64, 3000])
    func steadyStateAllocatesNothing(transport: Transport, count: Int) throws {
        for box in [false, true] {
            let found = try allocations(transport, count: count, box: box)
            #expect(found.allSatisfy { $0 == 0 }, "\(found)")
        }
    }

    @Test("Nor with a thread for each of several handles", arguments: Transport.allCases)
    func severalHandles(transport: Transport) throws {
        let found = try allocations(transport, count: 8, box: true, handles: 3)
        #expect(found.allSatisfy { $0 == 0 }, "\(found)")
    }

    @Test("What does allocate is seen", arguments: Transport.allCases) func counterExamples(transport: Transport) throws
    {
        #expect(try allocations(transport, count: 1, box: false, allocating: true).allSatisfy { $0 >= 1 })
    }
}

/// Observes how many allocations its thread has made, and which thread that is.
private struct AllocationObserver: Environment, Sendable {
    static let spec = EnvironmentSpec(
        id: "test/Allocations-v0", summary: "Observes the allocations of its thread.",
        options: [
            OptionSpec("box", .bool, default: .bool(false), "Whether actions are from a box."),
            OptionSpec("allocates", .bool, default: .bool(false), "Whether a step allocates."),
        ])

    let observationSpace = Space.box(Box(low: [Int64(0), .min], high: [Int64.max, .max]))
    let actionSpace: Space
    private let allocates: Bool
    private var kept: [Int] = []

    private static var observed: InlineArray<2, Int64> {
        [Int64(allocations_of_this_thread()), Int64(bitPattern: UInt64(pthread_self()))]
    }

    init(takesBox: Bool, allocates: Bool) {
        actionSpace = takesBox ? .box(Box(low: [Float(-1), -1], high: [Float(1), 1])) : .discrete(count: 2)
        self.allocates = allocates
    }

    mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        observation.store(AllocationObserver.observed)
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        if allocates { kept = [Int](repeating: kept.count, count: 10) }
        observation.store(AllocationObserver.observed)
        return StepResult(reward: 1, terminated: false)
    }
}
