import Glibc
import GymCore

/// Generalised state-dependent exploration (Raffin et al. 2021, arXiv 2005.05719): noise that is a linear map of the
/// policy's last hidden layer, so that it stays smooth in time until the map is drawn anew.
///
/// With latent h (features) and map E (features, actions), Eₖⱼ ~ N(0, exp(2 sₖⱼ)), the action is μ + h E, which for a
/// given h is normal with variance Σₖ hₖ² exp(2 sₖⱼ). The log-deviations s are learnt; h gets no gradient from them.
public struct StateDependentNoise: Sendable {
    /// The length of a latent.
    public let features: Int
    /// The dimensions of an action.
    public let actions: Int
    /// Added to the variance, so that its logarithm exists.
    @usableFromInline static let floor: Float = 1e-6

    /// Noise for the given sizes.
    public init(features: Int, actions: Int) {
        self.features = features
        self.actions = actions
    }

    /// Scratch for ``deviations(_:latents:rows:_:)`` and ``backward(_:rows:_:into:)``.
    public final class Workspace: @unchecked Sendable {
        /// h², (rows, features).
        let squares: UnsafeMutablePointer<Float>
        /// exp(2 s), (features, actions).
        let variances: UnsafeMutablePointer<Float>
        /// (features, actions).
        let products: UnsafeMutablePointer<Float>
        /// σ of each action, (rows, actions).
        public let deviations: UnsafeMutablePointer<Float>
        /// The gradient of the loss by σ², (rows, actions).
        public let varianceGradient: UnsafeMutablePointer<Float>
        /// The most rows.
        let capacity: Int
        /// The dimensions of an action.
        let actions: Int

        /// Scratch for up to `capacity` rows.
        public init(for noise: StateDependentNoise, capacity: Int) {
            self.capacity = capacity
            actions = noise.actions
            squares = allocateFloats(capacity * noise.features)
            variances = allocateFloats(noise.features * noise.actions)
            products = allocateFloats(noise.features * noise.actions)
            deviations = allocateFloats(capacity * noise.actions)
            varianceGradient = allocateFloats(capacity * noise.actions)
        }

        deinit {
            for memory in [squares, variances, products, deviations, varianceGradient] { memory.deallocate() }
        }
    }

    /// Computes σ for each row into the workspace.
    ///
    /// - Parameters:
    ///   - logDeviations: s, (features, actions).
    ///   - latents: h, (rows, features).
    public func deviations(
        _ logDeviations: UnsafePointer<Float>, latents: UnsafePointer<Float>, rows: Int, _ workspace: Workspace
    ) {
        for index in 0..<rows * features { workspace.squares[index] = latents[index] * latents[index] }
        for index in 0..<features * actions { workspace.variances[index] = expf(2 * logDeviations[index]) }
        matrixProduct(
            m: rows, n: actions, k: features, workspace.squares, workspace.variances, into: workspace.deviations)
        for index in 0..<rows * actions {
            workspace.deviations[index] = (workspace.deviations[index] + StateDependentNoise.floor).squareRoot()
        }
    }

    /// Turns the workspace's gradient by σ² into that by s: ∂σ²ⱼ/∂sₖⱼ = 2 hₖ² exp(2 sₖⱼ).
    ///
    /// - Parameter gradient: (features, actions), overwritten.
    public func backward(rows: Int, _ workspace: Workspace, into gradient: UnsafeMutablePointer<Float>) {
        matrixProduct(
            m: features, n: actions, k: rows, workspace.squares, transposedA: true, workspace.varianceGradient,
            into: workspace.products)
        for index in 0..<features * actions {
            gradient[index] = 2 * workspace.variances[index] * workspace.products[index]
        }
    }

    /// Draws a map: E, (features, actions).
    public func drawMap(
        _ logDeviations: UnsafePointer<Float>, generator: inout NumPyGenerator, into map: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<features * actions {
            map[index] = Float(exp(Double(logDeviations[index])) * generator.standardNormal())
        }
    }

    /// The noise of rows under a drawn map: h E.
    ///
    /// - Parameters:
    ///   - latents: (rows, features).
    ///   - map: E, (features, actions).
    ///   - noise: (rows, actions).
    public func noise(
        latents: UnsafePointer<Float>, rows: Int = 1, map: UnsafePointer<Float>,
        into noise: UnsafeMutablePointer<Float>
    ) {
        matrixProduct(m: rows, n: actions, k: features, latents, map, into: noise)
    }
}

// MARK: Matrices

extension StateDependentNoise {
    /// Computes σ for each row into the workspace.
    ///
    /// - Parameters:
    ///   - logDeviations: s, (features · actions).
    ///   - latents: h, (rows, features), without gaps.
    /// - Returns: σ, (rows, actions), in the workspace until the next call.
    @discardableResult
    public func deviations(_ logDeviations: Vector<Float>, latents: Matrix, _ workspace: Workspace) -> Matrix {
        precondition(
            logDeviations.count == features * actions && latents.columns == features && latents.isContiguous
                && latents.rows <= workspace.capacity)
        deviations(logDeviations.base, latents: latents.base, rows: latents.rows, workspace)
        return workspace.deviations(rows: latents.rows)
    }

    /// Turns the workspace's gradient by σ² into that by s.
    ///
    /// - Parameter gradient: (features · actions), overwritten.
    public func backward(rows: Int, _ workspace: Workspace, into gradient: Vector<Float>) {
        precondition(gradient.count == features * actions && rows <= workspace.capacity)
        backward(rows: rows, workspace, into: gradient.base)
    }

    /// As ``backward(rows:_:into:)``, added to what is there.
    public func addBackward(rows: Int, _ workspace: Workspace, into gradient: Vector<Float>) {
        let part = Vector<Float>(count: gradient.count)
        backward(rows: rows, workspace, into: part)
        gradient.add(part)
    }

    /// Draws a map: E, (features · actions).
    public func drawMap(_ logDeviations: Vector<Float>, generator: inout NumPyGenerator, into map: Vector<Float>) {
        precondition(logDeviations.count == features * actions && map.count == features * actions)
        drawMap(logDeviations.base, generator: &generator, into: map.base)
    }

    /// The noise of one row under a drawn map: h E.
    ///
    /// - Parameters:
    ///   - latents: (rows, features).
    ///   - map: E, (features · actions).
    ///   - noise: (rows, actions).
    public func noise(row: Int, latents: Matrix, map: Vector<Float>, into noise: Matrix) {
        precondition(
            latents.columns == features && map.count == features * actions && noise.columns == actions
                && row < latents.rows && row < noise.rows)
        self.noise(
            latents: latents.base + row * latents.stride, map: map.base, into: noise.base + row * noise.stride)
    }
}

extension StateDependentNoise.Workspace {
    /// σ of each row, (rows, actions).
    public func deviations(rows: Int) -> Matrix {
        Matrix(memory: self, base: deviations, rows: rows, columns: actions, stride: actions)
    }

    /// The gradient of the loss by σ², (rows, actions).
    public func varianceGradients(rows: Int) -> Matrix {
        Matrix(memory: self, base: varianceGradient, rows: rows, columns: actions, stride: actions)
    }
}
