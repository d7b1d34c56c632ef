/// Runs checks against a server.
package struct Suite: Sendable {
    /// Where the server listens.
    package var path: String
    /// The levels to check; empty: all.
    package var levels: [Level] = []
    /// The names of the checks to do; empty: all of the levels.
    package var names: [String] = []
    /// The environments to check with; empty: all but those made for the suite.
    package var environments: [String] = []
    /// Seconds that any single answer may take. A server that needs longer has failed.
    package var timeout = 5.0
    /// Seconds in which a server has to have noticed that a client is gone, or woken one that sleeps; `nil`: those of an
    /// answer. Only a server that does not is waited for so long.
    package var settling: Double?

    /// The highest minor version that the suite says it speaks: with 0, a server is met by a client of 1.0.
    package var minor = newestMinor
    /// The token that the server was started with; without it, checks about tokens are skipped.
    package var token = ""
    /// Whether the server may be ended. If not, checks of how it ends are skipped.
    package var mayEnd = false

    /// The highest minor version that the suite knows.
    package static let newestMinor = Client.newestMinor

    /// A run of everything.
    package init(path: String) { self.path = path }

    /// Checks in a row that find the server gone or silent, before the rest is not even tried.
    private static let patience = 3
    /// Time in checks that waited in vain, in that of single answers, after which the rest is not tried either.
    private static let answersInVain = 12.0

    /// The checks of the chosen levels and names.
    package var checks: [Check] {
        Check.all.filter {
            (levels.isEmpty || levels.contains($0.level)) && (names.isEmpty || names.contains($0.name))
        }
    }

    /// Does the checks, one after the other.
    ///
    /// - Parameter report: called after each.
    /// - Throws: what keeps the suite from starting: no server there, one that does not answer a hello or a list,
    ///   ``UsageError`` for environments that it does not have.
    package func run(_ report: (Outcome) -> Void = { _ in }) throws -> Report {
        let context = try Context(
            path: path, timeout: timeout, settling: settling ?? timeout, environments: environments,
            greeting: Client.Greeting(minor: minor, token: token))
        defer { context.begin() }
        var outcomes: [Outcome] = []
        var deserted = 0
        var inVain = 0.0
        for check in checks {
            let start = now()
            let result: Outcome.Result
            var failure: (any Error)?
            if deserted >= Suite.patience {
                result = .notTried("the server did not answer a hello any more after each of \(deserted) checks")
            } else if inVain >= Suite.answersInVain * timeout {
                result = .notTried("checks before waited for \(Int(inVain)) s in vain")
            } else {
                let tried = run(check, context)
                (result, failure) = (tried.result, tried.failure)
                deserted = tried.isDeserted ? deserted + 1 : 0
                if failure is Timeout || (failure as? CheckFailure)?.kind == .silent { inVain += now() - start }
            }
            let outcome = Outcome(check: check, result: result, seconds: now() - start, failure: failure)
            outcomes.append(outcome)
            report(outcome)
        }
        return Report(
            server: "\(context.hello.text("server_name")) \(context.hello.text("server_version"))",
            version: "1.\(context.minor)",
            environments: context.environments, outcomes: outcomes)
    }

    /// The report of a suite that could not start: no check was tried, so that none has passed.
    package func unstarted(_ error: any Error) -> Report {
        Report(
            server: "unix:\(path)", version: "1.\(minor)", environments: [],
            outcomes: checks.map { Outcome(check: $0, result: .notTried("\(error)"), seconds: 0) })
    }

    private struct Tried {
        var result: Outcome.Result
        var failure: (any Error)?
        /// Whether the server is gone, or silent altogether.
        var isDeserted = false
    }

    private func run(_ check: Check, _ context: Context) -> Tried {
        for need in check.needs {
            switch need {
            case .capability(let capability) where !context.capabilities.contains(capability):
                return Tried(result: .skipped("the server does not announce the capability \(capability)"))
            case .environment(let id) where context.specs[id] == nil:
                return Tried(result: .skipped("the server does not offer \(id)"))
            case .token where token.isEmpty:
                return Tried(result: .skipped("it needs the token that the server was started with: --token TEXT"))
            case .ending where !mayEnd:
                return Tried(result: .skipped("it ends the server: --end-server"))
            default: break
            }
        }
        if check.since > context.minor {
            return Tried(result: .skipped("it is about version 1.\(check.since); 1.\(context.minor) is in force"))
        }
        context.begin()
        do {
            try check.run(context)
            return Tried(result: .passed)
        } catch let skip as Skip {
            return Tried(result: .skipped(skip.reason))
        } catch let failure {
            let evidence = context.transcript.take()
            let what = failure is Timeout ? "the server: expected an answer, got none: \(failure)" : "\(failure)"
            // Whether this is the end of the server, or of what the check was about.
            context.begin()
            if check.needs.contains(.ending) { return Tried(result: .failed(what, evidence), failure: failure) }
            do {
                _ = try context.connect()
                return Tried(result: .failed(what, evidence), failure: failure)
            } catch {
                let after = "after it, the server does not even answer a hello: \(error)"
                return Tried(result: .failed(what, [after] + evidence), failure: failure, isDeserted: true)
            }
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
        /// Failed as well, since nothing is known of it, with the reason.
        case notTried(String)
    }

    /// The check.
    package let check: Check
    /// What became of it.
    package let result: Result
    /// How long it took.
    package let seconds: Double
    /// What it threw when it failed: ``CheckFailure`` when something came and was wrong.
    package var failure: (any Error)?

    /// Whether it passed.
    package var isPassed: Bool { if case .passed = result { true } else { false } }
    /// Whether it failed.
    package var isFailed: Bool {
        switch result {
        case .failed, .notTried: true
        case .passed, .skipped: false
        }
    }
    /// Whether it was not even tried.
    package var isNotTried: Bool { if case .notTried = result { true } else { false } }
}
