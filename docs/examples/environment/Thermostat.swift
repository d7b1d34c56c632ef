import GymCore

/// Thermostat-v0: keep a room at 20 °C while it leaks heat to the weather outside.
///
/// | action | meaning |
/// |---|---|
/// | 0 | heater off |
/// | 1 | heater on |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0: inside | °C | −50 | 50 |
/// | 1: outside | °C | −50 | 50 |
///
/// Reward: minus the distance from 20 °C, in °C.
///
/// Start: inside and outside uniform in 0 °C to 15 °C.
///
/// End: inside below −5 °C, where the pipes burst. The time limit is the registration's.
struct Thermostat: RestorableEnvironment, RenderableEnvironment, Sendable {
    static let target = 20.0  // °C
    static let heating = 1.5  // °C a step
    static let leak = 0.05  // of the difference to outside, a step
    static let drift = 0.5  // °C a step, standard deviation of the weather
    static let burst = -5.0  // °C

    static let spec = EnvironmentSpec(
        id: "Thermostat-v0", summary: "Keep a room at 20 °C.", maxEpisodeSteps: 100,
        renderModes: ["rgb_array", "ansi"], renderFPS: 10,
        options: [OptionSpec("leak", .real(0...1), default: .real(leak), "Of the difference to outside, a step.")])

    /// All that the future depends on, but for the generator and the options.
    struct State: BitwiseCopyable {
        var inside = 0.0
        var outside = 0.0
    }

    let observationSpace = Space.box(Box(low: Float(-50), high: 50, shape: [2]))
    let actionSpace = Space.discrete(count: 2)
    let leak: Double
    var state = State()

    init(options: OptionValues) { leak = options.real("leak") }

    mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        state = State(inside: generator.uniform(0, 15), outside: generator.uniform(0, 15))
        observe(observation)
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        if action.integer() == 1 { state.inside += Thermostat.heating }
        state.inside += leak * (state.outside - state.inside)
        state.outside = min(max(generator.normal(state.outside, Thermostat.drift), -30), 30)
        observe(observation)
        return StepResult(
            reward: -abs(state.inside - Thermostat.target), terminated: state.inside < Thermostat.burst)
    }

    private func observe(_ observation: ObservationWriter) {
        observation.store([Float(state.inside), Float(state.outside)])
    }
}
