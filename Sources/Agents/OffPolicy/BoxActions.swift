import GymCore

/// Real actions as off-policy learners see them: each dimension from −1 to 1, whatever the bounds of the space.
struct BoxActions {
    let codec: ActionCodec
    /// Half the extent of each dimension, and its middle.
    let scale: [Float]
    let middle: [Float]

    var size: Int { codec.size }

    /// - Throws: ``UnsupportedSpaceError`` for other spaces, naming what would work.
    init(_ space: Space, algorithm: String) throws {
        guard case .box(let box) = space else {
            let other =
                if case .discrete = space { "dqn or ppo learn with it" } else { "ppo learns with it" }
            throw UnsupportedSpaceError("\(algorithm) needs actions from a Box, not \(space); \(other)")
        }
        codec = try ActionCodec(space)
        guard zip(codec.low, codec.high).allSatisfy({ $0.isFinite && $1.isFinite && $0 < $1 }) else {
            throw UnsupportedSpaceError(
                "\(algorithm) scales actions by the bounds of their Box, and those of \(box) are not finite or empty; "
                    + "ppo learns without bounds")
        }
        scale = zip(codec.low, codec.high).map { ($1 - $0) / 2 }
        middle = zip(codec.low, codec.high).map { ($1 + $0) / 2 }
    }

    /// Writes actions of −1 … 1 where the environments read them.
    ///
    /// - Parameters:
    ///   - actions: (rows, ``size``).
    ///   - scratch: (rows, ``size``).
    func write(
        _ actions: UnsafePointer<Float>, rows: Int, scratch: UnsafeMutablePointer<Float>, to batch: BatchBuffer
    ) {
        for row in 0..<rows {
            for index in 0..<size {
                scratch[row * size + index] = middle[index] + scale[index] * actions[row * size + index]
            }
        }
        codec.write(reals: scratch, rows: rows, to: batch)
    }
}
