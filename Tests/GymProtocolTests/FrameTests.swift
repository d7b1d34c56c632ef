import Foundation
import GymCore
import GymProtocol
import Testing

/// Frames and messages over a pair of sockets.
@Suite struct FrameTests {
    @Test("F9: frames in any number of pieces, and several in one") func pieces() throws {
        let (left, right) = try UnixSocket.pair()
        let reader = FrameReader(right, accepting: [.request], maxBody: 1000)
        var stream: [UInt8] = []
        for size in [0, 1, 10, 1000, 3] {
            stream += [UInt8(size & 0xFF), UInt8(size >> 8), 0, 0, 1, 0, 0, 0] + (0..<size).map { UInt8($0 & 0xFF) }
        }
        let whole = stream
        Thread.detachNewThread {
            for piece in stride(from: 0, to: whole.count, by: 7) {
                var bytes = Array(whole[piece..<min(piece + 7, whole.count)])
                send(left.descriptor, &bytes, bytes.count, 0)
            }
            left.shutdownSending()
        }
        for size in [0, 1, 10, 1000, 3] {
            let frame = try #require(try reader.next())
            #expect(Array(frame.body) == (0..<size).map { UInt8($0 & 0xFF) })
        }
        #expect(try reader.next() == nil)
        #expect(reader.bytesReceived == UInt64(whole.count))
    }

    @Test("F6, C7: memory grows with what comes, and bytes do not move a deadline") func announced() throws {
        let (left, right) = try UnixSocket.pair()
        let reader = FrameReader(right, accepting: [.request], maxBody: 64 << 20)
        var bytes: [UInt8] = [0, 0, 0, 3, 1, 0, 0, 0, 1, 2, 3]
        #expect(send(left.descriptor, &bytes, bytes.count, 0) == bytes.count)
        for _ in 0..<2 {
            let error = #expect(throws: SystemError.self) { try reader.next(until: monotonicSeconds() + 0.05) }
            #expect(error?.number == EAGAIN)
        }
        #expect(reader.bytesReceived == UInt64(bytes.count))
        #expect(reader.memoryInUse < 64 << 10, "48 MiB were announced")
    }

