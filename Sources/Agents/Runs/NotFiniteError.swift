import GymCore

/// A network, an observation, a reward or a loss went out of the finite numbers. The learner stands within an iteration:
/// it goes on from what was saved before.
public struct NotFiniteError: Error, Hashable, CustomStringConvertible {
    /// What went wrong with the number.
    public enum Cause: Sendable, Hashable {
        /// Learning brought it.
        case learning
        /// The environment gave it; where known, the number.
        case environment(Double?)
    }

    /// What is not finite.
    public let term: String
    /// The step at which it was noticed.
    public let step: Int
    /// Where it came from.
    public let cause: Cause

    /// An error that names what went out of the finite numbers, and when.
    public init(term: String, step: Int, cause: Cause = .learning) {
        self.term = term
        self.step = step
        self.cause = cause
    }

    /// Names the term and the step.
    public var description: String {
        switch cause {
        case .learning:
            "\(term) is not a finite number at step \(step); a smaller learning_rate or normalize: true may help"
        case .environment(let value?) where value.isFinite:
            "\(term) is \(value) at step \(step): networks learn with 32-bit floats, which end at 3.4e+38; "
                + "have the environment give smaller numbers"
        case .environment(let value):
            "\(term) is not a finite number at step \(step)\(value.map { ": the environment gave \($0)" } ?? "")"
        }
    }

    /// A reward that cannot be learnt from.
    public static func reward(_ value: Double, step: Int) -> NotFiniteError {
        NotFiniteError(term: "a reward", step: step, cause: .environment(value))
    }

    /// The first number of a step's observations, last ones included, that is no finite 32-bit float, as the environment
    /// gave it.
    public static func observation(in results: StepBuffers, step: Int) -> NotFiniteError {
        let number = results.observation.firstBeyondFloat32 ?? results.finalObservation.firstBeyondFloat32
        return NotFiniteError(term: "an observation", step: step, cause: .environment(number))
    }
}

extension BatchBuffer {
    /// The first number that is no finite 32-bit float.
    fileprivate var firstBeyondFloat32: Double? {
        for (index, leaf) in leaves.enumerated() {
            guard case .tensor(let layout) = leaf else { continue }
            let number: Double?
            switch layout.dtype {
            case .float64: number = elements(ofLeaf: index, as: Double.self).first { !Float($0).isFinite }
            case .float32: number = elements(ofLeaf: index, as: Float.self).first { !$0.isFinite }.map { Double($0) }
            default: number = nil
            }
            if let number { return number }
        }
        return nil
    }
}
