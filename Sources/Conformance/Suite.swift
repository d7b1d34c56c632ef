/// Runs checks against a server.
package struct Suite: Sendable {
    /// Where the server listens.
    package var path: String
    /// The levels to check; empty: all.
    package var levels: [Level] = []
    /// The environments to check with; empty: all but those made for the suite.
    package var environments: [String] = []
    /// Seconds that any single answer may take. A server that needs longer has failed.
    package var timeout = 5.0

    /// A run of everything.
    package init(path: String) { self.path = path }

    /// Checks that fail one after the other because nothing answers, before the rest is not even tried.
    private static let patience = 3

    /// The checks of the chosen levels.
    package var checks: [Check] { Check.all.filter { levels.isEmpty || levels.contains($0.level) } }

    /// Does the checks, one after the other.
    ///
    /// - Parameter report: called after each.
    /// - Throws: what keeps the suite from starting: no server there, one that does not answer a hello or a list,
    ///   ``UsageError`` for environments that it does not have.
    package func run(_ report: (Outcome) -> Void = { _ in }) throws -> Report {
        let context = try Context(path: path, timeout: timeout, environments: environments)
        var outcomes: [Outcome] = []
        var unanswered = 0
        for check in checks {
            let start = now()
            let result: Outcome.Result
            if unanswered >= Suite.patience {
                result = .failed("the server: expected answers, got none to \(unanswered) checks before", [])
            } else {
                result = run(check, context)
            }
            if case .failed(_, let evidence) = result, evidence.first == Suite.silence {
                unanswered += 1
            } else if unanswered < Suite.patience {
                unanswered = 0
            }
            let outcome = Outcome(check: check, result: result, seconds: now() - start)
            outcomes.append(outcome)
            report(outcome)
        }
        return Report(
            server: "\(context.hello.text("server_name")) \(context.hello.text("server_version"))",
            environments: context.environments, outcomes: outcomes)
    }

    private static let silence = "not even a hello was answered"

    private func run(_ check: Check, _ context: Context) -> Outcome.Result {
        for need in check.needs {
            switch need {
            case .capability(let capability) where !context.capabilities.contains(capability):
                return .skipped("the server does not announce the capability \(capability)")
            case .environment(let id) where context.specs[id] == nil:
                return .skipped("the server does not offer \(id)")
            default: break
            }
        }
        _ = context.transcript.take()
        defer { context.closeConnections() }
        do {
            try check.run(context)
            return .passed
        } catch let skip as Skip {
            return .skipped(skip.reason)
        } catch let timeout as Timeout {
            let evidence = context.transcript.take()
            return .failed("the server: expected an answer, got none: \(timeout)", silence(context) + evidence)
        } catch {
            return .failed("\(error)", context.transcript.take())
        }
    }

    /// After a wait for nothing: whether the server is silent altogether.
    private func silence(_ context: Context) -> [String] {
        do {
            _ = try context.connect()
            return []
        } catch {
            return [Suite.silence]
        }
    }
}

/// What became of a check.
package struct Outcome: Sendable {
    package enum Result: Sendable {
        case passed
        /// With the reason.
        case skipped(String)
        /// With what was expected and what came, and the frames that show it.
        case failed(String, [String])
    }

    /// The check.
    package let check: Check
    /// What became of it.
    package let result: Result
    /// How long it took.
    package let seconds: Double

    /// Whether it passed.
    package var isPassed: Bool { if case .passed = result { true } else { false } }
    /// Whether it failed.
    package var isFailed: Bool { if case .failed = result { true } else { false } }
}
