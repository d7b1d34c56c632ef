/// What a server can claim to fulfil, one by one.
package enum Level: String, CaseIterable, Sendable {
    case core = "Core"
    case vector = "Vector"
    case render = "Render"
    case state = "State"
    case sharedMemory = "SharedMemory"
    case robustness = "Robustness"
}

/// What a check can only be done with.
package enum Requirement: Sendable, Hashable {
    /// The server announces the capability.
    case capability(String)
    /// The server offers the environment: one of those made for the suite.
    case environment(String)
    /// The suite was given the server's token.
    case token
    /// The suite was allowed to end the server.
    case ending
}

/// One thing that a server has to do.
package struct Check: Sendable {
    /// Its name, which does not change: `reset.seed-zero-is-a-seed`.
    package let name: String
    /// The level that it belongs to.
    package let level: Level
    /// The clauses of PROTOCOL.md that it tests.
    package let clauses: [String]
    /// What it needs; without it, it is skipped.
    package let needs: [Requirement]
    /// The minor version that asks for it: where a lower one is in force, it is skipped.
    package let since: Int
    /// Does it. Throws ``CheckFailure``, ``Timeout`` and the like when the server fails, ``Skip`` when the server
    /// offers nothing that the check can be done with.
    package let run: @Sendable (Context) throws -> Void

    /// All checks, in the order in which they run.
    package static let all: [Check] = {
        var list = CheckList()
        addFramingChecks(to: &list)
        addConnectionChecks(to: &list)
        addMakeChecks(to: &list)
        addResetChecks(to: &list)
        addStepChecks(to: &list)
        addSpaceChecks(to: &list)
        addOrderChecks(to: &list)
        addVectorChecks(to: &list)
        addAutoresetChecks(to: &list)
        addFaultChecks(to: &list)
        addAsynchronousChecks(to: &list)
        addRenderChecks(to: &list)
        addStateChecks(to: &list)
        addSharedMemoryChecks(to: &list)
        addRobustnessChecks(to: &list)
        // Last, since the first of them waits and the others end the server.
        addEndingChecks(to: &list)
        return list.checks
    }()
}

/// Collects checks.
struct CheckList {
    private(set) var checks: [Check] = []

    /// Adds a check; names differ from each other.
    mutating func add(
        _ name: String, _ level: Level, _ clauses: [String], needs: [Requirement] = [], since: Int = 0,
        _ run: @escaping @Sendable (Context) throws -> Void
    ) {
        precondition(!checks.contains { $0.name == name }, "two checks are called \(name)")
        checks.append(Check(name: name, level: level, clauses: clauses, needs: needs, since: since, run: run))
    }
}

/// What a server did wrong.
package struct CheckFailure: Error, CustomStringConvertible {
    /// Whether anything came at all.
    package enum Kind: Sendable {
        /// Something came, and was wrong.
        case wrong
        /// The connection ended where something was due.
        case ended
        /// Nothing came in time.
        case silent
    }

    /// What was looked at.
    package let what: String
    /// What it should have been.
    package let expected: String
    /// What it was.
    package let got: String
    /// Whether it is about what came, or about what did not.
    package var kind = Kind.wrong

    package var description: String { "\(what): expected \(expected), got \(got)" }
}

/// Why a check cannot be done with a server that breaks no rule.
package struct Skip: Error {
    package let reason: String
}

/// Fails unless the value is the expected one.
func expect<Value: Equatable>(_ got: Value, _ expected: Value, _ what: @autoclosure () -> String) throws {
    if got != expected {
        throw CheckFailure(what: what(), expected: readable(expected), got: readable(got))
    }
}

/// Fails unless the condition holds.
func require(
    _ condition: Bool, _ what: @autoclosure () -> String, expected: @autoclosure () -> String,
    got: @autoclosure () -> String
) throws {
    if !condition { throw CheckFailure(what: what(), expected: expected(), got: got()) }
}

/// What people read in another form than Swift prints it.
protocol Readable {
    var readable: String { get }
}

/// A value for a message: short, and without Swift's names for what it is in.
func readable(_ value: Any) -> String {
    let most = 32
    if let value = value as? any Readable { return value.readable }
    if let text = value as? String { return text }
    if let list = value as? [Any] {
        let shown = list.prefix(most).map { $0 is String ? "\"\($0)\"" : readable($0) }.joined(separator: ", ")
        return list.count > most ? "[\(shown), … (\(list.count) of them)]" : "[\(shown)]"
    }
    let mirror = Mirror(reflecting: value)
    if mirror.displayStyle == .optional { return mirror.children.first.map { readable($0.value) } ?? "none" }
    return String(describing: value)
}
