import Foundation
import GymCore

/// Noise on actions in −1 … 1, for policies that have none of their own.
package struct ExplorationNoise {
    /// How one step's noise follows from the last.
    package enum Kind: String, CaseIterable {
        /// ε ~ N(0, σ²), each step anew.
        case normal
        /// Ornstein–Uhlenbeck: ε ← ε − θ ε dt + σ √dt N(0, 1), with θ = 0.15 and dt = 0.01; 0 when an episode starts.
        /// The lectures' ε ← a ε + N(0, σ̂²) has a = 1 − θ dt and σ̂ = σ √dt.
        case ornsteinUhlenbeck = "ornstein-uhlenbeck"
    }

    private let kind: Kind?
    private let deviation: Schedule
    private let size: Int
    /// (environments, size): each environment's noise has a memory of its own.
    package private(set) var values: [Float]

    /// Pulls the noise back towards 0, per unit of time.
    private static let theta = 0.15
    /// The time that a step takes.
    private static let dt = 1e-2

    /// What the hyperparameters ask for.
    init(_ h: Hyperparameters, environments: Int, size: Int) {
        self.init(
            h.optionalText("noise_type").flatMap { Kind(rawValue: $0) }, deviation: h.schedule("noise_std"),
            environments: environments, size: size)
    }

    /// No noise where `kind` is `nil`.
    package init(_ kind: Kind?, deviation: Schedule, environments: Int, size: Int) {
        self.kind = kind
        self.deviation = deviation
        self.size = size
        values = [Float](repeating: 0, count: environments * size)
    }

    /// Draws the noise of the next step, when `progressRemaining` of the run (1 at the start, 0 at the end) is left.
    package mutating func advance(progressRemaining: Double, generator: inout NumPyGenerator) {
        let deviation = deviation.value(progressRemaining: progressRemaining)
        switch kind {
        case nil: break
        case .normal:
            for index in values.indices { values[index] = Float(deviation * generator.standardNormal()) }
        case .ornsteinUhlenbeck:
            let (theta, dt) = (ExplorationNoise.theta, ExplorationNoise.dt)
            for index in values.indices {
                let before = Double(values[index])
                values[index] = Float(
                    before - theta * before * dt + deviation * dt.squareRoot() * generator.standardNormal())
            }
        }
    }

    /// Forgets the past of an environment whose episode ended.
    package mutating func reset(environment: Int) {
        for index in environment * size..<(environment + 1) * size { values[index] = 0 }
    }

    /// Adds the noise to actions, which stay within −1 … 1.
    func add(to actions: UnsafeMutablePointer<Float>) {
        guard kind != nil else { return }
        for index in values.indices { actions[index] = min(max(actions[index] + values[index], -1), 1) }
    }

    func save(to writer: inout StateWriter) { writer.write(array: values) }

    mutating func restore(from reader: inout StateReader) throws {
        let values = try reader.readArray(of: Float.self)
        guard values.count == self.values.count else { throw StateError("the noise is of other environments") }
        self.values = values
    }
}
