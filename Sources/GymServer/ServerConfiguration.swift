public import GymProtocol
public import Logging

/// How a server behaves.
public struct ServerConfiguration: Sendable {
    /// What it allows.
    public var limits = Limits()
    /// Threads that step a large batch together; results do not depend on it.
    public var threads: Int
    /// How long a request may take, in seconds, before its handle has a thread of its own, so that pings are answered
    /// meanwhile. Where requests take less, waking another thread for each would be most of the work.
    public var slowRequestSeconds = 2e-3
    /// User ids that may connect; the server's own, unless said otherwise.
    public var allowedUsers: Set<UInt32>
    /// A token that clients have to present; `nil`: none.
    public var token: String?
    /// Whether clients may end the server.
    public var allowsShutdown = false
    /// Seconds that a client has to take what is sent to it before it is given up.
    public var sendTimeoutSeconds = 30.0
    /// Where the server's log goes.
    public var logger: Logger

    /// The default configuration.
    public init(logger: Logger = Logger(label: "gym-server")) {
        threads = Processors.count
        allowedUsers = [currentUser()]
        self.logger = logger
    }
}
