import CVectorKernels
import Glibc

/// Actions pressed into (−1, 1) whose noise depends on the state: a = tanh(u), u = clip(μ, ±2) + h E. What SAC acts by
/// with gSDE; here, unlike in PPO, the latents h learn from the noise too.
///
/// With n = h E and v = Σₖ hₖ² exp(2 sₖ) + 10⁻⁶ for each action, log π(a) = Σ log N(n; 0, v) − log(1 − a²).
extension StateDependentNoise {
    /// Means beyond ± this are held, and have no gradient: tanh is flat there, and a mean that runs off would not come
    /// back.
    public static let meanLimit: Float = 2

    /// What a pass over rows keeps for going back.
    public final class SquashedWorkspace: @unchecked Sendable {
        fileprivate let base: Workspace
        /// n and the gradient by it, (rows, actions).
        fileprivate let noise: UnsafeMutablePointer<Float>
        fileprivate let noiseGradient: UnsafeMutablePointer<Float>
        /// The gradient by h, (rows, features).
        public let latentGradient: UnsafeMutablePointer<Float>
        /// (rows, features).
        fileprivate let part: UnsafeMutablePointer<Float>
        /// (actions, features).
        fileprivate let transposed: UnsafeMutablePointer<Float>

        /// Memory for up to `capacity` rows.
        public init(for noise: StateDependentNoise, capacity: Int) {
            base = Workspace(for: noise, capacity: capacity)
            self.noise = allocateFloats(capacity * noise.actions)
            noiseGradient = allocateFloats(capacity * noise.actions)
            latentGradient = allocateFloats(capacity * noise.features)
            part = allocateFloats(capacity * noise.features)
            transposed = allocateFloats(noise.features * noise.actions)
        }

        deinit {
            for memory in [noise, noiseGradient, latentGradient, part, transposed] { memory.deallocate() }
        }
    }

    /// Computes the actions of rows under a drawn map, and log π(a) of each.
    ///
    /// - Parameters:
    ///   - means: μ, (rows, actions).
    ///   - latents: h, (rows, features).
    ///   - logDeviations: s, (features, actions).
    ///   - map: E, (features, actions).
    ///   - squashed: where tanh(u) goes, (rows, actions).
    ///   - logProbabilities: (rows).
    public func act(
        means: UnsafePointer<Float>, latents: UnsafePointer<Float>, logDeviations: UnsafePointer<Float>,
        map: UnsafePointer<Float>, rows: Int, _ workspace: SquashedWorkspace,
        squashed: UnsafeMutablePointer<Float>, logProbabilities: UnsafeMutablePointer<Float>
    ) {
        deviations(logDeviations, latents: latents, rows: rows, workspace.base)
        noise(latents: latents, rows: rows, map: map, into: workspace.noise)
        for row in 0..<rows {
            var sum: Float = 0
            for index in row * actions..<(row + 1) * actions {
                let noise = workspace.noise[index]
                let deviation = workspace.base.deviations[index]
                let result = SquashedGaussian.squash(StateDependentNoise.limited(means[index]) + noise)
                squashed[index] = result.action
                let z = noise / deviation
                sum -= 0.5 * z * z + logf(deviation) + DiagonalGaussian.halfLogTwoPi + result.logSlope
            }
            logProbabilities[row] = sum
        }
    }

