import Foundation
public import GymCore

/// MountainCarContinuous-v0: rock a car out of a valley with little force.
///
/// | action (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: force, to the right; clipped to its bounds | 0.0015 m/step² | −1 | 1 |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: position x | m | −1.2 | 0.6 |
/// | 1: velocity | m/step | −0.07 | 0.07 |
///
/// Reward: −0.1 a² of the action as given (not as clipped), and 100 for the step that reaches the goal.
///
/// Start: x uniform in [`low`, `high`), by default −0.6 to −0.4, at rest.
///
/// End: x ≥ 0.45 with a velocity of at least `goal_velocity`, by default 0.
///
/// Source: A. Moore, "Efficient Memory-Based Learning for Robot Control" (1990); constants, order of draws and
/// precision as Gymnasium's MountainCarContinuous-v0.
public struct MountainCarContinuous: RestorableEnvironment, Sendable {
    private static let power = 0.0015  // m/step² at full force
    static let goal = 0.45  // m
    private static let forceLimit: Float = 1  // More is cut to this.

    /// Position and velocity of the car.
    struct State: Hashable {
        var position = 0.0
        var velocity = 0.0
        /// The reference starts in float64 and rounds its state to float32 with each step; so the first step of an
        /// episode is computed in another precision than the rest.
        var isRounded = false
    }

    public static let spec = EnvironmentSpec(
        id: "MountainCarContinuous-v0",
        summary: "Rock a car out of a valley with little force.",
        maxEpisodeSteps: 999, rewardThreshold: 90, renderModes: ["rgb_array"], renderFPS: 30,
        options: MountainCarTrack.options, resetOptions: MountainCarTrack.resetOptions)

    public let observationSpace = MountainCarTrack.observationSpace
    public let actionSpace = Space.box(Box(low: -forceLimit, high: forceLimit, shape: [1]))

    private let goalVelocity: Double
    private(set) var state = State()

    /// An environment with the options of ``spec``.
    public init(options: OptionValues) {
        goalVelocity = options.real("goal_velocity")
    }

    public func validate(resetOptions options: OptionValues) throws {
        try requireResetBounds(options)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        state = State(position: generator.uniform(options.real("low"), options.real("high")))
        observe(observation)
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        let action = action.element(as: Float.self)
        let isAtGoal: Bool
        if state.isRounded {
            isAtGoal = advance(Float(state.position), Float(state.velocity), action: action)
        } else {
            isAtGoal = advance(state.position, state.velocity, action: action)
        }
        observe(observation)
        let effort = Double(action) * Double(action) * 0.1
        return StepResult(reward: (isAtGoal ? 100 : 0) - effort, terminated: isAtGoal)
    }

    /// Takes a step in the precision of `Real`; returns whether it reaches the goal.
    private mutating func advance<Real: BinaryFloatingPoint>(
        _ oldPosition: Real, _ oldVelocity: Real, action: Float
    ) -> Bool {
        let (position, velocity) = MountainCarContinuous.advance(
            position: oldPosition, velocity: oldVelocity, action: action)
        let isAtGoal = position >= Real(MountainCarContinuous.goal) && velocity >= Real(goalVelocity)
        state = State(position: Double(Float(position)), velocity: Double(Float(velocity)), isRounded: true)
        return isAtGoal
    }

    /// Position and velocity one step later.
    static func advance<Real: BinaryFloatingPoint>(
        position: Real, velocity: Real, action: Float
    ) -> (position: Real, velocity: Real) {
        typealias Track = MountainCarTrack
        let pull = Track.gravity * cos(Double(3 * position))
        // A force within its bounds is a float32 and so is all that is computed with it; a clipped one is a Python
        // number, which computes in float64.
        let push =
            abs(action) <= forceLimit
            ? Double(action * Float(power) - Float(pull)) : Double(action < 0 ? -forceLimit : forceLimit) * power - pull
        var velocity = min(max(velocity + Real(push), -Real(Track.speedLimit)), Real(Track.speedLimit))
        let position = min(max(position + velocity, Real(Track.leftEnd)), Real(Track.rightEnd))
        if position == Real(Track.leftEnd) && velocity < 0 { velocity = 0 }
        return (position, velocity)
    }

    private func observe(_ observation: ObservationWriter) {
        observation.store([Float(state.position), Float(state.velocity)])
    }

    // MARK: Saving

    public static let stateVersion = 1

    /// The observation space is shared by all.
    public var heapBytes: Int { actionSpace.heapBytes }

    public func save(to writer: inout StateWriter) {
        writer.write(state.position)
        writer.write(state.velocity)
        writer.write(UInt8(state.isRounded ? 1 : 0))
    }

    public mutating func restore(from reader: inout StateReader) throws {
        state = State(
            position: try reader.read(), velocity: try reader.read(), isRounded: try reader.read(UInt8.self) != 0)
    }
}
