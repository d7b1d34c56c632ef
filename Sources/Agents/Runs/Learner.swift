import GymCore

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

/// A network, an observation or a loss went out of the finite numbers; nothing was applied, but the critics' step where
/// the actor fails after it. The learner stands within an iteration: it goes on from what was saved before.
public struct NotFiniteError: Error, Hashable, CustomStringConvertible {
    /// What is not finite.
    public let term: String
    /// The step at which it was noticed.
    public let step: Int

    /// An error that names what went out of the finite numbers, and when.
    public init(term: String, step: Int) {
        self.term = term
        self.step = step
    }

    /// Names the term and the step.
    public var description: String {
        "\(term) is not a finite number at step \(step); a smaller learning_rate or normalize: true may help"
    }
}
