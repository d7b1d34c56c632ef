import Foundation
import GymCore
import GymEnvironments
import TestSupport
import Testing

/// One environment stepped from outside, for comparing it with recordings of discrete tasks.
struct SingleEnvironment {
    let batch: any VectorEnvironment
    private let buffers: StepBuffers
    private let actions: BatchBuffer

    init(_ id: String, options: [String: OptionValue]) throws {
        batch = try GymEnvironments.registry.make(
            id, VectorEnvironmentSettings(options: options, autoreset: .disabled, checksObservations: true))
        buffers = StepBuffers(observationSpace: batch.observationSpace, count: 1)
        actions = BatchBuffer(space: batch.actionSpace, count: 1)
    }

    /// The numbers of a discrete observation or a tuple of them.
    var observation: [Int] {
        buffers.observation.leaves.indices.map { Int(buffers.observation.elements(ofLeaf: $0, as: Int64.self)[0]) }
    }

    var reward: Double { buffers.rewards[0] }
    var terminated: Bool { buffers.terminated[0] == 1 }
    var truncated: Bool { buffers.truncated[0] == 1 }

    private func info(_ name: String) -> Tensor? {
        guard case .tensor(let tensor)? = buffers.infos[0].first(where: { $0.name == name })?.value else { return nil }
        return tensor
    }

    var infoNames: [String] { buffers.infos[0].map(\.name) }
    var probability: Double? { info("prob")?.elements(as: Double.self)[0] }
    var actionMask: [Int]? { info("action_mask")?.elements(as: Int8.self).map(Int.init) }

    func text() throws -> String? {
        guard batch.spec.renderModes.contains("ansi") else { return nil }
        guard case .text(let text) = try batch.render(row: 0, mode: "ansi") else { return nil }
        return text
    }

    func reset(seed: UInt64?) throws {
        let report = try batch.reset(
            rows: [0], seeds: seed.map { [$0] } ?? [], options: [:], wantsInfo: true, into: buffers)
        for fault in report.faults { throw fault }
    }

    func step(_ action: Int) throws {
        actions.elements(as: Int64.self)[0] = Int64(action)
        for fault in batch.step(rows: 0..<1, actions: actions, wantsInfo: true, into: buffers) { throw fault }
    }
}

/// An observation as the recordings have it: a number, or several.
private struct Numbers: Decodable, Equatable {
    let values: [Int]

    init(from decoder: any Decoder) throws {
        let field = try decoder.singleValueContainer()
        values = try (try? field.decode(Int.self)).map { [$0] } ?? field.decode([Int].self)
    }
}

/// Replays what Gymnasium's environments of toy text did: every observation, reward, flag and info.
@Suite struct GoldenToyTextTests {
    /// A recording of steps that go on through the ends of episodes, over unseeded resets.
    private struct Recording: Decodable {
        struct Info: Decodable {
            let prob: Double?
            let actionMask: [Int]?

            enum CodingKeys: String, CodingKey {
                case prob
                case actionMask = "action_mask"
            }
        }

        /// A step's number and the first observation of the episode that begins after it.
        struct Reset: Decodable {
            let step: Int
            let observation: Numbers

            init(from decoder: any Decoder) throws {
                var fields = try decoder.unkeyedContainer()
                step = try fields.decode(Int.self)
                observation = try fields.decode(Numbers.self)
            }
        }

        struct Episodes: Decodable {
            let id: String
            let seed: UInt64
            let kwargs: [String: GoldenOption]
            let reset: Numbers
            let resetInfo: Info
            let actions: [Int]
            let obs: [Numbers]
            let rewards: [Double]
            let terminated: [Bool]
            let truncated: [Bool]
            let info: [Info]
            let resets: [Reset]

            enum CodingKeys: String, CodingKey {
                case id, seed, kwargs, reset, actions, obs, rewards, terminated, truncated, info, resets
                case resetInfo = "reset_info"
            }
        }

        let episodes: [Episodes]
    }

