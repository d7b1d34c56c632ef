import Agents
import Foundation
import GymCore
import RunFiles
import TestSupport
import Testing

/// Runs by a program of one's own.
@Suite struct TrainingTests {
    private let folder: URL

    init() throws { folder = try temporaryFolder() }

    private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    private func configuration(
        _ environment: String = "CartPole-v1", seed: UInt64 = 3, steps: Int = 4096, evaluateEvery: Int = 0
    ) throws -> RunConfiguration {
        try RunConfiguration(
            .ppo, on: environment, seed: seed,
            settings: [
                "n_timesteps": "\(steps)", "n_envs": "4", "n_steps": "64", "eval_freq": "\(evaluateEvery)",
                "eval_episodes": "2",
            ])
    }

    /// Callbacks and sinks see every line, and the summary says what the folder says.
    @Test func metricsAndEvaluationsAreSeen() throws {
        let training = try Training(
            configuration(evaluateEvery: 1024), on: LocalSource(), savingTo: .folder(path("run")))
        let sink = ListSink()
        training.sinks = [sink]
        var lines: [Int] = []
        var evaluations: [(step: Int, isBest: Bool)] = []
        training.onMetrics = { metrics, step in
            #expect(metrics["time/total_timesteps"] == Double(step))
            lines.append(step)
        }
        training.onEvaluation = { evaluation, step, isBest in
            #expect(evaluation.returns.count == 2)
            evaluations.append((step, isBest))
        }
        let summary = try training.run()
        #expect(lines == Array(stride(from: 256, through: 4096, by: 256)) && sink.steps == lines)
        #expect(sink.events == ["start 0 4096", "finish"])
        #expect(evaluations.map(\.step) == [1024, 2048, 3072, 4096] && evaluations[0].isBest)
        #expect(summary.steps == 4096 && summary.finalEpisodesCut == 0)
        let run = RunFolder(existing: path("run"))
        #expect(run.summary()?.weightsSha256 == summary.weightsSha256)
        #expect(try ProgressTable(of: run).curve("eval/mean_reward")?.map(\.x) == [1024, 2048, 3072, 4096])
        // The same without a folder, callbacks or evaluations.
        #expect(try Training(configuration(), on: LocalSource()).run().weightsSha256 == summary.weightsSha256)
    }

    /// Stopped and gone on with, as many times as one likes, a run ends as one that was not.
    @Test func runsAreStoppedAndGoOn() throws {
        let whole = try Training(configuration(), on: LocalSource()).run()
        var training = try Training(configuration(), on: LocalSource(), savingTo: .folder(path("run")))
        for stop in [512, 2048] {
            training.onMetrics = { [unowned training] _, step in
                if step == stop { training.stop() }
                // Between iterations, at any time.
                if step == stop - 256 { try training.save() }
            }
            #expect(try training.run().steps == stop)
            training = try Training(resuming: InterruptedRun(path("run")), on: LocalSource())
            #expect(training.steps == stop && training.totalSteps == 4096)
        }
        let resumed = try training.run()
        #expect(resumed.weightsSha256 == whole.weightsSha256 && resumed.steps == whole.steps)
        #expect(try InterruptedRun(path("run")).finishedSteps == 4096)
        #expect(try InterruptedRun(path("run"), steps: 8192).finishedSteps == nil)
        #expect(throws: ResumeError.self) { try InterruptedRun(path("run"), steps: 100) }
        #expect(throws: ResumeError.self) { try InterruptedRun(path("none")) }
    }

    @Test(arguments: [0, 512]) func runsEndAtAReturn(evaluateEvery: Int) throws {
        let training = try Training(
            configuration(steps: 100_000, evaluateEvery: evaluateEvery), on: LocalSource())
        training.returnToReach = 30
        var last: Metrics?
        training.onMetrics = { metrics, _ in last = metrics }
        let summary = try training.run()
        #expect(summary.steps < 100_000)
        #expect(try #require(last?[evaluateEvery > 0 ? "eval/mean_reward" : "rollout/ep_rew_mean"]) >= 30)
    }

    /// What decides which policy is the best is not the same few starts each time, and a run's result is of its own.
    @Test func evaluationsHaveStartsOfTheirOwn() throws {
        var finalSeeds: Set<UInt64> = []
        for seed in [3, 4] as [UInt64] {
            let source = LocalSource()
            var batches: [LocalBatch] = []
            source.onMake = { batches.append($0) }
            let training = try Training(configuration(seed: seed, evaluateEvery: 1024), on: source)
            var seeds: [[UInt64]] = []
            training.onEvaluation = { _, _, _ in seeds.append(batches[1].seeds) }
            _ = try training.run()
            #expect(seeds.count == 4 && Set(seeds.joined()).count == 8)
            // Of the training's, of the evaluations', and of the last one's episodes.
            #expect(batches.map(\.count) == [4, 2, 20])
            finalSeeds.formUnion(batches[2].seeds)
            #expect(try configuration(seed: seed).finalEpisodesSeed == batches[2].seeds[0])
        }
        #expect(finalSeeds.count == 40)
    }

