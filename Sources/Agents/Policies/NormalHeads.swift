import Foundation
import GymCore
import NeuralNetwork

/// The normal distributions that the rows of a pass stand for.
struct Normals {
    /// How deviations are given.
    enum Deviations {
        /// log σ of each dimension, whatever the row.
        case shared(logarithms: Vector<Float>)
        /// σ, (rows, dimensions).
        case rows(Matrix)
        /// log σ as a network gives it, held within ``SquashedGaussian/logDeviationRange``; (rows, dimensions).
        case held(logarithms: Matrix)
    }

    /// (rows, dimensions).
    let means: Matrix
    let deviations: Deviations
    /// Means are held within ± this.
    var limit = Float.infinity

    @inline(__always)
    subscript(row: Int, index: Int) -> (mean: Float, deviation: Float) {
        let deviation: Float =
            switch deviations {
            case .shared(let logarithms): exp(logarithms[index])
            case .rows(let deviations): deviations[row, index]
            case .held(let logarithms): exp(SquashedGaussian.held(logarithms[row, index]))
            }
        return (min(max(means[row, index], -limit), limit), deviation)
    }

    /// The derivatives of KL(older self ‖ this one) by the mean and by log σ: (μ − μ_old) / σ² and
    /// 1 − (σ_old² + (μ − μ_old)²) / σ².
    ///
    /// - Parameter old: means, then logarithms of deviations.
    @inline(__always)
    func divergenceSlopes(from old: Matrix, row: Int, index: Int) -> (byMean: Float, byLogDeviation: Float) {
        let (mean, deviation) = self[row, index]
        let variance = deviation * deviation
        let error = mean - old[row, index]
        let spread = exp(2 * old[row, means.columns + index]) + error * error
        return (error / variance, 1 - spread / variance)
    }
}

/// A head whose distribution is normal, before squashing where it squashes: that leaves divergences as they are.
protocol NormalHead: StochasticHead {
    /// The distributions of a pass.
    func normals(_ parameters: ParameterStore, _ pass: ActorPass) -> Normals
}

extension NormalHead {
    /// Means, then logarithms of deviations.
    package var descriptionSize: Int { 2 * actionSize }

    /// The means, for a head that does not squash them.
    package func greedy(_ outputs: Matrix, into actions: Matrix) { actions.copy(outputs) }

    /// The means, for a head that does not squash them.
    package func exported(by codec: ActionCodec) -> (columns: Range<Int>, action: PolicyGraph.Action) {
        (0..<actionSize, .reals(.none))
    }

    package func describe(_ parameters: ParameterStore, _ pass: ActorPass, into description: Matrix) {
        let normals = normals(parameters, pass)
        for row in 0..<pass.rows {
            for index in 0..<actionSize {
                let (mean, deviation) = normals[row, index]
                description[row, index] = mean
                description[row, actionSize + index] = log(deviation)
            }
        }
    }

    package func divergences(
        from old: Matrix, _ parameters: ParameterStore, _ pass: ActorPass, into result: Vector<Float>
    ) {
        let normals = normals(parameters, pass)
        for row in 0..<pass.rows {
            var sum: Float = 0
            for index in 0..<actionSize {
                let (mean, deviation) = normals[row, index]
                sum += Normal.divergence(
                    fromMean: old[row, index], deviation: exp(old[row, actionSize + index]), toMean: mean,
                    deviation: deviation)
            }
            result[row] = sum
        }
    }
}

