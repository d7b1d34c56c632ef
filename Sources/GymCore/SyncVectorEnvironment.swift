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
        @usableFromInline var phase = EpisodePhase.fresh

        @inlinable
        init(environment: E, timeLimit: TimeLimit) {
            self.environment = environment
            self.timeLimit = timeLimit
        }

        @inlinable
        mutating func seed(_ seed: UInt64) {
            self.seed = seed
            generator = NumPyGenerator(seed: seed)
        }
    }

    public let spec: EnvironmentSpec
    public let count: Int
    public let autoreset: AutoresetMode
    public let maxEpisodeSteps: Int?
    public let groupSize: Int
    public let observationSpace: Space
    public let actionSpace: Space

    @usableFromInline let slots: UnsafeMutableBufferPointer<Slot>
    @usableFromInline let observationChecks: ObservationChecks
    @usableFromInline var autoresetOptions: OptionValues

    /// Steps a range of rows.
    ///
    /// The compiler does not specialise what is called through `any VectorEnvironment`. It does specialise this
    /// initializer, where the type of environment is known, and with it the function it stores here: a step then costs
    /// half as much.
    @usableFromInline let stepRows: StepRows
    /// Which of the rows are fresh, or, when asked, ended; a function for the same reason.
    @usableFromInline let unstartedRows:
        @Sendable (_ slots: UnsafeMutableBufferPointer<Slot>, _ rows: Range<Int>, _ includesEnded: Bool) -> [Int]
    @usableFromInline
    typealias StepRows =
        @Sendable (
            _ slots: UnsafeMutableBufferPointer<Slot>, _ rows: Range<Int>, _ actions: BatchBuffer,
            _ buffers: StepBuffers,
            _ episodes: EpisodeRules
        ) -> [EnvironmentFault]

    /// Makes the environments of a batch.
    ///
    /// - Throws: ``OptionError``, or what `make` throws.
    /// - Precondition: there is at least one environment.
    @inlinable
    public convenience init(
        spec: EnvironmentSpec, settings: VectorEnvironmentSettings, make: (OptionValues) throws -> E
    ) throws {
        try self.init(spec: spec, settings: settings, groupSize: 1, make: make) {
            slots, rows, actions, buffers, rules in
            SyncVectorEnvironment<E>.step(slots, rows: rows, into: buffers, rules: rules) { slot, row in
                try slot.pointee.environment.step(
                    action: ActionReader(actions, row: row), generator: &slot.pointee.generator!,
                    observation: ObservationWriter(buffers.observation, row: row))
            }
        }
    }

    @inlinable
    init(
        spec: EnvironmentSpec, settings: VectorEnvironmentSettings, groupSize: Int,
        make: (OptionValues) throws -> E, stepRows: @escaping StepRows
    ) throws {
        precondition(settings.count >= 1, "a batch has at least one environment")
        if case .steps(let steps) = settings.timeLimit, steps < 1 {
            throw OptionError(
                option: "max_episode_steps", "option 'max_episode_steps' is \(steps); it has to be at least 1")
        }
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
        self.groupSize = groupSize
        observationChecks = ObservationChecks(settings.checksObservations ? observationSpace : nil)
        self.stepRows = stepRows
        unstartedRows = { slots, rows, includesEnded in
            rows.filter { slots[$0].phase == .fresh || (slots[$0].phase == .ended && includesEnded) }
        }
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
        precondition(seeds.isEmpty || seeds.count == rows.count, "there is a seed for each row, or none at all")
        let values = try OptionValues(options, for: spec.resetOptions)
        try slots[0].environment.validate(resetOptions: values)
        let rules = EpisodeRules(
            autoreset: autoreset, resetOptions: values, checks: observationChecks, wantsInfo: wantsInfo)
        var report = ResetReport(faults: [], effectiveSeeds: [])
        for (position, row) in rows.enumerated() {
            precondition(row >= 0 && row < count, "row \(row) of a batch of \(count)")
            let slot = slots.baseAddress! + row
            if let seed = seeds.isEmpty ? nil : seeds[position] {
                slot.pointee.seed(seed)
            } else if slot.pointee.generator == nil {
                slot.pointee.seed(UInt64.random(in: 0...UInt64.max))
            }
            buffers.rewards[row] = 0
            buffers.terminated[row] = 0
            buffers.truncated[row] = 0
            do {
                try SyncVectorEnvironment.startEpisode(slot, row: row, into: buffers, rules: rules)
            } catch {
                report.faults.append(SyncVectorEnvironment.fault(slot, row: row, error, into: buffers))
            }
            if wantsInfo { buffers.infos[row] = slot.pointee.environment.info }
        }
        report.effectiveSeeds = slots.map(\.seed)
        return report
    }

    @inlinable
    static func startEpisode(
        _ slot: UnsafeMutablePointer<Slot>, row: Int, into buffers: StepBuffers, rules: borrowing EpisodeRules
    ) throws {
        slot.pointee.timeLimit.reset()
        slot.pointee.episodeReturn = 0
        slot.pointee.phase = .running
        try slot.pointee.environment.reset(
            options: rules.resetOptions, generator: &slot.pointee.generator!,
            observation: ObservationWriter(buffers.observation, row: row))
        try rules.checks.check(row: row, of: buffers.observation)
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
        unstartedRows(slots, rows, autoreset == .disabled)
    }

    @inlinable
    public func hasStarted(row: Int) -> Bool { slots[row].phase != .fresh }

    @inlinable
    public func ignoresNextAction(row: Int) -> Bool { slots[row].phase == .ended && autoreset != .disabled }

    @inlinable
    public func step(
        rows: Range<Int>, actions: BatchBuffer, wantsInfo: Bool, into buffers: StepBuffers
    ) -> [EnvironmentFault] {
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= count, "rows \(rows) of a batch of \(count)")
        return stepRows(
            slots, rows, actions, buffers,
            EpisodeRules(
                autoreset: autoreset, resetOptions: autoresetOptions, checks: observationChecks, wantsInfo: wantsInfo))
    }

    /// Steps rows one after the other; `take` takes the environment's step.
    @inlinable
    @inline(__always)
    static func step(
        _ slots: UnsafeMutableBufferPointer<Slot>, rows: Range<Int>, into buffers: StepBuffers, rules: EpisodeRules,
        take: (UnsafeMutablePointer<Slot>, Int) throws -> StepResult
    ) -> [EnvironmentFault] {
        var faults: [EnvironmentFault] = []
        for row in rows {
            let slot = slots.baseAddress! + row
            do {
                try step(slot, row: row, into: buffers, rules: rules, take: take)
            } catch {
                faults.append(fault(slot, row: row, error, into: buffers))
            }
            if rules.wantsInfo { buffers.infos[row] = slot.pointee.environment.info }
        }
        return faults
    }

    @inlinable
    @inline(__always)
    static func step(
        _ slot: UnsafeMutablePointer<Slot>, row: Int, into buffers: StepBuffers, rules: borrowing EpisodeRules,
        take: (UnsafeMutablePointer<Slot>, Int) throws -> StepResult
    ) throws {
        if slot.pointee.phase == .ended {
            // Next-step autoreset: the action is not looked at.
            buffers.rewards[row] = 0
            buffers.terminated[row] = 0
            buffers.truncated[row] = 0
            try startEpisode(slot, row: row, into: buffers, rules: rules)
            return
        }
        let result = try take(slot, row)
        try rules.checks.check(row: row, of: buffers.observation)
        let limitReached = slot.pointee.timeLimit.step()
        let truncated = result.truncated || limitReached
        slot.pointee.episodeReturn += result.reward
        buffers.rewards[row] = result.reward
        buffers.terminated[row] = result.terminated ? 1 : 0
        buffers.truncated[row] = truncated ? 1 : 0
        if result.terminated || truncated {
            try endEpisode(slot, row: row, into: buffers, rules: rules)
        }
    }

    @inlinable
    static func endEpisode(
        _ slot: UnsafeMutablePointer<Slot>, row: Int, into buffers: StepBuffers, rules: borrowing EpisodeRules
    ) throws {
        buffers.episodeReturns[row] = slot.pointee.episodeReturn
        buffers.episodeLengths[row] = Int64(slot.pointee.timeLimit.elapsedSteps)
        slot.pointee.phase = .ended
        if rules.autoreset == .sameStep {
            buffers.finalObservation.copyRow(row, from: buffers.observation, row: row)
            if rules.wantsInfo { buffers.finalInfos[row] = slot.pointee.environment.info }
            do {
                try startEpisode(slot, row: row, into: buffers, rules: rules)
            } catch {
                throw AutoresetFailure(reason: error)
            }
        }
    }

    /// Ends the episode of an environment that failed.
    @inlinable
    static func fault(
        _ slot: UnsafeMutablePointer<Slot>, row: Int, _ error: any Error, into buffers: StepBuffers
    ) -> EnvironmentFault {
        slot.pointee.phase = .ended
        buffers.observation.clearRow(row)
        // The episode before ended as it should: its last reward and observation must not be lost.
        if let failure = error as? AutoresetFailure {
            return EnvironmentFault(index: row, message: "\(failure.reason)")
        }
        buffers.finalObservation.clearRow(row)
        buffers.rewards[row] = 0
        buffers.terminated[row] = 0
        buffers.truncated[row] = 1
        buffers.episodeReturns[row] = slot.pointee.episodeReturn
        buffers.episodeLengths[row] = Int64(slot.pointee.timeLimit.elapsedSteps)
        return EnvironmentFault(index: row, message: "\(error)")
    }

    // MARK: Looking at environments, saving and restoring them

    @inlinable public var isRestorable: Bool { E.self is any RestorableEnvironment.Type }
    @inlinable public var isRenderable: Bool { E.self is any RenderableEnvironment.Type }

    @inlinable
    public func render(row: Int, mode: String) throws -> Rendering {
        guard spec.renderModes.contains(mode) else {
            let modes = spec.renderModes.isEmpty ? "none" : spec.renderModes.joined(separator: ", ")
            throw StateError("\(spec.id) has no render mode '\(mode)'; it has: \(modes)")
        }
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
        let elapsedSteps = Int(try reader.read(Int64.self))
        guard elapsedSteps >= 0 else { throw StateError("the state has taken \(elapsedSteps) steps") }
        slot.timeLimit = TimeLimit(maxEpisodeSteps: maxEpisodeSteps, elapsedSteps: elapsedSteps)
        slot.episodeReturn = try reader.read()
        guard let phase = EpisodePhase(rawValue: try reader.read()) else {
            throw StateError("the state's phase is unknown")
        }
        guard phase == .fresh || slot.generator != nil else { throw StateError("the state lacks its generator") }
        slot.phase = phase
        try environment.restore(from: &reader)
        try reader.finish()
        slot.environment = environment as! E
        slots[row] = slot
    }
}

/// Where an environment is in its life. Raw values are part of a saved state.
@usableFromInline
enum EpisodePhase: UInt8 {
    /// Never reset.
    case fresh = 0
    case running = 1
    /// Its episode has ended and it was not reset since.
    case ended = 2
}

/// The reset failed that same-step autoreset makes.
@usableFromInline
struct AutoresetFailure: Error {
    @usableFromInline let reason: any Error

    @inlinable
    init(reason: any Error) { self.reason = reason }
}

// Not within the generic class: what is would have its type looked up in every step.
/// What decides how episodes begin and end.
@usableFromInline
struct EpisodeRules {
    @usableFromInline let autoreset: AutoresetMode
    @usableFromInline let resetOptions: OptionValues
    @usableFromInline let checks: ObservationChecks
    @usableFromInline let wantsInfo: Bool

    @inlinable
    init(autoreset: AutoresetMode, resetOptions: OptionValues, checks: ObservationChecks, wantsInfo: Bool) {
        self.autoreset = autoreset
        self.resetOptions = resetOptions
        self.checks = checks
        self.wantsInfo = wantsInfo
    }
}
