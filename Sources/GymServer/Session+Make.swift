import GymCore
import GymProtocol
import Logging
import Synchronization

/// Making environments.
extension Session {
    func make(_ parameters: MakeParameters, _ envelope: ResponseWriter.Envelope) throws {
        let limits = server.limits
        let count = parameters.settings.count
        let isShared = parameters.transport == .sharedMemory
        let isTimed = parameters.wantsStepTime && link.minorVersion.load(ordering: .relaxed) >= 1
        if isShared { try WireError.require(ProtocolVersion.sharedMemory, among: capabilities) }
        if !parameters.renderMode.isEmpty { try WireError.require(ProtocolVersion.render, among: capabilities) }
        try require(handles.count + 1, atMost: limits.maxHandles, "handles")
        try require(link.environments.load(ordering: .relaxed) + count, atMost: limits.maxEnvironments, "environments")
        // One environment tells what all of them will take, before they are made.
        var single = parameters
        single.settings.count = 1
        var environment = try makeEnvironment(single)
        let bytes = try takeMemory(for: environment, count: count, parameters)
        var isKept = false
        defer { if !isKept { link.memory.give(bytes) } }
        if count > 1 { environment = try makeEnvironment(parameters) }
        var memory: (SharedMemory, descriptor: OwnedDescriptor)?
        if isShared {
            guard
                let layout = SharedMemoryLayout(
                    observationSpace: environment.observationSpace, actionSpace: environment.actionSpace, count: count,
                    autoreset: parameters.settings.autoreset, isTimed: isTimed)
            else {
                throw WireError(
                    .unsupportedCapability,
                    "spaces whose members differ in size do not fit shared memory; use the socket")
            }
            do {
                memory = try SharedMemory.create(layout)
            } catch let error as SystemError {
                throw WireError(
                    .limitExceeded,
                    "there is no shared memory to be had for the environments (\(error)); use the socket")
            }
        }
        let id = nextHandle
        let made = MadeEnvironment(
            handle: id, count: count, description: EnvironmentDescription(environment.spec, of: environment),
            autoreset: environment.autoreset, maxEpisodeSteps: environment.maxEpisodeSteps,
            transport: parameters.transport, sharedMemory: memory?.0.layout)
        let executor = try HandleExecutor(
            id: id,
            EnvironmentHandle(
                environment: environment, parameters: parameters, isTimed: isTimed, sharedMemory: memory?.0,
                threads: server.configuration.threads, pool: server.stepPool),
            bytes: bytes, capabilities: capabilities, link: link)
        isKept = true
        nextHandle += 1
        handles[id] = executor
        do {
            try link.reply { try $0.made(made, descriptor: memory?.descriptor.number ?? -1, envelope) }
        } catch {
            handles[id] = nil
            executor.close()
            throw error
        }
        link.log.debug(
            "made", metadata: ["environment": "\(quoted(parameters.id))", "count": "\(count)", "handle": "\(id)"])
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

    /// Counts the bytes that a batch will take; they are given back by the caller.
    ///
    /// - Throws: ``WireError`` when they are too many, or a step's answer would not fit a frame.
    private func takeMemory(
        for environment: any VectorEnvironment, count: Int, _ parameters: MakeParameters
    ) throws -> Int {
        let bytes = EnvironmentHandle.bufferBytes(of: environment, count: count, parameters) ?? .max
        if parameters.transport == .socket {
            let leaves = environment.observationSpace.leaves.map(\.leaf)
            let fields = ResultField.all.map { Leaf.tensor(TensorLayout(dtype: $0.dtype, shape: [])) }
            let finals = parameters.settings.autoreset == .sameStep ? leaves : []
            // The numbers of rows that ended, and what is around all of it.
            let answer = BatchBuffer.byteCount(of: leaves + finals + fields, count: count).map { $0 + 5 * count + 1024 }
            let most = link.maxAnswerBytes
            guard let answer, answer <= most else {
                throw WireError(
                    .limitExceeded,
                    "a step's answer may take \(answer.map { "\($0)" } ?? "too many") bytes; frames on this connection "
                        + "have at most \(most). Use fewer environments, or shared memory")
            }
        }
        guard link.memory.take(bytes) else {
            let left = link.memory.available
            throw WireError(
                .limitExceeded,
                "the environments take \(bytes) bytes of memory; \(left) are left of the connection's "
                    + "\(server.limits.maxMemoryBytes), or of the server's \(server.limits.maxServerMemoryBytes)",
                details: [.init(field: "memory_bytes", expected: "at most \(left)", got: "\(bytes)")])
        }
        return bytes
    }
}
