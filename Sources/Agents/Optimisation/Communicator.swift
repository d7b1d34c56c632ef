import NeuralNetwork

/// What the processes of a run exchange. Each does some of its parts; all put together the same numbers in the same order,
/// so that every process computes the same to the bit.
public protocol Communicator: AnyObject, Sendable {
    /// Processes of the run.
    var ranks: Int { get }
    /// This process among them, counted from 0.
    var rank: Int { get }

    /// The gradients of all parts, in the order of the parts, given those of this process's parts.
    func gather(_ parts: [Vector<Float>]) throws -> [Vector<Float>]
    /// Numbers of all parts, in the order of the parts, given those of this process's parts.
    func gather(_ parts: Vector<Double>) throws -> Vector<Double>
}

/// A run of one process: it has all parts already.
public final class SingleProcess: Communicator {
    public let ranks = 1
    public let rank = 0

    /// The only process.
    public init() {}

    public func gather(_ parts: [Vector<Float>]) -> [Vector<Float>] { parts }
    public func gather(_ parts: Vector<Double>) -> Vector<Double> { parts }
}
