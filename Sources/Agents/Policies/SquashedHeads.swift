import Foundation
import GymCore
import NeuralNetwork

/// Normal actions pressed into (−1, 1), each with noise of its own: what SAC acts by. The network gives means and logarithms
/// of deviations.
package struct SquashedGaussianHead: ReparameterisedHead, NormalHead {
    package let actionSize: Int

    package init(actionSize: Int) { self.actionSize = actionSize }

    package var outputs: Int { 2 * actionSize }

    func normals(_ parameters: ParameterStore, _ pass: ActorPass) -> Normals {
        let outputs = pass.outputs
        return Normals(
            means: outputs[columns: 0..<actionSize],
            deviations: .held(logarithms: outputs[columns: actionSize..<2 * actionSize]))
    }

    private final class Scratch: HeadScratch, @unchecked Sendable {
        /// ε of what was drawn, (rows, action).
        let noise: Matrix
        init(rows: Int, actionSize: Int) { noise = Matrix(rows: rows, columns: actionSize) }
    }

    package func makeScratch(rows: Int) -> HeadScratch { Scratch(rows: rows, actionSize: actionSize) }

    private func noise(_ pass: ActorPass) -> Matrix { unsafeDowncast(pass.scratch, to: Scratch.self).noise }

    package func greedy(_ outputs: Matrix, into actions: Matrix) {
        for row in 0..<outputs.rows {
            for index in 0..<actionSize { actions[row, index] = SquashedGaussian.squash(outputs[row, index]).action }
        }
    }

    package func exported(by codec: ActionCodec) -> (columns: Range<Int>, action: PolicyGraph.Action) {
        (0..<actionSize, .reals(.tanh))
    }

    package func sample(
        _ parameters: ParameterStore, _ pass: ActorPass, maps: Matrix, generator: inout NumPyGenerator,
        into actions: Matrix, logProbabilities: Vector<Float>
    ) {
        SquashedGaussian.draw(
            pass.outputs, generator: &generator, noise: noise(pass), actions: actions,
            logProbabilities: logProbabilities)
    }

    package func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, drawn actions: Matrix, maps: Matrix, byAction: Matrix,
        byLogProbability: Float, gradient: Vector<Float>
    ) -> Matrix? {
        SquashedGaussian.gradient(
            pass.outputs, noise: noise(pass), actions: actions, byAction: byAction,
            byLogProbability: byLogProbability, into: pass.outputGradients)
        return nil
    }

    /// The entropy has no closed form; it is taken as −log π of the given action, which is right in the mean over actions
    /// that the policy draws.
    package func evaluate(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, logProbabilities: Vector<Float>,
        entropies: Vector<Float>
    ) {
        let outputs = pass.outputs
        for row in 0..<pass.rows {
            var sum: Float = 0
            for index in 0..<actionSize {
                sum += SquashedGaussian.logProbability(
                    mean: outputs[row, index], rawLogDeviation: outputs[row, actionSize + index],
                    action: actions[row, index])
            }
            logProbabilities[row] = sum
            entropies[row] = -sum
        }
    }

    package func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, byLogProbability: Vector<Float>,
        byEntropy: Float, gradient: Vector<Float>
    ) {
        let (outputs, byOutput) = (pass.outputs, pass.outputGradients)
        for row in 0..<pass.rows {
            let slope = byLogProbability[row] - byEntropy
            for index in 0..<actionSize {
                let raw = outputs[row, actionSize + index]
                let inverse = exp(-SquashedGaussian.held(raw))
                let z = (SquashedGaussian.unsquash(actions[row, index]) - outputs[row, index]) * inverse
                byOutput[row, index] = slope * z * inverse
                byOutput[row, actionSize + index] =
                    SquashedGaussian.logDeviationRange.contains(raw) ? slope * (z * z - 1) : 0
            }
        }
    }

    package func addDivergenceGradient(
        from old: Matrix, weight: Float, _ parameters: ParameterStore, _ pass: ActorPass, gradient: Vector<Float>
    ) {
        let normals = normals(parameters, pass)
        let (outputs, byOutput) = (pass.outputs, pass.outputGradients)
        for row in 0..<pass.rows {
            for index in 0..<actionSize {
                let slopes = normals.divergenceSlopes(from: old, row: row, index: index)
                byOutput[row, index] += weight * slopes.byMean
                if SquashedGaussian.logDeviationRange.contains(outputs[row, actionSize + index]) {
                    byOutput[row, actionSize + index] += weight * slopes.byLogDeviation
                }
            }
        }
    }
}

