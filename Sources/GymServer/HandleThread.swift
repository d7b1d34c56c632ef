import GymProtocol

/// The thread of a handle on a connection that has several: it works while the connection hears the next request.
final class HandleThread: @unchecked Sendable {
    private let monitor = Monitor()
    // Guarded by the monitor.
    private var job: (@Sendable () -> Void)?
    private var isBusy = false
    private var isEnding = false
    private var thread: WaitingThread!

    /// - Throws: ``ThreadError``.
    init() throws {
        thread = try WaitingThread { [monitor, unowned self] in
            while true {
                let next: (@Sendable () -> Void)? = monitor.withLock {
                    monitor.wait { self.job != nil || self.isEnding }
                    defer { self.job = nil }
                    return self.job
                }
                guard let next else { return }
                next()
                monitor.withLock {
                    self.isBusy = false
                    monitor.signal()
                }
            }
        }
    }

    /// Gives the thread something to do.
    ///
    /// - Precondition: it is idle.
    func run(_ job: @escaping @Sendable () -> Void) {
        monitor.withLock {
            precondition(!isBusy, "a handle does one thing after the other")
            isBusy = true
            self.job = job
            monitor.signal()
        }
    }

    /// Waits until it has done what it was given.
    func waitUntilIdle() {
        monitor.withLock { monitor.wait { !isBusy } }
    }

    /// Lets it finish, and ends it.
    func end() {
        waitUntilIdle()
        monitor.withLock {
            isEnding = true
            monitor.signal()
        }
        thread.join()
    }
}
