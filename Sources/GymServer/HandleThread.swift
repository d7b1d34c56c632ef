import GymProtocol

/// The thread of a handle: it works while the connection hears the next request.
final class HandleThread {
    /// Something to do for the handle.
    enum Work {
        /// A request that was checked, its actions in the handle's own memory.
        case request(HandleRequest, ResponseWriter.Envelope)
        /// The body of a request that came while the handle was busy.
        case frame([UInt8])

        var queuedBytes: Int {
            if case .frame(let body) = self { body.count } else { 0 }
        }
    }

    private let state: State
    private let thread: WaitingThread

    /// What is shared with the thread, which does not hold on to the ``HandleThread``: its end is the thread's.
    private final class State: @unchecked Sendable {
        let monitor = Monitor()
        // Guarded by the monitor.
        var queue: [Work] = []
        var queuedBytes = 0
        var isBusy = false
        var isEnding = false

        func next() -> Work? {
            monitor.withLock {
                isBusy = false
                monitor.signal()
                monitor.wait { !queue.isEmpty || isEnding }
                if isEnding { return nil }
                isBusy = true
                let work = queue.removeFirst()
                queuedBytes -= work.queuedBytes
                return work
            }
        }
    }

    /// Starts the thread.
    ///
    /// - Parameter perform: does a piece of work; called for one after the other, in order.
    /// - Throws: ``ThreadError``.
    init(perform: @escaping @Sendable (Work) -> Void) throws {
        let state = State()
        self.state = state
        thread = try WaitingThread {
            while let work = state.next() { perform(work) }
        }
    }

    /// Waits for what it does now; what is queued is dropped.
    deinit {
        state.monitor.withLock {
            state.isEnding = true
            state.monitor.signal()
        }
        thread.join()
    }

    /// Whether it has done all that it was given.
    var isIdle: Bool { state.monitor.withLock { state.queue.isEmpty && !state.isBusy } }

    /// Gives it something to do.
    ///
    /// - Parameter maxQueuedBytes: while more bytes than that wait, so does the caller.
    func run(_ work: Work, maxQueuedBytes: Int = .max) {
        state.monitor.withLock {
            state.monitor.wait { state.queue.isEmpty || state.queuedBytes + work.queuedBytes <= maxQueuedBytes }
            state.queue.append(work)
            state.queuedBytes += work.queuedBytes
            state.monitor.signal()
        }
    }

    /// Waits until it has done all that it was given.
    func waitUntilIdle() {
        state.monitor.withLock { state.monitor.wait { state.queue.isEmpty && !state.isBusy } }
    }
}
