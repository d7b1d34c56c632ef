import Foundation
public import GymCore

/// Gates that steps of test/Gated-v0 stand before until the test opens them.
///
/// What goes on at the same time, and in which order, is shown by who stands where. A clock would show how busy the
/// machine is.
public final class Gates: @unchecked Sendable {
    /// What an action may be; 0 is no gate.
    static let count = 4
    /// Seconds after which who waits gives up: the test has failed.
    private static let patience = 60.0

    private let condition = NSCondition()
    private var open: Set<Int64> = []
    private var arrivals = 0

    /// Gates that are all closed.
    public init() {}

    /// The environments of ``TestEnvironments``, and test/Gated-v0 with these gates.
    public var registry: EnvironmentRegistry {
        var registry = TestEnvironments.registry
        registry.register(GatedEnvironment.spec) { [self] _ in GatedEnvironment(gates: self) }
        return registry
    }

    /// Lets pass whoever stands before a gate, and whoever comes.
    public func open(_ gate: Int64) {
        condition.withLock {
            open.insert(gate)
            condition.broadcast()
        }
    }

    /// Opens all of them.
    public func openAll() { for gate in 1..<Int64(Gates.count) { open(gate) } }

    /// Waits until so many steps have come to gates that were closed.
    ///
    /// - Returns: whether they came in time.
    public func waitForArrivals(_ count: Int) -> Bool { wait { arrivals >= count } }

    /// - Throws: ``ClosedError`` when nobody opens the gate in time.
    fileprivate func pass(_ gate: Int64) throws {
        if gate == 0 { return }
        condition.withLock {
            if !open.contains(gate) { arrivals += 1 }
            condition.broadcast()
        }
        guard wait({ open.contains(gate) }) else { throw ClosedError(description: "nobody opened gate \(gate)") }
    }

    private func wait(_ isSo: () -> Bool) -> Bool {
        let deadline = Date().addingTimeInterval(Gates.patience)
        condition.lock()
        defer { condition.unlock() }
        while !isSo() {
            if !condition.wait(until: deadline) { return isSo() }
        }
        return true
    }

    private struct ClosedError: Error, CustomStringConvertible {
        let description: String
    }
}

/// test/Gated-v0: a step passes the gate that its action names; 0 is no gate. Observation: the steps of the episode.
private struct GatedEnvironment: Environment, Sendable {
    static let spec = EnvironmentSpec(id: "test/Gated-v0", summary: "Waits before gates.")

    let gates: Gates
    let observationSpace = Space.box(Box(low: [Int64(0)], high: [Int64.max]))
    let actionSpace = Space.discrete(count: Gates.count)
    private var count: Int64 = 0

    init(gates: Gates) { self.gates = gates }

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
        count = 0
        observation.store([count])
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        try gates.pass(Int64(action.integer()))
        count += 1
        observation.store([count])
        return StepResult(reward: 1, terminated: false)
    }
}
