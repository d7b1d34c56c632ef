import Foundation
import GymCore
import NeuralNetwork

/// Noise on actions in −1 … 1, for policies that have none of their own.
public struct ExplorationNoise {
    /// How one step's noise follows from the last.
    public enum Kind: String, CaseIterable, SettingValue {
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

    /// Adds the noise to actions, (environments, size), which stay within −1 … 1.
    func add(to actions: Matrix) {
        guard kind != nil else { return }
        precondition(actions.rows * size == values.count && actions.columns == size)
        for row in 0..<actions.rows {
            for index in 0..<size {
                actions[row, index] = min(max(actions[row, index] + values[row * size + index], -1), 1)
            }
        }
    }

    /// Writes or reads the noise.
    mutating func code(_ state: inout StateCoder) throws { try state(&values) }
}
