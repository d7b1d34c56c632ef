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

    var isFatal: Bool { rawValue < 16 }
}

/// A connection on which requests are made and answers judged by what holds for all of them.
package final class Client {
    package let raw: RawConnection
    private let transcript: Transcript
    private var nextID: UInt64 = 1

    init(_ raw: RawConnection, transcript: Transcript) {
        self.raw = raw
        self.transcript = transcript
    }

    /// Exchanges hellos.
    @discardableResult
    func greet(
        major: Int = 1, minor: Int = 0, capabilities: [String] = [], maxFrameBytes: Int = 0
    ) throws -> Message {
        try call("hello", hello(major: major, minor: minor, capabilities: capabilities, maxFrameBytes: maxFrameBytes))
    }

    /// The fields of a hello.
    func hello(
        major: Int = 1, minor: Int = 0, capabilities: [String] = [], maxFrameBytes: Int = 0
    ) -> [(String, Message.Value)] {
        [
            ("major", .integer(major)), ("minor", .integer(minor)), ("client_name", "gym-conformance"),
            ("capabilities", .list(capabilities.map(Message.Value.text))),
            ("max_frame_bytes", .integer(maxFrameBytes)),
        ]
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
    /// - Throws: ``CheckFailure`` when it is no response, or the server has closed.
    func receive(within seconds: Double? = nil) throws -> Message {
        while true {
            guard let frame = try raw.receiveFrame(within: seconds) else {
                throw CheckFailure(what: "the connection", expected: "a response", got: "its end")
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
                if frame.kind == 2 { return message }
            } catch {
                throw CheckFailure(what: "a frame's body", expected: "a \(name)", got: "\(error)")
            }
        }
    }

    /// The answer to a request, judged by its envelope.
    func receive(answerTo id: UInt64, handle: UInt32) throws -> Message {
        let response = try receive()
        try expect(response.number("id"), id, "the id of the answer (M, O1)")
        try expect(response.number("handle"), UInt64(handle), "the handle of the answer (M)")
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
        let response = try receive(answerTo: id, handle: handle)
        guard let part = response.message(message) else {
            throw CheckFailure(
                what: "the answer to \(message)", expected: "\(message)", got: Client.describe(response))
        }
        return part
    }

    /// What a response is, in short.
    static func describe(_ response: Message) -> String {
        guard let error = response.message("error") else { return response.messageCase ?? "an empty response" }
        return "the error \(codeName(error.number("code"))): \(error.text("message"))"
    }

    private static func codeName(_ code: UInt64) -> String { ErrorCode(rawValue: code).map { "\($0)" } ?? "\(code)" }

    /// Makes a request that has to be refused, and returns the error.
    @discardableResult
    func expectError(
        _ code: ErrorCode, _ message: String, _ fields: [(String, Message.Value)] = [], handle: UInt32 = 0,
        _ what: String? = nil
    ) throws -> Message {
        let id = try send(message, fields, handle: handle)
        return try receiveError(code, id: id, handle: handle, what ?? "the answer to \(message)")
    }

    /// Waits for an error and judges it.
    @discardableResult
    func receiveError(_ code: ErrorCode, id: UInt64?, handle: UInt32 = 0, _ what: String) throws -> Message {
        let response = try receive()
        guard let error = response.message("error") else {
            throw CheckFailure(what: what, expected: "the error \(code)", got: Client.describe(response))
        }
        guard error.number("code") == code.rawValue else {
            throw CheckFailure(
                what: what, expected: "the error \(code) (\(code.rawValue))", got: Client.describe(response))
        }
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
        while let frame = try raw.receiveFrame() {
            // A notice may come at any time (C9).
            if frame.kind == 3 { continue }
            throw CheckFailure(what: what, expected: "the end of the connection", got: hexadecimal(frame.bytes))
        }
    }

    /// Fails unless the connection still works.
    func expectAlive(_ what: String) throws {
        do {
            try call("ping")
        } catch let failure as CheckFailure {
            throw CheckFailure(what: "\(what): a ping after it", expected: "an answer", got: failure.got)
        }
    }
}
