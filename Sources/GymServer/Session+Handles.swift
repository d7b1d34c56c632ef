import GymCore
import GymProtocol
import Synchronization

/// A request for a handle, as it is when it has been checked: actions lie in the handle's own memory, and members of a
/// space in a batch of their own.
typealias HandleRequest = Request<BatchBuffer?>

/// What is done with handles: made, asked, closed.
extension Session {
    /// So many quick requests in a row show that a handle can do without a thread of its own.
    private static let quickRequestsForTrust = 32

    // MARK: Making and closing

    func make(_ parameters: MakeParameters, _ envelope: ResponseWriter.Envelope) throws {
        let limits = server.configuration.limits
        let count = parameters.settings.count
        if parameters.transport == .sharedMemory { try require(capability: ProtocolVersion.sharedMemory) }
        if !parameters.renderMode.isEmpty { try require(capability: ProtocolVersion.render) }
        try require(handles.count + 1, atMost: limits.maxHandles, "handles")
        try require(environments.load(ordering: .relaxed) + count, atMost: limits.maxEnvironments, "environments")
        // One environment tells what all of them will take, before they are made.
        var single = parameters
        single.settings.count = 1
        var environment = try makeEnvironment(single)
        let estimate = try estimateBytes(environment, count: count, parameters)
        try require(ownedBytes + estimate, atMost: limits.maxMemoryBytes, "bytes of buffers")
        if count > 1 { environment = try makeEnvironment(parameters) }
        var memory: (SharedMemory, descriptor: UnixSocket)?
        if parameters.transport == .sharedMemory {
            guard
                let layout = SharedMemoryLayout(
                    observationSpace: environment.observationSpace, actionSpace: environment.actionSpace, count: count,
                    autoreset: parameters.settings.autoreset)
            else {
                throw WireError(
                    .unsupportedCapability,
                    "spaces whose members differ in size do not fit shared memory; use the socket")
            }
            memory = try SharedMemory.create(layout)
        }
        let id = nextHandle
        let handle = EnvironmentHandle(
            id: id, environment: environment, parameters: parameters, sharedMemory: memory?.0,
            threads: server.configuration.threads, estimatedBytes: estimate)
        let made = MadeEnvironment(
            handle: id, count: count, description: EnvironmentDescription(environment.spec, of: environment),
            autoreset: environment.autoreset, maxEpisodeSteps: environment.maxEpisodeSteps,
            transport: parameters.transport, sharedMemory: memory?.0.layout)
        try enter(handle)
        nextHandle += 1
        ownedBytes += estimate
        environments.add(count, ordering: .relaxed)
        do {
            try write { try $0.made(made, descriptor: memory?.descriptor.descriptor ?? -1, envelope) }
        } catch {
            remove(id)
            throw error
        }
        log.debug("made", metadata: ["environment": "\(parameters.id)", "count": "\(count)", "handle": "\(id)"])
    }

    private func makeEnvironment(_ parameters: MakeParameters) throws -> any VectorEnvironment {
        do {
            let spec = try server.registry.spec(parameters.id)
            guard parameters.renderMode.isEmpty || spec.renderModes.contains(parameters.renderMode) else {
                let modes = spec.renderModes.isEmpty ? "none" : spec.renderModes.joined(separator: ", ")
                throw WireError(
                    .renderUnavailable, "\(spec.id) has no render mode '\(parameters.renderMode)'; it has: \(modes)",
                    details: [.init(field: "render_mode", expected: modes, got: parameters.renderMode)])
            }
            let environment = try server.registry.make(parameters.id, parameters.settings)
            do {
                try environment.setAutoresetOptions(parameters.autoresetOptions)
            } catch let error as OptionError {
                throw WireError(
                    .invalidOption, error.description, details: [.init(field: "autoreset_options.\(error.option)")])
            }
            return environment
        } catch let error as UnknownEnvironmentError {
            throw WireError(.unknownEnvironment, error.description, details: [.init(field: "id", got: parameters.id)])
        } catch let error as OptionError {
            throw WireError(.invalidOption, error.description, details: [.init(field: "options.\(error.option)")])
        } catch let error as WireError {
            throw error
        } catch {
            throw WireError(.environmentFault, "\(parameters.id) cannot be made: \(error)")
        }
    }

