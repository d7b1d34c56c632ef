internal import CSystemCalls

/// How long a waiting thread spins before it sleeps: as long as was worth it lately.
///
/// Who spins in vain spins less the next time: on a busy machine the answer takes milliseconds, and the scheduler lets
/// those wait longest who have used their time up. There a step that spins takes 20 times as long as one that sleeps at
/// once. And who spins may be in the way of the very thread that it waits for.
public struct AdaptiveSpin: Sendable {
    /// Looks at the most; a thousand take about 25 µs.
    private let most: Int
    private var spins: Int
    private var waits: UInt32 = 0

    /// And at the least.
    private static let least = 40
    /// Of so many waits one spins the whole time all the same, to find out whether the other side has become quick. Were
    /// both to sleep at once, neither would find out.
    private static let probeInterval: UInt32 = 64

    /// Spins so many times at the most; a thousand take about 25 µs.
    public init(most: Int) {
        self.most = most
        spins = most
    }

    /// Spins until `isOver`, which is asked again and again, or until it is no use any more.
    ///
    /// - Returns: whether it is over.
    @inline(__always)
    public mutating func spin(until isOver: () -> Bool) -> Bool {
        waits &+= 1
        let isProbe = waits % AdaptiveSpin.probeInterval == 0
        for spin in 0..<(isProbe ? most : spins) {
            if isOver() {
                // Room for an answer that takes twice as long.
                spins = min(max(spins, 2 * spin + AdaptiveSpin.least), most)
                return true
            }
            gym_spin_hint()
        }
        if !isProbe { spins = max(spins - spins / 8, AdaptiveSpin.least) }
        return false
    }
}
