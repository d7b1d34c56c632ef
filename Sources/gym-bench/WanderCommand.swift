import ArgumentParser
import CommandLineSupport
import Foundation
import GymCore
import GymEnvironments

/// `gym-bench wander`: many random steps of the rigid-body environments, with an eye on what must never happen.
struct WanderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wander",
        abstract: "Random steps of the rigid-body environments: all numbers in bounds, no body astray, memory steady.",
        discussion: """
            Looks at every observation and reward, and at the place of every body after every step. Exits with 1 if \
            one is not as it has to be, or if memory grows. The walker's hull angle may leave its bounds, ±π, on the \
            way to a fall, as it does in Gymnasium: how often is printed. The hash is over all observations, rewards and ends: it is \
            the same in debug and release builds.
            """)

    @Option(help: "The environment; may be given several times. (default: all four)")
    var environment: [String] = []

    @Option(parsing: .unconditional, help: "Steps of each environment.")
    var steps = 1_000_000

    @Option(parsing: .unconditional, help: "Environments stepped together.")
    var envs = 64

    @Option(parsing: .unconditional, help: "The seed that environments and actions come from.")
    var seed: UInt64 = 0

    private static let all: [EnvironmentSpec] = [
        BipedalWalker.spec, BipedalWalker.hardcoreSpec, LunarLander.spec, LunarLander.continuousSpec,
    ]
    /// What memory may grow by after the first tenth of the steps: that of pages touched late, a leak of 2 bytes a step.
    private static let allowedGrowth = 2.0  // MiB
    /// Nobody reads more of them.
    private static let mostProblems = 100

    func validate() throws {
        guard (1...1_000_000_000).contains(steps) else {
            throw ValidationError("--steps is \(steps); it has to be from 1 to 1000000000")
        }
        guard (1...4096).contains(envs) else { throw ValidationError("--envs is \(envs); it has to be from 1 to 4096") }
        let known = WanderCommand.all.map(\.id)
        for id in environment where !known.contains(id) {
            throw ValidationError("there is no rigid-body environment '\(id)'" + suggestion(for: id, in: known))
        }
    }

    func run() throws {
        StandardStreams.print("environment                 steps     episodes  MiB*           beyond π  hash")
        var problems: [String] = []
        for spec in WanderCommand.all where environment.isEmpty || environment.contains(spec.id) {
            let options = try OptionValues([:], for: spec.options)
            switch spec.id {
            case BipedalWalker.spec.id: problems += try wander(spec) { BipedalWalker(hardcore: false) }
            case BipedalWalker.hardcoreSpec.id: problems += try wander(spec) { BipedalWalker(hardcore: true) }
            default: problems += try wander(spec) { try LunarLander(options: options) }
            }
        }
        StandardStreams.print("* resident after a tenth of the steps, after all of them")
        for problem in problems.prefix(20) { StandardStreams.error(problem) }
        if problems.isEmpty {
            StandardStreams.print("all numbers are in bounds, no body went astray, memory is steady")
        } else {
            StandardStreams.error("\(problems.count) problems")
            throw ExitCode(1)
        }
    }

    /// Takes the steps; returns what went wrong.
    private func wander<E: StrayBodyFinding>(_ spec: EnvironmentSpec, make: () throws -> E) throws -> [String] {
        let walk = try Walk(spec, seed: seed, count: envs, make: make)
        let rounds = (steps + envs - 1) / envs
        var early = 0.0
        for round in 0..<rounds {
            try walk.step()
            if round == rounds / 10 { early = try residentMebibytes() }
            if walk.problems.count >= WanderCommand.mostProblems { break }
        }
        let late = try residentMebibytes()
        var problems = walk.problems
        if late - early > WanderCommand.allowedGrowth {
            problems.append("\(spec.id): memory grew from \(format(early, 1)) to \(format(late, 1)) MiB")
        }
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        StandardStreams.print(
            padded(spec.id, 28) + padded("\(walk.steps)", 10) + padded("\(walk.episodes)", 10)
                + padded("\(format(early, 1)), \(format(late, 1))", 15)
                + padded("\(walk.overturned)", 10) + String(walk.hash, radix: 16))
        return problems
    }

    private func residentMebibytes() throws -> Double {
        let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")[1]
        return Double(Int(pages)! * sysconf(Int32(_SC_PAGESIZE))) / Double(1 << 20)
    }
}

