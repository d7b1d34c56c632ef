internal import CSystemCalls
import Glibc

/// The user id that this process runs as.
func currentUser() -> UInt32 { geteuid() }

/// Bytes of memory that the machine has.
func physicalMemory() -> Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }

/// A thread of its own for work that waits.
///
/// Swift's tasks share a few threads and must not block; a server whose clients each wait on a socket wants exactly that.
struct WaitingThread: Sendable {
    private let thread: pthread_t

    /// Address space for the stack; only what is touched takes memory.
    private static let stackSize = 1 << 20

    /// Starts a thread. Either ``join()`` or ``detach()`` is called, once.
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
        var thread = pthread_t()
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
        self.thread = thread
    }

    /// Moves it to another processor, should it wait for the caller's.
    func moveElsewhere() { gym_move_elsewhere(thread) }

    /// Waits for the thread's end.
    func join() { pthread_join(thread, nil) }

    /// Lets the thread end by itself.
    func detach() { pthread_detach(thread) }
}

/// A thread that could not be started.
struct ThreadError: Error, CustomStringConvertible {
    let number: Int32
    var description: String { "start a thread: \(String(cString: strerror(number)))" }
}
