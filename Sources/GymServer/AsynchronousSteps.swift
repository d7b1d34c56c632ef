import Dispatch
import GymCore
import GymProtocol

/// Environments of a batch that step each by itself, and are taken as they become ready.
final class AsynchronousSteps: @unchecked Sendable {
    private unowned let handle: EnvironmentHandle
    private let monitor = Monitor()
    // Guarded by the monitor.
    private var running: Set<UInt32> = []
    private var ready: [UInt32] = []
    private var faults: [EnvironmentFault] = []

    init(_ handle: EnvironmentHandle) { self.handle = handle }

    /// Environments that were sent an action and not taken yet.
    var pendingCount: Int { monitor.withLock { running.count + ready.count } }

    /// - Throws: ``WireError`` when one of them was sent an action and not taken yet.
    func requireIdle(_ environments: [UInt32]) throws {
        let busy = monitor.withLock { environments.first { running.contains($0) || ready.contains($0) } }
        if let busy {
            throw WireError(
                .alreadyPending, "environment \(busy) was sent an action and not received yet",
                details: [.init(field: "environment_index", environmentIndex: Int(busy))])
        }
    }

    /// Begins to step environments whose actions were checked.
    func start(_ environments: [UInt32]) {
        monitor.withLock { running.formUnion(environments) }
        for row in environments {
            DispatchQueue.global().async { [self] in
                let faults = handle.environment.step(
                    rows: Int(row)..<(Int(row) + 1), actions: handle.actions, wantsInfo: false, into: handle.buffers)
                monitor.withLock {
                    running.remove(row)
                    ready.append(row)
                    self.faults += faults
                    monitor.signal()
                }
            }
        }
    }

    /// Takes the first `count` environments that are ready; waits until there are so many.
    func wait(_ count: Int) -> (rows: [UInt32], faults: [EnvironmentFault]) {
        monitor.withLock {
            monitor.wait { ready.count >= count }
            let rows = Array(ready.prefix(count))
            ready.removeFirst(count)
            let taken = faults.filter { rows.contains(UInt32($0.index)) }
            faults.removeAll { rows.contains(UInt32($0.index)) }
            return (rows, taken)
        }
    }

    /// Waits until no environment steps any more.
    func drain() {
        monitor.withLock { monitor.wait { running.isEmpty } }
    }
}
