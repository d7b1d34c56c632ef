import Foundation
import GymCore

/// A method of this package, by the name that users type.
public struct Algorithm: RawRepresentable, CaseIterable, Hashable, Sendable {
    /// The registry, in the order of listings. Adding a method adds a line here.
    private static let methods: [any Method.Type] = [
        PPO.self,
        A2C.self,
        DQN.self,
        DDPG.self,
        TD3.self,
        SAC.self,
    ]

    private let method: any Method.Type

    /// A method by its type.
    public init(_ method: any Method.Type) { self.method = method }

    /// The method of a name; `nil` where there is none.
    public init?(rawValue: String) {
        guard let method = Algorithm.methods.first(where: { $0.name == rawValue }) else { return nil }
        self.method = method
    }

    /// All methods.
    public static var allCases: [Algorithm] { methods.map { Algorithm($0) } }

    /// The name.
    public var rawValue: String { method.name }

    public static func == (one: Algorithm, other: Algorithm) -> Bool { one.rawValue == other.rawValue }
    public func hash(into hasher: inout Hasher) { hasher.combine(rawValue) }

    /// The method's hyperparameters.
    public var schema: [Hyperparameter] { method.schema }

    /// A line about it.
    public var summary: String { method.summary }

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - batch: as many environments as `n_envs` says, with same-step autoreset.
    ///   - overlaps: whether the learner works while environments step, where it can; the result is the same.
    ///   - threads: of the learner; the result is the same. `nil`: as many as the process may run on, where there is
    ///     enough to do.
    /// - Throws: ``UnsupportedSpaceError``, or ``HyperparameterError`` for values that do not go together.
    public func learner(
        on batch: any EnvironmentBatch, hyperparameters: Hyperparameters, seed: UInt64, threads: Int? = nil,
        overlaps: Bool = false
    ) throws -> any Learner {
        try method.learner(
            on: batch, hyperparameters, LearnerOptions(seed: seed, threads: threads, overlaps: overlaps))
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public func policy(
        _ hyperparameters: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        try method.policy(hyperparameters, observationSpace: observationSpace, actionSpace: actionSpace)
    }

    /// What came with the package as presets.
    public func presets() throws -> Presets {
        try Presets(yaml: String(decoding: method.presetFile, as: UTF8.self), source: "the presets of \(rawValue)")
    }

    /// The hyperparameters of a run: the defaults, over them the preset, over it what was set by hand.
    ///
    /// - Parameters:
    ///   - environment: names the preset when `preset` does not.
    ///   - preset: an entry's name, or the path of a YAML file (with a `/` or ending in `.yml` or `.yaml`).
    ///   - settings: keys and values, the later winning.
    /// - Throws: ``PresetError`` or ``HyperparameterError``.
    public func hyperparameters(
        environment: String, preset: String? = nil, settings: [(key: String, value: String)] = []
    ) throws -> Hyperparameters {
        var hyperparameters = Hyperparameters(schema)
        if let entry = try entry(environment: environment, preset: preset) {
            for (key, value) in entry.settings {
                try hyperparameters.set(key, value, source: "preset \(entry.name)")
            }
        }
        for (key, value) in settings { try hyperparameters.set(key, value, source: "--set \(key)") }
        return hyperparameters
    }

    private func entry(environment: String, preset: String?) throws -> Presets.Entry? {
        guard let preset else { return try presets().entry(environment) }
        let isFile = preset.contains("/") || preset.hasSuffix(".yml") || preset.hasSuffix(".yaml")
        guard isFile else {
            let presets = try presets()
            if let entry = presets.entry(preset) { return entry }
            let names = presets.entries.map(\.name)
            throw PresetError(
                "there is no preset '\(preset)' for \(rawValue)" + suggestion(for: preset, in: names)
                    + "; there are \(names.joined(separator: ", "))")
        }
        guard let text = try? String(contentsOfFile: preset, encoding: .utf8) else {
            throw PresetError("the preset file \(preset) cannot be read")
        }
        let presets = try Presets(yaml: text, source: preset)
        if let entry = presets.entry(environment) { return entry }
        throw PresetError(presets.absence(of: environment, in: preset))
    }
}
