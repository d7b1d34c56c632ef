public import GymProtocol
public import Logging

/// How a server behaves.
public struct ServerConfiguration: Sendable {
    /// What it allows.
    ///
    /// `maxThreads` is raised to what connections and ``threads`` need in any case; 0 is that and a thousand more.
    /// `maxServerMemoryBytes` of 0 is three quarters of the machine's memory.
    public var limits = Limits()
    /// Threads that step large batches together; results do not depend on it.
    public var threads: Int
    /// How long a request may take, in seconds, before another thread hears what the connection says meanwhile. Where
    /// requests take less, waking a thread for each would be most of the work.
    public var slowRequestSeconds = 2e-3
    /// User ids that may connect; the server's own, unless said otherwise.
    public var allowedUsers: Set<UInt32>
    /// A group whose members can reach the socket. Without one, a socket for other users can be reached by everybody,
    /// and those who are not among ``allowedUsers`` are refused.
    public var socketGroup: UInt32?
    /// A token that clients have to present; `nil`: none.
    public var token: String?
    /// Whether clients may end the server.
    public var allowsShutdown = false
    /// Seconds that a client has to take what is sent to it before it is given up.
    public var sendTimeoutSeconds = 30.0
    /// Seconds that a client has for its hello.
    public var helloTimeoutSeconds = 10.0
    /// Where the server's log goes.
    public var logger: Logger

    /// Threads for what takes long, beside those that connections need.
    private static let furtherThreads = 1024

    /// The default configuration.
    public init(logger: Logger = Logger(label: "gym-server")) {
        threads = Processors.count
        allowedUsers = [currentUser()]
        self.logger = logger
    }

    /// The limits, with numbers where they say that the server is to choose.
    var resolvedLimits: Limits {
        var resolved = limits
        let least = limits.maxConnections + threads + 1
        resolved.maxThreads =
            limits.maxThreads == 0 ? least + ServerConfiguration.furtherThreads : max(limits.maxThreads, least)
        if limits.maxServerMemoryBytes == 0 { resolved.maxServerMemoryBytes = physicalMemory() / 4 * 3 }
        return resolved
    }

    /// Who can reach the socket.
    var access: UnixSocket.Access {
        if let socketGroup { return .group(socketGroup) }
        return allowedUsers.subtracting([currentUser()]).isEmpty ? .owner : .everybody
    }
}
