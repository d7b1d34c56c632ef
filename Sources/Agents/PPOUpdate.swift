import Foundation
import GymCore
import NeuralNetwork

/// How a rollout is cut into minibatches; each epoch's last may be shorter.
package struct Minibatches {
    let rollout: RolloutBuffer
    /// For each epoch, the rows in random order.
    let order: UnsafeMutablePointer<Int32>
    let size: Int
    let maxGradientNorm: Double?

    /// Minibatches of up to `size` rows.
    package init(rollout: RolloutBuffer, order: UnsafeMutablePointer<Int32>, size: Int, maxGradientNorm: Double?) {
        self.rollout = rollout
        self.order = order
        self.size = size
        self.maxGradientNorm = maxGradientNorm
    }

    /// Minibatches of an epoch.
    package var perEpoch: Int { (rollout.rows + size - 1) / size }

    /// The rows of minibatch `index`, counted over all epochs. Each row is in one minibatch of each epoch.
    package func rows(_ index: Int) -> UnsafeBufferPointer<Int32> {
        let (epoch, position) = index.quotientAndRemainder(dividingBy: perEpoch)
        let start = position * size
        return UnsafeBufferPointer(
            start: order + epoch * rollout.rows + start, count: min(size, rollout.rows - start))
    }

    /// Copies the given rows' observations side by side.
    func gatherObservations(_ rows: UnsafeBufferPointer<Int32>, into target: UnsafeMutableRawPointer) {
        let rowBytes = rollout.format.rowBytes
        for (position, row) in rows.enumerated() {
            (target + position * rowBytes).copyMemory(
                from: rollout.observations + Int(row) * rowBytes, byteCount: rowBytes)
        }
    }

    /// Copies the given rows of an array side by side.
    func gather(
        _ rows: UnsafeBufferPointer<Int32>, of source: UnsafeMutablePointer<Float>, width: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        for (position, row) in rows.enumerated() {
            (target + position * width).update(from: source + Int(row) * width, count: width)
        }
    }

    /// What a gradient of that norm is multiplied by.
    func scale(norm: Double) -> Float {
        maxGradientNorm.map { clippingScale(norm: norm, maxNorm: $0) } ?? 1
    }
}

/// The policy's loss: −mean of min(ρ Â, clip(ρ, 1−ε, 1+ε) Â) − entropy bonus + divergence penalty.
final class ActorUpdate: PairedModel {
    private let model: ActorCritic
    private let minibatches: Minibatches
    private let clipRange: Schedule?
    private let normalisesAdvantages: Bool
    private let entropyWeightSchedule: Schedule
    private let divergenceWeight: Float
    private let targetDivergence: Double?
    private var adam: Adam
    private var learningRate = 0.0
    private var epsilon: Float = .infinity
    private var entropyWeight: Float = 0

    private let observations: UnsafeMutableRawPointer
    private let actions: UnsafeMutablePointer<Float>
    private let oldLogProbabilities: UnsafeMutablePointer<Float>
    private let advantages: UnsafeMutablePointer<Float>
    private let logProbabilities: UnsafeMutablePointer<Float>
    private let entropies: UnsafeMutablePointer<Float>
    private let slopes: UnsafeMutablePointer<Float>

    /// What went out of the finite numbers, if anything did.
    private(set) var notFinite: String?
    /// Sums over the minibatches of this update, each the mean of its minibatch.
    private var sums = (count: 0, loss: 0.0, clipped: 0.0, entropy: 0.0)
    /// The divergence of each minibatch.
    private var divergences: [Double] = []

    init(
        _ model: ActorCritic, _ minibatches: Minibatches, clipRange: Schedule?, normalisesAdvantages: Bool,
        entropyWeight: Schedule, divergenceWeight: Float, targetDivergence: Double?, adam: consuming Adam
    ) {
        self.model = model
        self.minibatches = minibatches
        self.clipRange = clipRange
        self.normalisesAdvantages = normalisesAdvantages
        entropyWeightSchedule = entropyWeight
        self.divergenceWeight = divergenceWeight
        self.targetDivergence = targetDivergence
        self.adam = adam
        observations = allocateRows(model.encoder.format, count: minibatches.size)
        actions = allocateFloats(minibatches.size * model.codec.size)
        oldLogProbabilities = allocateFloats(minibatches.size)
        advantages = allocateFloats(minibatches.size)
        logProbabilities = allocateFloats(minibatches.size)
        entropies = allocateFloats(minibatches.size)
        slopes = allocateFloats(minibatches.size)
    }

    deinit {
        observations.deallocate()
        for memory in [actions, oldLogProbabilities, advantages, logProbabilities, entropies, slopes] {
            memory.deallocate()
        }
    }

