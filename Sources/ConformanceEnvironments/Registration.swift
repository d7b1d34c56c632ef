public import GymCore

/// Environments whose every answer is known beforehand: a server that offers them can be checked exactly.
public enum ConformanceEnvironments {
    /// Adds all of them to a registry.
    public static func register(in registry: inout EnvironmentRegistry) {
        registry.register(Counter.spec) { Counter(options: $0) }
        registry.register(Echo.spec) { Echo(options: $0) }
        registry.register(Fault.spec) { try Fault(options: $0) }
        registry.register(Slow.spec) { Slow(options: $0) }
    }
}
