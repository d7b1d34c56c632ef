import Foundation
public import GymCore

/// CartPole-v1: keep a pole upright on a cart by pushing the cart left or right.
///
/// | action | meaning |
/// |---|---|
/// | 0 | push to the left, −10 N |
/// | 1 | push to the right, +10 N |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: cart position x | m | −4.8 | 4.8 |
/// | 1: cart velocity | m/s | −∞ | ∞ |
/// | 2: pole angle θ from upright | rad | −0.419 (−24°) | 0.419 |
/// | 3: pole angular velocity | rad/s | −∞ | ∞ |
///
/// Reward: 1 for every step, the last included. With `sutton_barto_reward`: 0, and −1 for the step that ends.
///
/// Start: all four uniform in [`low`, `high`), by default ±0.05.
///
/// End: |x| > 2.4 m or |θ| > 12°.
///
/// Source: A. Barto, R. Sutton, C. Anderson, "Neuronlike Adaptive Elements That Can Solve Difficult Learning Control
/// Problem" (1983), with the equations of R. Florian (2007) without friction; constants and order of draws as
/// Gymnasium's CartPole-v1.
public struct CartPole: RestorableEnvironment, Sendable {
    private static let gravity = 9.8  // m/s²
    private static let poleMass = 0.1  // kg
    private static let totalMass = 0.1 + 1.0  // kg: pole and cart
    private static let halfPoleLength = 0.5  // m
    private static let poleMassLength = poleMass * halfPoleLength  // kg m
    private static let force = 10.0  // N
    private static let timeStep = 0.02  // s, by the explicit Euler method
    private static let positionLimit = 2.4  // m. Beyond it the episode ends.
    private static let angleLimit = 12 * 2 * Double.pi / 360  // rad. Beyond it the episode ends.

    /// Position and velocity of cart and pole.
    struct State: Hashable {
        var position = 0.0
        var velocity = 0.0
        var angle = 0.0
        var angularVelocity = 0.0
    }

    public static let spec = EnvironmentSpec(
        id: "CartPole-v1",
        summary: "Keep a pole upright on a cart by pushing the cart left or right.",
        maxEpisodeSteps: 500, rewardThreshold: 475, renderModes: ["rgb_array"], renderFPS: 50,
        options: [
            OptionSpec(
                "sutton_barto_reward", .bool, default: .bool(false),
                "Reward 0 for each step and -1 for the one that ends, as in the original paper.")
        ],
        resetOptions: resetBounds(low: -0.05, high: 0.05, of: "all four starting values"))

    public let observationSpace: Space
    public let actionSpace = Space.discrete(count: 2)

    private let suttonBartoReward: Bool
    private(set) var state = State()
    private var hasEnded = false

    /// An environment with the options of ``spec``.
    public init(options: OptionValues) {
        suttonBartoReward = options.bool("sutton_barto_reward")
        // Twice the limits, so that the observation that ends an episode is still inside.
        let bounds = [
            Float(2 * CartPole.positionLimit), .infinity, Float(2 * CartPole.angleLimit), .infinity,
        ]
        observationSpace = .box(Box(low: bounds.map { -$0 }, high: bounds))
    }

    public func validate(resetOptions options: OptionValues) throws {
        try requireResetBounds(options)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        let low = options.real("low")
        let high = options.real("high")
        state.position = generator.uniform(low, high)
        state.velocity = generator.uniform(low, high)
        state.angle = generator.uniform(low, high)
        state.angularVelocity = generator.uniform(low, high)
        hasEnded = false
        observe(observation)
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        state = CartPole.advance(state, force: action.integer() == 1 ? CartPole.force : -CartPole.force)
        observe(observation)
        let ends = abs(state.position) > CartPole.positionLimit || abs(state.angle) > CartPole.angleLimit
        defer { hasEnded = ends }
        let reward =
            if suttonBartoReward {
                ends ? -1.0 : 0.0
            } else {
                // A pole that had already fallen earns nothing more.
                ends && hasEnded ? 0.0 : 1.0
            }
        return StepResult(reward: reward, terminated: ends)
    }

    /// The state one time step later. Positions move by the old velocities: this is explicit Euler, as in the
    /// reference, and another integrator would be another task.
    static func advance(_ state: State, force: Double) -> State {
        let cosine = cos(state.angle)
        let sine = sin(state.angle)
        let shared = (force + poleMassLength * (state.angularVelocity * state.angularVelocity) * sine) / totalMass
        let angularAcceleration =
            (gravity * sine - cosine * shared)
            / (halfPoleLength * (4.0 / 3.0 - poleMass * (cosine * cosine) / totalMass))
        let acceleration = shared - poleMassLength * angularAcceleration * cosine / totalMass
        return State(
            position: state.position + timeStep * state.velocity,
            velocity: state.velocity + timeStep * acceleration,
            angle: state.angle + timeStep * state.angularVelocity,
            angularVelocity: state.angularVelocity + timeStep * angularAcceleration)
    }

    private func observe(_ observation: ObservationWriter) {
        observation.store([
            Float(state.position), Float(state.velocity), Float(state.angle), Float(state.angularVelocity),
        ])
    }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        writer.write(state)
        writer.write(UInt8(hasEnded ? 1 : 0))
    }

    public mutating func restore(from reader: inout StateReader) throws {
        state = try reader.read()
        hasEnded = try reader.read(UInt8.self) != 0
    }
}
