/// What a thread of the pool is to do.
protocol PooledWork: AnyObject, Sendable {
    /// Does it; may take as long as it likes.
    func run()
}

/// The threads of a server: those that read what connections say, those that carry out what takes long, those that
/// answer doorbells. All come from here, and there are never more than the limit.
final class ThreadPool: Sendable {
    /// How many threads there may be.
    let limit: Int
    /// Of them, those that are not for what takes long: one for each connection that may still come, and those that step
    /// batches together.
    private let mostConnections: Int
    private let stepThreads: Int

    private struct State {
        var waiting: [any PooledWork] = []
        var idle = 0
        var count = 0
        var connections = 0
        var isEnding = false
    }

    private let state = Guarded(State())

    /// Threads that are kept for what comes next; starting one takes as long as a hundred steps.
    private static let mostIdle = 8

    init(limit: Int, mostConnections: Int, stepThreads: Int) {
        self.limit = limit
        self.mostConnections = mostConnections
        self.stepThreads = stepThreads
    }

    /// Threads that there are.
    var count: Int { state.withLock { $0.count } }

    /// Has a thread do what a connection asks for first. There is one, as long as the system has any.
    ///
    /// - Returns: whether there is a thread.
    func runConnection(_ work: any PooledWork) -> Bool {
        beginConnection()
        if run(work, isConnection: true) { return true }
        endConnection()
        return false
    }

    /// Says that there is a connection which another thread hears.
    func beginConnection() { state.withLock { $0.connections += 1 } }

    /// Says that a connection is over, whichever threads have read it.
    func endConnection() { state.withLock { $0.connections -= 1 } }

    /// Has a thread do something that takes long.
    ///
    /// - Returns: whether there is a thread; not when there are as many as may be, but for those that connections need
    ///   which are still to come. Who has none does it on its own.
    func run(_ work: any PooledWork) -> Bool { run(work, isConnection: false) }

    private func run(_ work: any PooledWork, isConnection: Bool) -> Bool {
        let needsThread = state.withLock { state -> Bool? in
            if state.idle > state.waiting.count {
                state.waiting.append(work)
                self.state.signalOne()
                return false
            }
            let kept = stepThreads + (isConnection ? 0 : max(mostConnections - state.connections, 0))
            guard isConnection || state.count + kept < limit else { return nil }
            state.waiting.append(work)
            state.count += 1
            return true
        }
        guard let needsThread else { return false }
        if !needsThread { return true }
        do {
            // It holds on to nothing: a thread may wait for long for what it does next.
            try WaitingThread { [self] in while let next = next() { next.run() } }.detach()
            return true
        } catch {
            return state.withLock { state in
                state.count -= 1
                // Another thread may have become free, and have taken it.
                guard let index = state.waiting.firstIndex(where: { $0 === work }) else { return true }
                state.waiting.remove(at: index)
                return false
            }
        }
    }

    /// What to do next; `nil` when the thread is to end.
    private func next() -> (any PooledWork)? {
        let mayStay = state.withLock { state in
            if state.waiting.isEmpty && (state.isEnding || state.idle >= ThreadPool.mostIdle) {
                state.count -= 1
                return false
            }
            state.idle += 1
            return true
        }
        guard mayStay else { return nil }
        return state.withLock(when: { !$0.waiting.isEmpty || $0.isEnding }) { state in
            state.idle -= 1
            if state.waiting.isEmpty {
                state.count -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
    }

    /// Has threads end that have nothing to do.
    func end() {
        state.withLock { $0.isEnding = true }
        state.signal()
    }
}
