import GymCore
import RunFiles

/// What acts after training: greedily, with the normalisation it was trained with, frozen.
public protocol Policy: AnyObject {
    /// Writes the greedy action of each environment for the observations in `results` into `actions`.
    func act(on observations: BatchBuffer, count: Int, actions: BatchBuffer)
    /// Whether there is a distribution that ``act(on:count:actions:generators:)`` draws from.
    var drawsActions: Bool { get }
    /// Writes an action of each environment, drawn from the policy's distribution, into `actions`.
    ///
    /// - Parameter generators: one an environment, so that what one draws depends on no other.
    func act(
        on observations: BatchBuffer, count: Int, actions: BatchBuffer, generators: inout [NumPyGenerator])
    /// The next observation of an environment is its episode's first: what a policy remembers of the last one goes.
    func startEpisode(_ row: Int)
    /// Every array that makes up the policy, normalisation included.
    var tensors: [NamedTensor] { get }
    /// Takes over arrays that ``tensors`` gave.
    ///
    /// - Throws: ``PolicyError`` that names the array which is missing or of another shape.
    func load(_ tensors: [NamedTensor]) throws
}

extension Policy {
    /// Not unless the policy says so.
    public var drawsActions: Bool { false }
    /// The greedy actions: of a policy without a distribution.
    public func act(
        on observations: BatchBuffer, count: Int, actions: BatchBuffer, generators: inout [NumPyGenerator]
    ) {
        act(on: observations, count: count, actions: actions)
    }
}

/// Arrays that do not make up the policy they are loaded into.
public struct PolicyError: Error, Hashable, CustomStringConvertible {
    /// What is wrong.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}
