import Foundation
public import GymCore

/// MountainCar-v0: rock a car out of a valley that it is too weak to climb directly.
///
/// | action | meaning |
/// |---|---|
/// | 0 | push to the left |
/// | 1 | do not push |
/// | 2 | push to the right |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: position x | m | −1.2 | 0.6 |
/// | 1: velocity | m/step | −0.07 | 0.07 |
///
/// Reward: −1 for every step, the last included.
///
/// Start: x uniform in [`low`, `high`), by default −0.6 to −0.4, at rest.
///
/// End: x ≥ 0.5 with a velocity of at least `goal_velocity`, by default 0.
///
/// Source: A. Moore, "Efficient Memory-Based Learning for Robot Control" (1990); constants and order of draws as
/// Gymnasium's MountainCar-v0.
public struct MountainCar: RestorableEnvironment, Sendable {
    private static let force = 0.001  // m/step²
    static let goal = 0.5  // m

    /// Position and velocity of the car.
    struct State: Hashable {
        var position = 0.0
        var velocity = 0.0
    }

    public static let spec = EnvironmentSpec(
        id: "MountainCar-v0",
        summary: "Rock a car out of a valley that it is too weak to climb directly.",
        maxEpisodeSteps: 200, rewardThreshold: -110, renderModes: ["rgb_array"], renderFPS: 30,
        options: MountainCarTrack.options, resetOptions: MountainCarTrack.resetOptions)

    public let observationSpace = MountainCarTrack.observationSpace
    public let actionSpace = Space.discrete(count: 3)

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
        state = MountainCar.advance(state, direction: action.integer() - 1)
        observe(observation)
        return StepResult(
            reward: -1, terminated: state.position >= MountainCar.goal && state.velocity >= goalVelocity)
    }

    /// The state one step later.
    ///
    /// - Parameter direction: −1, 0 or 1.
    static func advance(_ state: State, direction: Int) -> State {
        typealias Track = MountainCarTrack
        let pull = cos(3 * state.position) * -Track.gravity
        let velocity = min(
            max(state.velocity + (Double(direction) * force + pull), -Track.speedLimit), Track.speedLimit)
        let position = min(max(state.position + velocity, Track.leftEnd), Track.rightEnd)
        return State(position: position, velocity: position == Track.leftEnd && velocity < 0 ? 0 : velocity)
    }

    private func observe(_ observation: ObservationWriter) {
        observation.store([Float(state.position), Float(state.velocity)])
    }

    // MARK: Saving

    public static let stateVersion = 1

    /// The observation space is shared by all.
    public var heapBytes: Int { actionSpace.heapBytes }

    public func save(to writer: inout StateWriter) { writer.write(state) }

    public mutating func restore(from reader: inout StateReader) throws { state = try reader.read() }
}
