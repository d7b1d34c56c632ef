internal import CGymProtocol
internal import CProtobufC
import GymCore

/// A client's ear: decodes responses and notices. What they point to is valid until the next one is decoded.
public final class ResponseDecoder {
    private let arena = Arena()
    private let steps = StepReader()

    /// An empty message, for its descriptor: that of the library itself, not a copy.
    nonisolated(unsafe) private static let descriptor = {
        var message = Gym__V1__Response()
        gym__v1__response__init(&message)
        return message
    }()

    nonisolated(unsafe) private static let noticeDescriptor = {
        var message = Gym__V1__Notice()
        gym__v1__notice__init(&message)
        return message
    }()

    /// A decoder.
    public init() {}

    /// Decodes the body of a response frame.
    ///
    /// - Throws: ``WireError`` when it is not a response.
    public func decode(_ body: UnsafeRawBufferPointer) throws -> ReceivedResponse {
        if let step = steps.response(body) { return step }
        arena.reset()
        arena.limit = Arena.decodingLimit(bodySize: body.count)
        guard MessageCheck(body, as: ResponseDecoder.descriptor.base.descriptor) == .sound,
            let message = gym__v1__response__unpack(
                arena.allocator, body.count, body.baseAddress?.assumingMemoryBound(to: UInt8.self))
        else { throw WireError.malformed("the server's frame is not a gym.v1.Response") }
        return ReceivedResponse(
            id: message.pointee.id, handle: message.pointee.handle, message: try ResponseDecoder.decode(message))
    }

    /// Decodes the body of a notice frame.
    public func decodeNotice(_ body: UnsafeRawBufferPointer) throws -> Notice {
        arena.reset()
        arena.limit = Arena.decodingLimit(bodySize: body.count)
        guard MessageCheck(body, as: ResponseDecoder.noticeDescriptor.base.descriptor) == .sound,
            let message = gym__v1__notice__unpack(
                arena.allocator, body.count, body.baseAddress?.assumingMemoryBound(to: UInt8.self))
        else { throw WireError.malformed("the server's frame is not a gym.v1.Notice") }
        switch message.pointee.message_case {
        case GYM__V1__NOTICE__MESSAGE_SHUTTING_DOWN:
            return .shuttingDown(reason: String(cString: message.pointee.shutting_down.pointee.reason))
        case GYM__V1__NOTICE__MESSAGE_REAPED:
            return .reaped(idleSeconds: Int(message.pointee.reaped.pointee.idle_seconds))
        default: return .unknown
        }
    }

    private static func decode(_ message: UnsafePointer<Gym__V1__Response>) throws -> Response {
        switch message.pointee.message_case {
        case GYM__V1__RESPONSE__MESSAGE_STEP: return .step(ReceivedStep(message.pointee.step))
        case GYM__V1__RESPONSE__MESSAGE_RECEIVE: return .receive(ReceivedStep(message.pointee.receive))
        case GYM__V1__RESPONSE__MESSAGE_SEND: return .sent
        case GYM__V1__RESPONSE__MESSAGE_RESET:
            let part = message.pointee.reset.pointee
            return .reset(
                ReceivedReset(
                    observation: ReceivedLeaves(part.observation, part.n_observation),
                    effectiveSeeds: Array(
                        UnsafeBufferPointer(start: part.effective_seeds, count: part.n_effective_seeds)),
                    info: try decodeInfo(part.n_info, part.info),
                    faults: try decodeFaults(part.n_faults, part.faults)))
        case GYM__V1__RESPONSE__MESSAGE_ERROR: return .error(error(message.pointee.error.pointee))
        case GYM__V1__RESPONSE__MESSAGE_HELLO: return .hello(hello(message.pointee.hello.pointee))
        case GYM__V1__RESPONSE__MESSAGE_PING: return .ping
        case GYM__V1__RESPONSE__MESSAGE_STATUS:
            let part = message.pointee.status.pointee
            var status = ServerStatus()
            status.uptimeSeconds = part.uptime_seconds
            status.connections = part.connections
            status.environments = part.environments
            status.steps = part.steps
            status.bytesReceived = part.bytes_received
            status.bytesSent = part.bytes_sent
            status.errors = part.errors
            status.connectionsTotal = part.connections_total
            status.connectionUse = uses(part.n_connection_use, part.connection_use)
            status.serverUse = uses(part.n_server_use, part.server_use)
            return .status(status)
        case GYM__V1__RESPONSE__MESSAGE_LIST:
            let part = message.pointee.list.pointee
            var decoder = DescriptionDecoder()
            return .list(try (0..<part.n_environments).map { try decoder.description(part.environments[$0]) })
        case GYM__V1__RESPONSE__MESSAGE_MAKE:
            var decoder = DescriptionDecoder()
            return .make(try decoder.made(message.pointee.make.pointee))
        case GYM__V1__RESPONSE__MESSAGE_RENDER:
            let part = message.pointee.render.pointee
            return .render(try (0..<part.n_frames).map { try rendering(part.frames[$0]!.pointee) })
        case GYM__V1__RESPONSE__MESSAGE_GET_STATE:
            let part = message.pointee.get_state.pointee
            return .states(
                (0..<part.n_states).map { index in
                    Array(UnsafeRawBufferPointer(start: part.states[index].data, count: part.states[index].len))
                })
        case GYM__V1__RESPONSE__MESSAGE_SET_STATE: return .stateSet
        case GYM__V1__RESPONSE__MESSAGE_SAMPLE:
            let part = message.pointee.sample.pointee
            return .sample(ReceivedLeaves(part.sample, part.n_sample))
        case GYM__V1__RESPONSE__MESSAGE_CONTAINS:
            let part = message.pointee.contains.pointee
            return .contained(
                UnsafeRawBufferPointer(start: part.contained.data, count: part.contained.len).map { $0 != 0 })
        case GYM__V1__RESPONSE__MESSAGE_CLOSE: return .closed
        case GYM__V1__RESPONSE__MESSAGE_SHUTDOWN: return .shutdown
        default: return .unknown
        }
    }