/// Actions pressed into (−1, 1) whose noise depends on the last hidden layer and lasts over several steps: what SAC acts by
/// with gSDE. The network gives the means.
package struct SquashedStateDependentHead: ReparameterisedHead, NormalHead {
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
        Normals(
            means: pass.outputs, deviations: .rows(deviations(parameters, pass)),
            limit: StateDependentNoise.meanLimit)
    }

    private final class Scratch: HeadScratch, @unchecked Sendable {
        let squashed: StateDependentNoise.SquashedWorkspace
        let noise: StateDependentNoise.Workspace
        init(_ noise: StateDependentNoise, rows: Int) {
            squashed = .init(for: noise, capacity: rows)
            self.noise = .init(for: noise, capacity: rows)
        }
    }

    package func makeScratch(rows: Int) -> HeadScratch { Scratch(lasting.noise, rows: rows) }

    private func scratch(_ pass: ActorPass) -> Scratch { unsafeDowncast(pass.scratch, to: Scratch.self) }

    private func deviations(_ parameters: ParameterStore, _ pass: ActorPass) -> Matrix {
        lasting.deviations(parameters, pass, scratch(pass).noise)
    }

    private func limited(_ mean: Float) -> Float {
        min(max(mean, -StateDependentNoise.meanLimit), StateDependentNoise.meanLimit)
    }

    package func initialise(_ parameters: ParameterStore) { lasting.initialise(parameters) }

    package func drawMaps(_ parameters: ParameterStore, generator: inout NumPyGenerator, into maps: Matrix) {
        lasting.drawMaps(parameters, generator: &generator, into: maps)
    }

    package func greedy(_ outputs: Matrix, into actions: Matrix) {
        for row in 0..<outputs.rows {
            for index in 0..<actionSize {
                actions[row, index] = SquashedGaussian.squash(limited(outputs[row, index])).action
            }
        }
    }

    package func exported(by codec: ActionCodec) -> (columns: Range<Int>, action: PolicyGraph.Action) {
        (0..<actionSize, .reals(.tanhWithin(StateDependentNoise.meanLimit)))
    }

    package func sample(
        _ parameters: ParameterStore, _ pass: ActorPass, maps: Matrix, generator: inout NumPyGenerator,
        into actions: Matrix, logProbabilities: Vector<Float>
    ) {
        if maps.rows == 1 {
            lasting.noise.act(
                means: pass.outputs, latents: pass.latents, logDeviations: lasting.logDeviations(parameters),
                map: maps.row(0), scratch(pass).squashed, squashed: actions, logProbabilities: logProbabilities)
            return
        }
        let (means, latents, deviations) = (pass.outputs, pass.latents, deviations(parameters, pass))
        for row in 0..<pass.rows {
            lasting.noise.noise(row: row, latents: latents, map: maps.row(row), into: actions)
            var sum: Float = 0
            for index in 0..<actionSize {
                let noise = actions[row, index]
                let squashed = SquashedGaussian.squash(limited(means[row, index]) + noise)
                let z = noise / deviations[row, index]
                sum -= 0.5 * z * z + log(deviations[row, index]) + DiagonalGaussian.halfLogTwoPi + squashed.logSlope
                actions[row, index] = squashed.action
            }
            logProbabilities[row] = sum
        }
    }

    package func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, drawn actions: Matrix, maps: Matrix, byAction: Matrix,
        byLogProbability: Float, gradient: Vector<Float>
    ) -> Matrix? {
        lasting.noise.backward(
            means: pass.outputs, latents: pass.latents, map: maps.row(0), squashed: actions, byAction: byAction,
            byLogProbability: byLogProbability, scratch(pass).squashed, meanGradient: pass.outputGradients,
            into: lasting.part(of: gradient))
    }

    /// The entropy is −log π of the given action, as ``SquashedGaussianHead``'s.
    package func evaluate(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, logProbabilities: Vector<Float>,
        entropies: Vector<Float>
    ) {
        let (means, deviations) = (pass.outputs, deviations(parameters, pass))
        for row in 0..<pass.rows {
            var sum: Float = 0
            for index in 0..<actionSize {
                sum += SquashedGaussian.logProbability(
                    mean: limited(means[row, index]), rawLogDeviation: log(deviations[row, index]),
                    action: actions[row, index])
            }
            logProbabilities[row] = sum
            entropies[row] = -sum
        }
    }

    package func backward(
        _ parameters: ParameterStore, _ pass: ActorPass, actions: Matrix, byLogProbability: Vector<Float>,
        byEntropy: Float, gradient: Vector<Float>
    ) {
        let workspace = scratch(pass).noise
        let (means, deviations) = (pass.outputs, workspace.deviations(rows: pass.rows))
        let (byMean, byVariance) = (pass.outputGradients, workspace.varianceGradients(rows: pass.rows))
        for row in 0..<pass.rows {
            let slope = byLogProbability[row] - byEntropy
            for index in 0..<actionSize {
                let variance = deviations[row, index] * deviations[row, index]
                let mean = means[row, index]
                let error = SquashedGaussian.unsquash(actions[row, index]) - limited(mean)
                byMean[row, index] = abs(mean) < StateDependentNoise.meanLimit ? slope * error / variance : 0
                byVariance[row, index] = 0.5 / variance * slope * (error * error / variance - 1)
            }
        }
        lasting.noise.backward(rows: pass.rows, workspace, into: lasting.part(of: gradient))
    }

    package func addDivergenceGradient(
        from old: Matrix, weight: Float, _ parameters: ParameterStore, _ pass: ActorPass, gradient: Vector<Float>
    ) {
        let normals = normals(parameters, pass)
        let workspace = scratch(pass).noise
        let (means, byMean) = (pass.outputs, pass.outputGradients)
        let byVariance = workspace.varianceGradients(rows: pass.rows)
        for row in 0..<pass.rows {
            for index in 0..<actionSize {
                let slopes = normals.divergenceSlopes(from: old, row: row, index: index)
                let deviation = normals[row, index].deviation
                if abs(means[row, index]) < StateDependentNoise.meanLimit {
                    byMean[row, index] += weight * slopes.byMean
                }
                byVariance[row, index] = weight * slopes.byLogDeviation / (2 * deviation * deviation)
            }
        }
        lasting.noise.addBackward(rows: pass.rows, workspace, into: lasting.part(of: gradient))
    }
}
