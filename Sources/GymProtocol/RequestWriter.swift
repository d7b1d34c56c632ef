internal import CGymProtocol
internal import CProtobufC
public import GymCore

/// A client's side of the wire: sends requests and reads what comes back.
public final class RequestWriter {
    private let writer: FrameWriter
    /// The largest body that the server takes.
    public var maxBody: Int

    /// A writer to the given socket.
    public init(_ socket: UnixSocket, maxBody: Int) {
        writer = FrameWriter(socket)
        self.maxBody = maxBody
    }

    /// Sends a request.
    ///
    /// - Throws: ``WireError`` when it is larger than the server takes (nothing was sent), ``SystemError``.
    public func send(_ request: Request<BatchBuffer>, id: UInt64, handle: UInt32 = 0) throws {
        if case .handle(.step(let actions, let wantsInfo)) = request,
            try writer.sendStep(actions, wantsInfo: wantsInfo, id: id, handle: handle, maxBody: maxBody)
        {
            return
        }
        let arena = writer.arena
        let message = arena.message(gym__v1__request__init)
        message.pointee.id = id
        message.pointee.handle = handle
        switch request {
        case .connection(let request): RequestWriter.encode(request, into: message, arena)
        case .handle(let request): RequestWriter.encode(request, into: message, arena)
        case .unknown: break
        }
        try writer.send(.request, message, maxBody: maxBody)
    }

    private static func encode(
        _ request: HandleRequest<BatchBuffer>, into message: UnsafeMutablePointer<Gym__V1__Request>, _ arena: Arena
    ) {
        switch request {
        case .step(let actions, let wantsInfo):
            let part = arena.message(gym__v1__step_request__init)
            part.pointee.n_action = actions.leaves.count
            part.pointee.action = arena.leaves(of: actions)
            part.pointee.want_info = wantsInfo ? 1 : 0
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_STEP
            message.pointee.step = part
        case .send(let environments, let actions):
            let part = arena.message(gym__v1__send_request__init)
            part.pointee.n_environment_index = environments.count
            part.pointee.environment_index = arena.numbers(environments)
            part.pointee.n_action = actions.leaves.count
            part.pointee.action = environments.withUnsafeBufferPointer { arena.leaves(of: actions, rows: $0) }
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_SEND
            message.pointee.send = part
        case .contains(let kind, let members):
            let part = arena.message(gym__v1__contains_request__init)
            part.pointee.space = Gym__V1__SpaceKind(rawValue: UInt32(kind.rawValue))
            part.pointee.n_members = members.leaves.count
            part.pointee.members = arena.leaves(of: members)
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_CONTAINS
            message.pointee.contains = part
        case .reset(let reset):
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_RESET
            message.pointee.reset = arena.reset(reset)
        case .receive(let count):
            let part = arena.message(gym__v1__receive_request__init)
            part.pointee.count = UInt32(count)
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_RECEIVE
            message.pointee.receive = part
        case .render(let environments):
            let part = arena.message(gym__v1__render_request__init)
            (part.pointee.n_environment_index, part.pointee.environment_index) = arena.indices(environments)
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_RENDER
            message.pointee.render = part
        case .getState(let environments):
            let part = arena.message(gym__v1__get_state_request__init)
            (part.pointee.n_environment_index, part.pointee.environment_index) = arena.indices(environments)
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_GET_STATE
            message.pointee.get_state = part
        case .setState(let environments, let states):
            let part = arena.message(gym__v1__set_state_request__init)
            (part.pointee.n_environment_index, part.pointee.environment_index) = arena.indices(environments)
            part.pointee.n_states = states.count
            part.pointee.states = arena.numbers(states.map(arena.data))
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_SET_STATE
            message.pointee.set_state = part
        case .sample(let kind, let seed):
            let part = arena.message(gym__v1__sample_request__init)
            part.pointee.space = Gym__V1__SpaceKind(rawValue: UInt32(kind.rawValue))
            if let seed { part.pointee.seed = arena.seed(seed) }
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_SAMPLE
            message.pointee.sample = part
        case .close:
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_CLOSE
            message.pointee.close = arena.message(gym__v1__close_request__init)
        }
    }

