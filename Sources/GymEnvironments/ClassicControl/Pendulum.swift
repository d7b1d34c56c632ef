import Foundation
public import GymCore

/// Pendulum-v1: swing a pendulum up and keep it upright by a torque too weak to lift it directly.
///
/// | action (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: torque u, counter-clockwise; clipped to its bounds | N m | −2 | 2 |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: cos θ, θ from upright | | −1 | 1 |
/// | 1: sin θ | | −1 | 1 |
/// | 2: angular velocity | rad/s | −8 | 8 |
///
/// Reward: −(θ² + 0.1 θ̇² + 0.001 u²) of the state before the step, θ within ±π; from −16.2736044 to 0.
///
/// Start: θ uniform within ±`x_init`, by default ±π; then θ̇ within ±`y_init`, by default ±1.
///
/// End: never.
///
/// Source: the swing-up task as in Gymnasium's Pendulum-v1, its constants, order of draws and precision: the torque
/// and what is computed from it alone are float32, the state is float64.
public struct Pendulum: RestorableEnvironment, Sendable {
    private static let mass = 1.0  // kg
    private static let length = 1.0  // m
    private static let timeStep = 0.05  // s, by the semi-implicit Euler method
    private static let speedLimit = 8.0  // rad/s. Faster is cut to this.
    private static let torqueLimit: Float = 2  // N m. More is cut to this.

    /// Angle and angular velocity of the pendulum.
    struct State: Hashable {
        /// From upright, and never wrapped: it counts full turns.
        var angle = 0.0
        var angularVelocity = 0.0
    }

    public static let spec = EnvironmentSpec(
        id: "Pendulum-v1",
        summary: "Swing a pendulum up and keep it upright by a torque too weak to lift it directly.",
        maxEpisodeSteps: 200, renderModes: ["rgb_array"], renderFPS: 30,
        options: [OptionSpec("g", .anyReal, default: .real(10), "Acceleration of gravity, in m/s².")],
        resetOptions: [
            OptionSpec("x_init", startRange, default: .real(.pi), "Largest starting angle to either side, in rad."),
            OptionSpec("y_init", startRange, default: .real(1), "Largest starting velocity to either side, in rad/s."),
        ])

    /// Symmetric bounds whose distance is still finite.
    private static let startRange = OptionKind.real(0...Double.greatestFiniteMagnitude / 2)

    public let observationSpace = Space.box(
        Box(low: [-1, -1, -Float(speedLimit)], high: [1, 1, Float(speedLimit)]))
    public let actionSpace = Space.box(Box(low: -torqueLimit, high: torqueLimit, shape: [1]))

    private let gravity: Double
    private(set) var state = State()
    /// Of the present angle: observed after one step, needed for the next.
    private var sine = 0.0
    /// The torque of the last step, for the picture only; none after a reset.
    private(set) var lastTorque: Float?
    /// 2. Gymnasium's `**` is the C library's pow, which once in a thousand times differs from a product in the last
    /// bit, and whoever compares rewards with Gymnasium's compares all bits. A variable, since the compiler makes a
    /// product of a power whose exponent it knows to be 2.
    private var square: Double

    /// An environment with the options of ``spec``.
    public init(options: OptionValues) {
        gravity = options.real("g")
        square = 2
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        let angle = options.real("x_init")
        let velocity = options.real("y_init")
        lastTorque = nil
        state.angle = generator.uniform(-angle, angle)
        state.angularVelocity = generator.uniform(-velocity, velocity)
        observe(observation)
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        let torque = min(max(action.element(as: Float.self), -Pendulum.torqueLimit), Pendulum.torqueLimit)
        lastTorque = torque
        let cost = Pendulum.cost(of: state, torque: torque, exponent: square)
        state = Pendulum.advance(state, sine: sine, torque: torque, gravity: gravity)
        observe(observation)
        return StepResult(reward: -cost, terminated: false)
    }

    /// What a state and the torque applied in it cost.
    ///
    /// - Parameter exponent: ``square``.
    static func cost(of state: State, torque: Float, exponent: Double) -> Double {
        let angle = wrapped(state.angle)
        let effort = 0.001 * pow(torque, Float(exponent))
        return pow(angle, exponent) + 0.1 * pow(state.angularVelocity, exponent) + Double(effort)
    }

    /// The same angle from −π up to π.
    private static func wrapped(_ angle: Double) -> Double {
        let turn = 2 * Double.pi
        let shifted = angle + Double.pi
        // Python's remainder takes the divisor's sign. Angles within the first turn need no division.
        if shifted >= 0 && shifted < turn { return shifted - Double.pi }
        let remainder = fmod(shifted, turn)
        return (remainder < 0 ? remainder + turn : remainder) - Double.pi
    }

    /// The state one time step later: the velocity by the old angle, then the angle by the new velocity.
    ///
    /// - Parameter sine: of the old angle.
    static func advance(_ state: State, sine: Double, torque: Float, gravity: Double) -> State {
        // A rod about its end: I = m l²/3, so θ̈ = 3 g/(2 l) sin θ + 3/(m l²) u.
        let push = Float(3 / (mass * (length * length))) * torque
        let acceleration = 3 * gravity / (2 * length) * sine + Double(push)
        let velocity = min(max(state.angularVelocity + acceleration * timeStep, -speedLimit), speedLimit)
        return State(angle: state.angle + velocity * timeStep, angularVelocity: velocity)
    }

    private mutating func observe(_ observation: ObservationWriter) {
        sine = sin(state.angle)
        observation.store([Float(cos(state.angle)), Float(sine), Float(state.angularVelocity)])
    }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) { writer.write(state) }

    public mutating func restore(from reader: inout StateReader) throws {
        state = try reader.read()
        sine = sin(state.angle)
    }
}
