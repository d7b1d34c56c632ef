import Agents
import GymClient

let server = try Connection(path: CommandLine.arguments[1])
let configuration = try RunConfiguration(
    .ppo, on: "CartPole-v1", seed: 1, settings: ["eval_freq": "5000", "eval_episodes": "10"])
let training = try Training(
    configuration, on: RemoteEnvironments(server), savingTo: .folder(CommandLine.arguments[2]))
training.sinks = [TerminalSink(configuration.hyperparameters)]
training.onEvaluation = { evaluation, step, isBest in
    print("after \(step) steps: return \(evaluation.meanReturn)\(isBest ? ", the best so far" : "")")
}
training.returnToReach = 475
let summary = try training.run()
print("\(summary.steps) steps in \(summary.wallSeconds) s, return \(summary.finalMeanReturn)")