    @Test(arguments: GoldenToyTextTests.recorded)
    func goldenEpisodesReplay(file: String) throws {
        let data = try Fixtures.unpack("golden/\(file).json.gz")
        let recordings = try JSONDecoder().decode(Recording.self, from: data).episodes
        #expect(recordings.count >= 6)
        for recording in recordings {
            let environment = try SingleEnvironment(recording.id, options: recording.kwargs.mapValues(\.value))
            try environment.reset(seed: recording.seed)
            #expect(environment.observation == recording.reset.values)
            #expect(environment.probability == recording.resetInfo.prob)
            #expect(environment.actionMask == recording.resetInfo.actionMask)
            let starts = Dictionary(uniqueKeysWithValues: recording.resets.map { ($0.step, $0.observation) })
            for (step, action) in recording.actions.enumerated() {
                try environment.step(action)
                let info = recording.info[step]
                let isEqual =
                    environment.observation == recording.obs[step].values
                    && environment.reward == recording.rewards[step]
                    && environment.terminated == recording.terminated[step]
                    && environment.truncated == recording.truncated[step]
                    && environment.probability == info.prob && environment.actionMask == info.actionMask
                try #require(isEqual, "\(recording.id), \(recording.kwargs), seed \(recording.seed), step \(step)")
                if let start = starts[step] {
                    try environment.reset(seed: nil)
                    try #require(environment.observation == start.values, "reset after step \(step)")
                }
            }
        }
    }

    private static let recorded = ["frozenlake-v1", "cliffwalking-v1", "taxi-v4", "blackjack-v1"]

    // MARK: Many seeds and options, as digests

    /// What `record-toy-text.py` wrote.
    private struct Digests: Decodable {
        struct Case: Decodable {
            let id: String
            let kwargs: [String: GoldenOption]
            let policy: String
            /// For each seed from 0 on, the digest after `first` steps and after all.
            let digests: [[String]]
        }

        let steps: Int
        let first: Int
        let cases: [Case]
    }

    /// FNV-1a over words of 64 bits.
    private struct Digest {
        private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(_ word: UInt64) { value = (value ^ word) &* 0x100_0000_01B3 }

        /// What there is to be seen of an environment after a reset or a step, its reward left out.
        mutating func add(_ environment: SingleEnvironment) throws {
            for number in environment.observation { add(UInt64(bitPattern: Int64(number))) }
            if let probability = environment.probability { add(probability.bitPattern) }
            for bit in environment.actionMask ?? [] { add(UInt64(bit)) }
            for byte in try environment.text()?.utf8 ?? "".utf8 { add(UInt64(byte)) }
        }

        var hexadecimal: String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
    }

    @Test(arguments: GoldenToyTextTests.families)
    func manySeedsAndOptionsReplay(family: String) throws {
        let recorded = try JSONDecoder().decode(Digests.self, from: Fixtures.unpack("toy-text.json.gz"))
        let cases = recorded.cases.filter { $0.id.hasPrefix(family) }
        #expect(cases.count >= 4)
        for recordedCase in cases {
            let environment = try SingleEnvironment(recordedCase.id, options: recordedCase.kwargs.mapValues(\.value))
            #expect(recordedCase.digests.count == 30)
            for (seed, expected) in recordedCase.digests.enumerated() {
                let digests = try digests(
                    of: environment, seed: UInt64(seed), policy: recordedCase.policy, steps: recorded.steps,
                    first: recorded.first)
                try #require(
                    digests == expected, "\(recordedCase.id), \(recordedCase.kwargs.mapValues(\.value)), seed \(seed)")
            }
        }
    }

    private static let families = ["FrozenLake", "CliffWalking", "Taxi", "Blackjack"]

    private func digests(
        of environment: SingleEnvironment, seed: UInt64, policy: String, steps: Int, first: Int
    ) throws -> [String] {
        guard case .discrete(let actionCount, _) = environment.batch.actionSpace else { return [] }
        var generator = NumPyGenerator(seed: 10_000 + seed)
        var digest = Digest()
        var digests: [String] = []
        try environment.reset(seed: seed)
        try digest.add(environment)
        for step in 1...steps {
            var action = 0
            if policy == "mask", let mask = environment.actionMask {
                let allowed = mask.indices.filter { mask[$0] == 1 }
                action = allowed[generator.integer(in: 0..<allowed.count)]
            } else {
                action = generator.integer(in: 0..<actionCount)
            }
            try environment.step(action)
            try digest.add(environment)
            digest.add(environment.reward.bitPattern)
            digest.add((environment.terminated ? 2 : 0) + (environment.truncated ? 1 : 0))
            if environment.terminated || environment.truncated {
                try environment.reset(seed: nil)
                try digest.add(environment)
            }
            if step == first || step == steps { digests.append(digest.hexadecimal) }
        }
        return digests
    }
}
