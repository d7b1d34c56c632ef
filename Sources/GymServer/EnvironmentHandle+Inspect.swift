import GymCore
import GymProtocol

/// Looking at environments, saving and restoring them.
extension EnvironmentHandle {
    func requireIndices(_ indices: [UInt32]) throws {
        if let bad = indices.first(where: { Int($0) >= environment.count }) {
            throw WireError(
                .invalidArgument, "environment \(bad) does not exist; there are \(environment.count), from 0 on",
                details: [.init(field: "environment_index", environmentIndex: Int(bad))])
        }
    }

    /// - Throws: ``WireError`` for an environment that there is not, and for one that is named twice.
    func requireDistinct(_ indices: [UInt32]) throws {
        try requireIndices(indices)
        var seen: Set<UInt32> = []
        if let twice = indices.first(where: { !seen.insert($0).inserted }) {
            throw WireError(
                .invalidArgument, "environment_index names environment \(twice) twice",
                details: [.init(field: "environment_index", environmentIndex: Int(twice))])
        }
    }

    /// Pictures of environments.
    ///
    /// - Parameter budget: what the answer may take; nothing is drawn that could not be sent.
    func render(_ indices: [UInt32], _ budget: inout ReplyBudget) throws -> [Rendering] {
        try requireNothingPending()
        try requireDistinct(indices)
        guard !renderMode.isEmpty else {
            throw WireError(.renderUnavailable, "the environments were made without a render mode")
        }
        let rows = indices.isEmpty ? [0] : indices.map { Int($0) }
        // One that has ended can still be looked at.
        let fresh = rows.filter { !environment.hasStarted(row: $0) }
        guard fresh.isEmpty else {
            throw WireError(
                .needsReset, "environments have to be reset before they are rendered",
                details: fresh.prefix(EnvironmentHandle.mostDetails).map {
                    .init(field: "environment_index", environmentIndex: $0, expected: "a reset first")
                })
        }
        var renderings: [Rendering] = []
        for row in rows {
            let rendering = try inspecting(row, "rendered") { try environment.render(row: row, mode: renderMode) }
            let size = rendering.byteCount
            // Pictures of one batch are alike: the first tells what all of them will take.
            if renderings.isEmpty { try budget.add(size * rows.count) }
            if size != renderings.first?.byteCount ?? size { try budget.add(size) }
            renderings.append(rendering)
        }
        return renderings
    }

    /// The states of environments, one behind the other, and where each ends.
    ///
    /// - Parameter budget: what the answer may take; nothing is saved that could not be sent.
    func states(_ indices: [UInt32], _ budget: inout ReplyBudget) throws -> (bytes: [UInt8], ends: [Int]) {
        try requireNothingPending()
        try requireRestorable()
        try requireDistinct(indices)
        var writer = StateWriter()
        var ends: [Int] = []
        for row in rows(indices) {
            try inspecting(row, "saved") { try environment.saveState(row: row, to: &writer) }
            try budget.add(writer.bytes.count - (ends.last ?? 0))
            ends.append(writer.bytes.count)
        }
        return (writer.bytes, ends)
    }

    private func inspecting<Result>(_ row: Int, _ what: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            throw WireError(
                .environmentFault, "environment \(row) cannot be \(what): \(error)",
                details: [.init(field: "environment_index", environmentIndex: row)])
        }
    }

    func setStates(_ states: [[UInt8]], _ indices: [UInt32]) throws {
        try requireNothingPending()
        try requireRestorable()
        try requireDistinct(indices)
        let rows = rows(indices)
        guard rows.count == states.count else {
            throw WireError(
                .invalidArgument, "there are \(states.count) states for \(rows.count) environments; give one for each",
                details: [.init(field: "states", expected: "\(rows.count)", got: "\(states.count)")])
        }
        // All or nothing: what was taken over before an error is put back.
        var before: [(row: Int, state: [UInt8])] = []
        do {
            for (row, state) in zip(rows, states) {
                before.append((row, try environment.saveState(row: row)))
                try environment.restoreState(state, row: row)
            }
        } catch {
            for (row, state) in before.reversed() { try? environment.restoreState(state, row: row) }
            let row = rows[before.count - 1]
            if let error = error as? ForeignStateError {
                throw WireError(
                    .incompatibleState, "the state of environment \(row) cannot be taken over: \(error)",
                    details: [
                        .init(
                            field: "states.\(error.part.rawValue)", environmentIndex: row, expected: error.expected,
                            got: error.got)
                    ])
            }
            throw WireError(
                .invalidState, "the state of environment \(row) cannot be taken over: \(error)",
                details: [.init(field: "states", environmentIndex: row)])
        }
    }

    private func requireRestorable() throws {
        guard environment.isRestorable else {
            throw WireError(.unsupportedCapability, "\(environment.spec.id) cannot be saved and restored")
        }
    }

    private func rows(_ indices: [UInt32]) -> [Int] {
        indices.isEmpty ? Array(0..<environment.count) : indices.map(Int.init)
    }
}

extension Rendering {
    /// Bytes of the picture or the text.
    var byteCount: Int {
        switch self {
        case .image(let image): image.bytes.count
        case .text(let text): text.utf8.count
        }
    }
}
