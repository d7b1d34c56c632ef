import Foundation
import GymCore

/// The algorithms of this package, by the names that users type.
public enum Algorithm: String, Sendable, CaseIterable {
    case ppo
    case dqn
    case td3
    case sac

    /// The algorithm's hyperparameters.
    public var schema: [Hyperparameter] {
        switch self {
        case .ppo: PPO.schema
        case .dqn: DQN.schema
        case .td3: TD3.schema
        case .sac: SAC.schema
        }
    }

    /// A line about it.
    public var summary: String {
        switch self {
        case .ppo: "proximal policy optimisation: on-policy, discrete and continuous actions"
        case .dqn: "deep Q-learning: off-policy, discrete actions"
        case .td3: "twin delayed deterministic policy gradient: off-policy, continuous actions"
        case .sac: "soft actor-critic: off-policy, continuous actions"
        }
    }

    /// A run that has not started.
    ///
    /// - Parameters:
    ///   - batch: as many environments as `n_envs` says, with same-step autoreset.
    ///   - threads: of the learner; the result is the same. By default as many as the process may run on.
    ///   - overlaps: whether the learner works while environments step, where it can; the result is the same.
    /// - Throws: ``UnsupportedSpaceError``, or ``HyperparameterError`` for values that do not go together.
    public func learner(
        on batch: any EnvironmentBatch, hyperparameters: Hyperparameters, seed: UInt64, threads: Int? = nil,
        overlaps: Bool = false
    ) throws -> any Learner {
        switch self {
        case .ppo: try PPO(batch: batch, hyperparameters: hyperparameters, seed: seed, threads: threads)
        case .dqn:
            try DQN(
                batch: batch, hyperparameters: hyperparameters, seed: seed, threads: threads, overlaps: overlaps)
        case .td3:
            try TD3(
                batch: batch, hyperparameters: hyperparameters, seed: seed, threads: threads, overlaps: overlaps)
        case .sac:
            try SAC(
                batch: batch, hyperparameters: hyperparameters, seed: seed, threads: threads, overlaps: overlaps)
        }
    }

    /// A policy of the shape that a run with these hyperparameters learns, for weights to be loaded into.
    ///
    /// - Throws: ``UnsupportedSpaceError``.
    public func policy(
        _ hyperparameters: Hyperparameters, observationSpace: Space, actionSpace: Space
    ) throws -> any Policy {
        switch self {
        case .ppo:
            try PPO.policy(hyperparameters, observationSpace: observationSpace, actionSpace: actionSpace)
        case .dqn:
            try DQN.policy(hyperparameters, observationSpace: observationSpace, actionSpace: actionSpace)
        case .td3:
            try TD3.policy(hyperparameters, observationSpace: observationSpace, actionSpace: actionSpace)
        case .sac:
            try SAC.policy(hyperparameters, observationSpace: observationSpace, actionSpace: actionSpace)
        }
    }

    /// What came with the package as presets.
    public func presets() throws -> Presets {
        let bytes =
            switch self {
            case .ppo: PackageResources.ppo_yml
            case .dqn: PackageResources.dqn_yml
            case .td3: PackageResources.td3_yml
            case .sac: PackageResources.sac_yml
            }
        return try Presets(yaml: String(decoding: bytes, as: UTF8.self), source: "the presets of \(rawValue)")
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
