import GymProtocol
import Testing

@Suite("How long a waiting thread spins") struct AdaptiveSpinTests {
    /// How often it looks in a wait that is over after so many looks.
    private func looks(_ spin: inout AdaptiveSpin, until end: Int = .max) -> Int {
        var count = 0
        let isOver = spin.spin {
            count += 1
            return count >= end
        }
        #expect(isOver == (count >= end))
        return count
    }

    @Test("As long as it may at first, and ever shorter in vain") func vain() {
        var spin = AdaptiveSpin(most: 1000)
        var last = looks(&spin)
        #expect(last == 1000)
        for _ in 0..<40 {
            let next = looks(&spin)
            #expect(next < last || last < 50)
            last = next
        }
        #expect(last < 50)
    }

    @Test("Long again once that was worth it, which a long look now and then finds out") func worthIt() {
        var spin = AdaptiveSpin(most: 1000)
        for _ in 0..<40 { _ = looks(&spin) }
        #expect((0..<64).count { _ in looks(&spin) == 1000 } == 1)
        // Within the next 64 waits there is one that lasts long enough.
        let found = (0..<64).first { _ in looks(&spin, until: 300) == 300 }
        #expect(found != nil)
        #expect(looks(&spin) > 300)
    }
}
