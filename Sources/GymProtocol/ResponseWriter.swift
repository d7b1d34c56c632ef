internal import CGymProtocol
internal import CProtobufC
public import GymCore

/// A server's voice: sends responses, errors and notices. Not for several threads at once.
public final class ResponseWriter {
    private let writer: FrameWriter
    /// The largest body that the client takes.
    public var maxBody: Int
    /// Bytes sent since the start.
    public var bytesSent: UInt64 { writer.bytesSent }

    private typealias CResponse = UnsafeMutablePointer<Gym__V1__Response>

    /// A writer to the given socket.
    public init(_ socket: UnixSocket, maxBody: Int) {
        writer = FrameWriter(socket)
        self.maxBody = maxBody
    }

    /// Which request is answered.
    public struct Envelope: Sendable {
        /// The request's id.
        public var id: UInt64
        /// The request's handle.
        public var handle: UInt32

        /// The envelope of an answer.
        public init(id: UInt64, handle: UInt32) {
            self.id = id
            self.handle = handle
        }
    }

    private func send(
        _ envelope: Envelope, passing descriptor: Int32 = -1, _ fill: (Arena, CResponse) -> Void
    ) throws {
        let message = writer.arena.message(gym__v1__response__init)
        message.pointee.id = envelope.id
        message.pointee.handle = envelope.handle
        fill(writer.arena, message)
        try writer.send(.response, message, maxBody: maxBody, passing: descriptor)
    }

