public import GymCore

/// BipedalWalker-v3 and BipedalWalkerHardcore-v3: teach a robot with two legs to walk.
///
/// | action (float32, −1…1) | meaning |
/// |---|---|
/// | 0, 2: hip of the first and second leg | sign: direction of the motor, 4 rad/s; size: share of its torque, 80 Nm |
/// | 1, 3: knee of the first and second leg | as above, 6 rad/s |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: hull angle | rad | −π | π |
/// | 1: hull angular velocity | 25 rad/s | −5 | 5 |
/// | 2, 3: hull velocity | 8.33 m/s, 12.5 m/s | −5 | 5 |
/// | 4, 9: hip angle | rad | −π | π |
/// | 5, 10: hip speed | 4 rad/s | −5 | 5 |
/// | 6, 11: knee angle + 1 | rad | −π | π |
/// | 7, 12: knee speed | 6 rad/s | −5 | 5 |
/// | 8, 13: whether the lower leg touches the ground | | −0 | 5 |
/// | 14…23: distance of the ground by lidar, from straight down to forward | 5.33 m | −1 | 1 |
///
/// Reward: 130/30 a metre forward, less 5 a radian that the hull's angle grows, less 0.028 a joint at full torque and
/// step; −100 for the step in which the hull touches the ground or the walker leaves on the left. The way to the end
/// brings about 300.
///
/// Start: standing at x = 4.67 m; a random force of up to ±5 N pushes the hull for one step.
///
/// End: the hull touches the ground, x < 0, or x > 88.67 m.
///
/// Source: Gymnasium's `bipedal_walker.py` by Oleg Klimov, version 3 (closest lidar trace, energy spent counted).
public struct BipedalWalker: RestorableEnvironment, LockstepEnvironment, Sendable {
    /// On plain ground.
    public static let spec = EnvironmentSpec(
        id: "BipedalWalker-v3", summary: "Teach a robot with two legs to walk over plain ground.",
        maxEpisodeSteps: 1600, rewardThreshold: 300, renderModes: ["rgb_array"], renderFPS: 50)

    /// Among stumps, stairs and pits.
    public static let hardcoreSpec = EnvironmentSpec(
        id: "BipedalWalkerHardcore-v3",
        summary: "Teach a robot with two legs to walk over stumps, stairs and pits.",
        maxEpisodeSteps: 2000, rewardThreshold: 300, renderModes: ["rgb_array"], renderFPS: 50)

    public let observationSpace: Space
    public let actionSpace = Space.box(
        Box(low: [Float](repeating: -1, count: 4), high: [Float](repeating: 1, count: 4)))

    let isHardcore: Bool
    var simulation: Simulation

    /// A walker on plain ground, or among obstacles.
    public init(hardcore: Bool) {
        isHardcore = hardcore
        simulation = Simulation(isHardcore: hardcore)
        var high: [Float] = [.pi, 5, 5, 5]
        for _ in 0..<2 { high += [.pi, 5, .pi, 5, 5] }
        high += [Float](repeating: 1, count: Simulation.lidarCount)
        var low = high.map { -$0 }
        (low[8], low[13]) = (-0.0, -0.0)
        observationSpace = .box(Box(low: low, high: high))
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        simulation.reset(&generator, observation)
    }

    public mutating func beginStep(action: ActionReader, generator: inout NumPyGenerator) {
        simulation.begin([action.element(0), action.element(1), action.element(2), action.element(3)])
    }

    public static let groupSize = Simulation.groupSize

    public static func advance(_ environments: UnsafeMutableBufferPointer<UnsafeMutablePointer<BipedalWalker>>) {
        Simulation.advance(environments.count) { environments[$0].pointee.simulation.world }
    }

    public mutating func endStep(observation: ObservationWriter) -> StepResult {
        simulation.end(observation)
    }

    // MARK: Saving

    /// What the world has grown to after some episodes, with hardcore's obstacles or without.
    public var heapBytes: Int { 127_000 }

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        simulation.save(to: &writer)
    }

    public mutating func restore(from reader: inout StateReader) throws {
        // A simulation of its own: if the state turns out to be broken, nothing has changed.
        simulation = try Simulation(isHardcore: isHardcore, from: &reader)
    }
}