/// Real numbers, each normal: the network gives the means, and the deviations are parameters that do not depend on the
/// state.
package struct GaussianHead: NormalHead {
    package let actionSize: Int
    private let logDeviations: ParameterView
    private let start: Float

    /// - Parameter start: log σ at the start.
    package init(actionSize: Int, start: Float, layout: inout ParameterLayout) {
        self.actionSize = actionSize
        self.start = start
        logDeviations = layout.add("log_std", shape: [actionSize])
    }

    package var outputs: Int { actionSize }

    func normals(_ parameters: ParameterStore, _ pass: ActorPass) -> Normals {
        Normals(means: pass.outputs, deviations: .shared(logarithms: parameters.elements(logDeviations)))
    }

    package func initialise(_ parameters: ParameterStore) { parameters.elements(logDeviations).fill(start) }

    package func sample(
        _ parameters: ParameterStore, _ pass: ActorPass, maps: Matrix, generator: inout NumPyGenerator,
        into actions: Matrix, logProbabilities: Vector<Float>
    ) {
        DiagonalGaussian.sample(
            pass.outputs, logDeviations: parameters.elements(logDeviations), generator: &generator, into: actions,
            logProbabilities: logProbabilities)
    }

    package func evaluate(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, logProbabilities: Vector<Float>,
        entropies: Vector<Float>
    ) {
        let logDeviations = parameters.elements(logDeviations)
        DiagonalGaussian.logProbabilities(
            pass.outputs, logDeviations: logDeviations, actions: actions, into: logProbabilities)
        entropies.prefix(pass.rows).fill(DiagonalGaussian.entropy(logDeviations: logDeviations))
    }

    package func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, byLogProbability: Vector<Float>,
        byEntropy: Float, gradient: Vector<Float>
    ) {
        let byLogDeviation = logDeviations.part(of: gradient)
        // ∂H/∂log σ = 1 for each row.
        byLogDeviation.fill(byEntropy * Float(pass.rows))
        DiagonalGaussian.gradient(
            pass.outputs, logDeviations: parameters.elements(logDeviations), actions: actions,
            byLogProbability: byLogProbability, meanGradient: pass.outputGradients,
            logDeviationGradient: byLogDeviation)
    }

    package func addDivergenceGradient(
        from old: Matrix, weight: Float, _ parameters: ParameterStore, _ pass: ActorPass, gradient: Vector<Float>
    ) {
        let normals = normals(parameters, pass)
        let (byMean, byLogDeviation) = (pass.outputGradients, logDeviations.part(of: gradient))
        for row in 0..<pass.rows {
            for index in 0..<actionSize {
                let slopes = normals.divergenceSlopes(from: old, row: row, index: index)
                byMean[row, index] += weight * slopes.byMean
                byLogDeviation[index] += weight * slopes.byLogDeviation
            }
        }
    }

    package func meanDeviation(_ parameters: ParameterStore) -> Double? {
        parameters.elements(logDeviations).meanOfExponentials
    }
}

/// Noise that depends on the last hidden layer and lasts over several steps (gSDE): its size, and its deviations among the
/// parameters.
struct LastingNoise: Sendable {
    let noise: StateDependentNoise
    private let logDeviations: ParameterView
    private let start: Float

    /// - Parameters:
    ///   - features: the length of the last hidden layer.
    ///   - start: log σ at the start.
    init(features: Int, actionSize: Int, start: Float, layout: inout ParameterLayout) {
        noise = StateDependentNoise(features: features, actions: actionSize)
        self.start = start
        logDeviations = layout.add("log_std", shape: [features, actionSize])
    }

    /// Numbers of a map.
    var mapSize: Int { noise.features * noise.actions }

    /// log σ, (features · actions).
    func logDeviations(_ parameters: ParameterStore) -> Vector<Float> { parameters.elements(logDeviations) }

    /// Their part of a gradient.
    func part(of gradient: Vector<Float>) -> Vector<Float> { logDeviations.part(of: gradient) }

    func initialise(_ parameters: ParameterStore) { logDeviations(parameters).fill(start) }

    func drawMaps(_ parameters: ParameterStore, generator: inout NumPyGenerator, into maps: Matrix) {
        for row in 0..<maps.rows {
            noise.drawMap(logDeviations(parameters), generator: &generator, into: maps.row(row))
        }
    }

    /// σ of each row of a pass, (rows, actions).
    func deviations(
        _ parameters: ParameterStore, _ pass: ActorPass, _ workspace: StateDependentNoise.Workspace
    ) -> Matrix {
        noise.deviations(logDeviations(parameters), latents: pass.latents, workspace)
    }
}

