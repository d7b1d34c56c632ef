internal import CGymProtocol
import GymCore

/// Decodes what a server says of environments: those that it has, and those that it made.
struct DescriptionDecoder {
    private var spaces = SpaceDecoder()

    mutating func description(
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
            isRestorable: spec.restorable != 0, observationSpace: try spaces.space(spec.observation_space),
            actionSpace: try spaces.space(spec.action_space))
    }

    mutating func made(_ part: Gym__V1__MakeResponse) throws -> MadeEnvironment {
        var description = try description(part.spec)
        description.observationSpace = try spaces.space(part.observation_space)
        description.actionSpace = try spaces.space(part.action_space)
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

    private func sharedMemory(_ part: Gym__V1__SharedMemory) throws -> SharedMemoryLayout {
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
                    fields: try ResultField.all.compactMap { field in
                        let message = ResultFieldAccess.region(of: field, in: part.results[index]!).pointee
                        return message == nil && field.isOptional ? nil : try region(message)
                    })
            })
    }
}