    /// Says that a request failed.
    public func error(_ error: WireError, _ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__error__init)
            part.pointee.code = Gym__V1__ErrorCode(rawValue: UInt32(error.code.rawValue))
            part.pointee.message = arena.string(error.message)
            part.pointee.fatal = error.isFatal ? 1 : 0
            part.pointee.n_details = error.details.count
            part.pointee.details = arena.pointers(
                error.details.map { detail in
                    let message = arena.message(gym__v1__error_detail__init)
                    message.pointee.field = arena.string(detail.field)
                    if let index = detail.environmentIndex {
                        message.pointee.environment_case = GYM__V1__ERROR_DETAIL__ENVIRONMENT_ENVIRONMENT_INDEX
                        message.pointee.environment_index = UInt32(index)
                    }
                    message.pointee.expected = arena.string(detail.expected)
                    message.pointee.got = arena.string(detail.got)
                    return message
                })
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_ERROR
            response.pointee.error = part
        }
    }

    /// Answers a hello.
    public func hello(_ reply: HelloReply, _ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__hello_response__init)
            part.pointee.major = UInt32(reply.major)
            part.pointee.minor = UInt32(reply.minor)
            part.pointee.server_name = arena.string(reply.serverName)
            part.pointee.server_version = arena.string(reply.serverVersion)
            (part.pointee.n_capabilities, part.pointee.capabilities) = arena.strings(reply.capabilities)
            let limits = arena.message(gym__v1__limits__init)
            limits.pointee.max_frame_bytes = UInt64(reply.limits.maxFrameBytes)
            limits.pointee.max_connections = UInt32(reply.limits.maxConnections)
            limits.pointee.max_handles = UInt32(reply.limits.maxHandles)
            limits.pointee.max_environments = UInt32(reply.limits.maxEnvironments)
            limits.pointee.max_pending_requests = UInt32(reply.limits.maxPendingRequests)
            limits.pointee.max_memory_bytes = UInt64(reply.limits.maxMemoryBytes)
            limits.pointee.idle_timeout_seconds = UInt32(clamping: reply.limits.idleTimeoutSeconds)
            limits.pointee.max_threads = UInt32(clamping: reply.limits.maxThreads)
            limits.pointee.max_server_memory_bytes = UInt64(reply.limits.maxServerMemoryBytes)
            part.pointee.limits = limits
            part.pointee.session_id = reply.sessionID
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_HELLO
            response.pointee.hello = part
        }
    }

    /// Answers a ping.
    public func ping(_ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_PING
            response.pointee.ping = arena.message(gym__v1__ping_response__init)
        }
    }

    /// Answers a request to send, before the environments have stepped.
    public func sent(_ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_SEND
            response.pointee.send = arena.message(gym__v1__send_response__init)
        }
    }

    /// Answers a close.
    public func closed(_ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_CLOSE
            response.pointee.close = arena.message(gym__v1__close_response__init)
        }
    }

    /// Answers a request to take over states.
    public func stateSet(_ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_SET_STATE
            response.pointee.set_state = arena.message(gym__v1__set_state_response__init)
        }
    }

    /// Answers a request to shut down.
    public func shutdown(_ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_SHUTDOWN
            response.pointee.shutdown = arena.message(gym__v1__shutdown_response__init)
        }
    }

    /// Answers a request for the server's status.
    public func status(_ status: ServerStatus, _ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__status_response__init)
            part.pointee.uptime_seconds = status.uptimeSeconds
            part.pointee.connections = status.connections
            part.pointee.environments = status.environments
            part.pointee.steps = status.steps
            part.pointee.bytes_received = status.bytesReceived
            part.pointee.bytes_sent = status.bytesSent
            part.pointee.errors = status.errors
            part.pointee.connections_total = status.connectionsTotal
            (part.pointee.n_connection_use, part.pointee.connection_use) = arena.uses(status.connectionUse)
            (part.pointee.n_server_use, part.pointee.server_use) = arena.uses(status.serverUse)
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_STATUS
            response.pointee.status = part
        }
    }

    /// Answers a request for the list of environments.
    public func list(_ environments: [EnvironmentDescription], _ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__list_response__init)
            part.pointee.n_environments = environments.count
            part.pointee.environments = arena.pointers(environments.map(arena.description))
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_LIST
            response.pointee.list = part
        }
    }

    /// Answers a make.
    ///
    /// - Parameter descriptor: the shared memory, or -1.
    public func made(_ made: MadeEnvironment, descriptor: Int32 = -1, _ envelope: Envelope) throws {
        try send(envelope, passing: descriptor) { arena, response in
            let part = arena.message(gym__v1__make_response__init)
            part.pointee.handle = made.handle
            part.pointee.num_envs = UInt32(made.count)
            part.pointee.spec = arena.description(made.description)
            let observation = made.description.observationSpace
            let action = made.description.actionSpace
            part.pointee.observation_space = arena.space(observation)
            part.pointee.action_space = arena.space(action)
            part.pointee.batched_observation_space = arena.batchedSpace(observation, made.count)
            part.pointee.batched_action_space = arena.batchedSpace(action, made.count)
            part.pointee.autoreset = Gym__V1__AutoresetMode(rawValue: UInt32(made.autoreset.rawValue))
            part.pointee.transport = Gym__V1__Transport(rawValue: UInt32(made.transport.rawValue))
            part.pointee.max_episode_steps = UInt64(made.maxEpisodeSteps ?? 0)
            if let layout = made.sharedMemory { part.pointee.shared_memory = arena.sharedMemory(layout) }
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_MAKE
            response.pointee.make = part
        }
    }

    /// Answers a reset.
    public func reset(
        _ buffers: StepBuffers, effectiveSeeds: [UInt64], faults: [EnvironmentFault], wantsInfo: Bool,
        _ envelope: Envelope
    ) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__reset_response__init)
            part.pointee.n_observation = buffers.observation.leaves.count
            part.pointee.observation = arena.leaves(of: buffers.observation)
            part.pointee.n_effective_seeds = effectiveSeeds.count
            part.pointee.effective_seeds = arena.numbers(effectiveSeeds)
            if wantsInfo { (part.pointee.n_info, part.pointee.info) = arena.info(Array(buffers.infos)) }
            (part.pointee.n_faults, part.pointee.faults) = arena.faults(faults)
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_RESET
            response.pointee.reset = part
        }
    }

    /// What a step's response holds.
    public struct StepContents {
        /// Rows to send, for an answer to a receive; `nil`: all.
        public var rows: UnsafeBufferPointer<UInt32>?
        /// Whether last observations of ended episodes go along.
        public var hasFinalObservations = false
        /// Whether `info` goes along.
        public var wantsInfo = false
        /// Whether observations, rewards and flags travel in shared memory, so that only faults and `info` are sent.
        public var resultsAreShared = false
        /// Environments that failed.
        public var faults: [EnvironmentFault] = []

        /// Everything of all rows, and no `info`.
        public init() {}

        /// Whether there is nothing in it but results of all rows. Most environments have no `info`.
        fileprivate func isUsual(_ buffers: StepBuffers) -> Bool {
            rows == nil && !resultsAreShared && faults.isEmpty && !(wantsInfo && buffers.hasInfo)
        }
    }

    /// Answers a step, or a receive.
    public func step(_ buffers: StepBuffers, _ contents: StepContents, _ envelope: Envelope) throws {
        if contents.isUsual(buffers),
            try writer.sendStep(
                buffers, hasFinalObservations: contents.hasFinalObservations, id: envelope.id, handle: envelope.handle,
                maxBody: maxBody)
        {
            return
        }
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__step_response__init)
            if !contents.resultsAreShared { arena.results(buffers, contents, into: part) }
            if contents.wantsInfo {
                let rows = contents.rows.map { $0.map(Int.init) } ?? Array(0..<buffers.count)
                (part.pointee.n_info, part.pointee.info) = arena.info(rows.map { buffers.infos[$0] })
                if contents.hasFinalObservations {
                    let ended = rows.filter { buffers.terminated[$0] | buffers.truncated[$0] != 0 }
                    (part.pointee.n_final_info, part.pointee.final_info) = arena.info(
                        ended.map { buffers.finalInfos[$0] })
                }
            }
            (part.pointee.n_faults, part.pointee.faults) = arena.faults(contents.faults)
            if contents.rows == nil {
                response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_STEP
                response.pointee.step = part
            } else {
                response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_RECEIVE
                response.pointee.receive = part
            }
        }
    }

    /// Answers a request to render.
    public func render(_ renderings: [Rendering], _ envelope: Envelope) throws {
        // A single picture is sent from where it lies.
        if renderings.count == 1, case .image(let image) = renderings[0] {
            return try image.bytes.withUnsafeBytes { bytes in
                try render(1, envelope) { arena, _ in
                    .image(
                        arena.tensor(
                            dtype: image.dtype, shape: image.shape, data: bytes.baseAddress, byteCount: bytes.count))
                }
            }
        }
        try render(renderings.count, envelope) { arena, index in
            switch renderings[index] {
            case .image(let image): .image(arena.tensor(image))
            case .text(let text): .text(arena.string(text))
            }
        }
    }

    private enum EncodedFrame {
        case image(UnsafeMutablePointer<CTensor>)
        case text(UnsafeMutablePointer<CChar>)
    }

    private func render(_ count: Int, _ envelope: Envelope, _ encode: (Arena, Int) -> EncodedFrame) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__render_response__init)
            part.pointee.n_frames = count
            part.pointee.frames = arena.pointers(
                (0..<count).map { index in
                    let frame = arena.message(gym__v1__frame__init)
                    switch encode(arena, index) {
                    case .image(let image):
                        frame.pointee.frame_case = GYM__V1__FRAME__FRAME_IMAGE
                        frame.pointee.image = image
                    case .text(let text):
                        frame.pointee.frame_case = GYM__V1__FRAME__FRAME_TEXT
                        frame.pointee.text = text
                    }
                    return frame
                })
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_RENDER
            response.pointee.render = part
        }
    }

    /// Answers a request for states.
    ///
    /// - Parameters:
    ///   - bytes: all states, one behind the other; they are sent from where they lie.
    ///   - ends: where each ends.
    public func states(_ bytes: [UInt8], ends: [Int], _ envelope: Envelope) throws {
        try bytes.withUnsafeBytes { memory in
            try send(envelope) { arena, response in
                let part = arena.message(gym__v1__get_state_response__init)
                part.pointee.n_states = ends.count
                part.pointee.states = arena.array(ProtobufCBinaryData.self, count: ends.count)
                var start = 0
                for (index, end) in ends.enumerated() {
                    let state = UnsafeMutableRawPointer(mutating: memory.baseAddress.map { $0 + start })
                    part.pointee.states[index] = ProtobufCBinaryData(
                        len: end - start, data: state?.assumingMemoryBound(to: UInt8.self))
                    start = end
                }
                response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_GET_STATE
                response.pointee.get_state = part
            }
        }
    }

    /// Answers a request for a sample.
    public func sample(_ sample: BatchBuffer, _ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__sample_response__init)
            part.pointee.n_sample = sample.leaves.count
            part.pointee.sample = arena.leaves(of: sample)
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_SAMPLE
            response.pointee.sample = part
        }
    }

    /// Answers whether members are in a space.
    public func contained(_ flags: [Bool], _ envelope: Envelope) throws {
        try send(envelope) { arena, response in
            let part = arena.message(gym__v1__contains_response__init)
            part.pointee.contained = arena.data(flags.map { $0 ? 1 : 0 })
            response.pointee.message_case = GYM__V1__RESPONSE__MESSAGE_CONTAINS
            response.pointee.contains = part
        }
    }

    // MARK: Notices

    /// Tells the client that the server ends.
    public func shuttingDown(reason: String) throws {
        let notice = writer.arena.message(gym__v1__notice__init)
        let part = writer.arena.message(gym__v1__shutting_down__init)
        part.pointee.reason = writer.arena.string(reason)
        notice.pointee.message_case = GYM__V1__NOTICE__MESSAGE_SHUTTING_DOWN
        notice.pointee.shutting_down = part
        try writer.send(.notice, notice, maxBody: maxBody)
    }

    /// Tells the client that it was idle for too long.
    public func reaped(idleSeconds: Int) throws {
        let notice = writer.arena.message(gym__v1__notice__init)
        let part = writer.arena.message(gym__v1__reaped__init)
        part.pointee.idle_seconds = UInt32(idleSeconds)
        notice.pointee.message_case = GYM__V1__NOTICE__MESSAGE_REAPED
        notice.pointee.reaped = part
        try writer.send(.notice, notice, maxBody: maxBody)
    }
}
