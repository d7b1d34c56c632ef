internal import CSystemCalls
import Synchronization

/// A word that one side changes and the other waits on: two threads, or two processes that share the memory.
///
/// Waiting spins for a moment, which costs a tenth of a microsecond when the answer is near, then sleeps in the kernel.
/// Ringing costs a system call only when somebody sleeps. One thread waits at a time.
// Sendable although it holds pointers: what they point to is atomic, lasts as long as this object, and is never moved;
// `spin` belongs to the one thread that waits.
public final class Doorbell: @unchecked Sendable {
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    private let sleeper: UnsafeMutablePointer<Atomic<UInt32>>
    private let raw: UnsafeMutablePointer<UInt32>
    private let ownedMemory: UnsafeMutableRawPointer?
    /// Used by who waits only.
    private var spin: AdaptiveSpin

    /// Spins before sleeping, at the most: about 50 µs. Longer burns a core that the other side may need to get its work
    /// done; shorter pays a wake-up of some 15 µs for every step that takes longer.
    public static let mostSpins = 2000

    /// A doorbell in memory of its own, for two threads of a process.
    ///
    /// - Parameter mostSpins: how often at the most who waits looks at it before sleeping; a thousand take 25 µs.
    public init(mostSpins: Int = Doorbell.mostSpins) {
        spin = AdaptiveSpin(most: mostSpins)
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
        spin = AdaptiveSpin(most: Doorbell.mostSpins)
        self.word = word.assumingMemoryBound(to: Atomic<UInt32>.self)
        self.sleeper = sleeper.assumingMemoryBound(to: Atomic<UInt32>.self)
        raw = word.assumingMemoryBound(to: UInt32.self)
    }

    deinit { ownedMemory?.deallocate() }

    /// What the bell shows now.
    public var value: UInt32 { word.pointee.load(ordering: .acquiring) }

    /// Shows a new value, and wakes whoever sleeps.
    ///
    /// - Returns: whether somebody slept.
    @discardableResult
    public func ring(_ value: UInt32) -> Bool {
        word.pointee.store(value, ordering: .sequentiallyConsistent)
        if sleeper.pointee.load(ordering: .sequentiallyConsistent) == 0 { return false }
        gym_futex_wake(raw)
        return true
    }

    /// Wakes whoever sleeps without showing anything new; they look around and go on waiting.
    public func wakeSleepers() { gym_futex_wake(raw) }

    /// Waits until the bell shows something other than `value`, or until `seconds` have passed; `nil`: without end.
    ///
    /// - Parameter spins: whether to spin first; otherwise it sleeps at once.
    /// - Returns: what it shows; `value` itself when the time is over, and now and then before.
    public func wait(whileShowing value: UInt32, seconds: Double? = nil, spins: Bool = true) -> UInt32 {
        if spins {
            var shown = value
            let isOver = spin.spin {
                shown = self.value
                return shown != value
            }
            if isOver { return shown }
        }
        sleeper.pointee.store(1, ordering: .sequentiallyConsistent)
        defer { sleeper.pointee.store(0, ordering: .sequentiallyConsistent) }
        let shown = word.pointee.load(ordering: .sequentiallyConsistent)
        if shown != value { return shown }
        _ = gym_futex_wait(raw, value, seconds.map { Int64($0 * 1e9) } ?? -1)
        return self.value
    }
}
