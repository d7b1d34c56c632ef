/// A batch of one kind of environment, stepped one after the other in place.
///
/// Environment i is what Gymnasium's `SyncVectorEnv` holds at i: seeded on its own, limited in time, and restarted in
/// the mode that the settings choose.
public final class SyncVectorEnvironment<E: Environment & Sendable>: VectorEnvironment, @unchecked Sendable {
    /// One environment's place in the batch.
    @usableFromInline
    struct Slot {
        @usableFromInline var environment: E
        @usableFromInline var generator: NumPyGenerator?
        @usableFromInline var seed: UInt64 = 0
        @usableFromInline var timeLimit: TimeLimit
        @usableFromInline var episodeReturn = 0.0
        @usableFromInline var phase = Phase.fresh

        @inlinable
        init(environment: E, timeLimit: TimeLimit) {
            self.environment = environment
            self.timeLimit = timeLimit
        }
    }

    /// Where an environment is in its life. Raw values are part of a saved state.
    @usableFromInline
    enum Phase: UInt8 {
        /// Never reset.
        case fresh = 0
        case running = 1
        /// Its episode has ended and it was not reset since.
        case ended = 2
    }

    public let spec: EnvironmentSpec
    public let count: Int
    public let autoreset: AutoresetMode
    public let maxEpisodeSteps: Int?
    public let observationSpace: Space
    public let actionSpace: Space

    @usableFromInline let slots: UnsafeMutableBufferPointer<Slot>
    /// For each tensor leaf, its number and its checker; empty when observations are not checked.
    @usableFromInline let observationCheckers: [(leaf: Int, checker: LeafChecker)]
    @usableFromInline var autoresetOptions: OptionValues

    /// Makes the environments of a batch.
    ///
    /// - Throws: ``OptionError``, or what `make` throws.
    @inlinable
    public init(
        spec: EnvironmentSpec, settings: VectorEnvironmentSettings, make: (OptionValues) throws -> E
    ) throws {
        precondition(settings.count >= 1, "a batch has at least one environment")
        let options = try OptionValues(settings.options, for: spec.options)
        let environments = try (0..<settings.count).map { _ in try make(options) }
        self.spec = spec
        count = settings.count
        autoreset = settings.autoreset
        maxEpisodeSteps =
            switch settings.timeLimit {
            case .registered: spec.maxEpisodeSteps
            case .unlimited: nil
            case .steps(let steps): steps
            }
        observationSpace = environments[0].observationSpace
        actionSpace = environments[0].actionSpace
        observationCheckers =
            settings.checksObservations
            ? observationSpace.leaves.enumerated().compactMap { index, leaf in
                LeafChecker(leaf.space).map { (index, $0) }
            } : []
        autoresetOptions = try OptionValues([:], for: spec.resetOptions)
        slots = .allocate(capacity: count)
        let limit = TimeLimit(maxEpisodeSteps: maxEpisodeSteps)
        for (index, environment) in environments.enumerated() {
            slots.initializeElement(at: index, to: Slot(environment: environment, timeLimit: limit))
        }
    }

    deinit {
        slots.deinitialize()
        slots.deallocate()
    }

    // MARK: Resetting

    @inlinable
    public func reset(
        rows: [Int], seeds: [UInt64?], options: [String: OptionValue], wantsInfo: Bool, into buffers: StepBuffers
    ) throws -> ResetReport {
        let values = try OptionValues(options, for: spec.resetOptions)
        try slots[0].environment.validate(resetOptions: values)
        var report = ResetReport(faults: [], effectiveSeeds: [])
        for (position, row) in rows.enumerated() {
            if let seed = seeds.isEmpty ? nil : seeds[position] {
                slots[row].seed = seed
                slots[row].generator = NumPyGenerator(seed: seed)
            } else if slots[row].generator == nil {
                let seed = UInt64.random(in: 0...UInt64.max)
                slots[row].seed = seed
                slots[row].generator = NumPyGenerator(seed: seed)
            }
            do {
                try startEpisode(row: row, options: values, into: buffers)
            } catch {
                report.faults.append(fault(row: row, error, into: buffers))
            }
            buffers.rewards[row] = 0
            buffers.terminated[row] = 0
            buffers.truncated[row] = 0
            if wantsInfo { buffers.infos[row] = slots[row].environment.info }
        }
        report.effectiveSeeds = slots.map(\.seed)
        return report
    }

    @inlinable
    func startEpisode(row: Int, options: OptionValues, into buffers: StepBuffers) throws {
        let slot = slots.baseAddress! + row
        slot.pointee.timeLimit.reset()
        slot.pointee.episodeReturn = 0
        slot.pointee.phase = .running
        try slot.pointee.environment.reset(
            options: options, generator: &slot.pointee.generator!,
            observation: ObservationWriter(buffers.observation, row: row))
        try checkObservation(row: row, in: buffers.observation)
    }

    @inlinable
    public func setAutoresetOptions(_ options: [String: OptionValue]) throws {
        let values = try OptionValues(options, for: spec.resetOptions)
        try slots[0].environment.validate(resetOptions: values)
        autoresetOptions = values
    }

    // MARK: Stepping

    @inlinable
    public func rowsNeedingReset(in rows: Range<Int>) -> [Int] {
        rows.filter { slots[$0].phase == .fresh || (slots[$0].phase == .ended && autoreset == .disabled) }
    }

    @inlinable
    public func hasStarted(row: Int) -> Bool { slots[row].phase != .fresh }

    @inlinable
    public func ignoresNextAction(row: Int) -> Bool { slots[row].phase == .ended && autoreset == .nextStep }

