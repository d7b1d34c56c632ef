import Foundation
public import GymCore

/// A recording of one environment under `Tests/Fixtures`; its README says how they were made.
///
/// `World` is what the file tells about the terrain and the start, for environments that draw one; ``NoWorld`` skips it.
public struct GoldenTrajectories<World: Decodable & Sendable>: Decodable, Sendable {
    /// The recorded episodes.
    public let episodes: [GoldenEpisode<World>]

    /// Reads a gzip-compressed fixture, such as `golden/cartpole-v1.json.gz`.
    public init(_ path: String) throws {
        self = try JSONDecoder().decode(Self.self, from: Fixtures.unpack(path))
    }
}

/// For recordings whose world is not looked at.
public struct NoWorld: Decodable, Sendable {}

/// One recorded episode.
public struct GoldenEpisode<World: Decodable & Sendable>: Decodable, Sendable {
    /// The environment's id, where a file holds several.
    public let id: String?
    /// What the first reset was seeded with.
    public let seed: UInt64
    /// What the environment was made with.
    public let kwargs: [String: OptionValue]
    /// What the first reset was given.
    public let options: [String: OptionValue]
    /// The first observation.
    public let firstObservation: [Float]
    /// For each step its action; discrete ones as one number.
    public let actions: [[Double]]
    /// For each step the observation after it.
    public let observations: [[Float]]
    /// For each step its reward.
    public let rewards: [Double]
    /// For each step whether the task ended with it.
    public let terminated: [Bool]
    /// For each step whether the episode was cut off with it.
    public let truncated: [Bool]
    /// The observation of an unseeded reset without options after the last step.
    public let nextFirstObservation: [Float]?
    /// The terrain and the start.
    public let world: World?

    private enum Key: String, CodingKey {
        case id, seed, kwargs, options, reset, actions, obs, rewards, terminated, truncated, world
        case nextReset = "next_episode_reset"
    }

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        func named(_ key: Key) throws -> [String: OptionValue] {
            try fields.decodeIfPresent([String: GoldenOption].self, forKey: key)?.mapValues(\.value) ?? [:]
        }
        id = try fields.decodeIfPresent(String.self, forKey: .id)
        seed = try fields.decode(UInt64.self, forKey: .seed)
        kwargs = try named(.kwargs)
        options = try named(.options)
        firstObservation = try fields.decode([Float].self, forKey: .reset)
        let discrete = try? fields.decode([Double].self, forKey: .actions).map { [$0] }
        actions = try discrete ?? fields.decode([[Double]].self, forKey: .actions)
        observations = try fields.decode([[Float]].self, forKey: .obs)
        rewards = try fields.decode([Double].self, forKey: .rewards)
        terminated = try fields.decode([Bool].self, forKey: .terminated)
        truncated = try fields.decode([Bool].self, forKey: .truncated)
        nextFirstObservation = try fields.decodeIfPresent([Float].self, forKey: .nextReset)
        world = World.self == NoWorld.self ? nil : try fields.decodeIfPresent(World.self, forKey: .world)
    }
}

/// An option as JSON writes it.
public struct GoldenOption: Decodable, Sendable {
    /// The option's value.
    public let value: OptionValue

    public init(from decoder: any Decoder) throws {
        let field = try decoder.singleValueContainer()
        if let value = try? field.decode(Bool.self) {
            self.value = .bool(value)
        } else if let value = try? field.decode(Int.self) {
            self.value = .integer(value)
        } else if let value = try? field.decode(Double.self) {
            self.value = .real(value)
        } else if let value = try? field.decode(String.self) {
            self.value = .text(value)
        } else {
            value = .list(try field.decode([GoldenOption].self).map(\.value))
        }
    }
}

/// How far a replay is from its recording.
public struct ReplayFigures: Sendable, CustomStringConvertible {
    /// Observation values compared.
    public var values = 0
    /// Observation values that are equal as float32.
    public var equalValues = 0
    /// The largest |replayed − recorded| / |recorded| of an observation value.
    public var largestRelativeError = 0.0
    /// The largest |replayed − recorded| of an observation value.
    public var largestError = 0.0
    /// The largest |replayed − recorded| / max(|recorded|, 1e-12) of a reward.
    public var largestRewardError = 0.0
    /// Steps whose flags are not the recorded ones, and environments that failed.
    public var mismatches: [String] = []
    /// First observations that are not equal as float32.
    public var unequalStarts: [String] = []

    /// Nothing compared.
    public init() {}

    /// Of the observation values, the share that is equal as float32.
    public var equalShare: Double { values == 0 ? 1 : Double(equalValues) / Double(values) }

    /// Compares an observation with the recorded one.
    public mutating func compare(_ replayed: some Collection<Float>, with recorded: [Float]) {
        for (value, expected) in zip(replayed, recorded) {
            values += 1
            if value == expected {
                equalValues += 1
                continue
            }
            let error = abs(Double(value) - Double(expected))
            largestError = max(largestError, error)
            largestRelativeError = max(largestRelativeError, error / abs(Double(expected)))
        }
    }

    /// The figures in a line.
    public var description: String {
        "\(equalValues) of \(values) values equal (\(100 * equalShare) %), largest error \(largestError), "
            + "relative \(largestRelativeError), of a reward \(largestRewardError)"
    }
}

extension GoldenEpisode {
    /// Replays the episode: its reset, its steps, and the unseeded reset that follows.
    ///
    /// - Parameter batch: one environment, made with ``kwargs`` and without autoreset.
    public func replay(in batch: any VectorEnvironment, figures: inout ReplayFigures) throws {
        let buffers = StepBuffers(observationSpace: batch.observationSpace, count: 1)
        let actions = BatchBuffer(space: batch.actionSpace, count: 1)
        let observation: UnsafeMutableBufferPointer<Float> = buffers.observation.elements()
        _ = try batch.reset(rows: [0], seeds: [seed], options: options, wantsInfo: false, into: buffers)
        figures.compare(observation, with: firstObservation)
        if Array(observation) != firstObservation {
            figures.unequalStarts.append("seed \(seed): starts with \(Array(observation)), not \(firstObservation)")
        }
        for (step, action) in self.actions.enumerated() {
            switch batch.actionSpace {
            case .discrete: actions.elements(as: Int64.self)[0] = Int64(action[0])
            default:
                for (index, value) in action.enumerated() { actions.elements(as: Float.self)[index] = Float(value) }
            }
            let faults = batch.step(rows: 0..<1, actions: actions, wantsInfo: false, into: buffers)
            for fault in faults { figures.mismatches.append("seed \(seed), step \(step): \(fault.message)") }
            figures.compare(observation, with: observations[step])
            let error = abs(buffers.rewards[0] - rewards[step]) / max(abs(rewards[step]), 1e-12)
            figures.largestRewardError = max(figures.largestRewardError, error)
            if (buffers.terminated[0] == 1) != terminated[step] || (buffers.truncated[0] == 1) != truncated[step] {
                figures.mismatches.append(
                    "seed \(seed), step \(step): terminated \(buffers.terminated[0]), truncated \(buffers.truncated[0])"
                )
            }
        }
        if let nextFirstObservation {
            _ = try batch.reset(rows: [0], seeds: [], options: [:], wantsInfo: false, into: buffers)
            figures.compare(observation, with: nextFirstObservation)
            if Array(observation) != nextFirstObservation {
                figures.unequalStarts.append(
                    "seed \(seed): goes on with \(Array(observation)), not \(nextFirstObservation)")
            }
        }
    }
}
