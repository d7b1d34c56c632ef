import AllocationCounter
import ConformanceEnvironments
import GymClient
import GymCore
import GymEnvironments
import GymProtocol
import ServerTestSupport
import TestSupport
import Testing

/// States that somebody made up, or that are of something else, and what environments say of their size.
@Suite(.serialized) struct StateTests {
    private static let registry: EnvironmentRegistry = {
        var registry = GymEnvironments.registry
        ConformanceEnvironments.register(in: &registry)
        return registry
    }()

    /// Every environment that can be saved, also with options that change what it keeps.
    private static let cases: [(id: String, options: [String: OptionValue])] =
        registry.specs.filter { (try? registry.make($0.id).isRestorable) == true }.map { ($0.id, [:]) }
        + [
            ("Pong-v1", ["obs_type": .text("stack")]), ("Pong-v1", ["maxpool": .bool(true), "obs_type": .text("rgb")]),
            ("LunarLander-v3", ["enable_wind": .bool(true)]),
        ].filter { (try? registry.make($0.0, .init(options: $0.1))) != nil }

    private func batch(_ id: String, _ options: [String: OptionValue], count: Int = 1) throws -> Playing {
        try Playing(StateTests.registry.make(id, .init(count: count, options: options)))
    }

    @Test("Whatever a state says, an environment refuses it or goes on", arguments: cases.indices)
    func madeUp(index: Int) throws {
        let (id, options) = StateTests.cases[index]
        let player = try batch(id, options)
        for _ in 0..<10 { player.step() }
        let state = try player.batch.saveState(row: 0)
        var random = NumPyGenerator(seed: 3)
        // All places near the front, where counters are, and some of the rest.
        let places =
            Array(0..<min(state.count - 8, 320)) + (0..<80).map { _ in random.integer(in: 0..<(state.count - 8)) }
        let words: [UInt64] = [
            UInt64(Int64.max), UInt64(bitPattern: .min), .max, Double.nan.bitPattern, Double.infinity.bitPattern,
            Double(1e300).bitPattern, 1 << 40,
        ]
        var taken = 0
        for place in places {
            var damaged = state
            let word = words[random.integer(in: 0..<words.count)]
            withUnsafeBytes(of: word.littleEndian) { damaged.replaceSubrange(place..<(place + 8), with: $0) }
            guard (try? player.batch.restoreState(damaged, row: 0)) != nil else { continue }
            taken += 1
            for _ in 0..<2 { player.step() }
            if let mode = player.batch.spec.renderModes.first { _ = try? player.batch.render(row: 0, mode: mode) }
        }
        try player.batch.restoreState(state, row: 0)
        #expect(taken < places.count)
    }

    @Test("Counters of a state are bounded where it is read", arguments: ["CartPole-v1", "conformance/Echo-v0"])
    func counters(id: String) throws {
        let player = try batch(id, [:])
        let mark: Int64 = 7
        for _ in 0..<mark { player.step() }
        let state = try player.batch.saveState(row: 0)
        func with(_ count: Int64) -> [UInt8] {
            var changed = state
            for place in 0...(state.count - 8) where Int64(littleEndian: read(state, place)) == mark {
                withUnsafeBytes(of: count.littleEndian) { changed.replaceSubrange(place..<(place + 8), with: $0) }
            }
            return changed
        }
        #expect(with(8) != state)
        #expect(throws: StateError.self) { try player.batch.restoreState(with(.max), row: 0) }
        #expect(throws: StateError.self) { try player.batch.restoreState(with(-1), row: 0) }
        try player.batch.restoreState(with(Int64(StateReader.mostCounted)), row: 0)
        player.step()
    }

