import Foundation
import Glibc
import GymCore
import RunFiles
import Yams

/// What identifies a run, and with the version all that is needed to repeat it.
public struct RunConfiguration: Sendable {
    /// The algorithm.
    public let algorithm: Algorithm
    /// The environment's id.
    public let environment: String
    /// The seed that everything random comes from.
    public let seed: UInt64
    /// Every hyperparameter as resolved.
    public let hyperparameters: Hyperparameters

    /// A run of the given algorithm.
    public init(algorithm: Algorithm, environment: String, seed: UInt64, hyperparameters: Hyperparameters) {
        self.algorithm = algorithm
        self.environment = environment
        self.seed = seed
        self.hyperparameters = hyperparameters
    }
}

extension RunConfiguration {
    /// The same run with another number of steps.
    public func withSteps(_ steps: Int) -> RunConfiguration {
        var hyperparameters = hyperparameters
        hyperparameters["n_timesteps"] = .integer(steps)
        return RunConfiguration(
            algorithm: algorithm, environment: environment, seed: seed, hyperparameters: hyperparameters)
    }
}

/// The numbers of a run that ended.
public struct RunSummary: Codable, Sendable {
    /// The algorithm's name.
    public var algorithm: String
    /// The environment's id.
    public var environment: String
    /// The run's seed.
    public var seed: UInt64
    /// Steps of all environments together.
    public var steps: Int
    /// Seconds that the training took, without the final evaluation.
    public var wallSeconds: Double
    /// `steps` by `wallSeconds`.
    public var stepsPerSecond: Double
    /// Gradients applied.
    public var updates: Int
    /// The mean return of the final greedy episodes.
    public var finalMeanReturn: Double
    /// The SHA-256 of `policy.safetensors`.
    public var weightsSha256: String

    /// The given numbers.
    public init(
        algorithm: String, environment: String, seed: UInt64, steps: Int, wallSeconds: Double, updates: Int,
        finalMeanReturn: Double, weightsSha256: String
    ) {
        self.algorithm = algorithm
        self.environment = environment
        self.seed = seed
        self.steps = steps
        self.wallSeconds = wallSeconds
        stepsPerSecond = wallSeconds > 0 ? Double(steps) / wallSeconds : 0
        self.updates = updates
        self.finalMeanReturn = finalMeanReturn
        self.weightsSha256 = weightsSha256
    }
}

/// A run's folder cannot be written or read.
public struct RunFolderError: Error, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}

/// The folder that a run writes: `config.yaml`, `progress.csv`, `tensorboard/`, `checkpoints/`, `best/`,
/// `policy.safetensors`, `summary.json`.
public final class RunFolder {
    /// The version that `config.yaml` names.
    public static let version = "0.1.0"

    /// The folder.
    public let url: URL
    private var progress: ProgressFile?
    private var events: TensorBoardFile?
    /// The step that the run goes on at; `nil` when it starts from its beginning.
    private var resumedStep: Int?
    private var lockDescriptor: Int32 = -1

    /// A folder that was written before.
    public init(existing path: String) {
        url = URL(fileURLWithPath: path)
    }

    /// Makes a folder for a new run.
    ///
    /// - Throws: ``RunFolderError`` when it cannot be made, or is there and holds something.
    public init(creating path: String) throws {
        url = URL(fileURLWithPath: path)
        if let obstacle = RunFolder.obstacle(at: path) { throw RunFolderError(obstacle) }
        var made = ""
        for part in url.path.split(separator: "/") {
            made += "/" + part
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else {
                let reason = String(cString: strerror(errno))
                throw RunFolderError("cannot make the run folder \(path): \(made): \(reason)")
            }
        }
    }

