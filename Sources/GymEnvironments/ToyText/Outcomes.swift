import GymCore

/// Up to three outcomes of an action and how likely each is, drawn as Gymnasium's `categorical_sample` draws.
struct Outcomes: Sendable {
    /// The probability of each.
    let probabilities: InlineArray<3, Double>
    /// The probability of each or one before it, summed in the order of the reference: the last bits decide.
    private let cumulative: InlineArray<3, Double>

    /// Outcomes with the given probabilities.
    init(_ first: Double, _ second: Double, _ third: Double) {
        probabilities = [first, second, third]
        cumulative = [first, first + second, first + second + third]
    }

    /// Draws one of them: the first whose cumulative probability is above a number from 0 to 1. Where rounding has
    /// left none above it, that is outcome 0, as the largest of equals is in NumPy.
    @inline(__always)
    func draw(_ generator: inout NumPyGenerator) -> Int {
        let number = generator.random()
        guard number < cumulative[2] else { return number < cumulative[1] ? 1 : 0 }
        return (number < cumulative[0] ? 0 : 1) + (number < cumulative[1] ? 0 : 1)
    }
}

extension StateReader {
    /// Reads an integer that has to be in a range.
    ///
    /// - Throws: ``StateError`` that calls it by `name` when it is not.
    mutating func read<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type, in range: Range<Int>, _ name: String
    ) throws -> Int {
        let value = try read(type)
        guard let number = Int(exactly: value), range.contains(number) else {
            throw StateError(
                "the state's \(name) is \(value); it has to be from \(range.lowerBound) to \(range.upperBound - 1)")
        }
        return number
    }

    /// Reads a probability.
    ///
    /// - Throws: ``StateError`` when it is not from 0 to 1.
    mutating func readProbability() throws -> Double {
        let value = try read(Double.self)
        guard (0...1).contains(value) else { throw StateError("the state's probability is \(value)") }
        return value
    }
}