    private func read(_ bytes: [UInt8], _ place: Int) -> Int64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Int64.self) }
    }

    @Test("A client cannot end the server with a state") func overTheWire() throws {
        let running = try RunningServer()
        let raw = try running.raw()
        let handle = try raw.make("test/Counting-v0") { $0.settings.options = ["limit": .integer(1000)] }
        _ = try raw.ask(.reset(ResetParameters()), handle: handle)
        guard case .states(let states) = try raw.ask(.getState(environments: []), handle: handle) else {
            Issue.record("no states"); return
        }
        let actions = BatchBuffer(space: .discrete(count: 2), count: 1)
        for place in 0...(states[0].count - 8) {
            var state = states[0]
            withUnsafeBytes(of: Int64.max.littleEndian) { state.replaceSubrange(place..<(place + 8), with: $0) }
            _ = try raw.ask(.setState(environments: [0], states: [state]), handle: handle)
            _ = try raw.ask(.step(actions, wantsInfo: false), handle: handle)
        }
        guard case .ping = try raw.ask(.ping) else { Issue.record("no answer"); return }
    }

    @Test("M36: states of something else are refused by name") func foreign() throws {
        let running = try RunningServer(registry: StateTests.registry)
        func state(_ raw: RawConnection, _ id: String, _ options: [String: OptionValue] = [:]) throws -> [UInt8] {
            let handle = try raw.make(id) { $0.settings.options = options }
            _ = try raw.ask(.reset(ResetParameters()), handle: handle)
            guard case .states(let states) = try raw.ask(.getState(environments: []), handle: handle) else {
                throw Unexpected(what: "no states")
            }
            return states[0]
        }
        let raw = try running.raw()
        let lander = try raw.make("LunarLander-v3")
        func refusal(_ state: [UInt8], _ raw: RawConnection, _ handle: UInt32) throws -> WireError {
            try raw.send(.setState(environments: [0], states: [state]), handle: handle)
            return try raw.error()
        }
        let other = try refusal(try state(raw, "LunarLanderContinuous-v3"), raw, lander)
        #expect(other.code == .incompatibleState && !other.isFatal)
        #expect(other.details.first?.field == "states.environment")
        #expect(other.details.first?.expected == "LunarLander-v3")
        #expect(other.details.first?.got == "LunarLanderContinuous-v3")
        #expect(other.details.first?.environmentIndex == 0)
        let gravity = try refusal(try state(raw, "LunarLander-v3", ["gravity": .real(-5)]), raw, lander)
        #expect(gravity.code == .incompatibleState && gravity.details.first?.field == "states.options")
        // To name a default is to leave it out.
        let same = try state(raw, "LunarLander-v3", ["gravity": .real(-10)])
        guard case .stateSet = try raw.ask(.setState(environments: [0], states: [same]), handle: lander) else {
            Issue.record("not taken"); return
        }
        #expect(try refusal([1, 2, 3], raw, lander).code == .invalidState)
        // A client of 1.0 does not know that code.
        let old = try running.raw(hello: false)
        var hello = Hello()
        hello.minor = 0
        _ = try old.ask(.hello(hello))
        let cartPole = try old.make("CartPole-v1")
        #expect(try refusal(try state(old, "LunarLander-v3"), old, cartPole).code == .invalidState)
    }

    // MARK: Sizes

    @Test(
        "Environments take what they say, within a factor of 1.5",
        .enabled(if: allocations_are_counted(), "the allocator is not ours to ask"),
        arguments: registry.specs.map(\.id).filter { $0 != "conformance/Slow-v0" })
    func sizes(id: String) throws {
        try checkSize(id, [:])
    }

    @Test("With other options, too", .enabled(if: allocations_are_counted(), "the allocator is not ours to ask"))
    func sizesWithOptions() throws {
        try checkSize("Pong-v1", ["obs_type": .text("rgb")])
        try checkSize("Pong-v1", ["obs_type": .text("stack")])
        try checkSize("Pong-v1", ["obs_type": .text("grayscale"), "maxpool": .bool(true)])
    }

    private func checkSize(_ id: String, _ options: [String: OptionValue]) throws {
        // Enough that what all share does not count, nor what the heap does otherwise.
        let count = try StateTests.registry.make(id, .init(options: options)).bytesPerEnvironment < 5000 ? 2048 : 64
        let player = try batch(id, options, count: count)
        let before = heapBytes()
        let other = try StateTests.registry.make(id, .init(count: count, options: options))
        player.play(other, steps: count > 64 ? 5 : 60)
        let (said, measured) = (Double(other.bytesPerEnvironment), Double(heapBytes() - before) / Double(count))
        #expect(said <= 1.5 * measured && measured <= 1.5 * said, "\(id) says \(said) and takes \(measured) bytes")
    }

    /// Bytes that the heap has given out.
    private func heapBytes() -> Int { Int(bytes_of_the_heap()) }
}

/// A batch with what it takes to step it with actions that change.
private final class Playing {
    let batch: any VectorEnvironment
    private let buffers: StepBuffers
    private let actions: BatchBuffer
    private var sampler: SpaceSampler

    init(_ batch: any VectorEnvironment) throws {
        self.batch = batch
        buffers = StepBuffers(observationSpace: batch.observationSpace, count: batch.count)
        actions = BatchBuffer(space: batch.actionSpace, count: batch.count)
        sampler = SpaceSampler(batch.actionSpace, seed: 1)
        try reset(batch)
    }

    private func reset(_ batch: any VectorEnvironment) throws {
        _ = try batch.reset(
            rows: Array(0..<batch.count), seeds: (0..<batch.count).map { UInt64($0) }, options: [:], wantsInfo: false,
            into: buffers)
    }

    func step() { step(batch) }

    private func step(_ batch: any VectorEnvironment) {
        for row in 0..<batch.count { actions.store(sampler.sample(), of: batch.actionSpace, row: row) }
        _ = batch.step(rows: 0..<batch.count, actions: actions, wantsInfo: false, into: buffers)
    }

    /// Plays another batch of the same kind, with the memory of this one.
    func play(_ other: any VectorEnvironment, steps: Int) {
        guard (try? reset(other)) != nil else { return }
        for _ in 0..<steps { step(other) }
    }
}