/// Environments on random walks, restarted when an episode ends.
private final class Walk<E: StrayBodyFinding> {
    private let spec: EnvironmentSpec
    private let environments: UnsafeMutableBufferPointer<E>
    private let pointers: UnsafeMutableBufferPointer<UnsafeMutablePointer<E>>
    private let noOptions: OptionValues
    private let observations: BatchBuffer
    private let actions: BatchBuffer
    private let actionSpace: Space
    private let checker: LeafChecker
    private var generators: [NumPyGenerator]
    private var actor: NumPyGenerator
    /// Steps since the last reset; −1 before the first one.
    private var lengths: [Int]
    private(set) var steps = 0
    private(set) var episodes = 0
    /// FNV-1a over the bytes of all observations, rewards and ends.
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    private(set) var problems: [String] = []
    /// Observations of a walker's hull turned further than its space says, which no body prevents: Gymnasium's bounds do
    /// not hold in Gymnasium either.
    private(set) var overturned = 0

    /// As many as the vector environment steps together.
    private static var most: Int { 16 }

    init(_ spec: EnvironmentSpec, seed: UInt64, count: Int, make: () throws -> E) throws {
        self.spec = spec
        environments = .allocate(capacity: count)
        pointers = .allocate(capacity: count)
        for i in 0..<count {
            environments.initializeElement(at: i, to: try make())
            pointers.initializeElement(at: i, to: environments.baseAddress! + i)
        }
        noOptions = try OptionValues([:], for: spec.resetOptions)
        observations = BatchBuffer(space: environments[0].observationSpace, count: count)
        actionSpace = environments[0].actionSpace
        actions = BatchBuffer(space: actionSpace, count: count)
        checker = LeafChecker(environments[0].observationSpace)!
        generators = (0..<count).map { NumPyGenerator(seed: seed &+ UInt64($0)) }
        actor = NumPyGenerator(seed: seed &+ 1_000_000)
        lengths = [Int](repeating: -1, count: count)
    }

    deinit {
        environments.deinitialize()
        environments.deallocate()
        pointers.deallocate()
    }

    /// One step, or the start of an episode, of each environment.
    func step() throws {
        drawActions()
        for row in environments.indices where lengths[row] < 0 {
            try environments[row].reset(
                options: noOptions, generator: &generators[row], observation: ObservationWriter(observations, row: row))
        }
        for start in stride(from: 0, to: environments.count, by: Walk.most) {
            let group = start..<min(start + Walk.most, environments.count)
            for row in group {
                environments[row].beginStep(
                    action: ActionReader(actions, row: row), generator: &generators[row])
            }
            E.advance(UnsafeMutableBufferPointer(rebasing: pointers[group]))
            for row in group {
                look(at: row, environments[row].endStep(observation: ObservationWriter(observations, row: row)))
            }
        }
    }

    private func drawActions() {
        if case .discrete(let choices, _) = actionSpace {
            let elements = actions.elements(as: Int64.self)
            for i in elements.indices { elements[i] = Int64(actor.integer(in: 0..<choices)) }
        } else {
            let elements = actions.elements(as: Float.self)
            for i in elements.indices { elements[i] = Float(actor.uniform(-1, 1)) }
        }
    }

    private func look(at row: Int, _ result: StepResult) {
        steps += 1
        lengths[row] = max(lengths[row], 0) + 1
        let column = observations.columns[0]
        let memory = UnsafeRawPointer(column.base! + row * column.rowBytes)
        if let element = checker.firstViolation(in: memory) {
            let value = memory.load(fromByteOffset: 4 * element, as: Float.self)
            if E.self == BipedalWalker.self && element == 0 && abs(value) < 2 * .pi {
                overturned += 1
                checkRest(row, memory)
            } else {
                report(row, "element \(element) of the observation is \(value)")
            }
        }
        if !result.reward.isFinite { report(row, "the reward is \(result.reward)") }
        if let stray = environments[row].strayBody { report(row, stray) }
        for byte in UnsafeRawBufferPointer(start: memory, count: column.rowBytes) { mix(byte) }
        withUnsafeBytes(of: result.reward) { for byte in $0 { mix(byte) } }
        mix(result.terminated ? 1 : 0)
        if result.terminated || lengths[row] == spec.maxEpisodeSteps {
            episodes += 1
            lengths[row] = -1
        }
    }

    /// What the checker did not get to: it stops at the first element.
    private func checkRest(_ row: Int, _ memory: UnsafeRawPointer) {
        guard case .box(let box) = environments[row].observationSpace else { return }
        let (low, high) = (box.low.elements(as: Float.self), box.high.elements(as: Float.self))
        for element in 1..<low.count {
            let value = memory.load(fromByteOffset: 4 * element, as: Float.self)
            if !(value >= low[element] && value <= high[element]) {
                report(row, "element \(element) of the observation is \(value)")
            }
        }
    }

    private func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }

    private func report(_ row: Int, _ what: String) {
        problems.append("\(spec.id): environment \(row), step \(lengths[row]) of its episode: \(what)")
    }
}
