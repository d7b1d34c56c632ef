import Foundation
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
import Testing

/// What a server is sent that is wrong: a typed error each time, and nobody else notices. One after the other, since some
/// look at what the process holds.
@Suite(.serialized) struct BadInputTests {
    private let running: RunningServer
    private let witness: RemoteVectorEnvironment

    init() throws {
        running = try RunningServer()
        witness = try running.connect().make("test/Counting-v0", count: 2, options: ["limit": .integer(1000)])
        try witness.reset(seeds: [1])
    }

    /// Another connection steps as if nothing had happened.
    private func expectUntouched(_ location: SourceLocation = #_sourceLocation) throws {
        let before = witness.results.observation.elements(as: Int64.self)[0]
        try witness.step()
        #expect(witness.results.observation.elements(as: Int64.self)[0] == before + 1, sourceLocation: location)
    }

    @Test(
        "F4, F5: headers",
        arguments: [
            (UInt8(9), UInt8(0), UInt16(0), 0, WireError.Code.malformedFrame), (2, 0, 0, 0, .malformedFrame),
            (3, 0, 0, 0, .malformedFrame), (1, 1, 0, 0, .malformedFrame), (1, 0, 1, 0, .malformedFrame),
            (1, 0, 0, 1 << 30, .frameTooLarge),
        ])
    func header(kind: UInt8, flags: UInt8, reserved: UInt16, length: Int, code: WireError.Code) throws {
        let raw = try running.raw()
        try raw.send(body: [], kind: kind, flags: flags, reserved: reserved, length: length)
        let error = try raw.error()
        #expect(error.code == code)
        #expect(error.isFatal)
        #expect(try raw.isClosed())
        try expectUntouched()
    }

    @Test("F7: a stream that ends inside a frame", arguments: [3, 8, 20])
    func truncated(count: Int) throws {
        let raw = try running.raw()
        try raw.send(bytes: Array(([100, 0, 0, 0, 1, 0, 0, 0] + [UInt8](repeating: 0, count: 100)).prefix(count)))
        raw.socket.shutdownSending()
        #expect(try raw.error().code == .malformedFrame)
        #expect(try raw.isClosed())
        try expectUntouched()
    }

    @Test("F6: a length with nothing behind it takes no memory")
    func lengthAlone() throws {
        let before = try residentBytes()
        let raws = try (0..<16).map { _ in
            let raw = try running.raw()
            try raw.send(body: [], length: 60 << 20)
            return raw
        }
        guard case .ping = try running.raw().ask(.ping) else { Issue.record("no answer"); return }
        #expect(try residentBytes() - before < 32 << 20, "16 frames of 60 MB were announced and none was sent")
        try expectUntouched()
        withExtendedLifetime(raws) {}
    }

    @Test(
        "F8: bodies that are no request",
        arguments: [
            [UInt8(0xFF)], [0x0A], [0x1A, 0x05, 0x01], [UInt8](repeating: 0x80, count: 100), [0x08], [0x0B, 0x0C],
        ])
    func garbageBody(body: [UInt8]) throws {
        let raw = try running.raw()
        try raw.send(body: body)
        let error = try raw.error()
        #expect(error.code == .malformedMessage)
        #expect(!error.isFatal)
        guard case .ping = try raw.ask(.ping) else { Issue.record("the connection did not go on"); return }
        try expectUntouched()
    }

    @Test("F8: nesting without end")
    func nesting() throws {
        // contains { members { values { values { list { values { list … } } } } } }: each level two bytes and a length.
        var body: [UInt8] = []
        for level in 0..<2000 {
            body = field(level.isMultiple(of: 2) ? 3 : 1, body)
        }
        for tag in [2, 2, 24] { body = field(tag, body) }
        let raw = try running.raw()
        try raw.send(body: body)
        #expect(try raw.error().code == .malformedMessage)
        guard case .ping = try raw.ask(.ping) else { Issue.record("the connection did not go on"); return }
        try expectUntouched()
    }

    @Test("X4: small parts that protobuf turns into large ones")
    func memoryBomb() throws {
        // Options without name or value: two bytes each in the frame, some hundred decoded.
        let make = field(20, Array(repeatElement([UInt8(0x1A), 0], count: 8 << 20).joined()))
        let raw = try running.raw()
        let before = try residentBytes()
        try raw.send(body: make)
        #expect(try raw.error().code == .malformedMessage)
        guard case .ping = try raw.ask(.ping) else { Issue.record("the connection did not go on"); return }
        #expect(try residentBytes() - before < 256 << 20, "16 MB were sent; what they took is given back")
        try expectUntouched()
    }