    private static func encode(
        _ request: ConnectionRequest, into message: UnsafeMutablePointer<Gym__V1__Request>, _ arena: Arena
    ) {
        switch request {
        case .hello(let hello):
            let part = arena.message(gym__v1__hello_request__init)
            part.pointee.major = UInt32(hello.major)
            part.pointee.minor = UInt32(hello.minor)
            part.pointee.client_name = arena.string(hello.clientName)
            (part.pointee.n_capabilities, part.pointee.capabilities) = arena.strings(hello.capabilities)
            part.pointee.max_frame_bytes = UInt64(hello.maxFrameBytes)
            part.pointee.token = arena.string(hello.token)
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_HELLO
            message.pointee.hello = part
        case .ping:
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_PING
            message.pointee.ping = arena.message(gym__v1__ping_request__init)
        case .status:
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_STATUS
            message.pointee.status = arena.message(gym__v1__status_request__init)
        case .list:
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_LIST
            message.pointee.list = arena.message(gym__v1__list_request__init)
        case .make(let make):
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_MAKE
            message.pointee.make = arena.make(make)
        case .shutdown:
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_SHUTDOWN
            message.pointee.shutdown = arena.message(gym__v1__shutdown_request__init)
        }
    }
}

extension Arena {
    func strings(_ texts: [String]) -> (Int, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) {
        (texts.count, pointers(texts.map(string)))
    }

    func indices(_ indices: [UInt32]) -> (Int, UnsafeMutablePointer<UInt32>) { (indices.count, numbers(indices)) }

    func seed(_ value: UInt64?) -> UnsafeMutablePointer<Gym__V1__Seed> {
        let seed = message(gym__v1__seed__init)
        if let value {
            seed.pointee.seed_case = GYM__V1__SEED__SEED_VALUE
            seed.pointee.value = value
        }
        return seed
    }

    fileprivate func make(_ make: MakeParameters) -> UnsafeMutablePointer<Gym__V1__MakeRequest> {
        let part = message(gym__v1__make_request__init)
        part.pointee.id = string(make.id)
        part.pointee.num_envs = UInt32(make.settings.count)
        (part.pointee.n_options, part.pointee.options) = options(make.settings.options)
        part.pointee.autoreset = Gym__V1__AutoresetMode(rawValue: UInt32(make.settings.autoreset.rawValue))
        part.pointee.render_mode = string(make.renderMode)
        switch make.settings.timeLimit {
        case .registered: break
        case .unlimited:
            part.pointee.time_limit_case = GYM__V1__MAKE_REQUEST__TIME_LIMIT_MAX_EPISODE_STEPS
            part.pointee.max_episode_steps = 0
        case .steps(let steps):
            part.pointee.time_limit_case = GYM__V1__MAKE_REQUEST__TIME_LIMIT_MAX_EPISODE_STEPS
            part.pointee.max_episode_steps = UInt64(steps)
        }
        part.pointee.transport = Gym__V1__Transport(rawValue: UInt32(make.transport.rawValue))
        part.pointee.check_observations = make.settings.checksObservations ? 1 : 0
        part.pointee.pass_out_of_bounds = make.passesOutOfBounds ? 1 : 0
        (part.pointee.n_autoreset_options, part.pointee.autoreset_options) = options(make.autoresetOptions)
        part.pointee.want_step_time = make.wantsStepTime ? 1 : 0
        return part
    }

    fileprivate func reset(_ reset: ResetParameters) -> UnsafeMutablePointer<Gym__V1__ResetRequest> {
        let part = message(gym__v1__reset_request__init)
        part.pointee.n_seeds = reset.seeds.count
        part.pointee.seeds = pointers(reset.seeds.map(seed))
        if let mask = reset.mask { part.pointee.mask = data(mask.map { $0 ? 1 : 0 }) }
        (part.pointee.n_options, part.pointee.options) = options(reset.options)
        part.pointee.want_info = reset.wantsInfo ? 1 : 0
        return part
    }
}