    func begin(learningRate: Double, progressRemaining: Double) {
        self.learningRate = learningRate
        epsilon = clipRange.map { Float($0.value(progressRemaining: progressRemaining)) } ?? .infinity
        entropyWeight = Float(entropyWeightSchedule.value(progressRemaining: progressRemaining))
        sums = (0, 0, 0, 0)
        divergences.removeAll(keepingCapacity: true)
    }

    func computeGradient(minibatch index: Int) -> Double? {
        let rows = minibatches.rows(index)
        let count = rows.count
        let rollout = minibatches.rollout
        minibatches.gatherObservations(rows, into: observations)
        minibatches.gather(rows, of: rollout.actions, width: rollout.actionSize, into: actions)
        minibatches.gather(rows, of: rollout.logProbabilities, width: 1, into: oldLogProbabilities)
        minibatches.gather(rows, of: rollout.advantages, width: 1, into: advantages)
        // Over the minibatch, not the rollout; a deviation of one number does not exist.
        if normalisesAdvantages && count > 1 { standardise(advantages, count: count) }

        model.evaluate(
            observations, actions: actions, rows: count, logProbabilities: logProbabilities, entropies: entropies)
        let loss = surrogate(rows: count)
        let divergence = loss.divergence / Double(count)
        divergences.append(divergence)
        sums.count += 1
        sums.loss += loss.policy / Double(count)
        sums.clipped += Double(loss.clipped) / Double(count)
        sums.entropy += loss.entropy / Double(count)
        if let targetDivergence, divergence > 1.5 * targetDivergence { return nil }
        model.backward(
            observations, actions: actions, rows: count, byLogProbability: slopes,
            byEntropy: -entropyWeight / Float(count))
        let squaredNorm = model.actorStore.squaredGradientNorm()
        guard squaredNorm.isFinite else {
            notFinite = loss.policy.isFinite ? "the policy's gradient" : "the policy's loss"
            return nil
        }
        return squaredNorm
    }

    /// The loss of the rows at hand, and its derivative by each log-probability in `slopes`.
    private func surrogate(rows: Int) -> (policy: Double, clipped: Int, entropy: Double, divergence: Double) {
        var policy = 0.0
        var clipped = 0
        var entropy = 0.0
        var divergence = 0.0
        for row in 0..<rows {
            let logRatio = logProbabilities[row] - oldLogProbabilities[row]
            let ratio = exp(logRatio)
            let term = clippedSurrogate(ratio: ratio, advantage: advantages[row], epsilon: epsilon)
            policy -= Double(term.value)
            // ∂ρ/∂log π = ρ.
            slopes[row] = (divergenceWeight * (ratio - 1) - term.slope * ratio) / Float(rows)
            if abs(ratio - 1) > epsilon { clipped += 1 }
            entropy += Double(entropies[row])
            // (ρ − 1) − log ρ: an estimate of the divergence that is never negative (Schulman 2020, "Approximating
            // KL divergence").
            divergence += Double((ratio - 1) - logRatio)
        }
        return (policy, clipped, entropy, divergence)
    }

    func applyGradient(totalNorm: Double) {
        adam.step(model.actorStore, learningRate: learningRate, scale: minibatches.scale(norm: totalNorm))
    }

    func save(to writer: inout StateWriter) { writer.write(adam) }

    func restore(from reader: inout StateReader) throws { try reader.read(into: &adam) }

    func report(to metrics: inout Metrics, minibatchesAnEpoch: Int) {
        let count = Double(max(1, sums.count))
        metrics["train/policy_gradient_loss"] = sums.loss / count
        metrics["train/entropy_loss"] = -sums.entropy / count
        metrics["train/clip_fraction"] = sums.clipped / count
        // As Stable-Baselines3: the divergence in the last epoch.
        let last = divergences.suffix((divergences.count - 1) % minibatchesAnEpoch + 1)
        metrics["train/approx_kl"] = last.reduce(0, +) / Double(max(1, last.count))
        metrics["train/ent_coef"] = Double(entropyWeight)
        metrics["train/clip_range"] = epsilon.isFinite ? Double(epsilon) : nil
    }
}

/// min(ρ Â, clip(ρ, 1−ε, 1+ε) Â) and its derivative by ρ: Â, or 0 where the clipped term is the smaller one.
@inline(__always)
public func clippedSurrogate(ratio: Float, advantage: Float, epsilon: Float) -> (value: Float, slope: Float) {
    let plain = ratio * advantage
    let limited = min(max(ratio, 1 - epsilon), 1 + epsilon) * advantage
    return plain <= limited ? (plain, advantage) : (limited, 0)
}

