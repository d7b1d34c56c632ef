import GymCore

/// Counts: observes which episode and which step of it this is, and a number drawn at its start. A step earns its
/// number.
struct CounterEnvironment: RestorableEnvironment {
    /// What goes wrong, and in which episode and step; step 0 is the reset.
    enum Defect {
        case none
        case throwing(episode: Int64, step: Int64)
        case notANumber(episode: Int64, step: Int64)
    }

    struct Failure: Error, CustomStringConvertible {
        let description = "the counter jammed"
    }

    static let spec = EnvironmentSpec(
        id: "Counter-v0", summary: "Counts.",
        options: [
            OptionSpec("speed", .real(0...10), default: .real(1), "Not used."),
            OptionSpec("size", .integer(1...5), default: .integer(2), "Not used."),
            OptionSpec("color", .choice(["red", "green"]), default: .text("red"), "Not used."),
            OptionSpec("fast", .bool, default: .bool(false), "Not used."),
            OptionSpec("parts", .integerOrRange(0...9), default: .integer(3), "Not used."),
        ],
        resetOptions: [
            OptionSpec("first", .integer(0...100), default: .integer(0), "What the first observation counts from."),
            OptionSpec("last", .integer(0...100), default: .integer(100), "At least `first`."),
        ])

    let observationSpace = Space.box(Box(low: 0.0, high: 1000, shape: [3]))
    let actionSpace = Space.discrete(count: 2)
    let length: Int64
    var defect = Defect.none
    var episode: Int64 = 0
    var count: Int64 = 0
    var drawn = 0.0

    init(length: Int, defect: Defect = .none) {
        self.length = Int64(length)
        self.defect = defect
    }

    func validate(resetOptions options: OptionValues) throws {
        guard options.integer("first") <= options.integer("last") else {
            throw OptionError(option: "first", "option 'first' has to be at most 'last'")
        }
    }

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
        episode += 1
        count = Int64(options.integer("first"))
        drawn = Double(generator.integer(in: 0..<1000))
        try observe(observation)
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        count += 1
        try observe(observation)
        return StepResult(reward: Double(count), terminated: count == length)
    }

    private func observe(_ observation: ObservationWriter) throws {
        switch defect {
        case .throwing(episode, count): throw Failure()
        case .notANumber(episode, count): observation.store([Double(episode), .nan, drawn])
        default: observation.store([Double(episode), Double(count), drawn])
        }
    }

    var info: [InfoEntry] { [InfoEntry("count", .tensor(Tensor(scalar: count)))] }

    static let stateVersion = 3

    func save(to writer: inout StateWriter) {
        writer.write(episode)
        writer.write(count)
        writer.write(drawn)
    }

    mutating func restore(from reader: inout StateReader) throws {
        episode = try reader.read()
        count = try reader.read()
        drawn = try reader.read()
    }
}

/// A batch of counters with its buffers.
struct CounterBatch {
    let batch: SyncVectorEnvironment<CounterEnvironment>
    let buffers: StepBuffers
    let actions: BatchBuffer

    init(_ environments: [CounterEnvironment], _ settings: VectorEnvironmentSettings = .init()) throws {
        var settings = settings
        settings.count = environments.count
        var next = environments.makeIterator()
        batch = try SyncVectorEnvironment(spec: CounterEnvironment.spec, settings: settings) { _ in next.next()! }
        buffers = StepBuffers(observationSpace: batch.observationSpace, count: environments.count)
        actions = BatchBuffer(space: batch.actionSpace, count: environments.count)
    }

    @discardableResult
    func reset(
        rows: [Int]? = nil, seeds: [UInt64?] = [], options: [String: OptionValue] = [:], wantsInfo: Bool = false
    ) throws -> ResetReport {
        try batch.reset(
            rows: rows ?? Array(0..<batch.count), seeds: seeds, options: options, wantsInfo: wantsInfo, into: buffers)
    }

    @discardableResult
    func step(_ rows: Range<Int>? = nil, wantsInfo: Bool = false) -> [EnvironmentFault] {
        batch.step(rows: rows ?? 0..<batch.count, actions: actions, wantsInfo: wantsInfo, into: buffers)
    }

    /// One row in short: `episode.step reward`, then T and L for terminated and truncated, and after `<` the last
    /// observation, return and length of the episode that ended.
    func row(_ row: Int) -> String {
        func whole(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }
        func counts(_ buffer: BatchBuffer) -> String {
            let values: UnsafeMutableBufferPointer<Double> = buffer.elements()
            return "\(whole(values[3 * row])).\(whole(values[3 * row + 1]))"
        }
        let ended = buffers.terminated[row] == 1 || buffers.truncated[row] == 1
        let flags = (buffers.terminated[row] == 1 ? "T" : "") + (buffers.truncated[row] == 1 ? "L" : "")
        let last = batch.autoreset == .sameStep ? counts(buffers.finalObservation) + " " : ""
        return counts(buffers.observation) + " \(Int(buffers.rewards[row]))\(flags)"
            + (ended ? " <\(last)\(Int(buffers.episodeReturns[row])) in \(buffers.episodeLengths[row])" : "")
    }

    var rows: [String] { (0..<batch.count).map(row) }

    /// The numbers drawn at the episodes' starts.
    var drawn: [Double] {
        let values: UnsafeMutableBufferPointer<Double> = buffers.observation.elements()
        return (0..<batch.count).map { values[3 * $0 + 2] }
    }
}
