internal import CSystemCalls
import Glibc

/// The user id that this process runs as.
func currentUser() -> UInt32 { geteuid() }

/// Seconds on a clock that never goes back.
func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// A thread of its own for work that waits: a connection, a handle.
///
/// Swift's tasks share a few threads and must not block; a server whose clients each wait on a socket wants exactly that.
final class WaitingThread: @unchecked Sendable {
    private var thread = pthread_t()

    /// Address space for the stack; only what is touched takes memory.
    private static let stackSize = 1 << 20

    /// Starts a thread.
    ///
    /// - Throws: ``ThreadError`` when no thread can be had.
    init(_ body: @escaping @Sendable () -> Void) throws(ThreadError) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, WaitingThread.stackSize)
        let box = Unmanaged.passRetained(Box(body))
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            throw ThreadError(number: status)
        }
    }

    /// Moves it to another processor, should it wait for the caller's.
    func moveElsewhere() { gym_move_elsewhere(thread) }

    /// Waits for the thread's end. Either this or ``detach()`` is called, once.
    func join() { pthread_join(thread, nil) }

    /// Lets the thread end by itself.
    func detach() { pthread_detach(thread) }
}

/// A thread that could not be started.
struct ThreadError: Error, CustomStringConvertible {
    let number: Int32
    var description: String { "start a thread: \(String(cString: strerror(number)))" }
}

/// A condition that threads wait for, with the lock that guards it.
final class Monitor: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Waits, with the lock held by ``withLock(_:)``, until `isReady`.
    func wait(until isReady: () -> Bool) {
        while !isReady() { pthread_cond_wait(condition, mutex) }
    }

    /// Wakes all who wait.
    func signal() { pthread_cond_broadcast(condition) }
}
