internal import CGymProtocol
import GymCore

extension Arena {
    func uses(_ uses: [ResourceUse]) -> (Int, UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__ResourceUse>?>) {
        let messages = uses.map { use in
            let message = message(gym__v1__resource_use__init)
            message.pointee.resource = string(use.resource)
            message.pointee.used = use.used
            message.pointee.limit = use.limit
            return message
        }
        return (messages.count, pointers(messages))
    }

    func description(
        _ description: EnvironmentDescription
    ) -> UnsafeMutablePointer<Gym__V1__EnvironmentSpec> {
        let spec = message(gym__v1__environment_spec__init)
        spec.pointee.id = string(description.id)
        spec.pointee.summary = string(description.summary)
        spec.pointee.max_episode_steps = UInt64(description.maxEpisodeSteps ?? 0)
        if let threshold = description.rewardThreshold { spec.pointee.reward_threshold = option(.real(threshold)) }
        spec.pointee.nondeterministic = description.nondeterministic ? 1 : 0
        (spec.pointee.n_render_modes, spec.pointee.render_modes) = strings(description.renderModes)
        spec.pointee.render_fps = description.renderFPS
        (spec.pointee.n_options, spec.pointee.options) = optionSpecs(description.options)
        (spec.pointee.n_reset_options, spec.pointee.reset_options) = optionSpecs(description.resetOptions)
        spec.pointee.n_autoreset_modes = description.autoresetModes.count
        spec.pointee.autoreset_modes = numbers(
            description.autoresetModes.map { Gym__V1__AutoresetMode(rawValue: UInt32($0.rawValue)) })
        spec.pointee.restorable = description.isRestorable ? 1 : 0
        spec.pointee.observation_space = space(description.observationSpace)
        spec.pointee.action_space = space(description.actionSpace)
        return spec
    }

    func sharedMemory(_ layout: SharedMemoryLayout) -> UnsafeMutablePointer<Gym__V1__SharedMemory> {
        func region(_ region: SharedMemoryLayout.Region) -> UnsafeMutablePointer<Gym__V1__Region> {
            let message = self.message(gym__v1__region__init)
            message.pointee.offset = UInt64(region.offset)
            message.pointee.dtype = Gym__V1__DType(rawValue: UInt32(region.dtype.rawValue))
            message.pointee.n_shape = region.shape.count
            message.pointee.shape = numbers(region.shape.map(UInt32.init))
            return message
        }
        let message = self.message(gym__v1__shared_memory__init)
        message.pointee.size = UInt64(layout.size)
        message.pointee.control_offset = UInt64(layout.controlOffset)
        message.pointee.n_actions = layout.actions.count
        message.pointee.actions = pointers(layout.actions.map(region))
        message.pointee.n_results = layout.results.count
        message.pointee.results = pointers(
            layout.results.map { results in
                let part = self.message(gym__v1__result_regions__init)
                part.pointee.n_observation = results.observation.count
                part.pointee.observation = pointers(results.observation.map(region))
                part.pointee.n_final_observation = results.finalObservation.count
                part.pointee.final_observation = pointers(results.finalObservation.map(region))
                // Those that are there: optional ones come last, or not at all.
                for (field, place) in zip(ResultField.all, results.fields) {
                    ResultFieldAccess.region(of: field, in: part).pointee = region(place)
                }
                return part
            })
        return message
    }
}
