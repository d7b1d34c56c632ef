import Agents
import GymClient

/// Keeps the latest loss. The first line decides the names; a value that is not there yet is nil.
final class Losses: MetricSink {
    private(set) var latest: Double?

    func record(_ metrics: Metrics, at step: Int) { latest = metrics["train/value_loss"] ?? latest }
}

let server = try Connection(path: CommandLine.arguments[1])
let environments = RemoteEnvironments(server)
let run = try InterruptedRun(CommandLine.arguments[2], steps: Int(CommandLine.arguments[3]))
let training = try Training(resuming: run, on: environments)
print("going on at step \(training.steps)")
let losses = Losses()
training.sinks = [losses]
try training.run()
print("the value's loss is \(losses.latest ?? .nan)")

let batch = try environments.make("CartPole-v1", count: 4, options: [])
let evaluation = try evaluate(training.policy, on: batch, seed: 7)
print("four more episodes: \(evaluation.returns)")
