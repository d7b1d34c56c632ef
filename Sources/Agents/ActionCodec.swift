import GymCore
import NeuralNetwork

/// Turns a policy's actions into members of the action space.
public struct ActionCodec: Sendable {
    /// What the policy draws from.
    public enum Kind: Sendable {
        /// Choices, 0 … counts[i] − 1 for each dimension.
        case choices([Int])
        /// That many real numbers.
        case reals(Int)
    }

    let space: Space
    /// What the policy draws from.
    public let kind: Kind
    /// The smallest value of each real dimension.
    public let low: [Float]
    /// The largest value of each real dimension.
    public let high: [Float]
    /// The number that stands for the first choice of each dimension.
    let starts: [Int]

    /// Numbers of an action.
    public var size: Int {
        switch kind {
        case .choices(let counts): counts.count
        case .reals(let count): count
        }
    }

    /// A codec for a space.
    ///
    /// - Throws: ``UnsupportedSpaceError`` when a policy cannot act in the space.
    public init(_ space: Space) throws {
        self.space = space
        var starts: [Int] = []
        var low: [Float] = []
        var high: [Float] = []
        switch space {
        case .discrete(let count, let start):
            kind = .choices([count])
            starts = [start]
        case .multiDiscrete(let counts, let first, _):
            kind = .choices(counts)
            starts = first
        case .multiBinary(let shape):
            kind = .choices([Int](repeating: 2, count: Tensor.count(of: shape)))
            starts = [Int](repeating: 0, count: Tensor.count(of: shape))
        case .box(let box) where box.dtype.isFloatingPoint && box.dtype != .float16:
            low = box.low.doubles.map { Float($0) }
            high = box.high.doubles.map { Float($0) }
            kind = .reals(low.count)
        default:
            throw UnsupportedSpaceError(
                "actions from \(space) cannot be drawn; a policy takes Discrete, MultiDiscrete, MultiBinary, and Box "
                    + "of float32 or float64")
        }
        self.starts = starts
        self.low = low
        self.high = high
    }

    /// Writes choices for the rows of a batch.
    ///
    /// - Parameter actions: (rows, ``size``).
    public func write(choices actions: UnsafePointer<Int32>, rows: Int, to batch: BatchBuffer) {
        let width = size
        if case .multiBinary = space {
            let target = batch.elements(ofLeaf: 0, as: Int8.self)
            for index in 0..<rows * width { target[index] = Int8(actions[index]) }
        } else {
            let target = batch.elements(ofLeaf: 0, as: Int64.self)
            for index in 0..<rows * width { target[index] = Int64(Int(actions[index]) + starts[index % width]) }
        }
    }

    /// Writes real numbers for the rows of a batch, each brought into the bounds of the space.
    ///
    /// - Parameter actions: (rows, ``size``).
    public func write(reals actions: UnsafePointer<Float>, rows: Int, to batch: BatchBuffer) {
        let width = size
        for index in 0..<rows * width {
            let element = index % width
            let value = min(max(actions[index], low[element]), high[element])
            if batch.columns[0].dtype == .float64 {
                batch.elements(ofLeaf: 0, as: Double.self)[index] = Double(value)
            } else {
                batch.elements(ofLeaf: 0, as: Float.self)[index] = value
            }
        }
    }
}
