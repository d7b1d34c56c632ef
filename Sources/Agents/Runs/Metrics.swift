/// What a log line says, in the names that Stable-Baselines3 gives: `rollout/ep_rew_mean`, `train/loss`.
public struct Metrics: Sendable {
    /// The values, in the order they were first given; `nil` where there is none yet. A learner gives the same names
    /// each time.
    public private(set) var values: [(name: String, value: Double?)] = []

    /// Nothing yet.
    public init() {}

    /// Adds or replaces a value.
    public subscript(name: String) -> Double? {
        get { values.first { $0.name == name }?.value }
        set {
            if let index = values.firstIndex(where: { $0.name == name }) {
                values[index].value = newValue
            } else {
                values.append((name, newValue))
            }
        }
    }
}
