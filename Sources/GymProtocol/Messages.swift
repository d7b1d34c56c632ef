public import GymCore

/// The first message of a connection.
public struct Hello: Sendable, Hashable {
    /// The client's version of the protocol.
    public var major = ProtocolVersion.major
    /// The client's minor version.
    public var minor = ProtocolVersion.minor
    /// For the server's log.
    public var clientName = ""
    /// What the client would like to use; empty: whatever there is.
    public var capabilities: [String] = []
    /// The largest frame body that the client takes; 0: no limit of its own.
    public var maxFrameBytes = 0
    /// When the server asks for a token.
    public var token = ""

    /// A hello of this library's version.
    public init() {}
}

/// What the server answers to a hello.
public struct HelloReply: Sendable, Hashable {
    /// The version of the protocol.
    public var major = ProtocolVersion.major
    /// The minor version in force.
    public var minor = ProtocolVersion.minor
    /// The server's name.
    public var serverName = ""
    /// The server's own version.
    public var serverVersion = ""
    /// The capabilities in force.
    public var capabilities: [String] = []
    /// What the server allows.
    public var limits = Limits()
    /// The connection's number.
    public var sessionID: UInt64 = 0

    /// A reply of this library's version.
    public init() {}
}

/// An environment as a server lists it.
public struct EnvironmentDescription: Sendable, Hashable {
    /// An option as a server describes it.
    public struct Option: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// What it is when not given.
        public var defaultValue: OptionValue
        /// What is allowed, for people.
        public var allowed: String
        /// What it does.
        public var summary: String
    }

    /// `Name-vN` or `namespace/Name-vN`.
    public var id: String
    /// What it is, in a sentence.
    public var summary: String
    /// Steps after which an episode is truncated.
    public var maxEpisodeSteps: Int?
    /// The mean return at which the task counts as solved.
    public var rewardThreshold: Double?
    /// Whether the same seed can give different episodes.
    public var nondeterministic: Bool
    /// The render modes.
    public var renderModes: [String]
    /// Pictures a second when watched at natural speed.
    public var renderFPS: Double
    /// What may be given when it is made.
    public var options: [Option]
    /// What may be given when it is reset.
    public var resetOptions: [Option]
    /// The autoreset modes that the server offers for it.
    public var autoresetModes: [AutoresetMode]
    /// Whether its state can be saved and restored.
    public var isRestorable: Bool
    /// The observation space of one environment.
    public var observationSpace: Space
    /// The action space of one environment.
    public var actionSpace: Space

    /// The description of a registered environment, with the spaces of one that was made.
    public init(_ spec: EnvironmentSpec, of environment: any VectorEnvironment) {
        func described(_ options: [OptionSpec]) -> [Option] {
            options.map {
                Option(name: $0.name, defaultValue: $0.defaultValue, allowed: $0.kind.description, summary: $0.summary)
            }
        }
        id = spec.id
        summary = spec.summary
        maxEpisodeSteps = spec.maxEpisodeSteps
        rewardThreshold = spec.rewardThreshold
        nondeterministic = spec.nondeterministic
        renderModes = spec.renderModes
        renderFPS = Double(spec.renderFPS)
        options = described(spec.options)
        resetOptions = described(spec.resetOptions)
        autoresetModes = AutoresetMode.allCases
        isRestorable = environment.isRestorable
        observationSpace = environment.observationSpace
        actionSpace = environment.actionSpace
    }

    init(
        id: String, summary: String, maxEpisodeSteps: Int?, rewardThreshold: Double?, nondeterministic: Bool,
        renderModes: [String], renderFPS: Double, options: [Option], resetOptions: [Option],
        autoresetModes: [AutoresetMode], isRestorable: Bool, observationSpace: Space, actionSpace: Space
    ) {
        self.id = id
        self.summary = summary
        self.maxEpisodeSteps = maxEpisodeSteps
        self.rewardThreshold = rewardThreshold
        self.nondeterministic = nondeterministic
        self.renderModes = renderModes
        self.renderFPS = renderFPS
        self.options = options
        self.resetOptions = resetOptions
        self.autoresetModes = autoresetModes
        self.isRestorable = isRestorable
        self.observationSpace = observationSpace
        self.actionSpace = actionSpace
    }
}

/// How results and actions travel.
public enum Transport: Int32, Sendable, Hashable, CaseIterable {
    /// In frames.
    case socket = 1
    /// Through memory that both processes map; the socket stays for everything else.
    case sharedMemory = 2
}

