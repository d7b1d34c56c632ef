/// The error codes of gym.v1.
enum ErrorCode: UInt64 {
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

    var isFatal: Bool { rawValue < 16 }
}

extension ErrorCode: CustomStringConvertible {
    /// The name in gym.proto, `MALFORMED_FRAME`, with the number that is on the wire.
    var description: String { ErrorCode.name(rawValue) }

    /// The same of any number.
    static func name(_ code: UInt64) -> String {
        let name = Schema.named("Error").byName["code"]?.names[code]
        return name.map { "\($0) (\(code))" } ?? "\(code), which has no name"
    }
}

/// A connection on which requests are made and answers judged by what holds for all of them.
package final class Client {
    package let raw: RawConnection
    private let transcript: Transcript
    private var nextID: UInt64 = 1
    /// What hellos say unless they are told otherwise.
    private let greeting: Greeting
    /// The minor version that was put in force, once it was.
    private(set) var minor: Int?

    /// What a client says of itself.
    struct Greeting {
        /// The highest minor version that it speaks.
        var minor = newestMinor
        var token = ""
    }

    /// The minor version that the suite knows.
    static let newestMinor = 1

    init(_ raw: RawConnection, transcript: Transcript, greeting: Greeting) {
        self.raw = raw
        self.transcript = transcript
        self.greeting = greeting
    }

    /// Exchanges hellos.
    @discardableResult
    func greet(
        major: Int = 1, minor: Int? = nil, capabilities: [String] = [], maxFrameBytes: Int = 0
    ) throws -> Message {
        let answer = try call(
            "hello", hello(major: major, minor: minor, capabilities: capabilities, maxFrameBytes: maxFrameBytes))
        self.minor = answer.integer("minor")
        try expectNothingNewer(answer)
        return answer
    }

    /// The fields of a hello.
    func hello(
        major: Int = 1, minor: Int? = nil, capabilities: [String] = [], maxFrameBytes: Int = 0, token: String? = nil
    ) -> [(String, Message.Value)] {
        [
            ("major", .integer(major)), ("minor", .integer(minor ?? greeting.minor)),
            ("client_name", "gym-conformance"), ("capabilities", .list(capabilities.map(Message.Value.text))),
            ("max_frame_bytes", .integer(maxFrameBytes)), ("token", .text(token ?? greeting.token)),
        ]
    }

    /// Fails when a message has a field that is newer than the version in force (V9).
    private func expectNothingNewer(_ message: Message) throws {
        guard let minor, let newer = message.newest(above: minor) else { return }
        throw CheckFailure(
            what: "a message where version 1.\(minor) is in force (V9)", expected: "no field that is newer",
            got: newer)
    }

    // MARK: Requests

    /// A request as a message.
    func request(
        _ message: String, _ fields: [(String, Message.Value)] = [], handle: UInt32 = 0, id: UInt64? = nil
    ) -> Message {
        let used = id ?? nextID
        if id == nil { nextID += 1 }
        var request = Message("Request")
        if used != 0 { request.append("id", .number(used)) }
        if handle != 0 { request.append("handle", .integer(handle)) }
        request.append(message, .fields(fields))
        return request
    }

    /// Sends a request without waiting for its answer.
    @discardableResult
    func send(_ message: String, _ fields: [(String, Message.Value)] = [], handle: UInt32 = 0) throws -> UInt64 {
        let request = request(message, fields, handle: handle)
        try send(request)
        return request.number("id")
    }

    /// Sends a request that is a message already.
    func send(_ request: Message) throws {
        transcript.note("sent \(request)")
        try raw.send(request)
    }

    /// Sends bytes.
    func send(bytes: [UInt8]) throws {
        transcript.note("sent bytes \(hexadecimal(bytes))")
        try raw.send(bytes)
    }

    // MARK: Answers

    /// The next response; notices are passed over (C9).
    ///
    /// - Parameters:
    ///   - what: what is waited for, for the failure: "the answer to make".
    ///   - expected: what it has to be.
    /// - Throws: ``CheckFailure`` when it is no response, the server has closed, or nothing comes.
    func receive(_ what: String = "the connection", expected: String = "a response") throws -> Message {
        while true {
            let next: RawConnection.Frame?
            do {
                next = try raw.receiveFrame()
            } catch let timeout as Timeout {
                throw CheckFailure(what: what, expected: expected, got: "nothing: \(timeout)", kind: .silent)
            }
            guard let frame = next else {
                throw CheckFailure(what: what, expected: expected, got: "the connection's end", kind: .ended)
            }
            transcript.note("came bytes \(hexadecimal(frame.bytes))")
            try require(
                frame.header[5] == 0 && frame.header[6] == 0 && frame.header[7] == 0,
                "flags and reserved bytes of a frame's header (F2)", expected: "0", got: hexadecimal(frame.header))
            try require(
                frame.kind == 2 || frame.kind == 3, "a frame's kind (F3)", expected: "2 (response) or 3 (notice)",
                got: "\(frame.kind)")
            let name = frame.kind == 2 ? "Response" : "Notice"
            do {
                let message = try Message(name, decoding: frame.body)
                transcript.note("came \(message)")
                try expectNothingNewer(message)
                if frame.kind == 2 { return message }
            } catch let error as DecodingError {
                throw CheckFailure(what: "a frame's body", expected: "a \(name)", got: "\(error)")
            }
        }
    }

    /// The answer to a request, judged by its envelope.
    func receive(answerTo id: UInt64, handle: UInt32, _ message: String = "request") throws -> Message {
        let response = try receive("the answer to \(message)", expected: "a response")
        try expect(response.number("id"), id, "the id of the answer to \(message) (M, O1)")
        try expect(response.number("handle"), UInt64(handle), "the handle of the answer to \(message) (M)")
        return response
    }

    /// Makes a request and returns what it is answered with.
    ///
    /// - Throws: ``CheckFailure`` when the answer is an error or of another kind.
    @discardableResult
    func call(_ message: String, _ fields: [(String, Message.Value)] = [], handle: UInt32 = 0) throws -> Message {
        let id = try send(message, fields, handle: handle)
        return try answer(message, to: id, handle: handle)
    }

    /// Waits for a request's answer.
    @discardableResult
    func answer(_ message: String, to id: UInt64, handle: UInt32 = 0) throws -> Message {
        let response = try receive(answerTo: id, handle: handle, message)
        guard let part = response.message(message) else {
            throw CheckFailure(
                what: "the answer to \(message)", expected: "\(message)", got: Client.describe(response))
        }
        return part
    }

    /// What a response is, in short.
    static func describe(_ response: Message) -> String {
        guard let error = response.message("error") else { return response.messageCase ?? "an empty response" }
        return "the error \(ErrorCode.name(error.number("code"))): \(error.text("message"))"
    }

    /// Makes a request that has to be refused, and returns the error.
    @discardableResult
    func expectError(
        _ code: ErrorCode, _ message: String, _ fields: [(String, Message.Value)] = [], handle: UInt32 = 0,
        _ what: String? = nil
    ) throws -> Message {
        try expectError([code], message, fields, handle: handle, what)
    }

    /// The same, where several codes are right.
    @discardableResult
    func expectError(
        _ codes: [ErrorCode], _ message: String, _ fields: [(String, Message.Value)] = [], handle: UInt32 = 0,
        _ what: String? = nil
    ) throws -> Message {
        let id = try send(message, fields, handle: handle)
        return try receiveError(codes, id: id, handle: handle, what ?? "the answer to \(message)")
    }

    /// Waits for an error and judges it (E1).
    @discardableResult
    func receiveError(_ code: ErrorCode, id: UInt64?, handle: UInt32 = 0, _ what: String) throws -> Message {
        try receiveError([code], id: id, handle: handle, what)
    }

    /// The same, where several codes are right.
    @discardableResult
    func receiveError(_ codes: [ErrorCode], id: UInt64?, handle: UInt32 = 0, _ what: String) throws -> Message {
        let names = "the error " + codes.map { "\($0)" }.joined(separator: " or ")
        let response = try receive(what, expected: names)
        guard let error = response.message("error"), let code = ErrorCode(rawValue: error.number("code")),
            codes.contains(code)
        else { throw CheckFailure(what: what, expected: names, got: Client.describe(response)) }
        try expect(error.flag("fatal"), code.isFatal, "\(what): whether the error \(code) is fatal (E1)")
        try require(
            !error.text("message").isEmpty, "\(what): the error's message (E1)", expected: "an explanation", got: "none"
        )
        if let id {
            try expect(response.number("id"), id, "\(what): the id of the error")
            try expect(response.number("handle"), UInt64(handle), "\(what): the handle of the error")
        }
        return error
    }

    /// Fails unless the server closes without another frame.
    func expectEnd(_ what: String) throws {
        while true {
            do {
                guard let frame = try raw.receiveFrame() else { return }
                // A notice may come at any time (C9).
                if frame.kind == 3 { continue }
                let content = (try? Message("Response", decoding: frame.body)).map(Client.describe)
                throw CheckFailure(
                    what: what, expected: "the end of the connection", got: content ?? hexadecimal(frame.bytes))
            } catch let timeout as Timeout {
                throw CheckFailure(
                    what: what, expected: "the end of the connection", got: "one that is still open: \(timeout)",
                    kind: .silent)
            }
        }
    }

    /// Fails unless the connection still works.
    func expectAlive(_ what: String) throws {
        do {
            try call("ping")
        } catch let failure as CheckFailure {
            throw CheckFailure(
                what: "\(what): a ping after it", expected: "an answer", got: failure.got, kind: failure.kind)
        }
    }
}
