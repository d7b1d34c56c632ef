/// What a client asks of a connection.
public enum ConnectionRequest: Sendable {
    case hello(Hello)
    case ping
    case status
    case list
    case make(MakeParameters)
    case shutdown
}

/// What a client asks of a handle. `Actions` are leaves of a batch: memory to send from, or what was received.
public enum HandleRequest<Actions> {
    case reset(ResetParameters)
    case step(Actions, wantsInfo: Bool)
    case send(environments: [UInt32], Actions)
    case receive(count: Int)
    case render(environments: [UInt32])
    case getState(environments: [UInt32])
    case setState(environments: [UInt32], states: [[UInt8]])
    case sample(SpaceKind, seed: UInt64?)
    case contains(SpaceKind, Actions)
    case close
}

/// What a client asks for.
public enum Request<Actions> {
    case connection(ConnectionRequest)
    case handle(HandleRequest<Actions>)
    /// A message that this version does not know.
    case unknown
}

/// A request as it was received.
public struct ReceivedRequest {
    /// The client's number for it.
    public let id: UInt64
    /// The environments it is about; 0: the connection.
    public let handle: UInt32
    /// What is asked for.
    public let message: Request<ReceivedLeaves>
}
