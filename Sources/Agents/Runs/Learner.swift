import GymCore
import RunFiles

/// An algorithm in the middle of a run.
public protocol Learner: AnyObject {
    /// Steps of all environments together so far.
    var steps: Int { get }
    /// Steps that the run is to have.
    var totalSteps: Int { get }
    /// Gradients applied so far.
    var updates: Int { get }
    /// The policy as it stands, to act greedily with or to save.
    var policy: any Policy { get }

    /// Goes on by the smallest stretch after which a run may stop: for on-policy methods, a rollout and its update.
    ///
    /// - Returns: what there is to log.
    /// - Throws: what the environments throw, or ``NotFiniteError``.
    func iterate() throws -> Metrics

    /// Takes over the policy of another run, before the first iteration.
    ///
    /// - Parameter tensors: what that run's ``policy`` gave.
    /// - Throws: ``PolicyError`` that names the array which is missing or of another shape.
    func start(from tensors: [NamedTensor]) throws

    /// Writes everything that the run needs to go on exactly after an iteration, but for the environments' own state.
    /// Not to be called after an iteration that threw.
    func save(to writer: inout StateWriter)
    /// Goes on where the run stood that wrote this; the environments have to be put back as well, or
    /// ``startFreshEpisodes()`` called.
    ///
    /// - Throws: ``StateError`` when it is of another run's shape.
    func restore(from reader: inout StateReader) throws
    /// The environments are not where they were: the next iteration starts new episodes in all of them. What was
    /// learnt stays.
    func startFreshEpisodes()
}
