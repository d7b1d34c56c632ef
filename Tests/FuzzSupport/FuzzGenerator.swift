/// Random numbers that a seed repeats (SplitMix64), and the choices that a mutation makes with them.
package struct FuzzGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator with a seed.
    package init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `count` - 1; 0 for none at all.
    mutating func below(_ count: Int) -> Int { count > 1 ? Int(next() % UInt64(count)) : 0 }

    /// True once in so many times.
    mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    /// One of several.
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// A number at a limit, near the one that was there, small, or any.
    mutating func number(near old: UInt64) -> UInt64 {
        switch below(8) {
        case 0: return old &+ 1
        case 1: return old &- 1
        case 2: return UInt64(below(300))
        case 3: return next()
        case 4: return old &* UInt64(1 + below(1000))
        default: return FuzzGenerator.limits[below(FuzzGenerator.limits.count)]
        }
    }

    /// Where signed and unsigned numbers of any width end.
    private static let limits: [UInt64] = {
        var limits: [UInt64] = [0, 1, 2, 3, 64, 100, 255, 1000, 4096]
        for bits: UInt64 in [7, 8, 15, 16, 24, 28, 31, 32, 47, 53, 62, 63] { limits += [1 << bits, (1 << bits) - 1] }
        limits += [.max, .max - 1, .max - 7, UInt64(bitPattern: -2), 1 << 63 + 1, UInt64(bitPattern: Int64(Int32.min))]
        return limits
    }()

    /// The bits of a double, or of two floats, at their limits; or of a whole number.
    mutating func eightBytes(near old: UInt64) -> UInt64 {
        let doubles: [Double] = [
            0, -0.0, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
            .leastNonzeroMagnitude, 1, -1, 1e10, 9.3e18, 1e-300,
        ]
        let floats: [Float] = [.nan, .infinity, -.infinity, .greatestFiniteMagnitude, 0, -1, 1e10, 3e9]
        switch below(4) {
        case 0: return pick(doubles).bitPattern
        case 1: return UInt64(pick(floats).bitPattern) << 32 | UInt64(pick(floats).bitPattern)
        default: return number(near: old)
        }
    }
}
