import GymClient
import GymCore

/// What a learner needs of environments that are stepped together, wherever they run.
///
/// Episodes follow each other by same-step autoreset: where an episode ended, `results.observation` is the next one's
/// first and `results.finalObservation` the ended one's last.
public protocol EnvironmentBatch: AnyObject {
    /// The number of environments.
    var count: Int { get }
    /// The observation space of one environment.
    var observationSpace: Space { get }
    /// The action space of one environment.
    var actionSpace: Space { get }
    /// Where the learner writes the next actions.
    var actions: BatchBuffer { get }
    /// What the last reset or step brought; overwritten by the next.
    var results: StepBuffers { get }

    /// Starts an episode in each environment, with a seed for each.
    func startEpisodes(seeds: [UInt64]) throws
    /// Sends the actions off. The learner may work while the environments do.
    func sendActions() throws
    /// Waits for the results of the step that was sent.
    func receiveResults() throws
}

extension RemoteVectorEnvironment: EnvironmentBatch {
    /// Starts an episode in each environment, with a seed for each.
    public func startEpisodes(seeds: [UInt64]) throws { try reset(seeds: seeds.map { $0 }) }
    /// Sends the actions off.
    public func sendActions() throws { try sendStep() }
    /// Waits for the results of the step that was sent.
    public func receiveResults() throws { try receiveStep() }
}
