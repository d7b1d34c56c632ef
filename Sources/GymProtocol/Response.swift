public import GymCore

/// What a server answered.
public enum Response {
    case hello(HelloReply)
    case ping
    case status(ServerStatus)
    case list([EnvironmentDescription])
    case make(MadeEnvironment)
    case reset(ReceivedReset)
    case step(ReceivedStep)
    case sent
    case receive(ReceivedStep)
    case render([Rendering])
    case states([[UInt8]])
    case stateSet
    case sample(ReceivedLeaves)
    case contained([Bool])
    case closed
    case shutdown
    case error(WireError)
    /// A message that this version does not know.
    case unknown
}

/// A response as it was received.
public struct ReceivedResponse {
    /// The id of the request it answers.
    public let id: UInt64
    /// The request's handle.
    public let handle: UInt32
    /// The answer.
    public let message: Response
}

/// What a server tells without being asked.
public enum Notice: Sendable, Hashable {
    /// The server ends.
    case shuttingDown(reason: String)
    /// The connection was idle for too long.
    case reaped(idleSeconds: Int)
    /// A notice that this version does not know.
    case unknown
}

/// An answer to a reset; its leaves are valid until the next frame is read.
public struct ReceivedReset {
    /// The observations of all environments.
    public let observation: ReceivedLeaves
    /// The seed of each environment's generator.
    public let effectiveSeeds: [UInt64]
    /// `info`, if it was wanted.
    public let info: [InfoColumn]
    /// Environments that failed, as the server names them.
    public let faults: [EnvironmentFault]
}
