import GymCore
import NeuralNetwork

/// SAC's policy: normal actions pressed into (−1, 1), each with noise of its own, or with noise that is a lasting map of
/// the last hidden layer (gSDE).
package final class SquashedActor {
    package let network: MultiLayerPerceptron
    package let store: ParameterStore
    private let actionSize: Int
    /// gSDE, and the logarithms of its deviations among the parameters.
    private let lasting: (noise: StateDependentNoise, logDeviations: ParameterView)?

    init(_ h: Hyperparameters, inputs: Int, actions: Int, generator: inout NumPyGenerator) {
        actionSize = actions
        let hidden = h.networks("net_arch").actor
        var layout = ParameterLayout()
        // With gSDE the network gives only the means.
        network = MultiLayerPerceptron(
            "actor", sizes: [inputs] + hidden + [h.bool("use_sde") ? actions : 2 * actions],
            activation: Activation(rawValue: h.text("activation_fn"))!, layerNorm: h.bool("layer_norm"),
            layout: &layout)
        if h.bool("use_sde") {
            let features = hidden.last ?? inputs
            let view = layout.add("log_std", shape: [features, actions])
            lasting = (StateDependentNoise(features: features, actions: actions), view)
        } else {
            lasting = nil
        }
        store = ParameterStore(layout)
        network.initialise(store, hidden: .uniform, output: .uniform, generator: &generator)
        if let lasting { store[lasting.logDeviations].update(repeating: Float(h.real("log_std_init"))) }
    }

    /// What a row of outputs means as a greedy action.
    var squashing: OffPolicyPolicy.Squashing {
        lasting == nil ? .tanh : .tanhWithin(StateDependentNoise.meanLimit)
    }

    /// The floats of a map of gSDE; 0 without it.
    var mapSize: Int { lasting.map { $0.noise.features * $0.noise.actions } ?? 0 }

    /// Draws a map of gSDE.
    func drawMap(generator: inout NumPyGenerator, into map: UnsafeMutablePointer<Float>) {
        lasting?.noise.drawMap(
            store[lasting!.logDeviations].baseAddress!, generator: &generator, into: map)
    }

    /// Actions drawn for some rows, and what was computed on the way to them.
    final class Draw {
        fileprivate let workspace: MultiLayerPerceptron.Workspace
        /// Standard normals, (rows, action); unused with gSDE.
        fileprivate let noise: UnsafeMutablePointer<Float>
        fileprivate let lasting: StateDependentNoise.SquashedWorkspace?
        /// (rows, action).
        let actions: UnsafeMutablePointer<Float>
        /// (rows).
        let logProbabilities: UnsafeMutablePointer<Float>

        init(_ actor: SquashedActor, rows: Int) {
            workspace = MultiLayerPerceptron.Workspace(for: actor.network, capacity: rows)
            noise = allocateFloats(rows * actor.actionSize)
            lasting = actor.lasting.map { StateDependentNoise.SquashedWorkspace(for: $0.noise, capacity: rows) }
            actions = allocateFloats(rows * actor.actionSize)
            logProbabilities = allocateFloats(rows)
        }

        deinit {
            for memory in [noise, actions, logProbabilities] { memory.deallocate() }
        }
    }

    /// Draws an action for each row.
    ///
    /// - Parameters:
    ///   - map: gSDE's map for all of them; unused without it.
    ///   - generator: where the noise comes from without gSDE.
    func draw(
        _ observations: UnsafePointer<Float>, rows: Int, map: UnsafePointer<Float>, generator: inout NumPyGenerator,
        into draw: Draw
    ) {
        let output = network.forward(store.values, observations, rows: rows, draw.workspace)
        if let (noise, view) = lasting {
            noise.act(
                means: output, latents: draw.workspace.latents ?? observations,
                logDeviations: store[view].baseAddress!, map: map, rows: rows, draw.lasting!,
                squashed: draw.actions, logProbabilities: draw.logProbabilities)
            return
        }
        let size = actionSize
        for element in 0..<rows * size { draw.noise[element] = Float(generator.standardNormal()) }
        for row in 0..<rows {
            draw.logProbabilities[row] = SquashedGaussian.act(
                output + row * 2 * size, noise: draw.noise + row * size, count: size,
                action: draw.actions + row * size)
        }
    }

    /// Draws an action for each environment, and nothing that learning would need.
    ///
    /// - Parameters:
    ///   - maps: with gSDE a map for each, (rows, features, action).
    ///   - actions: (rows, action).
    func explore(
        _ observations: UnsafePointer<Float>, rows: Int, maps: UnsafePointer<Float>,
        generator: inout NumPyGenerator, _ workspace: MultiLayerPerceptron.Workspace,
        into actions: UnsafeMutablePointer<Float>
    ) {
        let output = network.forward(store.values, observations, rows: rows, workspace)
        let size = actionSize
        for row in 0..<rows {
            let action = actions + row * size
            if let (noise, _) = lasting {
                noise.noise(
                    latents: (workspace.latents ?? observations) + row * noise.features, map: maps + row * mapSize,
                    into: action)
                for index in 0..<size { action[index] = squashing(output[row * size + index], noise: action[index]) }
            } else {
                // The noise lies where the action then goes.
                for index in 0..<size { action[index] = Float(generator.standardNormal()) }
                _ = SquashedGaussian.act(output + row * 2 * size, noise: action, count: size, action: action)
            }
        }
    }

    /// The gradient by the parameters of a loss whose derivatives by the drawn actions and by each log π are given, the
    /// noise being what it was.
    func backward(
        _ observations: UnsafePointer<Float>, rows: Int, map: UnsafePointer<Float>, _ draw: Draw,
        byAction: UnsafePointer<Float>, byLogProbability: Float, gradient: UnsafeMutablePointer<Float>
    ) {
        let output = UnsafePointer(draw.workspace.output)
        let outputGradient = draw.workspace.outputGradient
        if let (noise, view) = lasting {
            noise.backward(
                means: output, latents: draw.workspace.latents ?? observations, map: map, rows: rows,
                squashed: draw.actions, byAction: byAction, byLogProbability: byLogProbability, draw.lasting!,
                meanGradient: outputGradient, into: gradient + view.offset)
        } else {
            let size = actionSize
            for row in 0..<rows {
                SquashedGaussian.gradient(
                    output + row * 2 * size, noise: draw.noise + row * size, action: draw.actions + row * size,
                    count: size, byAction: byAction + row * size, byLogProbability: byLogProbability,
                    into: outputGradient + row * 2 * size)
            }
        }
        network.backward(
            store.values, observations, rows: rows, draw.workspace, gradient: gradient,
            latentGradient: draw.lasting.map { UnsafePointer($0.latentGradient) })
    }
}
