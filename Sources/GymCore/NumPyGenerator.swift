/// NumPy's `default_rng(seed)`: PCG64 (XSL-RR) seeded through SeedSequence, and NumPy's ways of drawing from it.
///
/// The same seed gives, to the bit, the numbers that Gymnasium's `np_random` gives, whatever kinds of draws follow
/// each other. Source: M. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
/// Random Number Generation" (2014), and NumPy's documentation of `SeedSequence`.
public struct NumPyGenerator: Sendable, Hashable {
    private var state: UInt128
    private let increment: UInt128
    /// The upper half of a word whose lower half was drawn; it waits for the next 32-bit draw.
    private var bufferedHalf: UInt32?

    private static let multiplier: UInt128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645

    /// The generator of a seed, as `default_rng(seed)`.
    public init(seed: UInt64) {
        self.init(SeedSequence(seed: seed))
    }

    /// The generator of a seed sequence, as `Generator(PCG64(sequence))`.
    public init(_ sequence: SeedSequence) {
        let words = sequence.words(4)
        let initialState = UInt128(words[0]) << 64 | UInt128(words[1])
        let sequence = UInt128(words[2]) << 64 | UInt128(words[3])
        increment = sequence << 1 | 1
        state = 0
        advance()
        state &+= initialState
        advance()
    }

    @inline(__always)
    private mutating func advance() {
        state = state &* NumPyGenerator.multiplier &+ increment
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        advance()
        let folded = UInt64(truncatingIfNeeded: state >> 64) ^ UInt64(truncatingIfNeeded: state)
        let rotation = UInt64(truncatingIfNeeded: state >> 122)
        return folded >> rotation | folded << ((64 &- rotation) & 63)
    }

    /// The next 32 random bits: the lower half of a word, then its upper half.
    public mutating func next32() -> UInt32 {
        if let half = bufferedHalf {
            bufferedHalf = nil
            return half
        }
        let word = next()
        bufferedHalf = UInt32(truncatingIfNeeded: word >> 32)
        return UInt32(truncatingIfNeeded: word)
    }

    /// `random()`: a double from 0 up to, but not including, 1, in steps of 2⁻⁵³.
    public mutating func random() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// `uniform(low, high)`.
    public mutating func uniform(_ low: Double, _ high: Double) -> Double {
        low + (high - low) * random()
    }
}

extension NumPyGenerator {
    /// Writes what ``init(from:)`` takes.
    public func save(to writer: inout StateWriter) {
        writer.write(state)
        writer.write(increment)
        writer.write(UInt8(bufferedHalf == nil ? 0 : 1))
        writer.write(bufferedHalf ?? 0)
    }

    /// The generator that ``save(to:)`` wrote, at the same place of its stream.
    ///
    /// - Throws: ``StateError`` when the bytes are not such a state.
    public init(from reader: inout StateReader) throws {
        state = try reader.read()
        increment = try reader.read()
        guard increment & 1 == 1 else { throw StateError("the generator's increment is even") }
        let hasHalf = try reader.read(UInt8.self)
        guard hasHalf <= 1 else { throw StateError("the generator's flag is \(hasHalf), not 0 or 1") }
        let half = try reader.read(UInt32.self)
        bufferedHalf = hasHalf == 1 ? half : nil
    }
}
