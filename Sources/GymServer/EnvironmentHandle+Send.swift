import GymCore
import GymProtocol

/// Stepping some environments without waiting for them.
extension EnvironmentHandle {
    func requireNothingPending() throws {
        guard pendingCount > 0 else { return }
        throw WireError(
            .alreadyPending, "\(pendingCount) environments were sent actions and not received yet; receive them first")
    }

    /// - Throws: ``WireError`` for environments that step through shared memory.
    func requireSocketTransport() throws {
        guard sharedMemory == nil else {
            throw WireError(
                .notAllowed,
                "the environments step together, through shared memory: ring the doorbell there, "
                    + "or make them with the socket transport")
        }
    }

    /// Checks actions for some environments, so that ``send(_:)`` can begin to step them.
    ///
    /// - Throws: ``WireError``; nothing changed for environments that are pending.
    func prepareToSend(_ environments: [UInt32], _ received: ReceivedLeaves) throws {
        try requireIndices(environments)
        guard Set(environments).count == environments.count, !environments.isEmpty else {
            throw WireError(.invalidArgument, "environment_index has to name at least one environment, and none twice")
        }
        if isPending.isEmpty { isPending = [Bool](repeating: false, count: environment.count) }
        if let busy = environments.first(where: { isPending[Int($0)] }) {
            throw WireError(
                .alreadyPending, "environment \(busy) was sent an action and not received yet; receive it first",
                details: [.init(field: "environment_index", environmentIndex: Int(busy))])
        }
        try environments.withUnsafeBufferPointer {
            try received.copy(into: actions, rows: $0, field: "action", code: .invalidAction)
        }
        let rows = environments.map(Int.init).sorted()
        try requireReset(rows.filter { !environment.rowsNeedingReset(in: $0..<($0 + 1)).isEmpty })
        try checkActions(of: rows)
    }

    /// Begins to step environments that ``prepareToSend(_:_:)`` found fit for it.
    func send(_ environments: [UInt32]) throws {
        let job = stepsApart ? try startedJob() : nil
        for row in environments { isPending[Int(row)] = true }
        pendingCount += environments.count
        if let job {
            job.begin(environments, into: buffers)
        } else {
            deferredRows += environments.map(Int.init)
        }
    }

    /// Waits for the first environments that are ready.
    func receive(_ count: Int) throws -> (rows: [UInt32], faults: [EnvironmentFault]) {
        guard count >= 1, count <= pendingCount else {
            throw WireError(
                .nothingPending,
                "\(count) environments are asked for; \(pendingCount) were sent actions and not received yet")
        }
        var rows: [UInt32] = []
        var faults: [EnvironmentFault] = []
        if stepsApart, let job = runningJob {
            (rows, faults) = job.take(count)
        } else {
            for row in deferredRows.prefix(count) {
                rows.append(UInt32(row))
                faults += environment.step(rows: row..<(row + 1), actions: actions, wantsInfo: false, into: buffers)
            }
            deferredRows.removeFirst(count)
        }
        for row in rows { isPending[Int(row)] = false }
        pendingCount -= count
        return (rows, faults)
    }
}
