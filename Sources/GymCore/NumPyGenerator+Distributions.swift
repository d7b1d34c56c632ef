import Foundation

extension NumPyGenerator {
    /// `integers(low, high)`: an integer of the range, each as likely as the others.
    ///
    /// A range of one integer draws nothing.
    ///
    /// - Precondition: the range is not empty.
    public mutating func integer(in range: Range<Int>) -> Int {
        precondition(!range.isEmpty, "an integer cannot be drawn from an empty range")
        return range.lowerBound &+ Int(bitPattern: bounded(UInt(bitPattern: range.upperBound &- 1 &- range.lowerBound)))
    }

    /// `integers(low, high, endpoint=True)`: an integer of the range, up to the whole range of `Int`.
    public mutating func integer(in range: ClosedRange<Int>) -> Int {
        range.lowerBound &+ Int(bitPattern: bounded(UInt(bitPattern: range.upperBound &- range.lowerBound)))
    }

    /// An integer from 0 to `last`, by D. Lemire's method (2019): the upper half of a product with the number of
    /// integers, rejecting the few products that would make some of them likelier.
    ///
    /// Ranges that fit in 32 bits draw 32-bit words; that decides which half of a word the next draw finds.
    private mutating func bounded(_ last: UInt) -> UInt {
        if last == 0 { return 0 }
        if last < UInt(UInt32.max) {
            let count = UInt32(truncatingIfNeeded: last) + 1
            var product = next32().multipliedFullWidth(by: count)
            if product.low < count {
                let threshold = (0 &- count) % count
                while product.low < threshold { product = next32().multipliedFullWidth(by: count) }
            }
            return UInt(product.high)
        }
        if last == UInt(UInt32.max) { return UInt(next32()) }
        if last == UInt.max { return UInt(next()) }
        let count = UInt64(last) + 1
        var product = next().multipliedFullWidth(by: count)
        if product.low < count {
            let threshold = (0 &- count) % count
            while product.low < threshold { product = next().multipliedFullWidth(by: count) }
        }
        return UInt(product.high)
    }

    /// `integers(0, 2, size=count, dtype=int8)`: zeros and ones. NumPy takes narrow integers four to a 32-bit word,
    /// the lowest byte first, and drops what is left of the last word.
    mutating func bits(_ count: Int) -> [UInt8] {
        var word: UInt32 = 0
        return (0..<count).map { index in
            word = index % 4 == 0 ? next32() : word >> 8
            return UInt8(truncatingIfNeeded: word) >> 7
        }
    }

    /// `standard_normal()`: mean 0, standard deviation 1, by the ziggurat method.
    public mutating func standardNormal() -> Double {
        while true {
            let word = next()
            let layer = Int(word & 0xFF)
            let bits = word >> 9 & 0x000F_FFFF_FFFF_FFFF
            let magnitude = Double(bits) * Ziggurat.normalWidths[layer]
            let value = word >> 8 & 1 == 1 ? -magnitude : magnitude
            if bits < Ziggurat.normalBounds[layer] { return value }
            if layer == 0 { return normalTail(negative: bits >> 8 & 1 == 1) }
            let upper = Ziggurat.normalHeights[layer - 1]
            let lower = Ziggurat.normalHeights[layer]
            if (upper - lower) * random() + lower < exp(-0.5 * value * value) { return value }
        }
    }

    /// A normal draw beyond the outermost layer (G. Marsaglia, 1964).
    private mutating func normalTail(negative: Bool) -> Double {
        while true {
            let distance = -Ziggurat.inverseNormalTail * log1p(-random())
            let height = -log1p(-random())
            if height + height > distance * distance {
                let value = Ziggurat.normalTail + distance
                return negative ? -value : value
            }
        }
    }

    /// `normal(mean, deviation)`.
    public mutating func normal(_ mean: Double, _ deviation: Double) -> Double {
        mean + deviation * standardNormal()
    }

    /// `standard_exponential()`: mean 1, by the ziggurat method.
    public mutating func standardExponential() -> Double {
        while true {
            let word = next() >> 3
            let layer = Int(word & 0xFF)
            let bits = word >> 8
            let value = Double(bits) * Ziggurat.exponentialWidths[layer]
            if bits < Ziggurat.exponentialBounds[layer] { return value }
            if layer == 0 { return Ziggurat.exponentialTail - log1p(-random()) }
            let upper = Ziggurat.exponentialHeights[layer - 1]
            let lower = Ziggurat.exponentialHeights[layer]
            if (upper - lower) * random() + lower < exp(-value) { return value }
        }
    }

    /// `geometric(probability)`: how many trials it takes to the first success.
    ///
    /// - Precondition: `probability` is above 0 and below 1/3; NumPy searches where it is larger.
    mutating func geometric(_ probability: Double) -> Int {
        precondition(probability > 0 && probability < 1.0 / 3.0, "the probability is to be above 0 and below 1/3")
        return Int((-standardExponential() / log1p(-probability)).rounded(.up))
    }

    /// `permutation(count)`: the integers from 0 to `count - 1` in random order.
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        shuffle(&order)
        return order
    }

    /// `shuffle(elements)`: puts them in random order, in place.
    public mutating func shuffle<Element>(_ elements: inout [Element]) {
        for index in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(index, masked(last: index))
        }
    }

    /// An integer from 0 to `last`, by rejecting words that are too large once cut to as many bits as `last` has.
    /// NumPy shuffles by this method and draws integers by the other.
    private mutating func masked(last: Int) -> Int {
        let last = UInt64(last)
        let mask = UInt64.max >> last.leadingZeroBitCount
        while true {
            let word = last <= UInt64(UInt32.max) ? UInt64(next32()) : next()
            if word & mask <= last { return Int(word & mask) }
        }
    }
}