    @Test("Requests come through as they were sent") func requests() throws {
        let (left, right) = try UnixSocket.pair()
        let writer = RequestWriter(left, maxBody: 1 << 20)
        let reader = FrameReader(right, accepting: [.request], maxBody: 1 << 20)
        let decoder = RequestDecoder()
        func sent(_ request: Request<BatchBuffer>, id: UInt64, handle: UInt32) throws -> Request<ReceivedLeaves> {
            try writer.send(request, id: id, handle: handle)
            let received = try decoder.decode(try #require(try reader.next()).body)
            #expect(received.id == id)
            #expect(received.handle == handle)
            return received.message
        }
        func sent(
            _ request: ConnectionRequest, id: UInt64 = 7, handle: UInt32 = 3
        ) throws -> ConnectionRequest {
            guard case .connection(let message) = try sent(.connection(request), id: id, handle: handle) else {
                throw WireError(.unknownMessage, "a request of another kind")
            }
            return message
        }
        func sent(_ request: HandleRequest<BatchBuffer>) throws -> HandleRequest<ReceivedLeaves> {
            guard case .handle(let message) = try sent(.handle(request), id: 7, handle: 3) else {
                throw WireError(.unknownMessage, "a request of another kind")
            }
            return message
        }
        var hello = Hello()
        hello.clientName = "näme"
        hello.capabilities = ["a", "b"]
        hello.maxFrameBytes = 5000
        hello.token = "t"
        guard case .hello(hello) = try sent(.hello(hello), id: .max, handle: .max) else {
            Issue.record("hello"); return
        }
        var make = MakeParameters(
            id: "x/Y-v0",
            settings: .init(
                count: 9, options: ["o": .list([.integer(-1), .real(0.5), .bool(true), .text("t")])],
                autoreset: .sameStep, timeLimit: .steps(4), checksObservations: true))
        make.renderMode = "ansi"
        make.transport = .sharedMemory
        make.passesOutOfBounds = true
        make.wantsStepTime = true
        make.autoresetOptions = ["q": .integer(Int.min)]
        guard case .make(let made) = try sent(.make(make)) else { Issue.record("make"); return }
        #expect(
            made.id == make.id && made.renderMode == "ansi" && made.transport == .sharedMemory && made.passesOutOfBounds
                && made.wantsStepTime
        )
        #expect(made.settings.options == make.settings.options && made.autoresetOptions == make.autoresetOptions)
        #expect(
            made.settings.count == 9 && made.settings.autoreset == .sameStep && made.settings.timeLimit == .steps(4)
                && made.settings.checksObservations)
        var reset = ResetParameters()
        reset.seeds = [0, nil, .max]
        reset.mask = [true, false, true]
        reset.options = ["low": .real(-.infinity)]
        reset.wantsInfo = true
        guard case .reset(let gotten) = try sent(.reset(reset)) else { Issue.record("reset"); return }
        #expect(
            gotten.seeds == reset.seeds && gotten.mask == reset.mask && gotten.options == reset.options
                && gotten.wantsInfo)
        guard case .receive(5) = try sent(.receive(count: 5)) else { Issue.record("receive"); return }
        guard case .render([1, 0]) = try sent(.render(environments: [1, 0])) else { Issue.record("render"); return }
        guard case .getState([]) = try sent(.getState(environments: [])) else { Issue.record("state"); return }
        guard case .setState([2], [[1, 2], []]) = try sent(.setState(environments: [2], states: [[1, 2], []])) else {
            Issue.record("state"); return
        }
        guard case .sample(.observation, seed: 0) = try sent(.sample(.observation, seed: 0)) else {
            Issue.record("sample"); return
        }
        guard case .sample(.action, seed: nil) = try sent(.sample(.action, seed: nil)) else {
            Issue.record("sample"); return
        }
        for (request, name) in [
            (ConnectionRequest.ping, "ping"), (.status, "status"), (.list, "list"), (.shutdown, "shutdown"),
        ] {
            #expect("\(try sent(request))" == name)
        }
        guard case .close = try sent(.close) else { Issue.record("close"); return }
    }

    @Test("Actions of all rows, and of some") func actions() throws {
        let (left, right) = try UnixSocket.pair()
        let writer = RequestWriter(left, maxBody: 1 << 20)
        let reader = FrameReader(right, accepting: [.request], maxBody: 1 << 20)
        let decoder = RequestDecoder()
        let space = Space.dict([
            .init("a", .discrete(count: 9)), .init("b", .text(minLength: 0, maxLength: 3, characters: "xyz")),
        ])
        let batch = BatchBuffer(space: space, count: 3)
        for row in 0..<3 {
            batch.elements(ofLeaf: 0, as: Int64.self)[row] = Int64(row + 1)
            batch[raggedLeaf: 1][row] = .text(["x", "y", "z"][row])
        }
        let target = BatchBuffer(space: space, count: 3)
        try writer.send(.handle(.step(batch, wantsInfo: true)), id: 1)
        guard
            case .handle(.step(let leaves, wantsInfo: true)) = try decoder.decode(try #require(try reader.next()).body)
                .message
        else { Issue.record("step"); return }
        try leaves.copy(into: target, field: "action", code: .invalidAction)
        #expect(Array(target.elements(ofLeaf: 0, as: Int64.self)) == [1, 2, 3])
        #expect(target[raggedLeaf: 1] == [.text("x"), .text("y"), .text("z")])
        try writer.send(.handle(.send(environments: [2, 0], batch)), id: 1)
        guard case .handle(.send(let rows, let some)) = try decoder.decode(try #require(try reader.next()).body).message
        else {
            Issue.record("send"); return
        }
        let other = BatchBuffer(space: space, count: 3)
        try rows.withUnsafeBufferPointer { try some.copy(into: other, rows: $0, field: "action", code: .invalidAction) }
        #expect(Array(other.elements(ofLeaf: 0, as: Int64.self)) == [1, 0, 3])
        #expect(throws: WireError.self) { try some.copy(into: other, field: "action", code: .invalidAction) }
    }

    @Test("Seeds for as many environments as are allowed fit") func manySeeds() throws {
        let (left, right) = try UnixSocket.pair()
        let reader = FrameReader(right, accepting: [.request], maxBody: 1 << 24)
        var reset = ResetParameters()
        reset.seeds = (0..<65_536).map { $0.isMultiple(of: 2) ? nil : UInt64($0) }
        let parameters = reset
        Thread.detachNewThread { try? RequestWriter(left, maxBody: 1 << 24).send(.handle(.reset(parameters)), id: 1) }
        guard
            case .handle(.reset(let gotten)) = try RequestDecoder().decode(try #require(try reader.next()).body).message
        else {
            Issue.record("reset"); return
        }
        #expect(gotten.seeds == reset.seeds)
    }

    @Test("M12, T6: spaces come through, batched ones without being written out") func spaces() throws {
        let (left, right) = try UnixSocket.pair()
        let reader = FrameReader(right, accepting: [.response], maxBody: 1 << 20)
        let image = Space.box(Box(low: UInt8(0), high: 255, shape: [210, 160, 3]))
        let space = Space.tuple([
            .discrete(count: 3, start: -1), .multiDiscrete(counts: [2, 3], starts: [0, 1], shape: [2]),
            .box(Box(low: [0.5, -.infinity], high: [1, .infinity])), .sequence(.multiBinary(shape: [2]), stacked: true),
            .graph(node: .discrete(count: 2), edge: nil),
        ])
        let environment = try Still(observation: image, action: space).registry.make("still")
        let made = MadeEnvironment(
            handle: 1, count: 4000, description: EnvironmentDescription(environment.spec, of: environment),
            autoreset: .nextStep, maxEpisodeSteps: nil, transport: .socket, sharedMemory: nil)
        // It is more than a socket holds, so that one writes while the other reads.
        Thread.detachNewThread {
            try? ResponseWriter(left, maxBody: 1 << 20).made(made, .init(id: 1, handle: 0))
        }
        guard case .make(let gotten) = try ResponseDecoder().decode(try #require(try reader.next()).body).message else {
            Issue.record("make"); return
        }
        #expect(gotten.description.observationSpace == image)
        #expect(gotten.description.actionSpace == space)
    }

    @Test("Shared memory: regions inside, aligned, apart") func layout() throws {
        let observation = Space.dict([
            .init("a", .box(Box(low: UInt8(0), high: 255, shape: [7]))), .init("b", .discrete(count: 2)),
        ])
        for mode in AutoresetMode.allCases {
            let layout = try #require(
                SharedMemoryLayout(
                    observationSpace: observation, actionSpace: .multiBinary(shape: [3]), count: 5, autoreset: mode))
            #expect(
                layout.fits(
                    observationSpace: observation, actionSpace: .multiBinary(shape: [3]), count: 5, autoreset: mode))
            var regions = layout.actions
            for results in layout.results {
                regions += results.observation + results.finalObservation + results.fields
                #expect(results.finalObservation.isEmpty == (mode != .sameStep))
            }
            var end = SharedMemoryLayout.controlSize
            for region in regions.sorted(by: { $0.offset < $1.offset }) {
                #expect(region.offset >= end && region.offset.isMultiple(of: 64))
                end = region.offset + region.byteCount
            }
            #expect(end <= layout.size)
            for change in [
                { $0.size = 100 }, { $0.actions[0].offset = layout.size }, { $0.actions[0].offset = 3 },
                { $0.actions[0].shape = [6, 3] }, { $0.results.removeLast() }, { $0.controlOffset = -64 },
            ] as [(inout SharedMemoryLayout) -> Void] {
                var broken = layout
                change(&broken)
                #expect(
                    !broken.fits(
                        observationSpace: observation, actionSpace: .multiBinary(shape: [3]), count: 5, autoreset: mode)
                )
            }
        }
        #expect(
            SharedMemoryLayout(
                observationSpace: .sequence(.discrete(count: 2)), actionSpace: observation, count: 1,
                autoreset: .disabled) == nil)
    }

    @Test("A doorbell wakes who waits, and lets go in time") func doorbell() throws {
        let layout = try #require(
            SharedMemoryLayout(
                observationSpace: .discrete(count: 2), actionSpace: .discrete(count: 2), count: 1, autoreset: .disabled)
        )
        let (memory, descriptor) = try SharedMemory.create(layout)
        let other = try SharedMemory(passed: descriptor, layout)
        let start = Date()
        #expect(memory.request.wait(whileShowing: 0, seconds: 0.05) == 0)
        #expect(-start.timeIntervalSinceNow >= 0.04)
        Thread.detachNewThread {
            usleep(50_000)
            other.request.ring(5)
        }
        #expect(memory.request.wait(whileShowing: 0) == 5)
        var larger = layout
        larger.size = 1 << 20
        #expect(throws: WireError.self) { _ = try SharedMemory(passed: descriptor, larger) }
    }
}

/// An environment that does nothing, with any spaces.
private struct Still: Environment, Sendable {
    let observationSpace: Space
    let actionSpace: Space

    init(observation: Space, action: Space) { (observationSpace, actionSpace) = (observation, action) }

    var registry: EnvironmentRegistry {
        var registry = EnvironmentRegistry()
        registry.register(EnvironmentSpec(id: "still", summary: "Nothing.")) { [self] _ in self }
        return registry
    }

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult { StepResult(reward: 0, terminated: false) }
}
