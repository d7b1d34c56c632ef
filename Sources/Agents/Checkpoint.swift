import GymCore

/// A run in the middle: everything that it needs to go on as if it had not stopped.
public struct Checkpoint: Sendable {
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
    /// The bytes of `progress.csv` so far.
    public var progressLength: Int
    /// The best mean return of an evaluation so far; `nil` before the first.
    public var bestReturn: Double?
    /// The state of each environment; `nil` where the server cannot give it.
    public var environmentStates: [[UInt8]]?
    /// What the learner saved.
    public var learner: [UInt8]

    /// Raised whenever what is written changes.
    static let version: UInt32 = 1
    private static let magic = Array("gymckpt\n".utf8)
    /// Magic, version, SHA-256 of the body as text.
    private static let headerSize = 8 + 4 + 64

    /// A checkpoint of a run that has `learner` for its learner.
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
        progressLength = 0
        self.environmentStates = environmentStates
        var writer = StateWriter()
        learner.save(to: &writer)
        self.learner = writer.bytes
    }

    // MARK: Bytes

    /// The checkpoint as a file: magic, version, the SHA-256 of what follows, and the fields.
    public var bytes: [UInt8] {
        var writer = StateWriter()
        func write(_ text: String) { writer.write(array: Array(text.utf8)) }
        for text in [algorithm, environment, observationSpace, actionSpace] { write(text) }
        writer.write(seed)
        writer.write(UInt64(hyperparameters.count))
        for (key, value) in hyperparameters.sorted(by: { $0.key < $1.key }) {
            write(key)
            write(value)
        }
        writer.write(UInt64(steps))
        writer.write(UInt64(iterations))
        writer.write(elapsedSeconds)
        writer.write(UInt64(progressLength))
        writer.write(UInt8(bestReturn == nil ? 0 : 1))
        writer.write(bestReturn ?? 0)
        writer.write(UInt8(environmentStates == nil ? 0 : 1))
        writer.write(UInt64(environmentStates?.count ?? 0))
        for state in environmentStates ?? [] { writer.write(array: state) }
        writer.write(array: learner)
        var header = StateWriter()
        header.write(Checkpoint.version)
        return Checkpoint.magic + header.bytes + Array(sha256(writer.bytes).utf8) + writer.bytes
    }

    /// Reads what ``bytes`` wrote.
    ///
    /// - Throws: ``CheckpointError`` that says what is wrong with them.
    public init(bytes: [UInt8]) throws {
        guard bytes.count >= Checkpoint.headerSize, Array(bytes[..<8]) == Checkpoint.magic else {
            throw CheckpointError(
                bytes.count < Checkpoint.headerSize && Checkpoint.magic.starts(with: bytes.prefix(8))
                    ? "it is cut short" : "it is no checkpoint")
        }
        var header = StateReader(Array(bytes[8..<12]))
        let version = try header.read(UInt32.self)
        guard version == Checkpoint.version else {
            throw CheckpointError(
                "it is of version \(version), this program reads version \(Checkpoint.version); "
                    + "resume it with the release that wrote it")
        }
        let body = Array(bytes[Checkpoint.headerSize...])
        guard Array(sha256(body).utf8) == Array(bytes[12..<Checkpoint.headerSize]) else {
            throw CheckpointError("it is cut short or was changed: its checksum does not hold")
        }
        do {
            var reader = StateReader(body)
            func text() throws -> String { String(decoding: try reader.readArray(of: UInt8.self), as: UTF8.self) }
            algorithm = try text()
            environment = try text()
            observationSpace = try text()
            actionSpace = try text()
            seed = try reader.read()
            hyperparameters = [:]
            for _ in 0..<(try reader.readCount()) {
                let key = try text()
                hyperparameters[key] = try text()
            }
            steps = try reader.readCount()
            iterations = try reader.readCount()
            elapsedSeconds = try reader.read()
            progressLength = try reader.readCount()
            let hasBest = try reader.read(UInt8.self) != 0
            let best = try reader.read(Double.self)
            bestReturn = hasBest ? best : nil
            let hasStates = try reader.read(UInt8.self) != 0
            let states = try (0..<(try reader.readCount())).map { _ in try reader.readArray(of: UInt8.self) }
            environmentStates = hasStates ? states : nil
            learner = try reader.readArray(of: UInt8.self)
            try reader.finish()
        } catch let error as StateError {
            throw CheckpointError(error.description)
        }
    }

    // MARK: Going on

    /// What may be changed between a run's two halves.
    private static let changeable: Set = ["n_timesteps", "eval_freq", "eval_episodes"]

    /// Checks that a run goes on as what it was.
    ///
    /// - Throws: ``CheckpointError`` that names what has changed.
    public func check(_ configuration: RunConfiguration, observationSpace: Space, actionSpace: Space) throws {
        func require(_ what: String, _ now: String, _ then: String) throws {
            guard now == then else {
                throw CheckpointError("\(what) is \(now) now, and was \(then) when the checkpoint was written")
            }
        }
        try require("the algorithm", configuration.algorithm.rawValue, algorithm)
        try require("the environment", configuration.environment, environment)
        try require("the seed", "\(configuration.seed)", "\(seed)")
        try require("the observation space", observationSpace.description, self.observationSpace)
        try require("the action space", actionSpace.description, self.actionSpace)
        for (key, value) in configuration.hyperparameters.resolved where !Checkpoint.changeable.contains(key) {
            try require("the hyperparameter \(key)", value, hyperparameters[key] ?? "not there")
        }
    }

    /// Puts a learner where the run stood.
    ///
    /// - Throws: ``CheckpointError`` when it is of another shape.
    public func restore(_ learner: any Learner) throws {
        var reader = StateReader(self.learner)
        do {
            try learner.restore(from: &reader)
            try reader.finish()
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