    private static func uses(
        _ count: Int, _ messages: UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__ResourceUse>?>?
    ) -> [ResourceUse] {
        (0..<count).map { index in
            let use = messages![index]!.pointee
            return ResourceUse(resource: String(cString: use.resource), used: use.used, limit: use.limit)
        }
    }

    private static func error(_ part: Gym__V1__Error) -> WireError {
        var error = WireError(
            WireError.Code(rawValue: Int32(truncatingIfNeeded: part.code.rawValue)) ?? .unspecified,
            String(cString: part.message))
        error.isFatal = part.fatal != 0
        error.details = (0..<part.n_details).map { index in
            let detail = part.details[index]!.pointee
            let hasIndex = detail.environment_case == GYM__V1__ERROR_DETAIL__ENVIRONMENT_ENVIRONMENT_INDEX
            return WireError.Detail(
                field: String(cString: detail.field), environmentIndex: hasIndex ? Int(detail.environment_index) : nil,
                expected: String(cString: detail.expected), got: String(cString: detail.got))
        }
        return error
    }

    private static func hello(_ part: Gym__V1__HelloResponse) -> HelloReply {
        var reply = HelloReply()
        reply.major = Int(part.major)
        reply.minor = Int(part.minor)
        reply.serverName = String(cString: part.server_name)
        reply.serverVersion = String(cString: part.server_version)
        reply.capabilities = (0..<part.n_capabilities).map { String(cString: part.capabilities[$0]!) }
        reply.sessionID = part.session_id
        if let limits = part.limits?.pointee {
            reply.limits.maxFrameBytes = Int(clamping: limits.max_frame_bytes)
            reply.limits.maxConnections = Int(limits.max_connections)
            reply.limits.maxHandles = Int(limits.max_handles)
            reply.limits.maxEnvironments = Int(limits.max_environments)
            reply.limits.maxPendingRequests = Int(limits.max_pending_requests)
            reply.limits.maxMemoryBytes = Int(clamping: limits.max_memory_bytes)
            reply.limits.idleTimeoutSeconds = Int(limits.idle_timeout_seconds)
            reply.limits.maxThreads = Int(limits.max_threads)
            reply.limits.maxServerMemoryBytes = Int(clamping: limits.max_server_memory_bytes)
        }
        return reply
    }

    private static func rendering(_ frame: Gym__V1__Frame) throws -> Rendering {
        switch frame.frame_case {
        case GYM__V1__FRAME__FRAME_IMAGE:
            let image = try Tensor(frame.image)
            guard image.dtype == .uint8, image.shape.count == 3, image.shape[2] == 3 else {
                throw WireError.malformed("a picture has to be UINT8 of shape (height, width, 3)")
            }
            return .image(image)
        case GYM__V1__FRAME__FRAME_TEXT: return .text(String(cString: frame.text))
        default: throw WireError.malformed("a frame of a rendering is empty")
        }
    }
}
