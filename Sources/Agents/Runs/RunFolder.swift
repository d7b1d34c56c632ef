import Foundation
import Glibc
import GymCore
import RunFiles
import Yams

/// A run's folder cannot be written or read.
public struct RunFolderError: Error, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}

/// The folder that a run writes: `config.yaml`, `progress.csv`, `tensorboard/`, `checkpoints/`, `best/`,
/// `policy.safetensors`, `summary.json`, and `initial.safetensors` when it started with another run's policy.
public final class RunFolder {
    /// The version that `config.yaml` names.
    public static let version = "0.1.0"

    /// The folder.
    public let url: URL
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
        try RunFolder.makeFolders(url.path)
    }

    /// Makes the first of `BASE-1`, `BASE-2`, … that is not there. Of several runs that look for one at the same time each
    /// gets its own.
    ///
    /// - Throws: ``RunFolderError`` when it cannot be made.
    public init(numbering base: String) throws {
        let base = URL(fileURLWithPath: base)
        try RunFolder.makeFolders(base.deletingLastPathComponent().path)
        var number = 1
        while mkdir("\(base.path)-\(number)", 0o755) != 0 {
            let path = "\(base.path)-\(number)"
            guard errno == EEXIST else { throw RunFolder.cannotMake(path, because: path) }
            number += 1
        }
        url = URL(fileURLWithPath: "\(base.path)-\(number)")
    }

    /// Makes a folder, and those that it lies in.
    private static func makeFolders(_ path: String) throws {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/" + part
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else { throw cannotMake(path, because: made) }
        }
    }

    private static func cannotMake(_ path: String, because part: String) -> RunFolderError {
        RunFolderError("cannot make the run folder \(path): \(part): \(String(cString: strerror(errno)))")
    }

    /// Why no new run can be written to `path`: what is there already, if anything is.
    public static func obstacle(at path: String) -> String? {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return nil }
        guard isFolder.boolValue else { return "\(path) is a file; a run needs a folder, new or empty" }
        let contents = try? FileManager.default.contentsOfDirectory(atPath: path)
        return contents?.isEmpty == false ? "the folder \(path) is not empty; choose another, or remove it" : nil
    }

    /// Takes the folder for this object alone, as long as it lives or until ``unlock()``. Locking again does nothing.
    ///
    /// - Throws: ``RunFolderError`` when another run goes on in it.
    public func lock() throws {
        if lockDescriptor >= 0 { return }
        let descriptor = open(url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw RunFolderError("cannot open \(url.path): \(String(cString: strerror(errno)))")
        }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK {
            close(descriptor)
            throw RunFolderError("another process is training in \(url.path); wait for it, or end it")
        }
        lockDescriptor = descriptor
    }

    /// Leaves the folder to others.
    public func unlock() {
        if lockDescriptor >= 0 { close(lockDescriptor) }
        lockDescriptor = -1
    }

    deinit { unlock() }

    /// What a run without checkpoints left that starting again would overwrite, if anything.
    public var resultWithoutCheckpoint: String? {
        let names = ["policy.safetensors", "summary.json"]
        return names.first { FileManager.default.fileExists(atPath: path($0)) }.map { "holds \($0)" }
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
            "environment: \(quoted(configuration.environment))", "seed: \(configuration.seed)",
        ]
        if let hash = configuration.initialWeightsSha256 { lines.append("initial_weights_sha256: \(hash)") }
        lines.append("hyperparameters:")
        lines += configuration.hyperparameters.resolved.map { "  \($0.key): \(quoted($0.value))" }
        try write(Array((lines.joined(separator: "\n") + "\n").utf8), to: "config.yaml")
    }

    /// Where the run's log goes: `progress.csv` and `tensorboard/`.
    public func sinks() -> [any MetricSink] { [CSVSink(path("progress.csv")), TensorBoardSink(path("tensorboard"))] }

    /// Writes the best policy so far to `best/`, which can be evaluated like a run's folder.
    public func writeBest(_ configuration: RunConfiguration, _ policy: any Policy) throws {
        let best = RunFolder(existing: path("best"))
        guard mkdir(best.url.path, 0o755) == 0 || errno == EEXIST else { throw DurableFile.failure(best.url.path) }
        try best.write(configuration)
        try best.write(policy)
    }

    /// Writes `policy.safetensors`.
    ///
    /// - Returns: the file's SHA-256.
    @discardableResult
    public func write(_ policy: any Policy) throws -> String {
        let bytes = Safetensors.encode(policy.tensors)
        try write(bytes, to: "policy.safetensors")
        return sha256(bytes)
    }

    /// Keeps the policy that the run starts with as `initial.safetensors`: there may be no checkpoint to go on from.
    func write(initial tensors: [NamedTensor]) throws {
        try write(Safetensors.encode(tensors), to: "initial.safetensors")
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
        var configuration = RunConfiguration(
            algorithm: algorithm, environment: environment, seed: seed, hyperparameters: hyperparameters)
        configuration.initialWeightsSha256 = root["initial_weights_sha256"]?.string
        return configuration
    }

    /// Reads `policy.safetensors`.
    ///
    /// - Throws: ``RunFolderError`` or ``PolicyError``.
    public func policyTensors() throws -> [NamedTensor] {
        try tensors("policy.safetensors", orElse: "the run did not end whole")
    }

    /// Reads `initial.safetensors`, the policy that the run started with.
    ///
    /// - Throws: ``RunFolderError`` or ``PolicyError``.
    func initialTensors() throws -> [NamedTensor] {
        try tensors("initial.safetensors", orElse: "the run cannot start again from its beginning")
    }

    private func tensors(_ name: String, orElse consequence: String) throws -> [NamedTensor] {
        guard let data = try? Data(contentsOf: file(name)) else {
            throw RunFolderError("\(url.path) has no readable \(name): \(consequence)")
        }
        do {
            return try Safetensors.decode([UInt8](data)).tensors
        } catch let error as RunFileError {
            throw PolicyError("\(path(name)): \(error)")
        }
    }

    /// Reads `summary.json`; `nil` when the run has not ended.
    public func summary() -> RunSummary? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return (try? Data(contentsOf: file("summary.json"))).flatMap { try? decoder.decode(RunSummary.self, from: $0) }
    }

    private func file(_ name: String) -> URL { url.appendingPathComponent(name) }
    private func path(_ name: String) -> String { file(name).path }
}