    /// Why no new run can be written to `path`: what is there already, if anything is.
    public static func obstacle(at path: String) -> String? {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return nil }
        guard isFolder.boolValue else { return "\(path) is a file; a run needs a folder, new or empty" }
        let contents = try? FileManager.default.contentsOfDirectory(atPath: path)
        return contents?.isEmpty == false ? "the folder \(path) is not empty; choose another, or remove it" : nil
    }

    /// Takes the folder for this process alone, as long as this object lives.
    ///
    /// - Throws: ``RunFolderError`` when another process trains in it.
    public func lock() throws {
        let descriptor = open(url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw RunFolderError("cannot open \(url.path): \(String(cString: strerror(errno)))")
        }
        lockDescriptor = descriptor
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK {
            throw RunFolderError("another process is training in \(url.path); wait for it, or end it")
        }
    }

    deinit { if lockDescriptor >= 0 { close(lockDescriptor) } }

    /// What a run without checkpoints left that starting again would overwrite, if anything.
    public var resultWithoutCheckpoint: String? {
        let names = ["policy.safetensors", "summary.json"]
        return names.first { FileManager.default.fileExists(atPath: path($0)) }.map { "holds \($0)" }
    }

    /// The first of `BASE-1`, `BASE-2`, … that is not there.
    public static func unused(_ base: String) -> String {
        var number = 1
        while FileManager.default.fileExists(atPath: "\(base)-\(number)") { number += 1 }
        return "\(base)-\(number)"
    }

    // MARK: Writing

    /// Writes `config.yaml`.
    public func write(_ configuration: RunConfiguration) throws {
        func quoted(_ text: String) -> String {
            let plain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-+[], ".contains($0)) }
            return plain ? text : "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        var lines = [
            "version: \"\(RunFolder.version)\"", "algorithm: \(configuration.algorithm.rawValue)",
            "environment: \(quoted(configuration.environment))", "seed: \(configuration.seed)", "hyperparameters:",
        ]
        lines += configuration.hyperparameters.resolved.map { "  \($0.key): \(quoted($0.value))" }
        try write(Array((lines.joined(separator: "\n") + "\n").utf8), to: "config.yaml")
    }

    /// Adds a row to `progress.csv`, whose columns the first row decides, and to the events in `tensorboard/`.
    public func log(_ metrics: Metrics, step: Int) throws {
        if progress == nil {
            progress = try ProgressFile(creating: path("progress.csv"), columns: metrics.values.map(\.name))
        }
        try progress!.log(metrics.values)
        if events == nil { events = try TensorBoardFile(in: path("tensorboard"), continuingAt: resumedStep) }
        try events!.log(metrics.values, step: step)
    }

    /// Goes on with the `progress.csv` of a run at a step: rows after its first `length` bytes are taken away.
    public func continueProgress(length: Int, step: Int) throws {
        resumedStep = step
        progress = try ProgressFile(continuing: path("progress.csv"), length: length)
    }

    /// Has the rows of `progress.csv` on the disk.
    ///
    /// - Returns: their bytes.
    public func synchroniseProgress() -> Int {
        progress?.synchronise()
        return progress?.length ?? 0
    }

    /// Writes the best policy so far to `best/`, which can be evaluated like a run's folder.
    public func writeBest(_ configuration: RunConfiguration, _ policy: any Policy) throws {
        let best = RunFolder(existing: path("best"))
        guard mkdir(best.url.path, 0o755) == 0 || errno == EEXIST else { throw DurableFile.failure(best.url.path) }
        try best.write(configuration)
        _ = try best.write(policy)
    }

    /// Writes `policy.safetensors`.
    ///
    /// - Returns: the file's SHA-256.
    public func write(_ policy: any Policy) throws -> String {
        let bytes = Safetensors.encode(policy.tensors)
        try write(bytes, to: "policy.safetensors")
        return sha256(bytes)
    }

    /// Writes `summary.json`.
    public func write(_ summary: RunSummary) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try write(Array(encoder.encode(summary)) + Array("\n".utf8), to: "summary.json")
    }

    private func write(_ bytes: [UInt8], to name: String) throws { try DurableFile.write(bytes, to: path(name)) }

    // MARK: Reading

    /// Reads `config.yaml`.
    ///
    /// - Throws: ``RunFolderError`` or ``HyperparameterError``.
    public func configuration() throws -> RunConfiguration {
        guard let text = try? String(contentsOf: file("config.yaml"), encoding: .utf8) else {
            throw RunFolderError("\(url.path) is no run's folder: it has no readable config.yaml")
        }
        guard let root = try? Yams.compose(yaml: text)?.mapping,
            let algorithm = root["algorithm"]?.string.flatMap(Algorithm.init(rawValue:)),
            let environment = root["environment"]?.string, let seed = root["seed"]?.string.flatMap({ UInt64($0) }),
            let settings = root["hyperparameters"]?.mapping
        else {
            throw RunFolderError("\(path("config.yaml")) lacks its algorithm, environment, seed or hyperparameters")
        }
        var hyperparameters = Hyperparameters(algorithm.schema)
        for (key, value) in settings {
            try hyperparameters.set(key.string ?? "", Presets.text(of: value), source: path("config.yaml"))
        }
        return RunConfiguration(
            algorithm: algorithm, environment: environment, seed: seed, hyperparameters: hyperparameters)
    }

    /// Reads `policy.safetensors`.
    ///
    /// - Throws: ``RunFolderError`` or ``PolicyError``.
    public func policyTensors() throws -> [NamedTensor] {
        guard let data = try? Data(contentsOf: file("policy.safetensors")) else {
            throw RunFolderError("\(url.path) has no readable policy.safetensors: the run did not end whole")
        }
        do {
            return try Safetensors.decode([UInt8](data)).tensors
        } catch let error as RunFileError {
            throw PolicyError("\(path("policy.safetensors")): \(error)")
        }
    }

    private func file(_ name: String) -> URL { url.appendingPathComponent(name) }
    private func path(_ name: String) -> String { file(name).path }
}
