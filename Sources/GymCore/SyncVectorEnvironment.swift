/// A batch of one kind of environment, stepped one after the other in place.
///
/// Environment i is what Gymnasium's `SyncVectorEnv` holds at i: seeded on its own, limited in time, and restarted in
/// the mode that the settings choose.
// Sendable although it holds memory that changes: rows are disjoint, and whoever steps, resets or restores a row is the
// only one to touch it then, as ``VectorEnvironment`` asks for; `autoresetOptions` is set before the first reset.
public final class SyncVectorEnvironment<E: Environment & Sendable>: VectorEnvironment, @unchecked Sendable {
    /// One environment's place in the batch.
    @usableFromInline
    struct Slot {
        @usableFromInline var environment: E
        @usableFromInline var generator: NumPyGenerator?
        @usableFromInline var seed: UInt64 = 0
        @usableFromInline var timeLimit: TimeLimit
        @usableFromInline var episodeReturn = 0.0

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

    /// All places, and where each environment is in its life: apart from them, in bytes that lie side by side, since
    /// every step asks it of every row before anything is stepped.
    @usableFromInline
    struct Slots {
        @usableFromInline let slots: UnsafeMutablePointer<Slot>
        @usableFromInline let phases: UnsafeMutablePointer<UInt8>

        @inlinable
        init(slots: UnsafeMutablePointer<Slot>, phases: UnsafeMutablePointer<UInt8>) {
            self.slots = slots
            self.phases = phases
        }

        @inlinable
        @inline(__always)
        func isEnded(_ row: Int) -> Bool { phases[row] == EpisodePhase.ended.rawValue }

        @inlinable
        @inline(__always)
        func set(_ phase: EpisodePhase, row: Int) { phases[row] = phase.rawValue }
    }

    public let spec: EnvironmentSpec
    public let count: Int
    public let autoreset: AutoresetMode
    public let maxEpisodeSteps: Int?
    public let groupSize: Int
    public let observationSpace: Space
    public let actionSpace: Space

    /// The options that the environments were made with, as a text.
    @usableFromInline let optionsText: String
    @usableFromInline let slots: Slots
    @usableFromInline let observationChecks: ObservationChecks
    @usableFromInline var autoresetOptions: OptionValues

    /// Steps a range of rows.
    ///
    /// The compiler does not specialise what is called through `any VectorEnvironment`. It does specialise this
    /// initializer, where the type of environment is known, and with it the function it stores here: a step then costs
    /// half as much.
    @usableFromInline let stepRows: StepRows
    @usableFromInline
    typealias StepRows =
        @Sendable (
            _ slots: Slots, _ rows: Range<Int>, _ actions: BatchBuffer, _ buffers: StepBuffers,
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
        optionsText = options.description
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
        autoresetOptions = try OptionValues([:], for: spec.resetOptions)
        slots = Slots(slots: .allocate(capacity: count), phases: .allocate(capacity: count))
        slots.phases.initialize(repeating: EpisodePhase.fresh.rawValue, count: count)
        let limit = TimeLimit(maxEpisodeSteps: maxEpisodeSteps)
        for (index, environment) in environments.enumerated() {
            (slots.slots + index).initialize(to: Slot(environment: environment, timeLimit: limit))
        }
    }

    deinit {
        slots.slots.deinitialize(count: count)
        slots.slots.deallocate()
        slots.phases.deallocate()
    }

    // MARK: Resetting

    @inlinable
    public func reset(
        rows: [Int], seeds: [UInt64?], options: [String: OptionValue], wantsInfo: Bool, into buffers: StepBuffers
    ) throws -> ResetReport {
        precondition(seeds.isEmpty || seeds.count == rows.count, "there is a seed for each row, or none at all")
        let values = try OptionValues(options, for: spec.resetOptions)
        try slots.slots[0].environment.validate(resetOptions: values)
        let rules = EpisodeRules(
            autoreset: autoreset, resetOptions: values, checks: observationChecks, wantsInfo: wantsInfo)
        var report = ResetReport(faults: [], effectiveSeeds: [])
        for (position, row) in rows.enumerated() {
            precondition(row >= 0 && row < count, "row \(row) of a batch of \(count)")
            let slot = slots.slots + row
            if let seed = seeds.isEmpty ? nil : seeds[position] {
                slot.pointee.seed(seed)
            } else if slot.pointee.generator == nil {
                slot.pointee.seed(UInt64.random(in: 0...UInt64.max))
            }
            buffers.rewards[row] = 0
            buffers.terminated[row] = 0
            buffers.truncated[row] = 0
            do {
                try SyncVectorEnvironment.startEpisode(slots, row: row, into: buffers, rules: rules)
                if wantsInfo { buffers.infos[row] = slot.pointee.environment.info }
            } catch {
                report.faults.append(SyncVectorEnvironment.fault(slots, row: row, error, into: buffers))
            }
        }
        report.effectiveSeeds = (0..<count).map { slots.slots[$0].seed }
        return report
    }