    /// The gradients of a loss whose derivatives by the actions and by each row's log π are given, the drawn normals
    /// behind the map being what they were; after ``act(means:latents:logDeviations:map:rows:_:squashed:logProbabilities:)``
    /// of the same rows.
    ///
    /// - Parameters:
    ///   - byAction: (rows, actions).
    ///   - meanGradient: (rows, actions), overwritten.
    ///   - gradient: by s, (features, actions), overwritten. That by h is in the workspace.
    public func backward(
        means: UnsafePointer<Float>, latents: UnsafePointer<Float>, map: UnsafePointer<Float>, rows: Int,
        squashed: UnsafePointer<Float>, byAction: UnsafePointer<Float>, byLogProbability: Float,
        _ workspace: SquashedWorkspace, meanGradient: UnsafeMutablePointer<Float>,
        into gradient: UnsafeMutablePointer<Float>
    ) {
        let base = workspace.base
        for index in 0..<rows * actions {
            let a = squashed[index]
            let byU = byAction[index] * (1 - a * a) + byLogProbability * 2 * a
            meanGradient[index] = abs(means[index]) < StateDependentNoise.meanLimit ? byU : 0
            // log N(n; 0, v) = −½ n²/v − ½ log v: by n −n/v, by v ½ (n²/v − 1)/v.
            let inverse = 1 / base.deviations[index]
            let z = workspace.noise[index] * inverse
            workspace.noiseGradient[index] = byU - byLogProbability * z * inverse
            base.varianceGradient[index] = byLogProbability * 0.5 * (z * z - 1) * inverse * inverse
        }
        backward(rows: rows, base, into: gradient)
        // Eₖⱼ = exp(sₖⱼ) εₖⱼ, so ∂nⱼ/∂sₖⱼ = hₖ Eₖⱼ.
        matrixProduct(
            m: features, n: actions, k: rows, latents, transposedA: true, workspace.noiseGradient,
            into: base.products)
        for index in 0..<features * actions { gradient[index] += map[index] * base.products[index] }
        // ∂nⱼ/∂hₖ = Eₖⱼ, ∂vⱼ/∂hₖ = 2 hₖ exp(2 sₖⱼ).
        vector_kernels_transpose(features, actions, map, workspace.transposed)
        matrixProduct(
            m: rows, n: features, k: actions, workspace.noiseGradient, workspace.transposed,
            into: workspace.latentGradient)
        vector_kernels_transpose(features, actions, base.variances, workspace.transposed)
        matrixProduct(
            m: rows, n: features, k: actions, base.varianceGradient, workspace.transposed, into: workspace.part)
        for index in 0..<rows * features {
            workspace.latentGradient[index] += 2 * latents[index] * workspace.part[index]
        }
    }

    @inline(__always)
    private static func limited(_ mean: Float) -> Float { min(max(mean, -meanLimit), meanLimit) }
}

// MARK: Matrices

extension StateDependentNoise {
    /// Computes the actions of rows under a drawn map, and log π(a) of each.
    ///
    /// - Parameters:
    ///   - means: μ, (rows, actions), without gaps.
    ///   - latents: h, (rows, features), without gaps.
    ///   - logDeviations: s, (features · actions).
    ///   - map: E, (features · actions).
    ///   - squashed: where tanh(u) goes, (rows, actions), without gaps.
    ///   - logProbabilities: (rows).
    public func act(
        means: Matrix, latents: Matrix, logDeviations: Vector<Float>, map: Vector<Float>,
        _ workspace: SquashedWorkspace, squashed: Matrix, logProbabilities: Vector<Float>
    ) {
        check(means, latents, map, squashed)
        precondition(logDeviations.count == map.count && logProbabilities.count >= means.rows)
        act(
            means: means.base, latents: latents.base, logDeviations: logDeviations.base, map: map.base,
            rows: means.rows, workspace, squashed: squashed.base, logProbabilities: logProbabilities.base)
    }

    /// The gradients of a loss whose derivatives by the actions and by each row's log π are given, after `act` of the same
    /// rows.
    ///
    /// - Parameters:
    ///   - byAction: (rows, actions), without gaps.
    ///   - meanGradient: (rows, actions), overwritten.
    ///   - gradient: by s, (features · actions), overwritten.
    /// - Returns: the gradient by h, (rows, features), in the workspace.
    public func backward(
        means: Matrix, latents: Matrix, map: Vector<Float>, squashed: Matrix, byAction: Matrix,
        byLogProbability: Float, _ workspace: SquashedWorkspace, meanGradient: Matrix, into gradient: Vector<Float>
    ) -> Matrix {
        check(means, latents, map, squashed)
        precondition(
            byAction.isContiguous && byAction.columns == actions && byAction.rows >= means.rows
                && meanGradient.isContiguous && meanGradient.rows >= means.rows && gradient.count == map.count)
        backward(
            means: means.base, latents: latents.base, map: map.base, rows: means.rows, squashed: squashed.base,
            byAction: byAction.base, byLogProbability: byLogProbability, workspace, meanGradient: meanGradient.base,
            into: gradient.base)
        return Matrix(
            memory: workspace, base: workspace.latentGradient, rows: means.rows, columns: features, stride: features)
    }

    private func check(_ means: Matrix, _ latents: Matrix, _ map: Vector<Float>, _ squashed: Matrix) {
        precondition(
            means.columns == actions && means.isContiguous && latents.columns == features && latents.isContiguous
                && latents.rows == means.rows && map.count == features * actions && squashed.columns == actions
                && squashed.isContiguous && squashed.rows >= means.rows)
    }
}
