/// An environment that is stepped faster together with others of its kind than alone, such as one whose physics solves
/// several worlds at a time.
///
/// A step is taken in three parts, and the middle one by many environments at once. The results have to be those of
/// each stepped alone: nothing may depend on how a batch is divided.
public protocol LockstepEnvironment: Environment {
    /// Of how many ``advance(_:)`` makes one piece of work, which costs as much for fewer.
    static var groupSize: Int { get }
    /// Takes in the action: all of a step that comes before ``advance(_:)``.
    mutating func beginStep(action: ActionReader, generator: inout NumPyGenerator)
    /// Advances environments that have begun a step.
    static func advance(_ environments: UnsafeMutableBufferPointer<UnsafeMutablePointer<Self>>)
    /// Writes the observation: all of a step that comes after ``advance(_:)``.
    mutating func endStep(observation: ObservationWriter) -> StepResult
}

extension LockstepEnvironment {
    /// The three parts of a step, for this environment alone.
    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        beginStep(action: action, generator: &generator)
        withUnsafeMutablePointer(to: &self) { environment in
            var environment = environment
            withUnsafeMutablePointer(to: &environment) {
                Self.advance(UnsafeMutableBufferPointer(start: $0, count: 1))
            }
        }
        return endStep(observation: observation)
    }
}

extension SyncVectorEnvironment where E: LockstepEnvironment {
    /// Makes the environments of a batch that are stepped together.
    ///
    /// - Throws: ``OptionError``, or what `make` throws.
    /// - Precondition: there is at least one environment.
    @inlinable
    public convenience init(
        lockstep spec: EnvironmentSpec, settings: VectorEnvironmentSettings, make: (OptionValues) throws -> E
    ) throws {
        try self.init(
            spec: spec, settings: settings, groupSize: E.groupSize, make: make
        ) { slots, rows, actions, buffers, rules in
            SyncVectorEnvironment<E>.stepTogether(slots, rows: rows, actions: actions, into: buffers, rules: rules)
        }
    }

    @inlinable
    static func stepTogether(
        _ slots: Slots, rows: Range<Int>, actions: BatchBuffer, into buffers: StepBuffers, rules: EpisodeRules
    ) -> [EnvironmentFault] {
        var faults: [EnvironmentFault] = []
        // As many as find room in the cache between the parts of a step.
        let most = 16
        var start = rows.lowerBound
        while start < rows.upperBound {
            let group = start..<min(start + most, rows.upperBound)
            let begun = buffers.stepNanoseconds == nil ? 0 : monotonicNanoseconds()
            var runningCount = 0
            withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<E>.self, capacity: most) { running in
                var count = 0
                for row in group where !slots.isEnded(row) {
                    let slot = slots.slots + row
                    slot.pointee.environment.beginStep(
                        action: ActionReader(actions, row: row), generator: &slot.pointee.generator!)
                    // The slots stay where they are.
                    running.initializeElement(
                        at: count, to: withUnsafeMutablePointer(to: &slot.pointee.environment) { $0 })
                    count += 1
                }
                E.advance(UnsafeMutableBufferPointer(rebasing: running[..<count]))
                runningCount = count
            }
            // Those that were advanced together share the time of that.
            let shared =
                buffers.stepNanoseconds == nil || runningCount == 0
                ? 0 : (monotonicNanoseconds() - begun) / Int64(runningCount)
            faults += step(slots, rows: group, into: buffers, rules: rules, sharedNanoseconds: shared) { slot, row in
                slot.pointee.environment.endStep(observation: ObservationWriter(buffers.observation, row: row))
            }
            start = group.upperBound
        }
        return faults
    }
}
