import GymClient
import GymCore
import GymProtocol

extension RemoteVectorEnvironment: RestorableBatch {
    /// Starts an episode in each environment, with a seed for each.
    public func startEpisodes(seeds: [UInt64]) throws { try reset(seeds: seeds.map { $0 }) }
    /// Sends the actions off.
    public func sendActions() throws { try sendStep() }
    /// Waits for the results of the step that was sent.
    public func receiveResults() throws { try receiveStep() }

    /// Whether server and environment can save states.
    public var isRestorable: Bool { canSaveStates }
    /// The state of each environment.
    public func states() throws -> [[UInt8]] { try states(of: []) }
    /// Puts the environments into states that ``states()`` gave.
    public func restore(_ states: [[UInt8]]) throws {
        do {
            try restore(states, environments: [])
        } catch GymError.refused(let error) where error.code == .invalidState {
            throw StatesRefusedError(error.message)
        }
    }
}

/// The environments of a server.
public final class RemoteEnvironments: EnvironmentSource {
    /// The connection to it.
    public let connection: Connection
    /// How observations and actions travel; `nil`: through shared memory where the server and the spaces allow it.
    public let transport: Transport?
    private var known: [EnvironmentDescription]?

    /// What a reply has besides the rows of its environments, generously.
    private static let frameOverhead = 4096
    /// What a row has besides its observations: reward, flags, return, length.
    private static let rowOverhead = 64

    /// The environments that a connection's server offers.
    public init(_ connection: Connection, transport: Transport? = nil) {
        self.connection = connection
        self.transport = transport
    }

    /// What the server says of an environment.
    ///
    /// - Throws: ``EnvironmentChoiceError`` with the nearest ids when there is none of that id.
    public func description(of id: String) throws -> EnvironmentDescription {
        let known = try self.known ?? connection.environments()
        self.known = known
        if let found = known.first(where: { $0.id == id }) { return found }
        let ids = known.map(\.id)
        throw EnvironmentChoiceError(
            "there is no environment '\(id)'" + suggestion(for: id, in: ids)
                + "; the server has \(ids.joined(separator: ", "))")
    }

    /// Makes environments with same-step autoreset.
    public func make(_ id: String, count: Int, options: [EnvironmentOption]) throws -> any EnvironmentBatch {
        try make(id, count: count, options: options, autoreset: .sameStep)
    }

    /// Makes environments for other purposes than learning as well.
    ///
    /// - Throws: ``EnvironmentChoiceError``, `GymError`.
    public func make(
        _ id: String, count: Int, options: [EnvironmentOption], autoreset: AutoresetMode, renderMode: String = ""
    ) throws -> RemoteVectorEnvironment {
        let declared = try description(of: id).options
        var values: [String: OptionValue] = [:]
        for option in options { values[option.key] = try RemoteEnvironments.value(of: option, declared, id: id) }
        do {
            return try connection.make(
                id, count: count, options: values, autoreset: autoreset, transport: transport, renderMode: renderMode)
        } catch GymError.refused(let error) where error.code == .invalidOption {
            throw EnvironmentChoiceError("\(id): \(error.message)")
        }
    }

    /// An option's text as a value of the kind that its default is of. A range beyond that is the server's to check.
    static func value(
        of option: EnvironmentOption, _ declared: [EnvironmentDescription.Option], id: String
    ) throws -> OptionValue {
        guard let spec = declared.first(where: { $0.name == option.key }) else {
            let names = declared.map(\.name)
            throw EnvironmentChoiceError(
                "\(id) has no option '\(option.key)'" + suggestion(for: option.key, in: names)
                    + (names.isEmpty ? ", nor any other" : "; it has \(names.joined(separator: ", "))"))
        }
        let value = OptionValue(text: option.value)
        switch (spec.defaultValue, value) {
        case (.real, .integer(let number)): return .real(Double(number))
        // A name that looks like a number or a truth value.
        case (.text, .bool), (.text, .integer), (.text, .real): return .text(option.value)
        case (.bool, .bool), (.integer, .integer), (.integer, .list), (.real, .real), (.text, .text), (.list, _):
            return value
        default:
            throw EnvironmentChoiceError(
                "\(id): the option \(option.key) is '\(option.value)'; it has to be \(spec.allowed)")
        }
    }

    /// As many as fit into a frame that holds each environment's observation and, where all episodes end at once, its
    /// last one too.
    public func largestBatch(observationSpace: Space, actionSpace: Space) -> Int {
        func bytes(_ space: Space) -> Int { space.tensorLayouts?.reduce(0) { $0 + $1.byteCount } ?? 0 }
        let row = max(2 * bytes(observationSpace), bytes(actionSpace)) + RemoteEnvironments.rowOverhead
        let room = connection.server.limits.maxFrameBytes - RemoteEnvironments.frameOverhead
        return max(1, room / row)
    }
}

extension OptionValue {
    /// What a text looks like: `true`, `3`, `0.5`, `[1, 5]`; else a text, without the quotes around it.
    init(text: String) {
        let text = text.trimmingWhitespace
        if text.hasPrefix("["), text.hasSuffix("]") {
            let inner = text.dropFirst().dropLast()
            self = .list(
                inner.allSatisfy(\.isWhitespace) ? [] : inner.split(separator: ",").map { .init(text: String($0)) })
        } else if ["true", "True"].contains(text) {
            self = .bool(true)
        } else if ["false", "False"].contains(text) {
            self = .bool(false)
        } else if let number = Int(text) {
            self = .integer(number)
        } else if let number = Double(text), number.isFinite {
            self = .real(number)
        } else {
            let quotes: Set<Character> = ["'", "\""]
            let isQuoted = text.count >= 2 && quotes.contains(text.first!) && text.first == text.last
            self = .text(isQuoted ? String(text.dropFirst().dropLast()) : text)
        }
    }
}

extension String {
    /// Without the white space around it.
    var trimmingWhitespace: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
