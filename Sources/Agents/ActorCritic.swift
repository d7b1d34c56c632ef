import Foundation
import GymCore
import NeuralNetwork

/// A stochastic policy and a value function, each a network of its own: what PPO and its relatives learn.
///
/// The two share nothing, so that two threads can work on them at the same time.
public final class ActorCritic: @unchecked Sendable {
    /// What the actor's outputs parametrise.
    enum Head {
        /// Logits.
        case categorical(Categorical)
        /// Means; the deviations are parameters that do not depend on the state.
        case gaussian(logDeviations: ParameterView)
        /// Means; the noise depends on the last hidden layer (gSDE).
        case stateDependent(StateDependentNoise, logDeviations: ParameterView)
    }

    /// What the networks look like.
    public struct Architecture: Sendable {
        /// Widths of the actor's hidden layers.
        public var actor: [Int]
        /// Widths of the critic's hidden layers.
        public var critic: [Int]
        /// What follows a hidden layer.
        public var activation: Activation
        /// Whether hidden layers are normalised before their activation.
        public var usesLayerNorm: Bool
        /// Whether weights start orthogonal: gain √2 in hidden layers, 0.01 at the policy's output, 1 at the value's.
        /// Else as PyTorch's `Linear`.
        public var isOrthogonal: Bool
        /// The logarithm of the deviations at the start.
        public var logDeviation: Float
        /// Whether exploration is state-dependent (gSDE); only for real actions.
        public var usesStateDependentNoise: Bool

        /// Networks of the given widths.
        public init(
            actor: [Int], critic: [Int], activation: Activation, usesLayerNorm: Bool = false, isOrthogonal: Bool,
            logDeviation: Float, usesStateDependentNoise: Bool
        ) {
            self.actor = actor
            self.critic = critic
            self.activation = activation
            self.usesLayerNorm = usesLayerNorm
            self.isOrthogonal = isOrthogonal
            self.logDeviation = logDeviation
            self.usesStateDependentNoise = usesStateDependentNoise
        }
    }

    package let encoder: ObservationEncoder
    package let codec: ActionCodec
    let head: Head
    /// From observations to the head's parameters.
    public let actor: Network
    /// From observations to one value.
    public let critic: Network
    /// The actor's parameters, deviations included.
    public let actorStore: ParameterStore
    /// The critic's parameters.
    public let criticStore: ParameterStore
    let actorWorkspace: Network.Workspace
    let criticWorkspace: Network.Workspace
    private let noiseWorkspace: StateDependentNoise.Workspace?
    /// gSDE's maps, one an environment; (environments, features, actions).
    private var maps: UnsafeMutablePointer<Float>?
    private let uniforms: UnsafeMutablePointer<Double>
    let capacity: Int

    /// Networks for the given spaces.
    ///
    /// - Parameters:
    ///   - environments: rows that may act at a time.
    ///   - capacity: rows that a pass may have.
    /// - Throws: ``UnsupportedSpaceError``.
    package init(
        input: NetworkInput, actionSpace: Space, architecture: Architecture, environments: Int, capacity: Int,
        generator: inout NumPyGenerator
    ) throws {
        encoder = input.encoder
        codec = try ActionCodec(actionSpace)
        self.capacity = max(capacity, environments)
        var layout = ParameterLayout()
        let outputs: Int
        switch codec.kind {
        case .choices(let counts): outputs = counts.reduce(0, +)
        case .reals(let count): outputs = count
        }
        actor = input.network(
            "policy", hidden: architecture.actor, outputs: outputs, activation: architecture.activation,
            layerNorm: architecture.usesLayerNorm, layout: &layout)
        switch codec.kind {
        case .choices(let counts):
            if architecture.usesStateDependentNoise {
                throw UnsupportedSpaceError(
                    "state-dependent exploration (use_sde) needs actions from a Box, not \(actionSpace)")
            }
            head = .categorical(Categorical(choices: counts))
        case .reals(let count):
            if architecture.usesStateDependentNoise {
                let features = actor.dense.layers.last!.inputs
                let noise = StateDependentNoise(features: features, actions: count)
                head = .stateDependent(noise, logDeviations: layout.add("log_std", shape: [features, count]))
            } else {
                head = .gaussian(logDeviations: layout.add("log_std", shape: [count]))
            }
        }
        actorStore = ParameterStore(layout)
        var criticLayout = ParameterLayout()
        critic = input.network(
            "value", hidden: architecture.critic, outputs: 1, activation: architecture.activation,
            layerNorm: architecture.usesLayerNorm, layout: &criticLayout)
        criticStore = ParameterStore(criticLayout)

        func start(_ gain: Float) -> Initialisation { architecture.isOrthogonal ? .orthogonal(gain: gain) : .uniform }
        let hidden = start(Float(2).squareRoot())
        // The policy starts close to uniform, so that no action is favoured before anything is learnt.
        actor.initialise(actorStore, hidden: hidden, output: start(0.01), generator: &generator)
        critic.initialise(criticStore, hidden: hidden, output: start(1), generator: &generator)
        actorWorkspace = Network.Workspace(for: actor, capacity: self.capacity)
        criticWorkspace = Network.Workspace(for: critic, capacity: self.capacity)
        uniforms = .allocate(capacity: codec.size)
        switch head {
        case .categorical: noiseWorkspace = nil
        case .gaussian(let view):
            actorStore[view].update(repeating: architecture.logDeviation)
            noiseWorkspace = nil
        case .stateDependent(let noise, let view):
            actorStore[view].update(repeating: architecture.logDeviation)
            noiseWorkspace = StateDependentNoise.Workspace(for: noise, capacity: self.capacity)
            maps = allocateFloats(environments * noise.features * noise.actions)
        }
    }