    private func require(_ value: Int, atMost limit: Int, _ what: String) throws {
        guard value <= limit else {
            throw WireError(
                .limitExceeded, "that would be \(value) \(what) on this connection; the limit is \(limit)",
                details: [.init(field: what, expected: "at most \(limit)", got: "\(value)")])
        }
    }

    /// The bytes that a batch's buffers take.
    ///
    /// - Throws: ``WireError`` when a step's answer would not fit a frame.
    private func estimateBytes(
        _ environment: any VectorEnvironment, count: Int, _ parameters: MakeParameters
    ) throws -> Int {
        func bytes(_ space: Space) -> Int {
            space.leaves.reduce(0) { total, leaf in
                if case .tensor(let layout) = leaf.leaf { total + layout.byteCount } else { total + 1024 }
            }
        }
        let observation = bytes(environment.observationSpace)
        let action = bytes(environment.actionSpace)
        if parameters.transport == .socket {
            let finals = parameters.settings.autoreset == .sameStep ? 1 : 0
            let answer = count * ((1 + finals) * observation + 32) + 1024
            guard answer <= maxAnswerBytes else {
                throw WireError(
                    .limitExceeded,
                    "a step's answer may take \(answer) bytes; frames on this connection have at most \(maxAnswerBytes). "
                        + "Use fewer environments, or shared memory")
            }
        }
        // Two sets of results with last observations and one of resets, actions twice, and what the environment keeps.
        return count * (6 * observation + 2 * action + 2048)
    }

    /// Takes a handle in, with the threads that it needs: one of its own, so that it can step while others, or the
    /// connection itself, are asked. A single one that has shown to be fast moves to the connection's thread, which
    /// saves a wake-up for every step.
    private func enter(_ handle: EnvironmentHandle) throws {
        var entry = Entry(handle: handle)
        if let memory = handle.sharedMemory {
            entry.worker = try SharedMemoryWorker(memory, isCrowded: { handle.isCrowded.load(ordering: .relaxed) }) {
                [unowned self] sequence in
                stepShared(handle, memory, sequence)
            }
        }
        // Steps in shared memory have the worker's thread; what else is asked of such a handle seldom takes long.
        if handle.sharedMemory == nil || !handles.isEmpty { entry.thread = try startThread(for: handle) }
        if !handles.isEmpty {
            for (id, other) in handles where other.thread == nil {
                handles[id]!.thread = try startThread(for: other.handle)
            }
        }
        handles[handle.id] = entry
    }

    /// The session outlives the threads of its handles: ``run()`` ends them.
    private func startThread(for handle: EnvironmentHandle) throws -> HandleThread {
        // Used by the handle's thread only.
        nonisolated(unsafe) let decoder = RequestDecoder()
        return try HandleThread { [unowned self] work in
            let start = monotonicSeconds()
            defer { noteDuration(since: start, of: handle) }
            switch work {
            case .request(let request, let envelope): answering(envelope) { try perform(request, handle, envelope) }
            case .frame(let body):
                body.withUnsafeBytes { bytes in
                    defer { decoder.release() }
                    // It was decoded before, by the session, to see whose it is.
                    guard let request = try? decoder.decode(bytes) else { preconditionFailure("it was decoded once") }
                    answering(request.envelope) {
                        try perform(try checked(request.message, handle), handle, request.envelope)
                    }
                }
            }
        }
    }