    @Test("V5: a message of a newer version") func unknownMessage() throws {
        let raw = try running.raw()
        try raw.send(body: field(1, varint: 7) + field(900, [1, 2, 3]))
        let response = try raw.response()
        guard case .error(let error) = response.message else { Issue.record("\(response.message)"); return }
        #expect(response.id == 7)
        #expect(error.code == .unknownMessage)
        #expect(!error.isFatal)
        try raw.send(body: [])
        #expect(try raw.error().code == .unknownMessage)
    }

    @Test("C1, C2: hello comes first, and once") func helloFirst() throws {
        let early = try running.raw(hello: false)
        try early.send(.ping)
        #expect(try early.error().code == .helloExpected)
        #expect(try early.isClosed())
        let garbage = try running.raw(hello: false)
        try garbage.send(body: [0xFF])
        #expect(try garbage.error().code == .helloExpected)
        let twice = try running.raw()
        try twice.send(.hello(Hello()))
        let error = try twice.error()
        #expect(error.code == .invalidArgument)
        #expect(!error.isFatal)
    }

    @Test("V2, V3: versions") func versions() throws {
        let raw = try running.raw(hello: false)
        var hello = Hello()
        hello.major = 9
        hello.minor = 3
        try raw.send(.hello(hello))
        let error = try raw.error()
        #expect(error.code == .unsupportedVersion)
        #expect(error.details.first?.expected == "1.1")
        #expect(error.details.first?.got == "9.3")
        #expect(try raw.isClosed())
        let newer = try running.raw(hello: false)
        hello.major = 1
        guard case .hello(let reply) = try newer.ask(.hello(hello)) else { Issue.record("no hello"); return }
        #expect(reply.minor == ProtocolVersion.minor)
        let older = try running.raw(hello: false)
        hello.minor = 0
        guard case .hello(let reply) = try older.ask(.hello(hello)) else { Issue.record("no hello"); return }
        #expect(reply.minor == 0)
        #expect(reply.limits.maxThreads == 0 && reply.limits.maxServerMemoryBytes == 0)
    }

    @Test("V6, V7: capabilities") func capabilities() throws {
        let raw = try running.raw(hello: false)
        var hello = Hello()
        hello.capabilities = ["state.v1", "teleport.v3"]
        guard case .hello(let reply) = try raw.ask(.hello(hello)) else { Issue.record("no hello"); return }
        #expect(reply.capabilities == ["state.v1"])
        let handle = try raw.make("test/Counting-v0")
        try raw.send(.render(environments: []), handle: handle)
        #expect(try raw.error().code == .unsupportedCapability)
        try raw.send(.sample(.action, seed: nil), handle: handle)
        #expect(try raw.error().code == .unsupportedCapability)
        try raw.send(.receive(count: 1), handle: handle)
        #expect(try raw.error().code == .unsupportedCapability)
        var parameters = MakeParameters(id: "test/Counting-v0", settings: .init())
        parameters.transport = .sharedMemory
        try raw.send(.make(parameters))
        #expect(try raw.error().code == .unsupportedCapability)
        guard case .states = try raw.ask(.getState(environments: []), handle: handle) else {
            Issue.record("no state"); return
        }
    }