    deinit {
        uniforms.deallocate()
        maps?.deallocate()
    }

    // MARK: Acting

    /// Draws gSDE's maps anew; nothing for other policies.
    package func resetNoise(environments: Int, generator: inout NumPyGenerator) {
        guard case .stateDependent(let noise, let view) = head, let maps else { return }
        let size = noise.features * noise.actions
        for environment in 0..<environments {
            noise.drawMap(
                actorStore[view].baseAddress!, generator: &generator, into: maps + environment * size)
        }
    }

    /// Draws an action for each row and writes its log-probability.
    ///
    /// - Parameters:
    ///   - observations: (rows, observation).
    ///   - actions: (rows, action): as drawn, before any clipping.
    package func act(
        _ observations: UnsafeRawPointer, rows: Int, generator: inout NumPyGenerator,
        actions: UnsafeMutablePointer<Float>, logProbabilities: UnsafeMutablePointer<Float>
    ) {
        let output = actor.forward(actorStore.values, observations, rows: rows, actorWorkspace)
        let size = codec.size
        switch head {
        case .categorical(let categorical):
            for row in 0..<rows {
                for dimension in 0..<size { uniforms[dimension] = generator.random() }
                let logits = output + row * categorical.width
                (actions + row * size).withMemoryRebound(to: Int32.self, capacity: size) { choice in
                    categorical.sample(logits, uniforms: uniforms, into: choice)
                    logProbabilities[row] = categorical.logProbability(logits, action: choice)
                }
            }
        case .gaussian(let view):
            let logDeviations = actorStore[view].baseAddress!
            for row in 0..<rows {
                let mean = output + row * size
                let action = actions + row * size
                for index in 0..<size {
                    let deviation = exp(Double(logDeviations[index]))
                    action[index] = mean[index] + Float(deviation * generator.standardNormal())
                }
                logProbabilities[row] = DiagonalGaussian.logProbability(
                    mean: mean, logDeviation: logDeviations, action: action, count: size)
            }
        case .stateDependent(let noise, let view):
            let latents = latents(observations)
            let workspace = noiseWorkspace!
            noise.deviations(actorStore[view].baseAddress!, latents: latents, rows: rows, workspace)
            for row in 0..<rows {
                let action = actions + row * size
                noise.noise(
                    latents: latents + row * noise.features, map: maps! + row * noise.features * size, into: action)
                for index in 0..<size { action[index] += output[row * size + index] }
                logProbabilities[row] = normalLogProbability(
                    mean: output + row * size, deviation: workspace.deviations + row * size, action: action, size)
            }
        }
    }

    /// The likeliest action of each row.
    package func mode(_ observations: UnsafeRawPointer, rows: Int, actions: UnsafeMutablePointer<Float>) {
        let output = actor.forward(actorStore.values, observations, rows: rows, actorWorkspace)
        let size = codec.size
        switch head {
        case .categorical(let categorical):
            for row in 0..<rows {
                (actions + row * size).withMemoryRebound(to: Int32.self, capacity: size) {
                    categorical.mode(output + row * categorical.width, into: $0)
                }
            }
        case .gaussian, .stateDependent:
            actions.update(from: output, count: rows * size)
        }
    }

    /// Writes actions where the environments read them, real ones brought into their bounds.
    func write(_ actions: UnsafeMutablePointer<Float>, rows: Int, to batch: BatchBuffer) {
        switch codec.kind {
        case .choices:
            actions.withMemoryRebound(to: Int32.self, capacity: rows * codec.size) {
                codec.write(choices: $0, rows: rows, to: batch)
            }
        case .reals: codec.write(reals: actions, rows: rows, to: batch)
        }
    }

    /// V(s) of any number of rows.
    package func values(_ observations: UnsafeRawPointer, rows: Int, into values: UnsafeMutablePointer<Float>) {
        for start in stride(from: 0, to: rows, by: capacity) {
            let count = min(capacity, rows - start)
            let output = critic.forward(
                criticStore.values, observations + start * encoder.format.rowBytes, rows: count, criticWorkspace)
            (values + start).update(from: output, count: count)
        }
    }

    // MARK: Learning

