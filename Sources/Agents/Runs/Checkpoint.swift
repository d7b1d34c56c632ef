import Foundation
import GymCore
import RunFiles

/// A run in the middle: everything that it needs to go on as if it had not stopped.
///
/// What a learner needs may be as large as its replay buffer: read, it stays in the file, which is mapped into memory,
/// until the learner takes it over.
public struct Checkpoint {
    /// The algorithm's name.
    public var algorithm: String
    /// The environment's id.
    public var environment: String
    /// The run's seed.
    public var seed: UInt64
    /// Every hyperparameter as resolved.
    public var hyperparameters: [String: String]
    /// The observation space, as text.
    public var observationSpace: String
    /// The action space, as text.
    public var actionSpace: String
    /// Steps of all environments together so far.
    public var steps: Int
    /// Log lines so far.
    public var iterations: Int
    /// Seconds of training so far.
    public var elapsedSeconds: Double
    /// The best mean return of an evaluation so far; `nil` before the first.
    public var bestReturn: Double?
    /// The state of each environment; `nil` where the server cannot give it.
    public var environmentStates: [[UInt8]]?
    private let learner: LearnerState

    private enum LearnerState {
        /// As it stands when the checkpoint is written.
        case live(any Learner)
        /// What one saved.
        case saved(Data)
    }

    /// Raised whenever what is written changes.
    static let version: UInt32 = 3

    /// A checkpoint of a run that has `learner` for its learner; to be written before the learner goes on.
    public init(
        _ configuration: RunConfiguration, observationSpace: Space, actionSpace: Space, learner: any Learner,
        environmentStates: [[UInt8]]?
    ) {
        algorithm = configuration.algorithm.rawValue
        environment = configuration.environment
        seed = configuration.seed
        hyperparameters = Dictionary(uniqueKeysWithValues: configuration.hyperparameters.resolved.map { ($0, $1) })
        self.observationSpace = observationSpace.description
        self.actionSpace = actionSpace.description
        steps = learner.steps
        iterations = 0
        elapsedSeconds = 0
        self.environmentStates = environmentStates
        self.learner = .live(learner)
    }

    // MARK: Bytes

    /// The checkpoint as a file.
    public var bytes: [UInt8] { CheckpointFile.bytes(version: Checkpoint.version) { write(to: &$0) } }

    /// Writes the fields, the learner's last, which go on to the end.
    func write(to writer: inout StateWriter) {
        func write(_ text: String, to writer: inout StateWriter) { writer.write(array: Array(text.utf8)) }
        for text in [algorithm, environment, observationSpace, actionSpace] { write(text, to: &writer) }
        writer.write(seed)
        writer.write(UInt64(hyperparameters.count))
        for (key, value) in hyperparameters.sorted(by: { $0.key < $1.key }) {
            write(key, to: &writer)
            write(value, to: &writer)
        }
        writer.write(UInt64(steps))
        writer.write(UInt64(iterations))
        writer.write(elapsedSeconds)
        writer.write(UInt8(bestReturn == nil ? 0 : 1))
        writer.write(bestReturn ?? 0)
        writer.write(UInt8(environmentStates == nil ? 0 : 1))
        writer.write(UInt64(environmentStates?.count ?? 0))
        for state in environmentStates ?? [] { writer.write(array: state) }
        switch learner {
        case .saved(let data): for byte in data { writer.write(byte) }
        case .live(let learner): learner.save(to: &writer)
        }
    }

    /// Reads what ``bytes`` gave.
    ///
    /// - Throws: ``CheckpointError`` that says what is wrong with them.
    public init(bytes: [UInt8]) throws { try self.init(data: Data(bytes)) }

    /// Reads a file, most of which stays there until it is needed.
    ///
    /// - Throws: ``CheckpointError`` that says what is wrong with it.
    init(file path: String) throws {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
            throw CheckpointError("it cannot be read")
        }
        try self.init(data: data)
    }

    private init(data: Data) throws {
        do {
            let body = try CheckpointFile.body(of: data, version: Checkpoint.version)
            self = try body.withUnsafeBytes { try Checkpoint(fields: $0, of: body) }
        } catch let error as RunFileError {
            throw CheckpointError(error.description)
        } catch let error as StateError {
            throw CheckpointError(error.description)
        }
    }

    /// - Parameter memory: the bytes of `body`.
    private init(fields memory: UnsafeRawBufferPointer, of body: Data) throws {
        var reader = StateReader(memory)
        func text(_ reader: inout StateReader) throws -> String {
            String(decoding: try reader.readArray(of: UInt8.self), as: UTF8.self)
        }
        algorithm = try text(&reader)
        environment = try text(&reader)
        observationSpace = try text(&reader)
        actionSpace = try text(&reader)
        seed = try reader.read()
        hyperparameters = [:]
        for _ in 0..<(try reader.readCount()) {
            let key = try text(&reader)
            hyperparameters[key] = try text(&reader)
        }
        steps = try reader.readCount()
        iterations = try reader.readCount()
        elapsedSeconds = try reader.read()
        let hasBest = try reader.read(UInt8.self) != 0
        let best = try reader.read(Double.self)
        bestReturn = hasBest ? best : nil
        let hasStates = try reader.read(UInt8.self) != 0
        var states: [[UInt8]] = []
        for _ in 0..<(try reader.readCount()) { states.append(try reader.readArray(of: UInt8.self)) }
        environmentStates = hasStates ? states : nil
        learner = .saved(body[(body.startIndex + reader.offset)...])
    }

    // MARK: Going on

    /// What may be changed between a run's two halves.
    private static let changeable: Set = ["n_timesteps", "eval_freq", "eval_episodes"]

    /// Checks that a run goes on as what it was.
    ///
    /// - Throws: ``CheckpointError`` that names what has changed.
    public func check(_ configuration: RunConfiguration, observationSpace: Space, actionSpace: Space) throws {
        try check(configuration)
        try require("the observation space", observationSpace.description, self.observationSpace)
        try require("the action space", actionSpace.description, self.actionSpace)
    }

    /// The same, but for the spaces, which the server knows.
    func check(_ configuration: RunConfiguration) throws {
        try require("the algorithm", configuration.algorithm.rawValue, algorithm)
        try require("the environment", configuration.environment, environment)
        try require("the seed", "\(configuration.seed)", "\(seed)")
        for (key, value) in configuration.hyperparameters.resolved where !Checkpoint.changeable.contains(key) {
            // One that came later than the checkpoint changes nothing by its default.
            let standard = configuration.hyperparameters.schema.first { $0.key == key }!.defaultValue.text
            try require("the hyperparameter \(key)", value, hyperparameters[key] ?? standard)
        }
    }

    private func require(_ what: String, _ now: String, _ then: String) throws {
        guard now == then else {
            throw CheckpointError("\(what) is \(now) now, and was \(then) when the checkpoint was written")
        }
    }

    /// Puts a learner where the run stood.
    ///
    /// - Throws: ``CheckpointError`` when it is of another shape.
    public func restore(_ learner: any Learner) throws {
        do {
            switch self.learner {
            case .saved(let data):
                try data.withUnsafeBytes { memory in
                    var reader = StateReader(memory)
                    try learner.restore(from: &reader)
                    try reader.finish()
                }
            case .live(let other):
                var writer = StateWriter()
                other.save(to: &writer)
                var reader = StateReader(writer.bytes)
                try learner.restore(from: &reader)
                try reader.finish()
            }
        } catch let error as StateError {
            throw CheckpointError("it does not fit the learner: \(error)")
        }
    }
}

/// A checkpoint that cannot be taken, and why.
public struct CheckpointError: Error, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}