    @inlinable
    static func startEpisode(
        _ slots: Slots, row: Int, into buffers: StepBuffers, rules: borrowing EpisodeRules
    ) throws {
        let slot = slots.slots + row
        slot.pointee.timeLimit.reset()
        slot.pointee.episodeReturn = 0
        slots.set(.running, row: row)
        try slot.pointee.environment.reset(
            options: rules.resetOptions, generator: &slot.pointee.generator!,
            observation: ObservationWriter(buffers.observation, row: row))
        try rules.checks.check(row: row, of: buffers.observation)
    }

    @inlinable
    public func setAutoresetOptions(_ options: [String: OptionValue]) throws {
        let values = try OptionValues(options, for: spec.resetOptions)
        try slots.slots[0].environment.validate(resetOptions: values)
        autoresetOptions = values
    }

    // MARK: Stepping

    public func rowsNeedingReset(in rows: Range<Int>) -> [Int] {
        let phases = slots.phases
        var found: [Int] = []
        var row = rows.lowerBound
        // Nearly always all are running: eight rows are looked at together.
        let eightRunning = UInt64(EpisodePhase.running.rawValue) &* 0x0101_0101_0101_0101
        while row < rows.upperBound {
            if row + 8 <= rows.upperBound,
                UnsafeRawPointer(phases + row).loadUnaligned(as: UInt64.self) == eightRunning
            {
                row += 8
                continue
            }
            for row in row..<min(row + 8, rows.upperBound)
            where phases[row] == EpisodePhase.fresh.rawValue || (slots.isEnded(row) && autoreset == .disabled) {
                found.append(row)
            }
            row += 8
        }
        return found
    }

    public func hasStarted(row: Int) -> Bool { slots.phases[row] != EpisodePhase.fresh.rawValue }

    public func ignoresNextAction(row: Int) -> Bool { slots.isEnded(row) && autoreset != .disabled }

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
    ///
    /// - Parameter sharedNanoseconds: what each row's step took before, of time that they share.
    @inlinable
    @inline(__always)
    static func step(
        _ slots: Slots, rows: Range<Int>, into buffers: StepBuffers, rules: EpisodeRules,
        sharedNanoseconds: Int64 = 0, take: (UnsafeMutablePointer<Slot>, Int) throws -> StepResult
    ) -> [EnvironmentFault] {
        var faults: [EnvironmentFault] = []
        for row in rows {
            let start = buffers.stepNanoseconds == nil ? 0 : monotonicNanoseconds()
            let shared = slots.isEnded(row) ? 0 : sharedNanoseconds
            do {
                try step(slots, row: row, into: buffers, rules: rules, take: take)
                if rules.wantsInfo { buffers.infos[row] = slots.slots[row].environment.info }
            } catch {
                faults.append(fault(slots, row: row, error, into: buffers))
            }
            if let times = buffers.stepNanoseconds { times[row] = monotonicNanoseconds() - start + shared }
        }
        return faults
    }

    @inlinable
    @inline(__always)
    static func step(
        _ slots: Slots, row: Int, into buffers: StepBuffers, rules: borrowing EpisodeRules,
        take: (UnsafeMutablePointer<Slot>, Int) throws -> StepResult
    ) throws {
        if slots.isEnded(row) {
            // Next-step autoreset: the action is not looked at.
            buffers.rewards[row] = 0
            buffers.terminated[row] = 0
            buffers.truncated[row] = 0
            try startEpisode(slots, row: row, into: buffers, rules: rules)
            return
        }
        let slot = slots.slots + row
        let result = try take(slot, row)
        try rules.checks.check(row: row, of: buffers.observation)
        let limitReached = slot.pointee.timeLimit.step()
        let truncated = result.truncated || limitReached
        slot.pointee.episodeReturn += result.reward
        buffers.rewards[row] = result.reward
        buffers.terminated[row] = result.terminated ? 1 : 0
        buffers.truncated[row] = truncated ? 1 : 0
        if result.terminated || truncated {
            try endEpisode(slots, row: row, into: buffers, rules: rules)
        }
    }

    @inlinable
    static func endEpisode(
        _ slots: Slots, row: Int, into buffers: StepBuffers, rules: borrowing EpisodeRules
    ) throws {
        let slot = slots.slots + row
        buffers.episodeReturns[row] = slot.pointee.episodeReturn
        buffers.episodeLengths[row] = Int64(slot.pointee.timeLimit.elapsedSteps)
        slots.set(.ended, row: row)
        if rules.autoreset == .sameStep {
            buffers.finalObservation.copyRow(row, from: buffers.observation, row: row)
            if rules.wantsInfo { buffers.finalInfos[row] = slot.pointee.environment.info }
            do {
                try startEpisode(slots, row: row, into: buffers, rules: rules)
            } catch {
                throw AutoresetFailure(reason: error)
            }
        }
    }

