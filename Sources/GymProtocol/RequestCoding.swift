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
        if case .step(let actions, let wantsInfo) = request,
            try writer.sendStep(actions, wantsInfo: wantsInfo, id: id, handle: handle, maxBody: maxBody)
        {
            return
        }
        let arena = writer.arena
        let message = arena.message(gym__v1__request__init)
        message.pointee.id = id
        message.pointee.handle = handle
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
        default:
            RequestWriter.encodeRare(request, into: message, arena)
        }
        try writer.send(.request, message, maxBody: maxBody)
    }

    private static func encodeRare(
        _ request: Request<BatchBuffer>, into message: UnsafeMutablePointer<Gym__V1__Request>, _ arena: Arena
    ) {
        switch request {
        case .step, .send, .contains: preconditionFailure("encoded by the caller")
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
        case .shutdown:
            message.pointee.message_case = GYM__V1__REQUEST__MESSAGE_SHUTDOWN
            message.pointee.shutdown = arena.message(gym__v1__shutdown_request__init)
        case .unknown:
            break
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

// MARK: Decoding

/// A server's ear: decodes requests. What a decoded request points to is valid until the next one is decoded.
public final class RequestDecoder {
    private let arena = Arena()
    private let steps = StepReader()

    /// An empty message, for its descriptor: that of the library itself, not a copy.
    nonisolated(unsafe) private static let descriptor = {
        var message = Gym__V1__Request()
        gym__v1__request__init(&message)
        return message
    }()

    /// A decoder.
    public init() {}

    /// Lets go of the last request, and of memory beyond what usual messages take.
    public func release() { arena.reset() }

    /// Decodes the body of a request frame.
    ///
    /// - Throws: ``WireError``; with it comes the request's id, 0 when not even that could be read.
    public func decode(_ body: UnsafeRawBufferPointer) throws(RequestError) -> ReceivedRequest {
        if let step = steps.request(body) { return step }
        arena.reset()
        arena.limit = Arena.decodingLimit(bodySize: body.count)
        guard isSafelyNested(body, as: RequestDecoder.descriptor.base.descriptor),
            let message = gym__v1__request__unpack(
                arena.allocator, body.count, body.baseAddress?.assumingMemoryBound(to: UInt8.self))
        else { throw RequestError(id: 0, handle: 0, error: .malformed("the frame's body is not a gym.v1.Request")) }
        let (id, handle) = (message.pointee.id, message.pointee.handle)
        do {
            return ReceivedRequest(id: id, handle: handle, message: try RequestDecoder.decode(message))
        } catch {
            throw RequestError(id: id, handle: handle, error: error as? WireError ?? .malformed("\(error)"))
        }
    }

    private static func decode(_ message: UnsafePointer<Gym__V1__Request>) throws -> Request<ReceivedLeaves> {
        switch message.pointee.message_case {
        case GYM__V1__REQUEST__MESSAGE_STEP:
            let part = message.pointee.step!
            return .step(
                ReceivedLeaves(part.pointee.action, part.pointee.n_action), wantsInfo: part.pointee.want_info != 0)
        case GYM__V1__REQUEST__MESSAGE_SEND:
            let part = message.pointee.send!
            return .send(
                environments: numbers(part.pointee.n_environment_index, part.pointee.environment_index),
                ReceivedLeaves(part.pointee.action, part.pointee.n_action))
        case GYM__V1__REQUEST__MESSAGE_RECEIVE: return .receive(count: Int(message.pointee.receive.pointee.count))
        case GYM__V1__REQUEST__MESSAGE_HELLO:
            let part = message.pointee.hello.pointee
            var hello = Hello()
            hello.major = Int(part.major)
            hello.minor = Int(part.minor)
            hello.clientName = String(cString: part.client_name)
            hello.capabilities = (0..<part.n_capabilities).map { String(cString: part.capabilities[$0]!) }
            hello.maxFrameBytes = Int(clamping: part.max_frame_bytes)
            hello.token = String(cString: part.token)
            return .hello(hello)
        case GYM__V1__REQUEST__MESSAGE_PING: return .ping
        case GYM__V1__REQUEST__MESSAGE_STATUS: return .status
        case GYM__V1__REQUEST__MESSAGE_LIST: return .list
        case GYM__V1__REQUEST__MESSAGE_MAKE: return .make(try make(message.pointee.make.pointee))
        case GYM__V1__REQUEST__MESSAGE_RESET: return .reset(try reset(message.pointee.reset.pointee))
        case GYM__V1__REQUEST__MESSAGE_RENDER:
            let part = message.pointee.render.pointee
            return .render(environments: numbers(part.n_environment_index, part.environment_index))
        case GYM__V1__REQUEST__MESSAGE_GET_STATE:
            let part = message.pointee.get_state.pointee
            return .getState(environments: numbers(part.n_environment_index, part.environment_index))
        case GYM__V1__REQUEST__MESSAGE_SET_STATE:
            let part = message.pointee.set_state.pointee
            let states = (0..<part.n_states).map { index in
                Array(UnsafeRawBufferPointer(start: part.states[index].data, count: part.states[index].len))
            }
            return .setState(environments: numbers(part.n_environment_index, part.environment_index), states: states)
        case GYM__V1__REQUEST__MESSAGE_SAMPLE:
            let part = message.pointee.sample.pointee
            return .sample(try kind(part.space), seed: part.seed.flatMap { seed(UnsafePointer($0)) })
        case GYM__V1__REQUEST__MESSAGE_CONTAINS:
            let part = message.pointee.contains.pointee
            return .contains(try kind(part.space), ReceivedLeaves(part.members, part.n_members))
        case GYM__V1__REQUEST__MESSAGE_CLOSE: return .close
        case GYM__V1__REQUEST__MESSAGE_SHUTDOWN: return .shutdown
        default: return .unknown
        }
    }

    private static func make(_ part: Gym__V1__MakeRequest) throws -> MakeParameters {
        var settings = VectorEnvironmentSettings(count: max(Int(part.num_envs), 1))
        settings.options = try decodeOptions(part.n_options, part.options)
        if part.autoreset.rawValue != 0 {
            guard let mode = AutoresetMode(rawValue: Int32(truncatingIfNeeded: part.autoreset.rawValue)) else {
                throw WireError(.invalidArgument, "the autoreset mode is \(part.autoreset.rawValue); modes are 1 to 3")
            }
            settings.autoreset = mode
        }
        if part.time_limit_case == GYM__V1__MAKE_REQUEST__TIME_LIMIT_MAX_EPISODE_STEPS {
            settings.timeLimit =
                part.max_episode_steps == 0 ? .unlimited : .steps(Int(clamping: part.max_episode_steps))
        }
        settings.checksObservations = part.check_observations != 0
        var make = MakeParameters(id: String(cString: part.id), settings: settings)
        make.renderMode = String(cString: part.render_mode)
        if part.transport.rawValue != 0 {
            guard let transport = Transport(rawValue: Int32(truncatingIfNeeded: part.transport.rawValue)) else {
                throw WireError(.invalidArgument, "the transport is \(part.transport.rawValue); transports are 1 and 2")
            }
            make.transport = transport
        }
        make.passesOutOfBounds = part.pass_out_of_bounds != 0
        make.autoresetOptions = try decodeOptions(part.n_autoreset_options, part.autoreset_options)
        return make
    }

    private static func reset(_ part: Gym__V1__ResetRequest) throws -> ResetParameters {
        var reset = ResetParameters()
        reset.seeds = (0..<part.n_seeds).map { seed(UnsafePointer(part.seeds[$0]!)) }
        if part.mask.len > 0 {
            let mask = UnsafeRawBufferPointer(start: part.mask.data, count: part.mask.len)
            guard mask.allSatisfy({ $0 <= 1 }) else { throw WireError(.invalidMask, "a mask's bytes are 0 or 1") }
            reset.mask = mask.map { $0 == 1 }
        }
        reset.options = try decodeOptions(part.n_options, part.options)
        reset.wantsInfo = part.want_info != 0
        return reset
    }

    private static func seed(_ message: UnsafePointer<Gym__V1__Seed>) -> UInt64? {
        message.pointee.seed_case == GYM__V1__SEED__SEED_VALUE ? message.pointee.value : nil
    }

    private static func kind(_ wire: Gym__V1__SpaceKind) throws -> SpaceKind {
        guard let kind = SpaceKind(rawValue: Int32(truncatingIfNeeded: wire.rawValue)) else {
            throw WireError(.invalidArgument, "the space is \(wire.rawValue); it is 0 (action) or 1 (observation)")
        }
        return kind
    }

    private static func numbers(_ count: Int, _ start: UnsafePointer<UInt32>?) -> [UInt32] {
        Array(UnsafeBufferPointer(start: start, count: count))
    }
}

/// A request that could not be decoded, and as much of its envelope as could be read.
public struct RequestError: Error {
    /// The request's id; 0 when it could not be read.
    public let id: UInt64
    /// The request's handle.
    public let handle: UInt32
    /// What is wrong.
    public let error: WireError

    /// An error in answer to the request of the given id and handle.
    public init(id: UInt64, handle: UInt32, error: WireError) {
        self.id = id
        self.handle = handle
        self.error = error
    }
}
