/// An error as it crosses the wire.
public struct WireError: Error, Sendable, Hashable {
    /// What kind of error it is. Raw values are those of `gym.v1.ErrorCode`.
    public enum Code: Int32, Sendable, Hashable, CaseIterable {
        case unspecified = 0
        case malformedFrame = 1
        case frameTooLarge = 2
        case unsupportedVersion = 3
        case helloExpected = 4
        case unauthorized = 5
        case tooManyConnections = 6
        case malformedMessage = 16
        case unknownMessage = 17
        case unsupportedCapability = 18
        case unknownEnvironment = 19
        case unknownHandle = 20
        case invalidArgument = 21
        case invalidOption = 22
        case invalidAction = 23
        case invalidMask = 24
        case invalidState = 25
        case needsReset = 26
        case renderUnavailable = 27
        case limitExceeded = 28
        case nothingPending = 29
        case alreadyPending = 30
        case responseTooLarge = 31
        case notAllowed = 32
        case environmentFault = 33
        case shuttingDown = 34
        case `internal` = 35
        case incompatibleState = 36

        /// Whether the connection closes after it.
        public var isFatal: Bool { rawValue < 16 }
    }

    /// One of the things that are wrong.
    public struct Detail: Sendable, Hashable {
        /// The field of the request: `action`, `seeds`, `options.g`.
        public var field: String
        /// Which environment of the batch.
        public var environmentIndex: Int?
        /// What would be right.
        public var expected: String
        /// What came.
        public var got: String

        /// A detail of an error.
        public init(field: String, environmentIndex: Int? = nil, expected: String = "", got: String = "") {
            self.field = field
            self.environmentIndex = environmentIndex
            self.expected = expected
            self.got = got
        }
    }

    /// What kind of error it is.
    public var code: Code
    /// What is wrong and what would be right, for people.
    public var message: String
    /// Whether the connection closes after it. When not, the request had no effect.
    public var isFatal: Bool
    /// The things that are wrong, for programs.
    public var details: [Detail]

    /// An error; fatal when its code is.
    public init(_ code: Code, _ message: String, details: [Detail] = []) {
        self.code = code
        self.message = message
        self.isFatal = code.isFatal
        self.details = details
    }
}

extension WireError: CustomStringConvertible {
    /// The message and its code.
    public var description: String { "\(message) [\(code)]" }
}