    /// Carries out a pending request, and answers with the error when it fails.
    private func answering(_ envelope: ResponseWriter.Envelope, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            pendingRequests.subtract(1, ordering: .releasing)
            // When the socket has failed, its reader finds out by itself.
            if error is SystemError { return }
            answer(error as? WireError ?? WireError(.internal, "\(error)"), envelope)
        }
    }

    /// Answers a pending request. It is counted out before: who has the answer may send the next one at once.
    private func reply(_ body: (ResponseWriter) throws -> Void) throws {
        pendingRequests.subtract(1, ordering: .releasing)
        do {
            try write(body)
        } catch {
            pendingRequests.add(1, ordering: .relaxed)
            throw error
        }
    }

    /// Gives up a handle: waits for what it does, and ends its threads.
    private func remove(_ id: UInt32) {
        guard let entry = handles.removeValue(forKey: id) else { return }
        ownedBytes -= entry.handle.estimatedBytes
        environments.subtract(entry.handle.environment.count, ordering: .relaxed)
    }

    // MARK: Requests for a handle

    func handleForHandle(_ request: ReceivedRequest, _ body: UnsafeRawBufferPointer) throws {
        if case .close = request.message, handles[request.handle] != nil {
            handles[request.handle]?.thread?.waitUntilIdle()
            remove(request.handle)
            return try write { try $0.closed(request.envelope) }
        }
        guard let entry = handles[request.handle] else {
            throw WireError(
                .unknownHandle,
                "there is no handle \(request.handle) on this connection: it was never made, or is closed")
        }
        let handle = entry.handle
        if let thread = entry.thread {
            guard handles.count == 1, thread.isIdle,
                handle.quickRequests.load(ordering: .relaxed) >= Session.quickRequestsForTrust
            else { return try hand(request, body, to: thread, handle) }
            handles[handle.id]?.thread = nil
        }
        let start = monotonicSeconds()
        pendingRequests.add(1, ordering: .relaxed)
        answering(request.envelope) {
            try perform(try checked(request.message, handle), handle, request.envelope)
        }
        if !noteDuration(since: start, of: handle) { handles[handle.id]?.thread = try? startThread(for: handle) }
    }

    /// Counts quick requests in a row; returns whether this was one.
    @discardableResult
    private func noteDuration(since start: Double, of handle: EnvironmentHandle) -> Bool {
        let isQuick = monotonicSeconds() - start <= server.configuration.slowRequestSeconds
        if isQuick {
            handle.quickRequests.add(1, ordering: .relaxed)
        } else {
            handle.quickRequests.store(0, ordering: .relaxed)
        }
        return isQuick
    }

    private func hand(
        _ request: ReceivedRequest, _ body: UnsafeRawBufferPointer, to thread: HandleThread, _ handle: EnvironmentHandle
    ) throws {
        let limits = server.configuration.limits
        guard pendingRequests.load(ordering: .relaxed) < limits.maxPendingRequests else {
            throw WireError(
                .limitExceeded,
                "\(limits.maxPendingRequests) requests wait for their answers already; receive some first")
        }
        // While it is busy, the memory for its actions is in use: the request waits as it came.
        let work: HandleThread.Work =
            thread.isIdle ? .request(try checked(request.message, handle), request.envelope) : .frame(Array(body))
        pendingRequests.add(1, ordering: .relaxed)
        thread.run(work, maxQueuedBytes: limits.maxFrameBytes)
    }

    /// Checks what can be checked of a request without doing it, and takes over what it points to.
    private func checked(_ message: Request<ReceivedLeaves>, _ handle: EnvironmentHandle) throws -> HandleRequest {
        switch message {
        case .step(let actions, let wantsInfo):
            try handle.requireSocketTransport()
            try handle.requireNothingPending()
            try actions.copy(into: handle.actions, field: "action", code: .invalidAction)
            return .step(nil, wantsInfo: wantsInfo)
        case .send(let environments, let actions):
            try require(capability: ProtocolVersion.asynchronous)
            try handle.requireSocketTransport()
            try handle.prepareToSend(environments, actions)
            return .send(environments: environments, nil)
        case .receive(let count):
            try require(capability: ProtocolVersion.asynchronous)
            try handle.requireSocketTransport()
            return .receive(count: count)
        case .reset(let parameters): return .reset(parameters)
        case .render(let environments):
            try require(capability: ProtocolVersion.render)
            return .render(environments: environments)
        case .getState(let environments):
            try require(capability: ProtocolVersion.state)
            return .getState(environments: environments)
        case .setState(let environments, let states):
            try require(capability: ProtocolVersion.state)
            return .setState(environments: environments, states: states)
        case .sample(let kind, let seed):
            try require(capability: ProtocolVersion.spaces)
            return .sample(kind, seed: seed)
        case .contains(let kind, let members):
            try require(capability: ProtocolVersion.spaces)
            return .contains(kind, try handle.members(of: kind, members))
        case .hello, .ping, .status, .list, .make, .close, .shutdown, .unknown:
            preconditionFailure("a request that a handle does not take")
        }
    }

    private func perform(
        _ request: HandleRequest, _ handle: EnvironmentHandle, _ envelope: ResponseWriter.Envelope
    ) throws {
        switch request {
        case .step(_, let wantsInfo): try step(handle, wantsInfo: wantsInfo, envelope)
        case .send(let environments, _):
            try handle.send(environments)
            try reply { try $0.sent(envelope) }
        case .receive(let count): try receive(handle, count, envelope)
        case .reset(let parameters): try reset(handle, parameters, envelope)
        case .render(let environments):
            let renderings = try handle.monitor.withLock { try handle.render(environments) }
            try reply { try $0.render(renderings, envelope) }
        case .getState(let environments):
            let states = try handle.monitor.withLock { try handle.states(environments) }
            try reply { try $0.states(states, envelope) }
        case .setState(let environments, let states):
            try handle.monitor.withLock { try handle.setStates(states, environments) }
            try reply { try $0.stateSet(envelope) }
        case .sample(let kind, let seed):
            let sample = try handle.sample(kind, seed: seed)
            try reply { try $0.sample(sample, envelope) }
        case .contains(let kind, let members):
            let flags = handle.contains(kind, members!)
            try reply { try $0.contained(flags, envelope) }
        case .hello, .ping, .status, .list, .make, .close, .shutdown, .unknown:
            preconditionFailure("a request that a handle does not take")
        }
    }

    private func step(_ handle: EnvironmentHandle, wantsInfo: Bool, _ envelope: ResponseWriter.Envelope) throws {
        let faults = try handle.step(wantsInfo: wantsInfo)
        countSteps(handle.environment.count, faults)
        var contents = ResponseWriter.StepContents()
        contents.wantsInfo = wantsInfo
        contents.hasFinalObservations = handle.environment.autoreset == .sameStep
        contents.faults = faults
        try reply { try $0.step(handle.buffers, contents, envelope) }
    }

    /// Steps a handle whose doorbell rang; says on the socket what does not fit into shared memory.
    private func stepShared(_ handle: EnvironmentHandle, _ memory: SharedMemory, _ sequence: UInt32)
        -> SharedMemory.Status
    {
        let envelope = ResponseWriter.Envelope(id: 0, handle: handle.id)
        let wantsInfo = memory.wantsInfo
        do {
            return try handle.monitor.withLock {
                let faults = try handle.stepShared(sequence: sequence, wantsInfo: wantsInfo)
                countSteps(handle.environment.count, faults)
                // Most environments have no info: then its being wanted costs no frame.
                if faults.isEmpty && !(wantsInfo && handle.buffers.hasInfo) { return .done }
                var contents = ResponseWriter.StepContents()
                contents.wantsInfo = wantsInfo
                contents.hasFinalObservations = handle.environment.autoreset == .sameStep
                contents.resultsAreShared = true
                contents.faults = faults
                try write { try $0.step(handle.buffers, contents, envelope) }
                return .frameFollows
            }
        } catch let error as WireError {
            answer(error, envelope)
            return .failed
        } catch is SystemError {
            return .closed
        } catch {
            answer(WireError(.internal, "\(error)"), envelope)
            return .failed
        }
    }

    private func receive(_ handle: EnvironmentHandle, _ count: Int, _ envelope: ResponseWriter.Envelope) throws {
        let (rows, faults) = try handle.receive(count)
        countSteps(rows.count, faults)
        try rows.withUnsafeBufferPointer { rows in
            var contents = ResponseWriter.StepContents()
            contents.rows = rows
            contents.hasFinalObservations = handle.environment.autoreset == .sameStep
            contents.faults = faults
            try reply { try $0.step(handle.buffers, contents, envelope) }
        }
    }

    private func reset(
        _ handle: EnvironmentHandle, _ parameters: ResetParameters, _ envelope: ResponseWriter.Envelope
    ) throws {
        try handle.monitor.withLock {
            let report = try handle.reset(parameters)
            try reply {
                try $0.reset(
                    handle.buffers, effectiveSeeds: report.effectiveSeeds, faults: report.faults,
                    wantsInfo: parameters.wantsInfo, envelope)
            }
        }
    }
}

extension ReceivedRequest {
    /// The envelope of its answer.
    var envelope: ResponseWriter.Envelope { .init(id: id, handle: handle) }
}
