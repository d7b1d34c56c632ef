internal import CSystemCalls
import Synchronization

/// A word that one side changes and the other waits on: two threads, or two processes that share the memory.
///
/// Waiting spins for a moment, which costs a tenth of a microsecond when the answer is near, then sleeps in the kernel.
/// Ringing costs a system call only when somebody sleeps. One thread waits at a time.
public final class Doorbell: @unchecked Sendable {
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    private let sleeper: UnsafeMutablePointer<Atomic<UInt32>>
    private let raw: UnsafeMutablePointer<UInt32>
    private let ownedMemory: UnsafeMutableRawPointer?

    // Used by who waits only.
    private var spins = Doorbell.mostSpins
    private var waits: UInt32 = 0

    /// Spins before sleeping, at the most: about 50 µs. Longer burns a core that the other side may need to get its work
    /// done; shorter pays a wake-up of some 15 µs for every step that takes longer.
    private static let mostSpins = 2000
    /// And at the least. Who spins in vain spins less the next time: on a busy machine the answer takes milliseconds,
    /// and the scheduler lets those wait longest who have used their time up. There a step that spins takes 20 times as
    /// long as one that sleeps at once.
    private static let leastSpins = 40
    /// Of so many waits one spins the whole time all the same, to find out whether the other side has become quick. Were
    /// both to sleep at once, neither would find out.
    private static let probeInterval: UInt32 = 64

    /// A doorbell in memory of its own, for two threads of a process.
    public init() {
        // The word that one side polls has a cache line of its own.
        let line = 64
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * line, alignment: line)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * line)
        ownedMemory = memory
        word = memory.assumingMemoryBound(to: Atomic<UInt32>.self)
        sleeper = (memory + line).assumingMemoryBound(to: Atomic<UInt32>.self)
        raw = memory.assumingMemoryBound(to: UInt32.self)
    }

    /// A doorbell in memory that outlives it.
    init(word: UnsafeMutableRawPointer, sleeper: UnsafeMutableRawPointer) {
        ownedMemory = nil
        self.word = word.assumingMemoryBound(to: Atomic<UInt32>.self)
        self.sleeper = sleeper.assumingMemoryBound(to: Atomic<UInt32>.self)
        raw = word.assumingMemoryBound(to: UInt32.self)
    }

    deinit { ownedMemory?.deallocate() }

    /// What the bell shows now.
    public var value: UInt32 { word.pointee.load(ordering: .acquiring) }

    /// Shows a new value, and wakes whoever sleeps.
    public func ring(_ value: UInt32) {
        word.pointee.store(value, ordering: .sequentiallyConsistent)
        if sleeper.pointee.load(ordering: .sequentiallyConsistent) != 0 { gym_futex_wake(raw) }
    }

    /// Wakes whoever sleeps without showing anything new; they look around and go on waiting.
    public func wakeSleepers() { gym_futex_wake(raw) }

    /// Waits until the bell shows something other than `value`, or until `seconds` have passed; `nil`: without end.
    ///
    /// - Returns: what it shows; `value` itself when the time is over, and now and then before.
    public func wait(whileShowing value: UInt32, seconds: Double? = nil) -> UInt32 {
        waits &+= 1
        let isProbe = waits % Doorbell.probeInterval == 0
        let limit = isProbe ? Doorbell.mostSpins : spins
        for spin in 0..<limit {
            let shown = self.value
            if shown != value {
                // Room for an answer that takes twice as long.
                spins = min(max(spins, 2 * spin + Doorbell.leastSpins), Doorbell.mostSpins)
                return shown
            }
            gym_spin_hint()
        }
        if !isProbe { spins = max(spins - spins / 8, Doorbell.leastSpins) }
        sleeper.pointee.store(1, ordering: .sequentiallyConsistent)
        defer { sleeper.pointee.store(0, ordering: .sequentiallyConsistent) }
        let shown = word.pointee.load(ordering: .sequentiallyConsistent)
        if shown != value { return shown }
        _ = gym_futex_wait(raw, value, seconds.map { Int64($0 * 1e9) } ?? -1)
        return self.value
    }
}