    /// An environment whose episodes never end: the run ends all the same, and says what its result is of.
    @Test func runsWithoutEndsEnd() throws {
        let training = try Training(
            configuration("Pendulum-v1", steps: 512), on: LocalSource(timeLimit: .unlimited))
        training.mostEvaluationSteps = 300
        var notices: [String] = []
        training.onNotice = { notices.append($0) }
        let summary = try training.run()
        #expect(summary.finalEpisodesCut == 20 && summary.finalMeanReturn < 0)
        #expect(notices == ["20 of 20 episodes had not ended after 300 steps, and count as far as they got"])
    }

    /// A wish to end that comes during the last episodes cuts them, and the run is whole.
    @Test func theLastEvaluationIsCut() throws {
        let source = LocalSource(timeLimit: .unlimited)
        var steps = 0
        source.onMake = { batch in if batch.count == 20 { batch.onStep = { steps += 1 } } }
        let training = try Training(
            configuration("Pendulum-v1", steps: 512), on: source, savingTo: .folder(path("run")))
        training.shouldStop = { steps >= 50 }
        var notices: [String] = []
        training.onNotice = { notices.append($0) }
        let summary = try training.run()
        #expect(steps == 50 && summary.steps == 512 && summary.finalEpisodesCut == 20)
        #expect(notices.count == 1 && notices[0].contains("cut short"))
        #expect(training.folder?.summary()?.finalEpisodesCut == 20)
    }

