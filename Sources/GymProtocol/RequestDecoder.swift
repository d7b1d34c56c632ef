internal import CGymProtocol
internal import CProtobufC
import GymCore

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

    /// The most memory that decoding a request may take.
    public var maxMemory = Int.max
    /// Bytes of memory that the last request takes.
    public var memoryInUse: Int { arena.size }

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
        arena.limit = min(Arena.decodingLimit(bodySize: body.count), maxMemory)
        let check = MessageCheck(body, as: RequestDecoder.descriptor.base.descriptor)
        guard check != .malformed,
            let message = gym__v1__request__unpack(
                arena.allocator, body.count, body.baseAddress?.assumingMemoryBound(to: UInt8.self))
        else {
            if check == .malformed || arena.limit == Arena.decodingLimit(bodySize: body.count) {
                throw RequestError(id: 0, handle: 0, error: .malformed("the frame's body is not a gym.v1.Request"))
            }
            var envelope = WireInput(body)
            throw RequestError(
                id: envelope.number(field: 1), handle: UInt32(truncatingIfNeeded: envelope.number(field: 2)),
                error: WireError(
                    .limitExceeded, "there is no memory left to read the request; receive answers first",
                    details: [.init(field: "memory_bytes", expected: "at most \(maxMemory) for a request")]))
        }
        let (id, handle) = (message.pointee.id, message.pointee.handle)
        if check == .badText {
            throw RequestError(
                id: id, handle: handle, error: .malformed("a string of the request is not UTF-8, or holds U+0000"))
        }
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
            return .handle(
                .step(
                    ReceivedLeaves(part.pointee.action, part.pointee.n_action),
                    wantsInfo: part.pointee.want_info != 0))
        case GYM__V1__REQUEST__MESSAGE_SEND:
            let part = message.pointee.send!
            return .handle(
                .send(
                    environments: numbers(part.pointee.n_environment_index, part.pointee.environment_index),
                    ReceivedLeaves(part.pointee.action, part.pointee.n_action)))
        case GYM__V1__REQUEST__MESSAGE_RECEIVE:
            return .handle(.receive(count: Int(message.pointee.receive.pointee.count)))
        case GYM__V1__REQUEST__MESSAGE_HELLO:
            let part = message.pointee.hello.pointee
            var hello = Hello()
            hello.major = Int(part.major)
            hello.minor = Int(part.minor)
            hello.clientName = String(cString: part.client_name)
            hello.capabilities = (0..<part.n_capabilities).map { String(cString: part.capabilities[$0]!) }
            hello.maxFrameBytes = Int(clamping: part.max_frame_bytes)
            hello.token = String(cString: part.token)
            return .connection(.hello(hello))
        case GYM__V1__REQUEST__MESSAGE_PING: return .connection(.ping)
        case GYM__V1__REQUEST__MESSAGE_STATUS: return .connection(.status)
        case GYM__V1__REQUEST__MESSAGE_LIST: return .connection(.list)
        case GYM__V1__REQUEST__MESSAGE_MAKE: return .connection(.make(try make(message.pointee.make.pointee)))
        case GYM__V1__REQUEST__MESSAGE_RESET: return .handle(.reset(try reset(message.pointee.reset.pointee)))
        case GYM__V1__REQUEST__MESSAGE_RENDER:
            let part = message.pointee.render.pointee
            return .handle(.render(environments: numbers(part.n_environment_index, part.environment_index)))
        case GYM__V1__REQUEST__MESSAGE_GET_STATE:
            let part = message.pointee.get_state.pointee
            return .handle(.getState(environments: numbers(part.n_environment_index, part.environment_index)))
        case GYM__V1__REQUEST__MESSAGE_SET_STATE:
            let part = message.pointee.set_state.pointee
            let states = (0..<part.n_states).map { index in
                Array(UnsafeRawBufferPointer(start: part.states[index].data, count: part.states[index].len))
            }
            return .handle(
                .setState(environments: numbers(part.n_environment_index, part.environment_index), states: states))
        case GYM__V1__REQUEST__MESSAGE_SAMPLE:
            let part = message.pointee.sample.pointee
            return .handle(.sample(try kind(part.space), seed: part.seed.flatMap { seed(UnsafePointer($0)) }))
        case GYM__V1__REQUEST__MESSAGE_CONTAINS:
            let part = message.pointee.contains.pointee
            return .handle(.contains(try kind(part.space), ReceivedLeaves(part.members, part.n_members)))
        case GYM__V1__REQUEST__MESSAGE_CLOSE: return .handle(.close)
        case GYM__V1__REQUEST__MESSAGE_SHUTDOWN: return .connection(.shutdown)
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
        make.wantsStepTime = part.want_step_time != 0
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
