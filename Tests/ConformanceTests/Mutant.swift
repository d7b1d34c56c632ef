import Conformance
import GymCore
import GymServer

/// A server that is wrong in one way, and the check that finds it out.
struct Mutant: Sendable {
    enum Kind: Sendable {
        /// The server behind a proxy that changes what is said.
        case proxy(@Sendable () -> Mutation)
        /// A server of altered environments.
        case environments(@Sendable (inout EnvironmentRegistry) -> Void)
    }

    /// Its name.
    let name: String
    /// What it does wrong.
    let summary: String
    /// The checks that have to fail, the one first that is about just this mistake.
    var checks: [String]
    /// How it is made.
    let kind: Kind
    /// Whether it is of the server that reaps connections which are idle for a second, and that clients may end.
    var isOfShortLife = false
    /// Seconds to wait for an answer of a server that leaves something out which can only be waited for in vain; `nil`:
    /// it answers, and the failure has to be about what came.
    var silence: Double?
}

/// Collects mutants.
struct MutantList {
    private(set) var mutants: [Mutant] = []

    /// A server that changes requests before it hears them.
    mutating func request(
        _ name: String, _ summary: String, caughtBy checks: String...,
        change: @escaping @Sendable (inout Message, Link) -> Verdict
    ) {
        proxy(name, summary, caughtBy: checks) {
            let mutation = Mutation()
            mutation.request = change
            return mutation
        }
    }

    /// A server that changes its responses.
    mutating func response(
        _ name: String, _ summary: String, caughtBy checks: String...,
        change: @escaping @Sendable (inout Message, Link) -> Void
    ) {
        proxy(name, summary, caughtBy: checks) {
            let mutation = Mutation()
            mutation.response = { response, link in
                change(&response, link)
                return .forward
            }
            return mutation
        }
    }

    /// A server that changes a part of its responses, where the part is there.
    mutating func part(
        _ part: String, _ name: String, _ summary: String, caughtBy checks: String...,
        change: @escaping @Sendable (inout Message) -> Void
    ) {
        self.part(part, name, summary, caughtBy: checks, change)
    }

    /// The same.
    mutating func part(
        _ part: String, _ name: String, _ summary: String, caughtBy checks: [String],
        _ change: @escaping @Sendable (inout Message) -> Void
    ) {
        proxy(name, summary, caughtBy: checks) {
            let mutation = Mutation()
            mutation.response = { response, _ in
                response.change(part, change)
                return .forward
            }
            return mutation
        }
    }

    /// A server with a mutation that remembers; `silence` and `isOfShortLife` as in ``Mutant``.
    mutating func proxy(
        _ name: String, _ summary: String, caughtBy checks: [String], silence: Double? = nil,
        isOfShortLife: Bool = false,
        _ make: @escaping @Sendable () -> Mutation
    ) {
        add(
            Mutant(
                name: name, summary: summary, checks: checks, kind: .proxy(make), isOfShortLife: isOfShortLife,
                silence: silence))
    }

    /// A server with a mutation that remembers.
    mutating func proxy(
        _ name: String, _ summary: String, caughtBy checks: String..., make: @escaping @Sendable () -> Mutation
    ) {
        proxy(name, summary, caughtBy: checks, silence: nil, make)
    }

    /// A server of altered environments.
    mutating func environments(
        _ name: String, _ summary: String, caughtBy checks: String...,
        register: @escaping @Sendable (inout EnvironmentRegistry) -> Void
    ) {
        environments(name, summary, caughtBy: checks, register)
    }

    /// The same.
    mutating func environments(
        _ name: String, _ summary: String, caughtBy checks: [String],
        _ register: @escaping @Sendable (inout EnvironmentRegistry) -> Void
    ) {
        add(Mutant(name: name, summary: summary, checks: checks, kind: .environments(register)))
    }

    private mutating func add(_ mutant: Mutant) {
        precondition(!mutants.contains { $0.name == mutant.name }, "two mutants are called \(mutant.name)")
        mutants.append(mutant)
    }
}

extension Mutant {
    /// All of them.
    static let all: [Mutant] = {
        var list = MutantList()
        addConnectionMutants(to: &list)
        addMakeMutants(to: &list)
        addResetMutants(to: &list)
        addStepMutants(to: &list)
        addVectorMutants(to: &list)
        addCapabilityMutants(to: &list)
        addEnvironmentMutants(to: &list)
        addLenientMutants(to: &list)
        addFrameMutants(to: &list)
        addHandleMutants(to: &list)
        addOrderMutants(to: &list)
        addSharedMemoryMutants(to: &list)
        addVersionMutants(to: &list)
        addTextMutants(to: &list)
        addSizeMutants(to: &list)
        addSpaceMutants(to: &list)
        addStateMutants(to: &list)
        addEndingMutants(to: &list)
        return list.mutants
    }()
}

/// Doubles from a field of bytes.
func doubles(_ bytes: [UInt8]) -> [Double] {
    bytes.withUnsafeBytes { raw in
        (0..<(raw.count / 8)).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self) }
    }
}

/// Doubles, or other numbers, as a field of bytes.
func bytes<Number: BitwiseCopyable>(_ numbers: [Number]) -> Message.Value {
    .bytes(numbers.withUnsafeBytes { Array($0) })
}

/// An answer to a request, in the server's place.
func answer(to request: Message, _ part: String, _ fields: [(String, Message.Value)] = []) -> Verdict {
    .answer(
        Message(
            "Response",
            [
                ("id", .number(request.number("id"))), ("handle", .number(request.number("handle"))),
                (part, .fields(fields)),
            ]))
}