/// Brings numbers to mean 0 and (sample) deviation 1.
package func standardise(_ values: UnsafeMutablePointer<Float>, count: Int) {
    var sum = 0.0
    for index in 0..<count { sum += Double(values[index]) }
    let mean = sum / Double(count)
    var squares = 0.0
    for index in 0..<count { squares += (Double(values[index]) - mean) * (Double(values[index]) - mean) }
    let scale = 1 / ((squares / Double(count - 1)).squareRoot() + 1e-8)
    for index in 0..<count { values[index] = Float((Double(values[index]) - mean) * scale) }
}

/// The critic's loss: `vf_coef` times the mean of (R − V)², or with clipping of the larger of (R − V)² and
/// (R − V_old − clip(V − V_old, ±ε))².
final class CriticUpdate: PairedModel {
    private let model: ActorCritic
    private let minibatches: Minibatches
    private let clipRange: Schedule?
    private let weight: Float
    private var adam: Adam
    private var learningRate = 0.0
    private var epsilon: Float?

    private let observations: UnsafeMutableRawPointer
    private let returns: UnsafeMutablePointer<Float>
    private let oldValues: UnsafeMutablePointer<Float>

    /// What went out of the finite numbers, if anything did.
    private(set) var notFinite: String?
    private var sums = (count: 0, loss: 0.0)

    init(
        _ model: ActorCritic, _ minibatches: Minibatches, clipRange: Schedule?, weight: Float, adam: consuming Adam
    ) {
        self.model = model
        self.minibatches = minibatches
        self.clipRange = clipRange
        self.weight = weight
        self.adam = adam
        observations = allocateRows(model.encoder.format, count: minibatches.size)
        returns = allocateFloats(minibatches.size)
        oldValues = allocateFloats(minibatches.size)
    }

    deinit {
        observations.deallocate()
        for memory in [returns, oldValues] { memory.deallocate() }
    }

    func begin(learningRate: Double, progressRemaining: Double) {
        self.learningRate = learningRate
        epsilon = clipRange.map { Float($0.value(progressRemaining: progressRemaining)) }
        sums = (0, 0)
    }

    func computeGradient(minibatch index: Int) -> Double? {
        let rows = minibatches.rows(index)
        let count = rows.count
        let rollout = minibatches.rollout
        minibatches.gatherObservations(rows, into: observations)
        minibatches.gather(rows, of: rollout.returns, width: 1, into: returns)
        minibatches.gather(rows, of: rollout.values, width: 1, into: oldValues)
        let workspace = model.criticWorkspace
        let values = model.critic.forward(model.criticStore.values, observations, rows: count, workspace)
        var loss = 0.0
        for row in 0..<count {
            let term = valueLoss(
                value: values[row], oldValue: oldValues[row], target: returns[row], epsilon: epsilon)
            loss += Double(term.value)
            workspace.outputGradient[row] = weight * term.slope / Float(count)
        }
        sums.count += 1
        sums.loss += loss / Double(count)
        model.critic.backward(
            model.criticStore.values, observations, rows: count, workspace, gradient: model.criticStore.gradient)
        let squaredNorm = model.criticStore.squaredGradientNorm()
        guard squaredNorm.isFinite else {
            notFinite = loss.isFinite ? "the value's gradient" : "the value's loss"
            return nil
        }
        return squaredNorm
    }

    func applyGradient(totalNorm: Double) {
        adam.step(model.criticStore, learningRate: learningRate, scale: minibatches.scale(norm: totalNorm))
    }

    func save(to writer: inout StateWriter) { writer.write(adam) }

    func restore(from reader: inout StateReader) throws { try reader.read(into: &adam) }

    func report(to metrics: inout Metrics) {
        metrics["train/value_loss"] = sums.loss / Double(max(1, sums.count))
        metrics["train/clip_range_vf"] = epsilon.map { Double($0) }
    }
}

/// (R − V)² and its derivative by V; with ε, of the larger of that and (R − V_old − clip(V − V_old, ±ε))².
@inline(__always)
public func valueLoss(
    value: Float, oldValue: Float, target: Float, epsilon: Float?
) -> (value: Float, slope: Float) {
    let error = value - target
    guard let epsilon else { return (error * error, 2 * error) }
    let change = value - oldValue
    let limitedError = oldValue + min(max(change, -epsilon), epsilon) - target
    if error * error >= limitedError * limitedError { return (error * error, 2 * error) }
    return (limitedError * limitedError, abs(change) <= epsilon ? 2 * limitedError : 0)
}
