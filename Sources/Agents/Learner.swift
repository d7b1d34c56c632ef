import GymCore

/// What a log line says, in the names that Stable-Baselines3 gives: `rollout/ep_rew_mean`, `train/loss`.
public struct Metrics: Sendable {
    /// The values, in the order they were first given; `nil` where there is none yet. A learner gives the same names
    /// each time.
    public private(set) var values: [(name: String, value: Double?)] = []

    /// Nothing yet.
    public init() {}

    /// Adds or replaces a value.
    public subscript(name: String) -> Double? {
        get { values.first { $0.name == name }?.value }
        set {
            if let index = values.firstIndex(where: { $0.name == name }) {
                values[index].value = newValue
            } else {
                values.append((name, newValue))
            }
        }
    }
}

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

/// Returns and lengths of the last hundred episodes, as Stable-Baselines3's monitor reports them.
public struct EpisodeStatistics: Sendable {
    private var returns: [Double] = []
    private var lengths: [Double] = []
    private var next = 0
    /// Episodes ended so far.
    public private(set) var episodes = 0

    private static let window = 100

    /// No episodes yet.
    public init() {}

    /// Takes in an episode that ended.
    public mutating func add(return total: Double, length: Int64) {
        episodes += 1
        if returns.count < EpisodeStatistics.window {
            returns.append(total)
            lengths.append(Double(length))
        } else {
            returns[next] = total
            lengths[next] = Double(length)
            next = (next + 1) % EpisodeStatistics.window
        }
    }

    /// The mean return of the window; `nil` before an episode ended.
    public var meanReturn: Double? { returns.isEmpty ? nil : returns.reduce(0, +) / Double(returns.count) }
    /// The mean length of the window; `nil` before an episode ended.
    public var meanLength: Double? { lengths.isEmpty ? nil : lengths.reduce(0, +) / Double(lengths.count) }
}

extension EpisodeStatistics {
    /// Writes the window.
    func save(to writer: inout StateWriter) {
        writer.write(array: returns)
        writer.write(array: lengths)
        writer.write(UInt64(next))
        writer.write(UInt64(episodes))
    }

    /// Takes over what ``save(to:)`` wrote.
    mutating func restore(from reader: inout StateReader) throws {
        let returns = try reader.readArray(of: Double.self)
        let lengths = try reader.readArray(of: Double.self)
        let next = try reader.readCount()
        guard returns.count == lengths.count, returns.count <= EpisodeStatistics.window, next <= returns.count else {
            throw StateError("the episodes' statistics do not go together")
        }
        (self.returns, self.lengths, self.next) = (returns, lengths, next)
        episodes = try reader.readCount()
    }
}
