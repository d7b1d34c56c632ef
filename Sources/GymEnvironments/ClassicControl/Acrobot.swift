import Foundation
public import GymCore

/// Acrobot-v1: swing the tip of a two-link pendulum above a line by a torque at the joint between the links.
///
/// | action | meaning |
/// |---|---|
/// | 0 | torque −1 N m on the joint |
/// | 1 | no torque |
/// | 2 | torque +1 N m on the joint |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: cos θ₁, θ₁ of the first link from hanging down | | −1 | 1 |
/// | 1: sin θ₁ | | −1 | 1 |
/// | 2: cos θ₂, θ₂ of the second link from the first | | −1 | 1 |
/// | 3: sin θ₂ | | −1 | 1 |
/// | 4: angular velocity of θ₁ | rad/s | −4π | 4π |
/// | 5: angular velocity of θ₂ | rad/s | −9π | 9π |
///
/// Reward: −1 for every step, 0 for the one that ends.
///
/// Start: θ₁, θ₂ and their velocities uniform in [`low`, `high`), by default ±0.1, rounded to float32.
///
/// End: −cos θ₁ − cos(θ₁ + θ₂) > 1.
///
/// Source: R. Sutton, "Generalization in Reinforcement Learning: Successful Examples Using Sparse Coarse Coding"
/// (1996), with the equations of Sutton and Barto's book; constants and order of draws as Gymnasium's Acrobot-v1.
public struct Acrobot: RestorableEnvironment, Sendable {
    private static let timeStep = 0.2  // s, by the classical Runge-Kutta method
    private static let gravity = 9.8  // m/s²
    private static let mass = 1.0  // kg, of each link
    private static let length = 1.0  // m, of the first link
    private static let center = 0.5  // m, from a link's upper end to its centre of mass
    private static let inertia = 1.0  // kg m², of each link
    private static let speedLimit1 = 4 * Double.pi  // rad/s. Faster is cut to this.
    private static let speedLimit2 = 9 * Double.pi  // rad/s. Faster is cut to this.

    /// θ₁, θ₂ and their velocities.
    typealias State = SIMD4<Double>

    public static let spec = EnvironmentSpec(
        id: "Acrobot-v1",
        summary: "Swing the tip of a two-link pendulum above a line by a torque at its middle joint.",
        maxEpisodeSteps: 500, rewardThreshold: -100, renderModes: ["rgb_array"], renderFPS: 15,
        resetOptions: resetBounds(low: -0.1, high: 0.1, of: "all four starting values"))

    public let observationSpace: Space
    public let actionSpace = Space.discrete(count: 3)

    private(set) var state = State()

    /// An environment.
    public init() {
        let bounds = [1, 1, 1, 1, Float(Acrobot.speedLimit1), Float(Acrobot.speedLimit2)]
        observationSpace = .box(Box(low: bounds.map { -$0 }, high: bounds))
    }

    public func validate(resetOptions options: OptionValues) throws {
        try requireResetBounds(options)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        for index in 0..<4 {
            state[index] = Double(Float(generator.uniform(options.real("low"), options.real("high"))))
        }
        guard Acrobot.isFinite(state) else { throw AcrobotError.outOfRange }
        // The first observation is computed in the precision of the rounded state, later ones in float64.
        let (angle1, angle2) = (Float(state[0]), Float(state[1]))
        observation.store([cos(angle1), sin(angle1), cos(angle2), sin(angle2), Float(state[2]), Float(state[3])])
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        state = Acrobot.advance(state, torque: Double(action.integer() - 1))
        guard Acrobot.isFinite(state) else { throw AcrobotError.outOfRange }
        let cosine1 = cos(state[0])
        observation.store([
            Float(cosine1), Float(sin(state[0])), Float(cos(state[1])), Float(sin(state[1])),
            Float(state[2]), Float(state[3]),
        ])
        let isUp = -cosine1 - cos(state[1] + state[0]) > 1
        return StepResult(reward: isUp ? 0 : -1, terminated: isUp)
    }

    /// The state one time step later.
    static func advance(_ state: State, torque: Double) -> State {
        let k1 = derivative(state, torque: torque)
        let k2 = derivative(state + timeStep / 2 * k1, torque: torque)
        let k3 = derivative(state + timeStep / 2 * k2, torque: torque)
        let k4 = derivative(state + timeStep * k3, torque: torque)
        var next = state + timeStep / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        next[0] = wrapped(next[0])
        next[1] = wrapped(next[1])
        next[2] = min(max(next[2], -speedLimit1), speedLimit1)
        next[3] = min(max(next[3], -speedLimit2), speedLimit2)
        return next
    }

    /// The time derivative of a state. Sums and products stand in the reference's order: the motion is chaotic, and a
    /// last digit grows to the first one within a few hundred steps.
    private static func derivative(_ state: State, torque: Double) -> State {
        let (angle1, angle2, velocity1, velocity2) = (state[0], state[1], state[2], state[3])
        let cosine2 = cos(angle2)
        let sine2 = sin(angle2)
        let d1 =
            mass * (center * center) + mass * (length * length + center * center + 2 * length * center * cosine2)
            + inertia + inertia
        let d2 = mass * (center * center + length * center * cosine2) + inertia
        let phi2 = mass * center * gravity * cos(angle1 + angle2 - Double.pi / 2)
        let phi1 =
            -mass * length * center * (velocity2 * velocity2) * sine2
            - 2 * mass * length * center * velocity2 * velocity1 * sine2
            + (mass * center + mass * length) * gravity * cos(angle1 - Double.pi / 2) + phi2
        let acceleration2 =
            (torque + d2 / d1 * phi1 - mass * length * center * (velocity1 * velocity1) * sine2 - phi2)
            / (mass * (center * center) + inertia - d2 * d2 / d1)
        let acceleration1 = -(d2 * acceleration2 + phi1) / d1
        return State(velocity1, velocity2, acceleration1, acceleration2)
    }

    /// The same angle within ±π.
    private static func wrapped(_ angle: Double) -> Double {
        let turn = 2 * Double.pi
        // Only an episode that was started far out gets here with more than a few turns.
        var angle = abs(angle) < 1000 ? angle : fmod(angle, turn)
        while angle > Double.pi { angle -= turn }
        while angle < -Double.pi { angle += turn }
        return angle
    }

    private static func isFinite(_ state: State) -> Bool {
        (0..<4).allSatisfy { state[$0].isFinite }
    }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) { writer.write(state) }

    public mutating func restore(from reader: inout StateReader) throws { state = try reader.read() }
}

/// What can go wrong in an acrobot: only after a start with absurd bounds.
private enum AcrobotError: Error, CustomStringConvertible {
    case outOfRange

    var description: String {
        "the acrobot's state is no longer finite; choose reset options 'low' and 'high' nearer to 0"
    }
}
