import Agents
import GymClient

let server = try Connection(path: CommandLine.arguments[1])
let method = SAC.Configuration(steps: 20_000, learningRate: 1e-3) { $0.hiddenLayers = [64, 64] }
var configuration = RunConfiguration(method, on: "Pendulum-v1", seed: 1)
configuration.evaluationInterval = 1_000
let training = try Training(
    configuration, on: RemoteEnvironments(server), savingTo: .folder(CommandLine.arguments[2]))
training.sinks = [TerminalSink(configuration.hyperparameters)]
training.onEvaluation = { evaluation, step, isBest in
    print("after \(step) steps: return \(evaluation.meanReturn)\(isBest ? ", the best so far" : "")")
}
training.returnToReach = -250
let summary = try training.run()
print("\(summary.steps) steps in \(summary.wallSeconds) s, return \(summary.finalMeanReturn)")