/// Real numbers whose noise depends on the last hidden layer and lasts over several steps (gSDE).
package struct StateDependentHead: NormalHead {
    private let lasting: LastingNoise

    /// - Parameters:
    ///   - features: the length of the last hidden layer.
    ///   - start: log σ at the start.
    package init(features: Int, actionSize: Int, start: Float, layout: inout ParameterLayout) {
        lasting = LastingNoise(features: features, actionSize: actionSize, start: start, layout: &layout)
    }

    package var actionSize: Int { lasting.noise.actions }
    package var outputs: Int { lasting.noise.actions }
    package var mapSize: Int { lasting.mapSize }

    func normals(_ parameters: ParameterStore, _ pass: ActorPass) -> Normals {
        Normals(means: pass.outputs, deviations: .rows(deviations(parameters, pass)))
    }

    private final class Scratch: HeadScratch, @unchecked Sendable {
        let noise: StateDependentNoise.Workspace
        init(_ noise: StateDependentNoise, rows: Int) { self.noise = .init(for: noise, capacity: rows) }
    }

    package func makeScratch(rows: Int) -> HeadScratch { Scratch(lasting.noise, rows: rows) }

    private func workspace(_ pass: ActorPass) -> StateDependentNoise.Workspace {
        unsafeDowncast(pass.scratch, to: Scratch.self).noise
    }

    private func deviations(_ parameters: ParameterStore, _ pass: ActorPass) -> Matrix {
        lasting.deviations(parameters, pass, workspace(pass))
    }

    package func initialise(_ parameters: ParameterStore) { lasting.initialise(parameters) }

    package func drawMaps(_ parameters: ParameterStore, generator: inout NumPyGenerator, into maps: Matrix) {
        lasting.drawMaps(parameters, generator: &generator, into: maps)
    }

    package func sample(
        _ parameters: ParameterStore, _ pass: ActorPass, maps: Matrix, generator: inout NumPyGenerator,
        into actions: Matrix, logProbabilities: Vector<Float>
    ) {
        let (means, latents) = (pass.outputs, pass.latents)
        let deviations = deviations(parameters, pass)
        for row in 0..<pass.rows {
            lasting.noise.noise(row: row, latents: latents, map: maps.row(maps.rows == 1 ? 0 : row), into: actions)
            for index in 0..<actionSize { actions[row, index] += means[row, index] }
        }
        Normal.logProbabilities(means, deviations: deviations, actions: actions, into: logProbabilities)
    }

    package func evaluate(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, logProbabilities: Vector<Float>,
        entropies: Vector<Float>
    ) {
        let deviations = deviations(parameters, pass)
        Normal.logProbabilities(pass.outputs, deviations: deviations, actions: actions, into: logProbabilities)
        Normal.entropies(deviations: deviations, rows: pass.rows, into: entropies)
    }

    package func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, byLogProbability: Vector<Float>,
        byEntropy: Float, gradient: Vector<Float>
    ) {
        let workspace = workspace(pass)
        let (means, deviations) = (pass.outputs, workspace.deviations(rows: pass.rows))
        let (byMean, byVariance) = (pass.outputGradients, workspace.varianceGradients(rows: pass.rows))
        for row in 0..<pass.rows {
            for index in 0..<actionSize {
                let variance = deviations[row, index] * deviations[row, index]
                let error = actions[row, index] - means[row, index]
                byMean[row, index] = byLogProbability[row] * error / variance
                byVariance[row, index] =
                    0.5 / variance * (byLogProbability[row] * (error * error / variance - 1) + byEntropy)
            }
        }
        lasting.noise.backward(rows: pass.rows, workspace, into: lasting.part(of: gradient))
    }

    package func addDivergenceGradient(
        from old: Matrix, weight: Float, _ parameters: ParameterStore, _ pass: ActorPass, gradient: Vector<Float>
    ) {
        let normals = normals(parameters, pass)
        let workspace = workspace(pass)
        let (byMean, byVariance) = (pass.outputGradients, workspace.varianceGradients(rows: pass.rows))
        for row in 0..<pass.rows {
            for index in 0..<actionSize {
                let slopes = normals.divergenceSlopes(from: old, row: row, index: index)
                let deviation = normals[row, index].deviation
                byMean[row, index] += weight * slopes.byMean
                byVariance[row, index] = weight * slopes.byLogDeviation / (2 * deviation * deviation)
            }
        }
        lasting.noise.addBackward(rows: pass.rows, workspace, into: lasting.part(of: gradient))
    }

    package func meanDeviation(_ parameters: ParameterStore) -> Double? {
        lasting.logDeviations(parameters).meanOfExponentials
    }
}

extension ParameterView {
    /// The part of a gradient that belongs to this array.
    func part(of gradient: Vector<Float>) -> Vector<Float> { gradient[offset..<offset + count] }
}

extension Vector where Element == Float {
    /// The mean of e^x over the elements.
    fileprivate var meanOfExponentials: Double {
        var sum = 0.0
        for index in indices { sum += exp(Double(self[index])) }
        return sum / Double(count)
    }
}
