import Glibc
import GymProtocol
import Synchronization

/// Sees to it that a connection is heard while a thread that listens to it works for long.
///
/// Most requests take microseconds, and the thread that hears one carries it out: waking another would cost more than
/// the work. Only when a request turns out to be long, another thread is given to the connection.
final class SlowRequestWatch: Sendable {
    /// Seconds of work that are no reason to do anything.
    private let patience: Double
    private let pool: ThreadPool
    private let bell = Doorbell(mostSpins: 0)
    private let rings = Atomic<UInt32>(0)
    /// Whether it looks again and again; otherwise whoever begins long work wakes it.
    private let isAwake: Atomic<Bool>
    private let isEnding = Atomic(false)

    private struct State {
        var thread: WaitingThread?
        /// Sessions, each with the beginning of the work that a thread was given for last.
        var watched: [UInt64: (session: Session, since: UInt64)] = [:]
    }

    private let state = Guarded(State())

    /// So many looks in a row without work anywhere, and it sleeps.
    private static let mostQuietLooks = 25
    /// Seconds between looks at the least.
    private static let leastPatience = 0.5e-3

    init(patience: Double, pool: ThreadPool) {
        self.patience = max(patience, SlowRequestWatch.leastPatience)
        self.pool = pool
        // With endless patience there is nothing to be seen.
        isAwake = Atomic(patience.isInfinite)
    }

    /// Watches a session.
    func add(_ session: Session) {
        state.withLock { state in
            state.watched[session.link.id] = (session, 0)
            if state.thread == nil, patience.isFinite {
                // Without a thread for it, slow requests hold up those behind them, and nothing else.
                state.thread = try? WaitingThread { [self] in look() }
            }
        }
    }

    func remove(_ session: Session) { _ = state.withLock { $0.watched.removeValue(forKey: session.link.id) } }

    /// The sessions that are watched.
    var sessions: [Session] { state.withLock { $0.watched.values.map(\.session) } }

    /// How many there are.
    var count: Int { state.withLock { $0.watched.count } }

    /// Whether there is a thread for it.
    var hasThread: Bool { state.withLock { $0.thread != nil } }

    /// Some work has begun.
    func noteWork() {
        if !isAwake.load(ordering: .sequentiallyConsistent) { wake() }
    }

    private func wake() { bell.ring(rings.wrappingAdd(1, ordering: .relaxed).newValue) }

    /// Ends the thread.
    func end() {
        isEnding.store(true, ordering: .sequentiallyConsistent)
        wake()
        let thread = state.withLock { state in
            defer { state.thread = nil }
            return state.thread
        }
        thread?.join()
        isEnding.store(false, ordering: .sequentiallyConsistent)
    }

    private func look() {
        var quietLooks = 0
        while !isEnding.load(ordering: .sequentiallyConsistent) {
            isAwake.store(true, ordering: .sequentiallyConsistent)
            usleep(UInt32(min(patience, 1) * 1e6))
            quietLooks = lookAround() ? 0 : quietLooks + 1
            guard quietLooks >= SlowRequestWatch.mostQuietLooks else { continue }
            quietLooks = 0
            let shown = bell.value
            isAwake.store(false, ordering: .sequentiallyConsistent)
            // What began before it said that it sleeps did not wake it.
            if lookAround() || isEnding.load(ordering: .sequentiallyConsistent) { continue }
            _ = bell.wait(whileShowing: shown)
        }
    }

    /// Gives threads to connections whose own have worked for too long; returns whether any works.
    private func lookAround() -> Bool {
        let now = monotonicSeconds()
        return state.withLock { state in
            var works = false
            for (id, watched) in state.watched {
                let since = watched.session.workingSince
                if since == 0 { continue }
                works = true
                guard since != watched.since, now - Double(since) * 1e-9 > patience,
                    pool.run(Session.TakeOver(watched.session, since: since))
                else { continue }
                state.watched[id]?.since = since
            }
            return works
        }
    }
}
