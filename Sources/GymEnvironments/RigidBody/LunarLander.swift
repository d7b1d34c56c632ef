public import GymCore

/// LunarLander-v3 and LunarLanderContinuous-v3: land on the pad between the flags, softly and upright.
///
/// | action (discrete) | meaning |
/// |---|---|
/// | 0 | nothing |
/// | 1 | fire the left orientation engine |
/// | 2 | fire the main engine |
/// | 3 | fire the right orientation engine |
///
/// | action (continuous, float32, −1…1) | meaning |
/// |---|---|
/// | 0: main engine | off at or below 0; 0…1 is 50…100 % |
/// | 1: orientation engines | off from −0.5 to 0.5; beyond, left (negative) or right at 50…100 % |
///
/// | observation (float32) | unit | min | max |
/// |---|---|---|---|
/// | 0, 1: position from the pad | 10 m, 6.67 m | −2.5 | 2.5 |
/// | 2, 3: velocity | 5 m/s, 7.5 m/s | −10 | 10 |
/// | 4: angle | rad | −2π | 2π |
/// | 5: angular velocity | 2.5 rad/s | −10 | 10 |
/// | 6, 7: whether the first and second leg touch the ground | | −0 | 1 |
///
/// Reward: what the potential −100·distance − 100·speed − 100·|angle| + 10 a leg on the ground gains, less 0.3 for the
/// main engine and 0.03 for an orientation engine at full power. The step that ends brings −100 for a crash or for
/// leaving sideways, +100 for coming to rest.
///
/// Start: at the top in the middle, pushed by a random force of up to ±1000 N a direction for one step.
///
/// End: the body touches the moon, |x| ≥ 10 m, or the lander has fallen asleep.
///
/// Source: Gymnasium's `lunar_lander.py` by Oleg Klimov, version 3, with its two known oddities: the orientation
/// engines' place depends on the lander's angle (17 where 14 is meant), and the units of observations differ.
public struct LunarLander: RestorableEnvironment, LockstepEnvironment, Sendable {
    private static func spec(_ id: String, isContinuous: Bool) -> EnvironmentSpec {
        EnvironmentSpec(
            id: id, summary: "Land on the pad between the flags, softly and upright.", maxEpisodeSteps: 1000,
            rewardThreshold: 200, renderModes: ["rgb_array"], renderFPS: 50,
            options: [
                OptionSpec(
                    "continuous", .bool, default: .bool(isContinuous),
                    "Two throttles in place of four choices."),
                OptionSpec("gravity", .anyReal, default: .real(-10), "m/s², between -12 and 0, both excluded."),
                OptionSpec("enable_wind", .bool, default: .bool(false), "Wind and turbulence while no leg touches."),
                OptionSpec(
                    "wind_power", .anyReal, default: .real(15), "Greatest force of the wind, N; 0 to 20 make sense."),
                OptionSpec(
                    "turbulence_power", .anyReal, default: .real(1.5),
                    "Greatest torque of the wind, Nm; 0 to 2 make sense."),
            ])
    }

    /// With discrete actions unless told otherwise.
    public static let spec = spec("LunarLander-v3", isContinuous: false)
    /// With continuous actions unless told otherwise.
    public static let continuousSpec = spec("LunarLanderContinuous-v3", isContinuous: true)

    public let observationSpace: Space
    public let actionSpace: Space

    private let settings: Settings
    var simulation: Simulation

    /// What an environment is made with.
    struct Settings {
        var isContinuous: Bool
        var gravity: Double  // m/s²
        var isWindy: Bool
        var windPower: Double  // N
        var turbulencePower: Double  // Nm
    }

    /// An environment with the options of ``spec``.
    ///
    /// - Throws: ``OptionError`` for a gravity that is not between −12 and 0.
    public init(options: OptionValues) throws {
        let gravity = options.real("gravity")
        guard gravity > -12 && gravity < 0 else {
            throw OptionError(option: "gravity", "option 'gravity' is \(gravity); it has to be between -12 and 0")
        }
        settings = Settings(
            isContinuous: options.bool("continuous"), gravity: gravity, isWindy: options.bool("enable_wind"),
            windPower: options.real("wind_power"), turbulencePower: options.real("turbulence_power"))
        simulation = Simulation(settings)
        let high: [Float] = [2.5, 2.5, 10, 10, Float(2 * Double.pi), 10, 1, 1]
        var low = high.map { -$0 }
        (low[6], low[7]) = (-0.0, -0.0)
        observationSpace = .box(Box(low: low, high: high))
        actionSpace =
            settings.isContinuous ? .box(Box(low: Float(-1), high: 1, shape: [2])) : .discrete(count: 4)
    }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        simulation.reset(&generator, observation)
    }

    public mutating func beginStep(action: ActionReader, generator: inout NumPyGenerator) {
        simulation.begin(
            settings.isContinuous
                ? Throttle(main: action.element(0), side: action.element(1)) : Throttle(choice: action.integer()),
            &generator)
    }

    public static let groupSize = Simulation.groupSize

    public static func advance(_ environments: UnsafeMutableBufferPointer<UnsafeMutablePointer<LunarLander>>) {
        Simulation.advance(environments.count) { environments[$0].pointee.simulation.world }
    }

    public mutating func endStep(observation: ObservationWriter) -> StepResult {
        simulation.end(observation)
    }

    /// What the engines do in a step.
    struct Throttle {
        /// Power of the main engine: 0, or 0.5…1.
        var main = 0.0
        /// Power of an orientation engine: 0, or 0.5…1.
        var side = 0.0
        /// −1 for the left engine, 1 for the right one.
        var direction = 0.0

        /// All engines off.
        init() {}

        /// A discrete action.
        init(choice: Int) {
            if choice == 2 { main = 1 }
            if choice == 1 || choice == 3 {
                side = 1
                direction = Double(choice - 2)
            }
        }

        /// A continuous action.
        init(main: Float, side: Float) {
            let main = Double(min(max(main, -1), 1))
            let side = Double(min(max(side, -1), 1))
            if main > 0 { self.main = (main + 1) * 0.5 }
            if abs(side) > 0.5 {
                self.side = abs(side)
                direction = side > 0 ? 1 : -1
            }
        }
    }

    /// What the world has grown to after some episodes.
    public var heapBytes: Int { 100_000 }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        simulation.save(to: &writer)
    }

    public mutating func restore(from reader: inout StateReader) throws {
        // A simulation of its own: if the state turns out to be broken, nothing has changed.
        simulation = try Simulation(settings, from: &reader)
    }
}
