import GymCore
import NeuralNetwork

/// Turns a policy's actions, numbers of a matrix, into members of the action space.
public struct ActionCodec: Sendable {
    /// What the policy draws from.
    public enum Kind: Sendable {
        /// Choices, 0 … counts[i] − 1 for each dimension.
        case choices([Int])
        /// 0 or 1, so many times.
        case coins(Int)
        /// That many real numbers.
        case reals(Int)
    }

    let space: Space
    /// What the policy draws from.
    public let kind: Kind
    /// The smallest and the largest value of each real dimension, as the space has them.
    private let bounds: [(low: Double, high: Double)]
    /// The number that stands for the first choice of each dimension.
    let starts: [Int]
    /// Real numbers become middle + scale · x, of each dimension, before they are brought into the bounds.
    let scale: [Float]
    let middle: [Float]

    /// Numbers of an action.
    public var size: Int {
        switch kind {
        case .choices(let counts): counts.count
        case .coins(let count), .reals(let count): count
        }
    }

    /// The smallest value of each real dimension.
    var low: [Float] { bounds.map { Float($0.low) } }
    /// The largest value of each real dimension.
    var high: [Float] { bounds.map { Float($0.high) } }

    /// A codec for a space, real numbers being taken as they are.
    ///
    /// - Throws: ``UnsupportedSpaceError`` when a policy cannot act in the space.
    public init(_ space: Space) throws {
        self.space = space
        var starts: [Int] = []
        var bounds: [(low: Double, high: Double)] = []
        switch space {
        case .discrete(let count, let start):
            kind = .choices([count])
            starts = [start]
        case .multiDiscrete(let counts, let first, _):
            kind = .choices(counts)
            starts = first
        case .multiBinary(let shape):
            kind = .coins(Tensor.count(of: shape))
        case .box(let box) where box.dtype.isFloatingPoint && box.dtype != .float16:
            bounds = Array(zip(box.low.doubles, box.high.doubles))
            kind = .reals(bounds.count)
        default:
            throw UnsupportedSpaceError(
                "actions from \(space) cannot be drawn; a policy takes Discrete, MultiDiscrete, MultiBinary, and Box "
                    + "of float32 or float64")
        }
        self.starts = starts
        self.bounds = bounds
        scale = [Float](repeating: 1, count: bounds.count)
        middle = [Float](repeating: 0, count: bounds.count)
        if size == 0 {
            throw UnsupportedSpaceError("actions from \(space) have no numbers: there is nothing to choose")
        }
    }

    /// A codec whose real numbers are from −1 to 1, whatever the bounds of the space.
    ///
    /// - Throws: ``UnsupportedSpaceError`` for other spaces than a Box with bounds, naming what would work.
    package init(scaling space: Space, method: String) throws {
        guard case .box = space else {
            let other = if case .discrete = space { "dqn or ppo learn with it" } else { "ppo learns with it" }
            throw UnsupportedSpaceError("\(method) needs actions from a Box, not \(space); \(other)")
        }
        let plain = try ActionCodec(space)
        guard plain.bounds.allSatisfy({ $0.low.isFinite && $0.high.isFinite && $0.low < $0.high }) else {
            throw UnsupportedSpaceError(
                "\(method) scales actions by the bounds of their Box, and those of \(space) are not finite or empty; "
                    + "ppo learns without bounds")
        }
        self.space = space
        kind = plain.kind
        bounds = plain.bounds
        starts = []
        scale = zip(plain.low, plain.high).map { ($1 - $0) / 2 }
        middle = zip(plain.low, plain.high).map { ($1 + $0) / 2 }
    }

    /// Writes actions where the environments read them, real ones scaled and brought into the bounds of the space.
    ///
    /// - Parameter actions: (rows, ``size``).
    public func write(_ actions: Matrix, to batch: BatchBuffer) {
        precondition(actions.columns == size && actions.rows <= batch.count)
        let width = size
        switch kind {
        case .coins:
            let target = batch.elements(ofLeaf: 0, as: Int8.self)
            for row in 0..<actions.rows {
                for index in 0..<width { target[row * width + index] = Int8(actions[row, index]) }
            }
        case .choices:
            let target = batch.elements(ofLeaf: 0, as: Int64.self)
            for row in 0..<actions.rows {
                for index in 0..<width { target[row * width + index] = Int64(Int(actions[row, index]) + starts[index]) }
            }
        case .reals where batch.columns[0].dtype == .float64:
            // Brought into the bounds as they are: rounded to floats they may lie outside.
            let target = batch.elements(ofLeaf: 0, as: Double.self)
            for row in 0..<actions.rows {
                for index in 0..<width {
                    let value = Double(middle[index] + scale[index] * actions[row, index])
                    target[row * width + index] = min(max(value, bounds[index].low), bounds[index].high)
                }
            }
        case .reals:
            let target = batch.elements(ofLeaf: 0, as: Float.self)
            for row in 0..<actions.rows {
                for index in 0..<width {
                    let value = middle[index] + scale[index] * actions[row, index]
                    target[row * width + index] = min(max(value, Float(bounds[index].low)), Float(bounds[index].high))
                }
            }
        }
    }
}