    /// A run that starts with another's policy learns on from it, also when it is interrupted before its first checkpoint.
    @Test func runsStartWithAnothersPolicy() throws {
        let first = try Training(configuration(), on: LocalSource(), savingTo: .folder(path("first")))
        let summary = try first.run()
        let tensors = try RunFolder(existing: path("first")).policyTensors()
        func second(_ destination: Training.Destination, policy: [NamedTensor]?) throws -> Training {
            try Training(
                configuration(seed: 9, steps: 256), on: LocalSource(), startingWith: policy, savingTo: destination)
        }
        let training = try second(.folder(path("second")), policy: tensors)
        #expect(sha256(Safetensors.encode(training.policy.tensors)) == summary.weightsSha256)
        let text = try String(contentsOfFile: path("second/config.yaml"), encoding: .utf8)
        #expect(text.contains("initial_weights_sha256: \(summary.weightsSha256)"))
        let hash = try training.run().weightsSha256
        #expect(try hash != second(.nowhere, policy: nil).run().weightsSha256)
        for name in ["checkpoints", "policy.safetensors", "summary.json"] {
            try FileManager.default.removeItem(atPath: path("second/" + name))
        }
        #expect(try Training(resuming: InterruptedRun(path("second")), on: LocalSource()).run().weightsSha256 == hash)
        #expect(throws: PolicyError.self) {
            try Training(configuration("Pendulum-v1"), on: LocalSource(), startingWith: tensors)
        }
    }

    /// A checkpoint is what the run was when it was saved, and the run goes on while it is being written.
    @Test func trainingGoesOnWhileACheckpointIsWritten() throws {
        let run = try RunFolder(creating: path("run"))
        let configuration = try configuration()
        let batch = try LocalBatch("CartPole-v1", count: 4)
        let learner = try Inner.ppo(batch, configuration.hyperparameters, seed: 3)
        func checkpoint() throws -> Checkpoint {
            Checkpoint(
                configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace,
                learner: learner, environmentStates: try batch.states())
        }
        _ = try learner.iterate()
        let expected = try checkpoint().bytes
        let writer = CheckpointWriter(CheckpointFolder(of: run))
        let gate = DispatchSemaphore(value: 0)
        writer.willWrite = { gate.wait() }
        let file = try writer.write(checkpoint()) {}
        // Nobody has opened the gate, and here we are.
        _ = try learner.iterate()
        #expect(try checkpoint().bytes != expected)
        #expect(!FileManager.default.fileExists(atPath: file))
        gate.signal()
        try writer.wait()
        #expect(FileManager.default.contents(atPath: file) == Data(expected))
    }

    /// A disk that is full is reported by whoever waits, and by the next checkpoint.
    @Test func checkpointsThatCannotBeWrittenAreReported() throws {
        let run = try RunFolder(creating: path("run"))
        try Data("in the way".utf8).write(to: URL(fileURLWithPath: path("run/checkpoints")))
        let configuration = try configuration()
        let batch = try LocalBatch("CartPole-v1", count: 4)
        let learner = try Inner.ppo(batch, configuration.hyperparameters, seed: 3)
        let writer = CheckpointWriter(CheckpointFolder(of: run))
        let checkpoint = Checkpoint(
            configuration, observationSpace: batch.observationSpace, actionSpace: batch.actionSpace, learner: learner,
            environmentStates: nil)
        _ = try writer.write(checkpoint) {}
        #expect(throws: RunFileError.self) { try writer.wait() }
        #expect(throws: RunFileError.self) { try writer.check() }
        #expect(throws: RunFileError.self) { try writer.write(checkpoint) {} }
    }

    /// Runs that look for a folder at the same time each get their own.
    @Test func numberedFoldersAreTakenOnce() throws {
        let base = path("runs/ppo-CartPole-v1")
        let taken = Taken()
        DispatchQueue.concurrentPerform(iterations: 24) { _ in
            taken.add(try? RunFolder(numbering: base).url.lastPathComponent)
        }
        #expect(Set(taken.names) == Set((1...24).map { "ppo-CartPole-v1-\($0)" }) && taken.names.count == 24)
        #expect(throws: RunFolderError.self) { try RunFolder(numbering: "/proc/none/run") }
    }

    /// What goes wrong with numbers names the thing, and what helps.
    @Test func numbersBeyondFloat32AreNamed() throws {
        #expect(
            NotFiniteError.reward(1e300, step: 7).description
                == "a reward is 1e+300 at step 7: networks learn with 32-bit floats, which end at 3.4e+38; "
                + "have the environment give smaller numbers")
        #expect(
            NotFiniteError.reward(.nan, step: 7).description
                == "a reward is not a finite number at step 7: the environment gave nan")
        let space = Space.box(Box(low: [-Double.infinity, 0], high: [Double.infinity, 1]))
        let results = StepBuffers(observationSpace: space, count: 2)
        results.observation.elements(as: Double.self)[2] = -1e300
        #expect(NotFiniteError.observation(in: results, step: 0).description.hasPrefix("an observation is -1e+300 at"))
        results.observation.elements(as: Double.self)[2] = .infinity
        #expect(NotFiniteError.observation(in: results, step: 0).description.hasSuffix("the environment gave inf"))
        #expect(NotFiniteError(term: "the value's loss", step: 1).description.contains("smaller learning_rate"))
    }

    /// A reward that is no number is the environment's, and not the fault of the value's loss.
    @Test(arguments: [Algorithm.ppo, .dqn], [Double.nan, 1e300])
    func badRewardsAreTheEnvironments(algorithm: Algorithm, reward: Double) throws {
        let h = try algorithm.hyperparameters(
            environment: "CartPole-v1",
            settings: [("n_envs", "1"), ("learning_starts", "10"), ("n_steps", "16")]
                .filter { Hyperparameters(algorithm.schema).has($0.0) })
        let batch = try LocalBatch("CartPole-v1", count: 1)
        batch.onStep = { batch.results.rewards[0] = reward }
        let learner = try algorithm.learner(on: batch, hyperparameters: h, seed: 1)
        let error = #expect(throws: NotFiniteError.self) { try learner.iterate() }
        #expect(error?.term == "a reward")
        guard case .environment(let given?)? = error?.cause else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(given == reward || given.isNaN && reward.isNaN)
    }

    /// While a run explores its speed says nothing of the time that is left.
    @Test func theTerminalSaysThatItExplores() {
        var text = ""
        var now = ContinuousClock.now
        let sink = TerminalSink(explorationSteps: 2000, isTerminal: false, now: { now }) { text += $0 }
        sink.start(at: 0, of: 10_000)
        for step in stride(from: 1000, through: 4000, by: 1000) {
            now = now.advanced(by: .seconds(step > 2000 ? 10 : 1))
            sink.record(Metrics(), at: step)
        }
        #expect(
            text == """
                10%  1000/10000 steps  exploring
                20%  2000/10000 steps
                30%  3000/10000 steps  100 steps/s  1:10 left
                40%  4000/10000 steps  100 steps/s  1:00 left

                """)
    }
}

private final class ListSink: MetricSink {
    private(set) var steps: [Int] = []
    private(set) var events: [String] = []

    func start(at step: Int, of total: Int) { events.append("start \(step) \(total)") }
    func record(_ metrics: Metrics, at step: Int) { steps.append(step) }
    func finish() { events.append("finish") }
}

private final class Taken: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var names: [String] = []

    func add(_ name: String?) { lock.withLock { if let name { names.append(name) } } }
}
