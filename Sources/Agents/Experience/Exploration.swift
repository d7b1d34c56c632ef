import GymCore
import NeuralNetwork

/// What is done at random by a method with real actions, part by part: actions before learning starts, the policy's own
/// draws, and noise on top of them.
final class Exploration {
    private let parts: Parts
    private let environments: Int
    /// Draws what is done at random.
    private var actions: [NumPyGenerator]
    /// Draws noise.
    private var noises: [NumPyGenerator]
    private var noise: [ExplorationNoise]

    init<Declared: ExplorationSettings>(
        _ configuration: MethodConfiguration<Declared>, _ work: BoxWork
    ) {
        let (shape, seed, parts) = (work.shape, work.seed, work.parts)
        self.parts = parts
        environments = shape.environments
        actions = (0..<parts.count).map { parts.generator(.actions, seed: seed, part: $0) }
        noises = (0..<parts.count).map { parts.generator(.exploration, seed: seed, part: $0) }
        let each = shape.environments / parts.count
        noise = (0..<parts.count).map { _ in
            ExplorationNoise(
                configuration.noise, deviation: configuration.noiseDeviation, environments: each,
                size: shape.actionSize)
        }
    }

    /// The environments of a part.
    func rows(_ part: Int) -> Range<Int> { parts.range(part, of: environments) }

    /// Has `body` draw with each part's generator of actions, and with its generator of noise that lasts.
    func eachPart(
        _ body: (_ part: Int, _ rows: Range<Int>, _ actions: inout NumPyGenerator, _ noise: inout NumPyGenerator) ->
            Void
    ) {
        for part in 0..<parts.count { body(part, rows(part), &actions[part], &noises[part]) }
    }

    /// Actions from −1 to 1, each as likely as the others.
    func chooseAtRandom(into matrix: Matrix) {
        eachPart { _, rows, generator, _ in
            for row in rows {
                for column in 0..<matrix.columns { matrix[row, column] = Float(generator.uniform(-1, 1)) }
            }
        }
    }

    /// Adds the next step's noise to actions, which stay within −1 … 1.
    func addNoise(to matrix: Matrix, progress: Progress) {
        for part in 0..<parts.count {
            noise[part].advance(progressRemaining: progress.remaining, generator: &noises[part])
            noise[part].add(to: matrix[rows: rows(part)])
        }
    }

    /// Forgets the past of an environment whose episode ended.
    func reset(environment: Int) {
        let each = environments / parts.count
        noise[environment / each].reset(environment: environment % each)
    }

    func code(_ state: inout StateCoder) throws {
        for part in 0..<parts.count {
            try state(&actions[part])
            try state(&noises[part])
            try noise[part].code(&state)
        }
    }
}

/// What every method with real actions can be told.
open class ExplorationSettings: OffPolicySettings, @unchecked Sendable {
    /// `noise_type`
    public let noise: Setting<ExplorationNoise.Kind?>
    /// `noise_std`
    public let noiseDeviation = Setting<Schedule>(
        "noise_std", 0.1, in: 0...10, "its deviation, actions being scaled to -1 ... 1")

    /// The settings with a method's own defaults.
    public init(
        noise: ExplorationNoise.Kind?, batchSize: Int, learningRate: Schedule, trainFrequency: Int,
        hiddenLayers: HiddenLayers
    ) {
        self.noise = Setting("noise_type", noise, "noise on the actions; null: none")
        super.init(
            batchSize: batchSize, learningRate: learningRate, trainFrequency: trainFrequency,
            hiddenLayers: hiddenLayers)
    }
}
