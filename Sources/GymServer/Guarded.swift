import Glibc

/// A value that several threads look at and change, one at a time, and whose changes they can wait for.
///
/// The standard library's `Mutex` has no condition to wait for.
// Sendable although the value need not be: it is reached through `withLock` alone, which lets one thread in at a time and
// shows it all that others have done before; and it was handed over as a whole (`sending`).
final class Guarded<Value>: @unchecked Sendable {
    private var value: Value
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(_ value: sending Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Calls `body` while nobody else looks. It must not keep the value, nor come here again.
    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Waits until `isReady`, then calls `body`, with nobody else in between.
    func withLock<Result>(
        when isReady: (inout Value) -> Bool, _ body: (inout Value) throws -> Result
    ) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isReady(&value) { pthread_cond_wait(condition, mutex) }
        return try body(&value)
    }

    /// Has one of those who wait look again.
    func signalOne() { pthread_cond_signal(condition) }

    /// Has all who wait look again.
    func signal() { pthread_cond_broadcast(condition) }
}
