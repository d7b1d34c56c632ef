/// What a server allows, announced in its hello.
public struct Limits: Sendable, Hashable {
    /// The largest body of a frame in either direction, in bytes.
    public var maxFrameBytes = 64 << 20
    /// Connections at a time.
    public var maxConnections = 1024
    /// Handles of a connection.
    public var maxHandles = 256
    /// Environments of a connection, all handles together.
    public var maxEnvironments = 65_536
    /// Requests of a connection that were received and not yet answered.
    public var maxPendingRequests = 256
    /// Bytes that a connection has the server keep: environments, buffers, requests and answers that wait.
    public var maxMemoryBytes = 2 << 30
    /// Threads of the server, whatever they do; those that a connection has for itself included. 0: no limit of its own.
    public var maxThreads = 0
    /// As ``maxMemoryBytes``, of all connections together; 0: no limit of its own.
    public var maxServerMemoryBytes = 0
    /// Seconds after which a connection without requests is closed; 0: never.
    public var idleTimeoutSeconds = 0

    /// The default limits.
    public init() {}
}

/// Version and capabilities of the protocol that this library speaks.
public enum ProtocolVersion {
    /// Raised when old clients can no longer be served.
    public static let major = 1
    /// Raised when something is added.
    public static let minor = 1
    /// Shared-memory transport.
    public static let sharedMemory = "shared-memory.v1"
    /// Send and receive.
    public static let asynchronous = "async.v1"
    /// Get and set state.
    public static let state = "state.v1"
    /// Rendering.
    public static let render = "render.v1"
    /// Sample and contains.
    public static let spaces = "spaces.v1"
}