    /// Ends the episode of an environment that failed.
    @inlinable
    static func fault(
        _ slots: Slots, row: Int, _ error: any Error, into buffers: StepBuffers
    ) -> EnvironmentFault {
        let slot = slots.slots + row
        slots.set(.ended, row: row)
        buffers.observation.clearRow(row)
        // What failed has nothing to tell.
        buffers.infos[row] = []
        // The episode before ended as it should: its last reward and observation must not be lost.
        if let failure = error as? AutoresetFailure {
            return EnvironmentFault(index: row, message: "\(failure.reason)")
        }
        buffers.finalObservation.clearRow(row)
        buffers.finalInfos[row] = []
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
        guard var environment = slots.slots[row].environment as? any RenderableEnvironment else {
            throw StateError("\(spec.id) cannot be rendered")
        }
        let rendering = try environment.render(mode: mode)
        slots.slots[row].environment = environment as! E
        return rendering
    }

    @inlinable public var bytesPerEnvironment: Int {
        MemoryLayout<Slot>.stride + 1 + slots.slots[0].environment.heapBytes
    }

    // A state begins with what it is of, so that another environment's, or one of other options or another version, is
    // refused by name and not misread: a mark, the format of what follows, id, options, version. Then come seed,
    // generator, counts and phase, and at last what the environment itself writes.

    @inlinable
    public func saveState(row: Int, to writer: inout StateWriter) throws {
        guard let environment = slots.slots[row].environment as? any RestorableEnvironment else {
            throw StateError("\(spec.id) cannot be saved")
        }
        let slot = slots.slots[row]
        SavedStateHeader(spec: spec, options: optionsText, version: type(of: environment).stateVersion).write(
            to: &writer)
        writer.write(slot.seed)
        writer.write(UInt8(slot.generator == nil ? 0 : 1))
        slot.generator?.save(to: &writer)
        writer.write(Int64(slot.timeLimit.elapsedSteps))
        writer.write(slot.episodeReturn)
        writer.write(slots.phases[row])
        environment.save(to: &writer)
    }

    @inlinable
    public func restoreState(_ state: [UInt8], row: Int) throws {
        var slot = slots.slots[row]
        guard var environment = slot.environment as? any RestorableEnvironment else {
            throw StateError("\(spec.id) cannot be restored")
        }
        var reader = StateReader(state)
        try SavedStateHeader(spec: spec, options: optionsText, version: type(of: environment).stateVersion)
            .require(from: &reader)
        slot.seed = try reader.read()
        slot.generator = try reader.read(UInt8.self) == 0 ? nil : NumPyGenerator(from: &reader)
        let elapsedSteps = try reader.readCount("number of steps")
        slot.timeLimit = TimeLimit(maxEpisodeSteps: maxEpisodeSteps, elapsedSteps: elapsedSteps)
        slot.episodeReturn = try reader.read()
        guard let phase = EpisodePhase(rawValue: try reader.read()) else {
            throw StateError("the state's phase is unknown")
        }
        guard phase == .fresh || slot.generator != nil else { throw StateError("the state lacks its generator") }
        try environment.restore(from: &reader)
        try reader.finish()
        slot.environment = environment as! E
        slots.slots[row] = slot
        slots.set(phase, row: row)
    }
}

/// What a state says of itself before anything else.
@usableFromInline
struct SavedStateHeader {
    private let id: String
    private let options: String
    private let version: Int

    /// "gymS" as its bytes lie in a file.
    private static let mark: UInt32 = 0x536D_7967
    /// Raised when what follows the header, but for the environment's own part, changes.
    private static let format: UInt32 = 2
    /// Bytes of an id or of all options at the most.
    private static let longest = 1 << 16

    @usableFromInline
    init(spec: EnvironmentSpec, options: String, version: Int) {
        id = spec.id
        self.options = options
        self.version = version
    }

    @usableFromInline
    func write(to writer: inout StateWriter) {
        writer.write(SavedStateHeader.mark)
        writer.write(SavedStateHeader.format)
        writer.write(text: id)
        writer.write(text: options)
        writer.write(UInt32(version))
    }

    /// - Throws: ``StateError`` for what is no state, ``ForeignStateError`` for a state of something else.
    @usableFromInline
    func require(from reader: inout StateReader) throws {
        guard try reader.read(UInt32.self) == SavedStateHeader.mark else {
            throw StateError("the bytes are not a state of an environment")
        }
        let format = try reader.read(UInt32.self)
        guard format == SavedStateHeader.format else {
            throw ForeignStateError(.version, expected: "format \(SavedStateHeader.format)", got: "format \(format)")
        }
        let id = try reader.readText(atMost: SavedStateHeader.longest)
        let options = try reader.readText(atMost: SavedStateHeader.longest)
        let version = try reader.read(UInt32.self)
        guard id == self.id else { throw ForeignStateError(.environment, expected: self.id, got: id) }
        guard options == self.options else {
            throw ForeignStateError(.options, expected: self.options, got: options)
        }
        guard version == UInt32(self.version) else {
            throw ForeignStateError(.version, expected: "\(self.version)", got: "\(version)")
        }
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