    @inlinable
    public func step(
        rows: Range<Int>, actions: BatchBuffer, wantsInfo: Bool, into buffers: StepBuffers
    ) -> [EnvironmentFault] {
        var faults: [EnvironmentFault] = []
        for row in rows {
            do {
                try step(row: row, actions: actions, wantsInfo: wantsInfo, into: buffers)
            } catch {
                faults.append(fault(row: row, error, into: buffers))
            }
            if wantsInfo { buffers.infos[row] = slots[row].environment.info }
        }
        return faults
    }

    @inlinable
    func step(row: Int, actions: BatchBuffer, wantsInfo: Bool, into buffers: StepBuffers) throws {
        let slot = slots.baseAddress! + row
        if slot.pointee.phase == .ended {
            // Next-step autoreset: the action is not looked at.
            buffers.rewards[row] = 0
            buffers.terminated[row] = 0
            buffers.truncated[row] = 0
            try startEpisode(row: row, options: autoresetOptions, into: buffers)
            return
        }
        let result = try slot.pointee.environment.step(
            action: ActionReader(actions, row: row), generator: &slot.pointee.generator!,
            observation: ObservationWriter(buffers.observation, row: row))
        if !observationCheckers.isEmpty { try checkObservation(row: row, in: buffers.observation) }
        let limitReached = slot.pointee.timeLimit.step()
        let truncated = result.truncated || limitReached
        slot.pointee.episodeReturn += result.reward
        buffers.rewards[row] = result.reward
        buffers.terminated[row] = result.terminated ? 1 : 0
        buffers.truncated[row] = truncated ? 1 : 0
        if result.terminated || truncated {
            buffers.episodeReturns[row] = slot.pointee.episodeReturn
            buffers.episodeLengths[row] = Int64(slot.pointee.timeLimit.elapsedSteps)
            slot.pointee.phase = .ended
            if autoreset == .sameStep {
                buffers.finalObservation.copyRow(row, from: buffers.observation, row: row)
                if wantsInfo { buffers.finalInfos[row] = slot.pointee.environment.info }
                try startEpisode(row: row, options: autoresetOptions, into: buffers)
            }
        }
    }

    /// - Throws: ``StateError`` that names the leaf and the element which left the space.
    @inlinable
    func checkObservation(row: Int, in observation: BatchBuffer) throws {
        for (leaf, checker) in observationCheckers {
            let column = observation.columns[leaf]
            let memory = UnsafeRawPointer(column.base! + row * column.rowBytes)
            if let element = checker.firstViolation(in: memory) {
                throw StateError(
                    "the observation left its space: element \(element) of leaf \(leaf) is "
                        + "\(column.dtype.double(in: memory, at: element))")
            }
        }
    }

    /// Ends the episode of an environment that failed.
    @inlinable
    func fault(row: Int, _ error: any Error, into buffers: StepBuffers) -> EnvironmentFault {
        slots[row].phase = .ended
        buffers.observation.clearRow(row)
        buffers.finalObservation.clearRow(row)
        buffers.rewards[row] = 0
        buffers.terminated[row] = 0
        buffers.truncated[row] = 1
        buffers.episodeReturns[row] = slots[row].episodeReturn
        buffers.episodeLengths[row] = Int64(slots[row].timeLimit.elapsedSteps)
        return EnvironmentFault(index: row, message: "\(error)")
    }

    // MARK: Looking at environments, saving and restoring them

    @inlinable public var isRestorable: Bool { E.self is any RestorableEnvironment.Type }
    @inlinable public var isRenderable: Bool { E.self is any RenderableEnvironment.Type }

    @inlinable
    public func render(row: Int, mode: String) throws -> Rendering {
        guard var environment = slots[row].environment as? any RenderableEnvironment else {
            throw StateError("\(spec.id) cannot be rendered")
        }
        let rendering = try environment.render(mode: mode)
        slots[row].environment = environment as! E
        return rendering
    }

    @inlinable
    public func saveState(row: Int) throws -> [UInt8] {
        guard let environment = slots[row].environment as? any RestorableEnvironment else {
            throw StateError("\(spec.id) cannot be saved")
        }
        let slot = slots[row]
        var writer = StateWriter()
        writer.write(UInt32(type(of: environment).stateVersion))
        writer.write(slot.seed)
        writer.write(UInt8(slot.generator == nil ? 0 : 1))
        slot.generator?.save(to: &writer)
        writer.write(Int64(slot.timeLimit.elapsedSteps))
        writer.write(slot.episodeReturn)
        writer.write(slot.phase.rawValue)
        environment.save(to: &writer)
        return writer.bytes
    }

    @inlinable
    public func restoreState(_ state: [UInt8], row: Int) throws {
        var slot = slots[row]
        guard var environment = slot.environment as? any RestorableEnvironment else {
            throw StateError("\(spec.id) cannot be restored")
        }
        var reader = StateReader(state)
        let version = try reader.read(UInt32.self)
        let expected = UInt32(type(of: environment).stateVersion)
        guard version == expected else {
            throw StateError("the state is of version \(version); \(spec.id) takes version \(expected)")
        }
        slot.seed = try reader.read()
        slot.generator = try reader.read(UInt8.self) == 0 ? nil : NumPyGenerator(from: &reader)
        slot.timeLimit = TimeLimit(
            maxEpisodeSteps: maxEpisodeSteps, elapsedSteps: Int(try reader.read(Int64.self)))
        slot.episodeReturn = try reader.read()
        guard let phase = Phase(rawValue: try reader.read()) else { throw StateError("the state's phase is unknown") }
        guard phase == .fresh || slot.generator != nil else { throw StateError("the state lacks its generator") }
        slot.phase = phase
        try environment.restore(from: &reader)
        try reader.finish()
        slot.environment = environment as! E
        slots[row] = slot
    }
}
