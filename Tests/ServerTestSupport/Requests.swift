public import GymProtocol

/// Requests as tests write them down: what each asks for, whether of a connection or of a handle.
extension Request {
    public static func hello(_ hello: Hello) -> Request { .connection(.hello(hello)) }
    public static var ping: Request { .connection(.ping) }
    public static var status: Request { .connection(.status) }
    public static var list: Request { .connection(.list) }
    public static func make(_ parameters: MakeParameters) -> Request { .connection(.make(parameters)) }
    public static var shutdown: Request { .connection(.shutdown) }
    public static func reset(_ parameters: ResetParameters) -> Request { .handle(.reset(parameters)) }
    public static func step(_ actions: Actions, wantsInfo: Bool) -> Request {
        .handle(.step(actions, wantsInfo: wantsInfo))
    }
    public static func send(environments: [UInt32], _ actions: Actions) -> Request {
        .handle(.send(environments: environments, actions))
    }
    public static func receive(count: Int) -> Request { .handle(.receive(count: count)) }
    public static func render(environments: [UInt32]) -> Request { .handle(.render(environments: environments)) }
    public static func getState(environments: [UInt32]) -> Request { .handle(.getState(environments: environments)) }
    public static func setState(environments: [UInt32], states: [[UInt8]]) -> Request {
        .handle(.setState(environments: environments, states: states))
    }
    public static func sample(_ kind: SpaceKind, seed: UInt64?) -> Request { .handle(.sample(kind, seed: seed)) }
    public static func contains(_ kind: SpaceKind, _ members: Actions) -> Request { .handle(.contains(kind, members)) }
    public static var close: Request { .handle(.close) }
}
