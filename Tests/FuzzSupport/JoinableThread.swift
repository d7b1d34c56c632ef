import Glibc
import GymProtocol

/// A thread that is waited for: nothing of it is left afterwards, which a look for leaks would find.
final class JoinableThread: Sendable {
    private let thread: pthread_t

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts it.
    init(_ body: @escaping @Sendable () -> Void) throws {
        let argument = Unmanaged.passRetained(Body(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard status == 0 else {
            argument.release()
            throw SystemError("pthread_create", status)
        }
        self.thread = thread
    }

    /// Waits until it has ended.
    func join() { pthread_join(thread, nil) }
}