    @Test(
        "M19, M20: actions that do not fit",
        arguments: [
            ("leaves", WireError.Code.invalidAction), ("dtype", .invalidAction), ("shape", .invalidAction),
            ("space", .invalidAction), ("nan", .invalidAction), ("infinite", .invalidAction), ("size", .invalidAction),
        ])
    func actions(kind: String, code: WireError.Code) throws {
        let raw = try running.raw()
        let handle = try raw.make("test/Echo-v0", count: 2)
        guard case .reset = try raw.ask(.reset(ResetParameters()), handle: handle) else {
            Issue.record("no reset"); return
        }
        let box = EchoSpaces.box
        switch kind {
        case "leaves":
            try raw.send(.step(BatchBuffer(space: .tuple([box, box]), count: 2), wantsInfo: false), handle: handle)
        case "dtype":
            try raw.send(.step(BatchBuffer(space: .discrete(count: 2), count: 2), wantsInfo: false), handle: handle)
        case "shape": try raw.send(.step(BatchBuffer(space: box, count: 3), wantsInfo: false), handle: handle)
        case "size":
            // A tensor of FLOAT32 of shape (2, 3) with one byte of data.
            let tensor = field(1, varint: 11) + field(2, [2, 3]) + field(3, [0])
            try raw.send(body: field(2, varint: UInt64(handle)) + field(3, field(1, field(1, tensor))))
        default:
            let actions = BatchBuffer(space: box, count: 2)
            actions.elements(as: Float.self)[4] = ["space": 1.5, "nan": .nan, "infinite": -.infinity][kind]!
            try raw.send(.step(actions, wantsInfo: false), handle: handle)
        }
        let error = try raw.error()
        #expect(error.code == code)
        #expect(!error.isFatal)
        if ["space", "nan", "infinite"].contains(kind) { #expect(error.details.first?.environmentIndex == 1) }
        let good = BatchBuffer(space: box, count: 2)
        guard case .step = try raw.ask(.step(good, wantsInfo: false), handle: handle) else {
            Issue.record("no step"); return
        }
        try expectUntouched()
    }

    @Test("H1, H2, M5 to M15: arguments") func arguments() throws {
        let raw = try running.raw()
        func code(_ request: Request<BatchBuffer>, _ handle: UInt32 = 0) throws -> WireError.Code {
            try raw.send(request, handle: handle)
            return try raw.error().code
        }
        func make(_ id: String, _ change: (inout MakeParameters) -> Void = { _ in }) -> Request<BatchBuffer> {
            var parameters = MakeParameters(id: id, settings: .init())
            change(&parameters)
            return .make(parameters)
        }
        #expect(try code(.close, 7) == .unknownHandle)
        #expect(try code(make("test/Countin-v0")) == .unknownEnvironment)
        #expect(try code(make(String(repeating: "x", count: 1 << 20))) == .unknownEnvironment)
        #expect(try code(make("test/Counting-v0") { $0.settings.options = ["limits": .integer(1)] }) == .invalidOption)
        #expect(try code(make("test/Counting-v0") { $0.settings.options = ["limit": .integer(0)] }) == .invalidOption)
        #expect(try code(make("test/Counting-v0") { $0.autoresetOptions = ["begin": .integer(0)] }) == .invalidOption)
        #expect(try code(make("test/Counting-v0") { $0.renderMode = "human" }) == .renderUnavailable)
        #expect(
            try code(
                make("test/Echo-v0") {
                    $0.settings.options = ["space": .text("graph")]
                    $0.transport = .sharedMemory
                }) == .unsupportedCapability)
        let handle = try raw.make("test/Counting-v0", count: 3)
        let actions = BatchBuffer(space: .discrete(count: 2), count: 3)
        #expect(try code(.step(actions, wantsInfo: false), handle) == .needsReset)
        #expect(try code(.receive(count: 1), handle) == .nothingPending)
        #expect(try code(.render(environments: []), handle) == .renderUnavailable)
        func reset(_ change: (inout ResetParameters) -> Void) -> Request<BatchBuffer> {
            var parameters = ResetParameters()
            change(&parameters)
            return .reset(parameters)
        }
        #expect(try code(reset { $0.seeds = [1, 2] }, handle) == .invalidArgument)
        #expect(try code(reset { $0.mask = [true] }, handle) == .invalidMask)
        #expect(try code(reset { $0.mask = [false, false, false] }, handle) == .invalidMask)
        #expect(try code(reset { $0.options = ["start": .text("a")] }, handle) == .invalidOption)
        guard case .reset = try raw.ask(reset { $0.seeds = [0] }, handle: handle) else {
            Issue.record("no reset"); return
        }
        #expect(try code(.send(environments: [0, 0], actions), handle) == .invalidArgument)
        #expect(try code(.send(environments: [], actions), handle) == .invalidArgument)
        #expect(try code(.setState(environments: [], states: [[1]]), handle) == .invalidArgument)
        #expect(try code(.setState(environments: [0], states: [[1]]), handle) == .invalidState)
        #expect(try code(.setState(environments: [0, 0], states: [[1], [1]]), handle) == .invalidArgument)
        #expect(try code(.getState(environments: [9]), handle) == .invalidArgument)
        #expect(try code(.shutdown) == .notAllowed)
        let other = try running.raw()
        try other.send(.close, handle: handle)
        #expect(try other.error().code == .unknownHandle)
    }

    @Test("W4: descriptors that a client passes are closed") func passedDescriptors() throws {
        let before = try openDescriptors()
        let raw = try running.raw()
        for _ in 0..<50 {
            let (left, right) = try UnixSocket.pair()
            try passDescriptor(left.descriptor, over: raw.socket, frame: [0, 0, 0, 0, 1, 0, 0, 0])
            #expect(try raw.error().code == .unknownMessage)
            withExtendedLifetime((left, right)) {}
        }
        #expect(try openDescriptors() <= before + 4)
    }
}

enum EchoSpaces {
    static let box = Space.box(Box(low: [Float(-1), -1, 0], high: [Float(1), 1, .infinity]))
}
