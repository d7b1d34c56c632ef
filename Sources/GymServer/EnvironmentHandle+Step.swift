import GymCore
import GymProtocol

/// Stepping all environments of a batch.
extension EnvironmentHandle {
    /// From this much work on, a batch is divided among threads. Below it waking them costs more than they bring.
    private static let splitSeconds = 200e-6

    /// Steps all environments with ``actions``.
    ///
    /// - Returns: the environments that failed.
    /// - Throws: ``WireError``; nothing was stepped.
    func step(wantsInfo: Bool) throws -> [EnvironmentFault] {
        try requireNothingPending()
        let rows = 0..<environment.count
        try requireReset(of: rows)
        try checkActions(of: rows)
        isCrowded = false
        guard canSplit && threads > 1 && rows.count > 1 && !wantsInfo else {
            return environment.step(rows: rows, actions: actions, wantsInfo: wantsInfo, into: buffers)
        }
        let parts = secondsPerRow * Double(rows.count) > EnvironmentHandle.splitSeconds ? min(threads, rows.count) : 1
        isCrowded = parts > 1 && parts >= StepPool.processors
        let start = monotonicSeconds()
        // Each row is one environment with a generator of its own, so the results do not depend on the division.
        let faults =
            parts > 1
            ? try startedJob().stepAll(rows, parts: parts, into: buffers)
            : environment.step(rows: rows, actions: actions, wantsInfo: false, into: buffers)
        // Work is what all threads did together; a smoothed figure does not flap between the two ways.
        let seconds = (monotonicSeconds() - start) * Double(parts) / Double(rows.count)
        secondsPerRow = secondsPerRow == 0 ? seconds : 0.9 * secondsPerRow + 0.1 * seconds
        return faults
    }

    /// Takes the actions from shared memory, steps, and says which set of results to look at.
    ///
    /// The actions are copied before they are looked at: the client could change them at any time.
    func stepShared(sequence: UInt32, wantsInfo: Bool) throws -> [EnvironmentFault] {
        for leaf in actions.leaves.indices {
            actions.bytes(ofLeaf: leaf).copyMemory(from: UnsafeRawBufferPointer(sharedActions!.bytes(ofLeaf: leaf)))
        }
        let previous = buffers
        buffers = sharedSets[Int(sequence &- 1) & 1]
        do {
            return try step(wantsInfo: wantsInfo)
        } catch {
            buffers = previous
            throw error
        }
    }

    private func requireReset(of rows: Range<Int>) throws { try requireReset(environment.rowsNeedingReset(in: rows)) }

    func requireReset(_ waiting: [Int]) throws {
        guard waiting.isEmpty else {
            let named = waiting.prefix(8).map(String.init).joined(separator: ", ") + (waiting.count > 8 ? ", …" : "")
            throw WireError(
                .needsReset, "environments have to be reset before they are stepped: \(named)",
                details: waiting.prefix(EnvironmentHandle.mostDetails).map {
                    .init(field: "action", environmentIndex: $0, expected: "a reset first")
                })
        }
    }

    func checkActions(of rows: [Int]) throws {
        var details: [WireError.Detail] = []
        for row in rows where !environment.ignoresNextAction(row: row) {
            if let detail = violation(row: row) { details.append(detail) }
            if details.count == EnvironmentHandle.mostDetails { break }
        }
        try refuseActions(details)
    }

    private func checkActions(of rows: Range<Int>) throws {
        var suspects: Set<Int> = []
        for (leaf, checker) in actionCheckers {
            var from = rows.lowerBound
            let memory = actions.columns[leaf].base!
            while from < rows.upperBound, suspects.count < EnvironmentHandle.mostDetails,
                let violation = checker.firstViolation(in: memory, rows: from..<rows.upperBound)
            {
                from = violation.row + 1
                if !environment.ignoresNextAction(row: violation.row) { suspects.insert(violation.row) }
            }
        }
        for (leaf, space) in raggedActionSpaces {
            for row in rows where !space.contains(actions.value(row: row, leaf: leaf)) {
                if !environment.ignoresNextAction(row: row) { suspects.insert(row) }
            }
        }
        if suspects.isEmpty { return }
        try refuseActions(suspects.sorted().prefix(EnvironmentHandle.mostDetails).compactMap(violation))
    }

    /// What is wrong with a row's action; `nil` when it is in its space.
    private func violation(row: Int) -> WireError.Detail? {
        func detail(leaf: Int, got: String) -> WireError.Detail {
            let space = environment.actionSpace.leaves[leaf].space
            return .init(field: "action", environmentIndex: row, expected: space.description, got: got)
        }
        for (leaf, checker) in actionCheckers {
            let column = actions.columns[leaf]
            let memory = column.base! + row * column.rowBytes
            if let element = checker.firstViolation(in: memory) {
                return detail(
                    leaf: leaf, got: "\(column.dtype.double(in: memory, at: element)) at element \(element)")
            }
        }
        for (leaf, space) in raggedActionSpaces where !space.contains(actions.value(row: row, leaf: leaf)) {
            return detail(leaf: leaf, got: "a value outside it")
        }
        return nil
    }

    /// - Throws: ``WireError`` that names every row of the details, unless there are none.
    private func refuseActions(_ details: [WireError.Detail]) throws {
        guard let first = details.first else { return }
        let more = details.count > 1 ? " (and those of \(details.count - 1) more)" : ""
        throw WireError(
            .invalidAction,
            "the action of environment \(first.environmentIndex ?? 0)\(more) is not in its space: \(first.got); "
                + "the space is \(first.expected)",
            details: details)
    }
}
