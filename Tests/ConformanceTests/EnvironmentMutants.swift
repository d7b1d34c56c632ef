import ConformanceEnvironments
import GymCore
import Synchronization

/// Servers whose environments, or what they do with them, are wrong: each replaces the counter.
func addEnvironmentMutants(to list: inout MutantList) {
    add(
        &list, "starts-with-the-last-options", "autoreset uses the options of the last reset",
        caughtBy: "autoreset.not-the-options-of-the-last-reset"
    ) { wrong in
        wrong.start = { counter, options in
            let start = Int64(options.integer("start"))
            counter.kept = start == 0 ? counter.kept : start
            counter.count = counter.kept
        }
    }
    add(
        &list, "draws-ignore-the-generator", "its environments draw from a generator of their own",
        caughtBy: "reset.same-seed-same-episode", "vector.autoreset-goes-on-with-the-generator", "autoreset.draws",
        "reset.generator-goes-on"
    ) { $0.draw = { _, _ in allDraws.add(1, ordering: .relaxed).newValue } }
    add(&list, "draws-nothing", "every episode is the same", caughtBy: "reset.different-seeds-differ") {
        $0.draw = { _, _ in 7 }
    }
    add(
        &list, "reset-does-not-reset", "an episode starts where the last one ended",
        caughtBy: "reset.gives-up-running-episode"
    ) { $0.start = { counter, options in counter.count += Int64(options.integer("start")) } }
    add(
        &list, "steps-depend-on-the-server", "what a step does depends on all steps before, of whichever environment",
        caughtBy: "vector.rows-are-single-environments", "autoreset.modes-agree"
    ) { wrong in
        wrong.reward = { _ in Double(allSteps.add(1, ordering: .relaxed).newValue % 1000) }
    }
    add(
        &list, "observes-the-server", "observes all steps before, of whichever environment",
        caughtBy: "vector.place-does-not-matter", "vector.number-does-not-matter", "order.connections-do-not-mix"
    ) { $0.observed = { _ in allObservations.add(1, ordering: .relaxed).newValue % 1000 } }
    add(&list, "leaves-its-space", "observes what is not in its space", caughtBy: "step.observation-in-space") {
        $0.observed = { $0.count % 3 == 2 ? -1 : $0.count }
    }
    add(&list, "rewards-nan", "rewards NaN", caughtBy: "step.observation-in-space") { $0.reward = { _ in .nan } }
    add(&list, "rendering-steps", "rendering moves the environment", caughtBy: "render.changes-nothing") {
        $0.render = { $0.count += 1 }
    }
    add(&list, "state-without-count", "a state leaves out where the episode stands", caughtBy: "state.goes-on-exactly")
    {
        $0.restored = { _ in 0 }
    }
    add(&list, "ends-early", "terminates a step early", caughtBy: "step.terminated") {
        $0.ends = { $0.count + 1 >= $0.limit }
    }
    add(&list, "never-cut", "ignores the environment's own truncation", caughtBy: "step.truncated-by-environment") {
        $0.cuts = { _ in false }
    }
    add(&list, "observes-the-step-before", "observations are a step late", caughtBy: "order.within-a-handle") {
        $0.observed = { max($0.count - 1, 0) }
    }
}

private let allSteps = Atomic<Int>(0)
private let allDraws = Atomic<Int64>(0)
private let allObservations = Atomic<Int64>(0)

private func add(
    _ list: inout MutantList, _ name: String, _ summary: String, caughtBy checks: String...,
    change: @Sendable (inout Wrongs) -> Void
) {
    var wrongs = Wrongs()
    change(&wrongs)
    list.environments(name, summary, caughtBy: checks) { [wrongs] registry in
        registry.register(Counter.spec) { WrongCounter(options: $0, wrongs: wrongs) }
        registry.register(Echo.spec) { Echo(options: $0) }
        registry.register(Fault.spec) { try Fault(options: $0) }
        registry.register(Slow.spec) { Slow(options: $0) }
    }
}

/// What a counter does; each mutant changes one.
private struct Wrongs: Sendable {
    var start: @Sendable (inout WrongCounter, OptionValues) -> Void = { $0.count = Int64($1.integer("start")) }
    var draw: @Sendable (WrongCounter, inout NumPyGenerator) -> Int64 = {
        Int64($1.integer(in: 0..<Int(Int32.max)))
    }
    var reward: @Sendable (WrongCounter) -> Double = { $0.scale * ($0.rewardsCount ? Double($0.count) : 1) }
    var observed: @Sendable (WrongCounter) -> Int64 = { $0.count }
    var ends: @Sendable (WrongCounter) -> Bool = { $0.count >= $0.limit }
    var cuts: @Sendable (WrongCounter) -> Bool = { $0.cut > 0 && $0.count >= $0.cut }
    var render: @Sendable (inout WrongCounter) -> Void = { _ in }
    var restored: @Sendable (Int64) -> Int64 = { $0 }
}

/// The counter with one thing wrong. It is written anew, so that the suite's tables are not checked against the code
/// that they describe alone.
private struct WrongCounter: RestorableEnvironment, RenderableEnvironment, Sendable {
    let observationSpace = Space.box(Box(low: [Int64(0), 0], high: [Int64(Int32.max), Int64(Int32.max)]))
    let actionSpace = Space.discrete(count: 2)
    let limit: Int64
    let cut: Int64
    let rewardsCount: Bool
    let scale: Double
    let wrongs: Wrongs
    var count: Int64 = 0
    var kept: Int64 = 0
    var draw: Int64 = 0
    var lastAction: Int64 = -1

    init(options: OptionValues, wrongs: Wrongs) {
        limit = Int64(options.integer("limit"))
        cut = Int64(options.integer("cut"))
        rewardsCount = options.text("rewards") == "count"
        scale = options.real("scale")
        self.wrongs = wrongs
    }

    mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        wrongs.start(&self, options)
        draw = wrongs.draw(self, &generator)
        lastAction = -1
        observation.store([wrongs.observed(self), draw])
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        count += 1
        lastAction = Int64(action.integer())
        observation.store([wrongs.observed(self), draw])
        return StepResult(reward: wrongs.reward(self), terminated: wrongs.ends(self), truncated: wrongs.cuts(self))
    }

    var info: [InfoEntry] {
        var entries = [InfoEntry("count", .tensor(Tensor(scalar: count)))]
        if lastAction >= 0 { entries.append(InfoEntry("action", .tensor(Tensor(scalar: lastAction)))) }
        if count % 2 == 0 { entries.append(InfoEntry("even", .text("\(count) is even"))) }
        return entries
    }

    mutating func render(mode: String) throws -> Rendering {
        wrongs.render(&self)
        if mode == "ansi" { return .text("count \(count) draw \(draw)") }
        let pixels = (0..<6).flatMap { [UInt8(count & 0xFF), UInt8(draw & 0xFF), UInt8($0)] }
        return .image(Tensor(pixels, shape: [2, 3, 3]))
    }

    static let stateVersion = 1

    func save(to writer: inout StateWriter) {
        writer.write(count)
        writer.write(draw)
        writer.write(lastAction)
    }

    mutating func restore(from reader: inout StateReader) throws {
        count = wrongs.restored(try reader.read())
        draw = try reader.read()
        lastAction = try reader.read()
        guard count >= 0, draw >= 0, lastAction >= -1, lastAction <= 1 else {
            throw StateError("the counter's state is out of range")
        }
    }
}
