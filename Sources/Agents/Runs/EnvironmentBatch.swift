import GymClient
import GymCore
import GymProtocol

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
    /// What happens when an episode ends.
    var autoreset: AutoresetMode { get }
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
    /// The environments are no longer needed.
    func close() throws
}

extension EnvironmentBatch {
    /// Same-step, unless the batch says otherwise.
    public var autoreset: AutoresetMode { .sameStep }
    /// Nothing is to be given back.
    public func close() throws {}

    /// Refuses what learning would go wrong with, without a sign of it.
    ///
    /// - Parameter count: environments that there have to be; `nil`: any number.
    /// - Throws: ``UnsuitableBatchError``.
    public func require(count wanted: Int? = nil) throws {
        guard autoreset == .sameStep else {
            throw UnsuitableBatchError(
                "the environments reset by \(autoreset); learners and evaluations need same-step: "
                    + "make(…, autoreset: .sameStep)")
        }
        if let wanted, wanted != count {
            throw UnsuitableBatchError(
                "there are \(count) environments, and n_envs is \(wanted); the two have to be the same")
        }
    }
}

/// Environments that a learner cannot be given, and what would be right.
public struct UnsuitableBatchError: Error, Hashable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}

/// Environments that can be kept in a checkpoint.
public protocol RestorableBatch: EnvironmentBatch {
    /// Whether they can be, as they were made: a server may not be able to.
    var isRestorable: Bool { get }
    /// The state of each environment, generators included.
    func states() throws -> [[UInt8]]
    /// Puts the environments into states that ``states()`` gave; they go on exactly.
    ///
    /// - Throws: ``StatesRefusedError`` when they are not taken, and nothing else is wrong.
    func restore(_ states: [[UInt8]]) throws
}

/// States of environments that are not taken, and why: they are of another version, or of a server that was started anew.
public struct StatesRefusedError: Error, CustomStringConvertible {
    /// Why.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}

/// Where a run's environments come from.
public protocol EnvironmentSource: AnyObject {
    /// Makes environments with same-step autoreset.
    ///
    /// - Parameter options: of the environment, as text.
    /// - Throws: ``EnvironmentChoiceError`` when there is no such environment or option.
    func make(_ id: String, count: Int, options: [EnvironmentOption]) throws -> any EnvironmentBatch
    /// The most environments of the given spaces that can be stepped together.
    func largestBatch(observationSpace: Space, actionSpace: Space) -> Int
}

extension EnvironmentSource {
    /// Any number.
    public func largestBatch(observationSpace: Space, actionSpace: Space) -> Int { .max }
}

/// An option of an environment, as a user writes it.
public struct EnvironmentOption: Sendable, Hashable {
    /// Its name.
    public var key: String
    /// Its value: `9.8`, `true`, `[1, 5]`, `hard`.
    public var value: String

    /// The given option.
    public init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}

/// An environment or an option of one that there is not, and which there are.
public struct EnvironmentChoiceError: Error, Hashable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}