/// Asks for a batch of environments.
public struct MakeParameters: Sendable {
    /// Which environment.
    public var id: String
    /// How many, with which options and modes.
    public var settings: VectorEnvironmentSettings
    /// The mode that rendering will be asked for in; empty: none.
    public var renderMode = ""
    /// How results and actions travel.
    public var transport = Transport.socket
    /// Whether finite actions outside a box's bounds are handed to the environment.
    public var passesOutOfBounds = false
    /// Reset options that autoreset uses.
    public var autoresetOptions: [String: OptionValue] = [:]
    /// Whether results say how long each environment's step took.
    public var wantsStepTime = false

    /// A batch with the given settings.
    public init(id: String, settings: VectorEnvironmentSettings) {
        self.id = id
        self.settings = settings
    }
}

/// A batch of environments that was made.
public struct MadeEnvironment: Sendable {
    /// Names the batch in later requests.
    public var handle: UInt32
    /// The number of environments.
    public var count: Int
    /// What was made, with the spaces as the options make them.
    public var description: EnvironmentDescription
    /// What happens when an episode ends.
    public var autoreset: AutoresetMode
    /// Steps after which an episode is truncated.
    public var maxEpisodeSteps: Int?
    /// How results and actions travel.
    public var transport: Transport
    /// Where things lie in shared memory.
    public var sharedMemory: SharedMemoryLayout?

    /// A batch that was made.
    public init(
        handle: UInt32, count: Int, description: EnvironmentDescription, autoreset: AutoresetMode,
        maxEpisodeSteps: Int?,
        transport: Transport, sharedMemory: SharedMemoryLayout?
    ) {
        self.handle = handle
        self.count = count
        self.description = description
        self.autoreset = autoreset
        self.maxEpisodeSteps = maxEpisodeSteps
        self.transport = transport
        self.sharedMemory = sharedMemory
    }
}

/// Asks for new episodes.
public struct ResetParameters: Sendable {
    /// None, one (environment i gets that plus i), or one for each environment; `nil` leaves a generator as it stands.
    public var seeds: [UInt64?] = []
    /// Which environments; `nil`: all.
    public var mask: [Bool]?
    /// The environment's reset options.
    public var options: [String: OptionValue] = [:]
    /// Whether `info` is wanted.
    public var wantsInfo = false

    /// A reset of all environments, generators as they stand.
    public init() {}
}

/// What a server tells of itself.
public struct ServerStatus: Sendable, Hashable {
    /// Seconds since it started.
    public var uptimeSeconds = 0.0
    /// Connections now.
    public var connections: UInt64 = 0
    /// Environments now.
    public var environments: UInt64 = 0
    /// Steps of single environments since the start.
    public var steps: UInt64 = 0
    /// Bytes received since the start.
    public var bytesReceived: UInt64 = 0
    /// Bytes sent since the start.
    public var bytesSent: UInt64 = 0
    /// Errors answered since the start.
    public var errors: UInt64 = 0
    /// Connections since the start.
    public var connectionsTotal: UInt64 = 0
    /// What the connection that asks uses, and of what at most.
    public var connectionUse: [ResourceUse] = []
    /// What all connections use together.
    public var serverUse: [ResourceUse] = []

    /// Nothing happened yet.
    public init() {}
}

/// How much of something is in use.
public struct ResourceUse: Sendable, Hashable {
    /// `handles`, `environments`, `memory_bytes`, `pending_requests`, `connections`, `threads`.
    public var resource: String
    /// How much is in use.
    public var used: UInt64
    /// How much there may be; 0: there is no limit.
    public var limit: UInt64

    /// So much, of so much.
    public init(_ resource: String, used: Int, limit: Int) {
        self.resource = resource
        self.used = UInt64(max(used, 0))
        self.limit = UInt64(max(limit, 0))
    }

    init(resource: String, used: UInt64, limit: UInt64) {
        self.resource = resource
        self.used = used
        self.limit = limit
    }
}

/// Which of an environment's two spaces.
public enum SpaceKind: Int32, Sendable, Hashable {
    case action = 0
    case observation = 1
}

/// One key of `info`, for each environment that has it.
public struct InfoColumn: Sendable, Hashable {
    /// The key.
    public var name: String
    /// The value of each environment; `nil` where it has none.
    public var values: [Value?]

    /// A column of values.
    public init(name: String, values: [Value?]) {
        self.name = name
        self.values = values
    }

    /// The columns of the infos of a batch, keys in the order in which they first appear.
    public static func columns(of infos: [[InfoEntry]]) -> [InfoColumn] {
        var columns: [InfoColumn] = []
        for (row, entries) in infos.enumerated() {
            for entry in entries {
                let index =
                    columns.firstIndex { $0.name == entry.name }
                    ?? {
                        columns.append(
                            InfoColumn(name: entry.name, values: [Value?](repeating: nil, count: infos.count)))
                        return columns.count - 1
                    }()
                columns[index].values[row] = entry.value
            }
        }
        return columns
    }
}
