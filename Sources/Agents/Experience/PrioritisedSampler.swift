import Foundation
import GymCore
import NeuralNetwork

/// Draws transitions in proportion to how wrong the network was about them (Schaul et al. 2016, arXiv 1511.05952):
/// P(i) = pᵢ^α / Σ p^α, p = |δ| + ε, with a tree of sums so that a draw and a change take log₂(capacity) steps.
public struct PrioritisedSampler: Sendable {
    /// A binary heap of sums: node i has children 2i and 2i + 1; the leaves start at `leaves`.
    private var sums: [Double]
    private let leaves: Int
    private let alpha: Double
    /// The largest p^α so far: what a transition starts with, so that each is drawn soon.
    private var largest = 1.0

    /// Keeps a transition about which the network was right from never being drawn again.
    private static let epsilon = 1e-6

    /// A sampler for up to `capacity` transitions, none of them there yet.
    public init(capacity: Int, alpha: Double) {
        var leaves = 1
        while leaves < capacity { leaves *= 2 }
        self.leaves = leaves
        self.alpha = alpha
        sums = [Double](repeating: 0, count: 2 * leaves)
    }

    /// Σ p^α.
    public var total: Double { sums[1] }

    /// p^α of a transition.
    public func priority(_ row: Int) -> Double { sums[leaves + row] }

    /// Takes in a new transition, with the largest priority so far.
    public mutating func add(_ row: Int) { set(row, largest) }

    /// A transition is not to be drawn.
    public mutating func remove(_ row: Int) { set(row, 0) }

    /// Takes in how wrong the network was about a transition.
    public mutating func update(_ row: Int, error: Float) {
        let priority = pow(Double(abs(error)) + PrioritisedSampler.epsilon, alpha)
        largest = max(largest, priority)
        set(row, priority)
    }

    private mutating func set(_ row: Int, _ priority: Double) {
        var node = leaves + row
        sums[node] = priority
        while node > 1 {
            node /= 2
            // Summed anew rather than by the difference, so that rounding does not pile up.
            sums[node] = sums[2 * node] + sums[2 * node + 1]
        }
    }

    /// The transition in which a point of 0 ..< ``total`` falls.
    public func row(at point: Double) -> Int {
        var node = 1
        var rest = point
        while node < leaves {
            node *= 2
            if rest >= sums[node] && sums[node + 1] > 0 {
                rest -= sums[node]
                node += 1
            }
        }
        return node - leaves
    }

    /// Draws `rows.count` transitions, one from each of as many equal stretches of the total, and their weights
    /// (count · P(i))^−β, divided by the largest of them.
    public func sample(
        _ rows: Vector<Int32>, weights: Vector<Float>, count: Int, beta: Double, generator: inout NumPyGenerator
    ) {
        precondition(weights.count >= rows.count)
        let stretch = total / Double(rows.count)
        var largestWeight = 0.0
        for index in rows.indices {
            let row = row(at: stretch * (Double(index) + generator.random()))
            rows[index] = Int32(row)
            let weight = pow(Double(count) * priority(row) / total, -beta)
            weights[index] = Float(weight)
            largestWeight = max(largestWeight, weight)
        }
        for index in rows.indices { weights[index] = Float(Double(weights[index]) / largestWeight) }
    }

    /// Writes or reads the priorities.
    package mutating func code(_ state: inout StateCoder) throws {
        try state(&largest)
        var priorities = Array(sums[leaves...])
        try state(&priorities)
        guard state.isReading else { return }
        sums.replaceSubrange(leaves..., with: priorities)
        for node in stride(from: leaves - 1, to: 0, by: -1) { sums[node] = sums[2 * node] + sums[2 * node + 1] }
    }
}
