public import GymCore

/// The environments of this package.
public enum GymEnvironments {
    /// A registry of all of them.
    public static var registry: EnvironmentRegistry {
        var registry = EnvironmentRegistry()
        registerClassicControl(in: &registry)
        registerRigidBody(in: &registry)
        registerArcade(in: &registry)
        registerToyText(in: &registry)
        return registry
    }

    private static func registerClassicControl(in registry: inout EnvironmentRegistry) {
        registry.register(CartPole.spec) { CartPole(options: $0) }
        registry.register(Pendulum.spec) { Pendulum(options: $0) }
        registry.register(MountainCar.spec) { MountainCar(options: $0) }
        registry.register(MountainCarContinuous.spec) { MountainCarContinuous(options: $0) }
        registry.register(Acrobot.spec) { _ in Acrobot() }
    }

    private static func registerRigidBody(in registry: inout EnvironmentRegistry) {
        registry.register(BipedalWalker.spec) { _ in BipedalWalker(hardcore: false) }
        registry.register(BipedalWalker.hardcoreSpec) { _ in BipedalWalker(hardcore: true) }
        registry.register(LunarLander.spec) { try LunarLander(options: $0) }
        registry.register(LunarLander.continuousSpec) { try LunarLander(options: $0) }
    }

    private static func registerArcade(in registry: inout EnvironmentRegistry) {
        registry.register(Pong.spec) { Pong(options: $0) }
        registry.register(Pong.differenceSpec) { Pong(options: $0) }
    }

    private static func registerToyText(in registry: inout EnvironmentRegistry) {
        registry.register(FrozenLake.spec) { try FrozenLake(options: $0) }
        registry.register(FrozenLake.largeSpec) { try FrozenLake(options: $0) }
        registry.register(CliffWalking.spec) { CliffWalking(options: $0) }
        registry.register(CliffWalking.slipperySpec) { CliffWalking(options: $0) }
        registry.register(Taxi.spec) { Taxi(options: $0) }
        registry.register(Blackjack.spec) { Blackjack(options: $0) }
    }
}
