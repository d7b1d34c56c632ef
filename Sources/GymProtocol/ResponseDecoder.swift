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

    /// A decoder.
    public init() {}

    /// Decodes the body of a response frame.
    ///
    /// - Throws: ``WireError`` when it is not a response.
    public func decode(_ body: UnsafeRawBufferPointer) throws -> ReceivedResponse {
        if let step = steps.response(body) { return step }
        arena.reset()
        arena.limit = Arena.decodingLimit(bodySize: body.count)
        guard isSafelyNested(body, as: ResponseDecoder.descriptor.base.descriptor),
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
        guard
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
                    faults: (0..<part.n_faults).map { index in
                        let fault = part.faults[index]!.pointee
                        return EnvironmentFault(
                            index: Int(fault.environment_index), message: String(cString: fault.message))
                    }))
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
            return .status(status)
        case GYM__V1__RESPONSE__MESSAGE_LIST:
            let part = message.pointee.list.pointee
            return .list(try (0..<part.n_environments).map { try description(part.environments[$0]) })
        case GYM__V1__RESPONSE__MESSAGE_MAKE: return .make(try made(message.pointee.make.pointee))
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

    private static func description(
        _ message: UnsafePointer<Gym__V1__EnvironmentSpec>?
    ) throws -> EnvironmentDescription {
        guard let spec = message?.pointee else { throw WireError.malformed("an environment's spec is missing") }
        var threshold: Double?
        switch spec.reward_threshold == nil ? nil : try OptionValue(spec.reward_threshold) {
        case .real(let value): threshold = value
        case .integer(let value): threshold = Double(value)
        default: break
        }
        return EnvironmentDescription(
            id: String(cString: spec.id), summary: String(cString: spec.summary),
            maxEpisodeSteps: spec.max_episode_steps == 0 ? nil : Int(clamping: spec.max_episode_steps),
            rewardThreshold: threshold, nondeterministic: spec.nondeterministic != 0,
            renderModes: (0..<spec.n_render_modes).map { String(cString: spec.render_modes[$0]!) },
            renderFPS: spec.render_fps, options: try decodeOptionSpecs(spec.n_options, spec.options),
            resetOptions: try decodeOptionSpecs(spec.n_reset_options, spec.reset_options),
            autoresetModes: (0..<spec.n_autoreset_modes).compactMap {
                AutoresetMode(rawValue: Int32(truncatingIfNeeded: spec.autoreset_modes[$0].rawValue))
            },
            isRestorable: spec.restorable != 0, observationSpace: try Space(spec.observation_space),
            actionSpace: try Space(spec.action_space))
    }

    private static func made(_ part: Gym__V1__MakeResponse) throws -> MadeEnvironment {
        var description = try description(part.spec)
        description.observationSpace = try Space(part.observation_space)
        description.actionSpace = try Space(part.action_space)
        guard let autoreset = AutoresetMode(rawValue: Int32(truncatingIfNeeded: part.autoreset.rawValue)),
            let transport = Transport(rawValue: Int32(truncatingIfNeeded: part.transport.rawValue)),
            part.handle != 0, part.num_envs >= 1
        else { throw WireError.malformed("the answer to a make is incomplete") }
        let layout = part.shared_memory == nil ? nil : try sharedMemory(part.shared_memory.pointee)
        return MadeEnvironment(
            handle: part.handle, count: Int(part.num_envs), description: description, autoreset: autoreset,
            maxEpisodeSteps: part.max_episode_steps == 0 ? nil : Int(clamping: part.max_episode_steps),
            transport: transport, sharedMemory: layout)
    }

    private static func sharedMemory(_ part: Gym__V1__SharedMemory) throws -> SharedMemoryLayout {
        func region(_ message: UnsafePointer<Gym__V1__Region>?) throws -> SharedMemoryLayout.Region {
            guard let region = message?.pointee else {
                throw WireError.malformed("a region of the shared memory is missing")
            }
            return SharedMemoryLayout.Region(
                offset: Int(clamping: region.offset), dtype: try DType(region.dtype),
                shape: (0..<region.n_shape).map { Int(region.shape[$0]) })
        }
        return SharedMemoryLayout(
            size: Int(clamping: part.size), controlOffset: Int(clamping: part.control_offset),
            actions: try (0..<part.n_actions).map { try region(part.actions[$0]) },
            results: try (0..<part.n_results).map { index in
                let results = part.results[index]!.pointee
                return SharedMemoryLayout.Results(
                    observation: try (0..<results.n_observation).map { try region(results.observation[$0]) },
                    finalObservation: try (0..<results.n_final_observation).map {
                        try region(results.final_observation[$0])
                    },
                    rewards: try region(results.rewards), terminated: try region(results.terminated),
                    truncated: try region(results.truncated), episodeReturns: try region(results.episode_returns),
                    episodeLengths: try region(results.episode_lengths))
            })
    }
}
