import Glibc

/// What the suite knows of the server under test, and the way to it.
package final class Context {
    /// Where the server listens.
    let path: String
    /// Seconds that any single answer may take.
    let timeout: Double
    /// Seconds in which the server has to have noticed that a client is gone, or woken one that sleeps.
    let settling: Double
    /// What the server said in its hello.
    let hello: Message
    /// The minor version in force: what it is judged by.
    let minor: Int
    /// What the suite says of itself in hellos.
    let greeting: Client.Greeting
    /// The capabilities that it has.
    let capabilities: Set<String>
    /// The environments that it lists, by id.
    let specs: [String: Message]
    /// The ids of the environments that checks for any environment are done with.
    let environments: [String]
    /// What was last said, on whichever connection.
    let transcript = Transcript()
    /// When the check that runs has had all its time.
    private(set) var deadline: Double

    private var connections: [RawConnection] = []

    /// Asks the server what it is.
    ///
    /// - Parameter environments: the ids to check with; empty: all but those made for the suite.
    init(
        path: String, timeout: Double, settling: Double, environments chosen: [String], greeting: Client.Greeting
    ) throws {
        self.greeting = greeting
        self.path = path
        self.timeout = timeout
        self.settling = settling
        deadline = now() + Context.answersPerCheck * timeout
        let raw = try RawConnection(path: path, timeout: timeout)
        raw.deadline = deadline
        let client = Client(raw, transcript: transcript, greeting: greeting)
        do {
            hello = try client.greet()
        } catch let timeout as Timeout {
            throw Timeout(description: "it takes connections, but does not answer a hello: \(timeout)")
        } catch let failure as CheckFailure where failure.kind == .silent {
            throw Timeout(description: "it takes connections, but does not answer a hello: \(failure.got)")
        }
        minor = min(hello.integer("minor"), Client.newestMinor)
        capabilities = Set(hello.texts("capabilities"))
        let listed = try client.call("list").messages("environments")
        let specs = Dictionary(listed.map { ($0.text("id"), $0) }, uniquingKeysWith: { first, _ in first })
        self.specs = specs
        if let unknown = chosen.first(where: { specs[$0] == nil }) {
            throw UsageError(
                "the server has no environment '\(unknown)'; it has: \(specs.keys.sorted().joined(separator: ", "))")
        }
        if chosen.contains(slow) {
            throw UsageError(
                "\(slow) takes as long as its actions say, and is not for checks with any environment; the checks that "
                    + "need it use it whichever are chosen")
        }
        let own = listed.map { $0.text("id") }.filter { !$0.hasPrefix("conformance/") }
        environments = chosen.isEmpty ? (own.isEmpty ? listed.map { $0.text("id") } : own) : chosen
        client.raw.close()
    }

    /// A limit that the server announces; at most what fits 32 bits, since none is tested beyond.
    func limit(_ name: String) -> Int { min(hello.message("limits")?.integer(name) ?? 0, Int(UInt32.max)) }

    /// The same, to be reached by a check.
    ///
    /// - Throws: ``Skip`` when that would take too long.
    func reachableLimit(_ name: String) throws -> Int {
        let limit = limit(name)
        let most = 5000
        if limit > most { throw Skip(reason: "\(name) is \(limit); more than \(most) are not tried") }
        return limit
    }

    /// A connection without hello.
    func connectRaw() throws -> RawConnection {
        let connection = try RawConnection(path: path, timeout: timeout)
        connection.deadline = deadline
        connections.append(connection)
        return connection
    }

    /// A connection with hello.
    ///
    /// - Parameter capabilities: those to ask for; empty: all.
    func connect(capabilities: [String] = [], maxFrameBytes: Int = 0) throws -> Client {
        let client = try connectWithoutHello()
        try client.greet(capabilities: capabilities, maxFrameBytes: maxFrameBytes)
        return client
    }

    /// A connection that no hello was sent on, as a client.
    func connectWithoutHello() throws -> Client {
        try Client(connectRaw(), transcript: transcript, greeting: greeting)
    }

    /// The time of one check, in that of its single answers: a server that is slow with each of them, or sends without
    /// end, is not waited for much longer than one that is silent.
    static let answersPerCheck = 12.0

    /// Begins a check: closes what the last one left open, and gives this one its time.
    func begin() {
        for connection in connections { connection.close() }
        connections = []
        _ = transcript.take()
        deadline = now() + Context.answersPerCheck * timeout
    }

    /// Fails unless the condition comes true in time: for what a server does after a client has gone.
    func expectEventually(_ what: String, expected: String, _ condition: () throws -> Bool) throws {
        let end = min(now() + settling, deadline)
        while try !condition() {
            if now() > end { throw CheckFailure(what: what, expected: expected, got: "no change within \(settling) s") }
            usleep(2_000)
        }
    }

    /// Does what depends on one thing lasting longer than others, with times that grow tenfold: a busy machine can hold
    /// up anything for a while, but a server that waits for what it must not wait for does so each time.
    ///
    /// - Parameter body: is given milliseconds, at most the 2000 of conformance/Slow-v0, and less than an answer may
    ///   take.
    func withGrowingTimes(_ body: (Int) throws -> Void) throws {
        let longest = min(2000, Int(timeout * 400))
        do { return try body(longest / 10) } catch is CheckFailure {}
        try body(longest)
    }

    // MARK: Environments to check with

    /// The chosen environments whose spec fulfils `condition`.
    ///
    /// - Throws: ``Skip`` when there is none, with one that could be chosen.
    func environments(_ what: String, where condition: (Message) -> Bool) throws -> [String] {
        let found = environments.filter { condition(specs[$0]!) }
        if found.isEmpty {
            let other = specs.keys.sorted().first { $0 != slow && condition(specs[$0]!) }
            throw Skip(
                reason: "no environment to check with is \(what)"
                    + (other.map { "; \($0) is: --environment \($0)" } ?? ", and the server has none; \(counter) is"))
        }
        return found
    }

    /// The chosen environments that do the same for the same seed.
    func deterministicEnvironments() throws -> [String] {
        try environments("deterministic") { !$0.flag("nondeterministic") }
    }

    /// The chosen environments whose spaces are fixed, which shared memory needs.
    func fixedEnvironments() throws -> [String] {
        try environments("of fixed spaces") { spec in
            ["observation_space", "action_space"].allSatisfy {
                (try? Space(spec.message($0), $0).isFixed) == true
            }
        }
    }

    /// The chosen environments that can be saved and do the same for the same seed.
    func restorableEnvironments() throws -> [String] {
        try environments("restorable and deterministic") { $0.flag("restorable") && !$0.flag("nondeterministic") }
    }

    /// Does the rest of a check with each of the environments, and says with which it failed.
    func forEach(_ ids: [String], _ body: (String) throws -> Void) throws {
        for id in ids {
            do {
                try body(id)
            } catch let failure as CheckFailure {
                throw CheckFailure(
                    what: "\(id): \(failure.what)", expected: failure.expected, got: failure.got, kind: failure.kind)
            }
        }
    }
}

/// The last frames of a check, for the report of its failure.
final class Transcript {
    private var lines: [String] = []
    private static let kept = 4

    func note(_ line: String) {
        lines.append(String(line.prefix(600)))
        if lines.count > Transcript.kept { lines.removeFirst() }
    }

    func take() -> [String] {
        defer { lines = [] }
        return lines
    }
}

/// Arguments that make no sense for this server.
package struct UsageError: Error, CustomStringConvertible {
    /// What is wrong, and what would be right.
    package let description: String

    init(_ description: String) { self.description = description }
}