    /// Computes log π(a|s) and the entropy of each row, and keeps what ``backward(_:actions:rows:byLogProbability:byEntropy:)`` needs.
    package func evaluate(
        _ observations: UnsafeRawPointer, actions: UnsafeMutablePointer<Float>, rows: Int,
        logProbabilities: UnsafeMutablePointer<Float>, entropies: UnsafeMutablePointer<Float>
    ) {
        let output = actor.forward(actorStore.values, observations, rows: rows, actorWorkspace)
        let size = codec.size
        switch head {
        case .categorical(let categorical):
            actions.withMemoryRebound(to: Int32.self, capacity: rows * size) { choices in
                for row in 0..<rows {
                    let logits = output + row * categorical.width
                    logProbabilities[row] = categorical.logProbability(logits, action: choices + row * size)
                    entropies[row] = categorical.entropy(logits)
                }
            }
        case .gaussian(let view):
            let logDeviations = actorStore[view].baseAddress!
            let entropy = DiagonalGaussian.entropy(logDeviation: logDeviations, count: size)
            for row in 0..<rows {
                logProbabilities[row] = DiagonalGaussian.logProbability(
                    mean: output + row * size, logDeviation: logDeviations, action: actions + row * size, count: size)
                entropies[row] = entropy
            }
        case .stateDependent(let noise, let view):
            let workspace = noiseWorkspace!
            noise.deviations(
                actorStore[view].baseAddress!, latents: latents(observations), rows: rows, workspace)
            for row in 0..<rows {
                let deviation = workspace.deviations + row * size
                logProbabilities[row] = normalLogProbability(
                    mean: output + row * size, deviation: deviation, action: actions + row * size, size)
                entropies[row] = 0
                for index in 0..<size {
                    entropies[row] += 0.5 + DiagonalGaussian.halfLogTwoPi + Float(log(Double(deviation[index])))
                }
            }
        }
    }

    /// The gradient of a loss whose derivatives by each row's log π(a|s) and, the same for all rows, by its entropy
    /// are given; after ``evaluate(_:actions:rows:logProbabilities:entropies:)`` of the same rows.
    package func backward(
        _ observations: UnsafeRawPointer, actions: UnsafeMutablePointer<Float>, rows: Int,
        byLogProbability: UnsafePointer<Float>, byEntropy: Float
    ) {
        let output = UnsafePointer(actorWorkspace.output)
        let gradient = actorWorkspace.outputGradient
        let size = codec.size
        switch head {
        case .categorical(let categorical):
            actions.withMemoryRebound(to: Int32.self, capacity: rows * size) { choices in
                for row in 0..<rows {
                    categorical.gradient(
                        output + row * categorical.width, action: choices + row * size,
                        byLogProbability: byLogProbability[row], byEntropy: byEntropy,
                        into: gradient + row * categorical.width)
                }
            }
        case .gaussian(let view):
            let logDeviations = actorStore[view].baseAddress!
            let logDeviationGradient = actorStore.gradient(view)
            // ∂H/∂log σ = 1 for each row.
            logDeviationGradient.update(repeating: byEntropy * Float(rows))
            for row in 0..<rows {
                DiagonalGaussian.gradient(
                    mean: output + row * size, logDeviation: logDeviations, action: actions + row * size, count: size,
                    byLogProbability: byLogProbability[row], meanGradient: gradient + row * size,
                    logDeviationGradient: logDeviationGradient.baseAddress!)
            }
        case .stateDependent(let noise, let view):
            let workspace = noiseWorkspace!
            for row in 0..<rows {
                for index in row * size..<(row + 1) * size {
                    let variance = workspace.deviations[index] * workspace.deviations[index]
                    let error = actions[index] - output[index]
                    gradient[index] = byLogProbability[row] * error / variance
                    workspace.varianceGradient[index] =
                        0.5 / variance * (byLogProbability[row] * (error * error / variance - 1) + byEntropy)
                }
            }
            noise.backward(rows: rows, workspace, into: actorStore.gradient(view).baseAddress!)
        }
        actor.backward(actorStore.values, observations, rows: rows, actorWorkspace, gradient: actorStore.gradient)
    }

    /// The mean of the policy's deviations, or `nil` for choices.
    var meanDeviation: Double? {
        switch head {
        case .categorical: return nil
        case .gaussian(let view), .stateDependent(_, let view):
            return actorStore[view].reduce(0) { $0 + exp(Double($1)) } / Double(view.count)
        }
    }

    /// The last hidden layer's output of the last pass; the observations themselves when there is no hidden layer.
    private func latents(_ observations: UnsafeRawPointer) -> UnsafePointer<Float> {
        actorWorkspace.dense.latents ?? observations.assumingMemoryBound(to: Float.self)
    }

    private func normalLogProbability(
        mean: UnsafePointer<Float>, deviation: UnsafePointer<Float>, action: UnsafePointer<Float>, _ count: Int
    ) -> Float {
        var sum: Float = 0
        for index in 0..<count {
            let z = (action[index] - mean[index]) / deviation[index]
            sum -= 0.5 * z * z + Float(log(Double(deviation[index]))) + DiagonalGaussian.halfLogTwoPi
        }
        return sum
    }
}
