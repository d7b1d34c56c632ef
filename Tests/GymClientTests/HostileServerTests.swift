import Foundation
import GymClient
import GymCore
import GymProtocol
import ServerTestSupport
import TestSupport
import Testing

/// X6: a client believes a server only what it has checked.
@Suite struct HostileServerTests {
    private static let spaces: (observation: Space, action: Space) = (
        .box(Box(low: [Float(0), 0], high: [Float(1), 1])), .discrete(count: 2)
    )

    /// What the client makes of an answer to its make.
    private func make(
        count: Int = 1, _ transport: Transport = .socket, observation: Space = spaces.observation,
        _ change: @escaping @Sendable (inout MadeEnvironment) -> Void
    ) throws -> any Error {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("socket").path
        let listener = try UnixSocket.listen(at: path)
        let environment = try Plain(observation: observation, action: HostileServerTests.spaces.action).registry.make(
            "p")
        let description = EnvironmentDescription(environment.spec, of: environment)
        Thread.detachNewThread {
            guard let socket = try? listener.accept() else { return }
            let reader = FrameReader(socket, accepting: [.request], maxBody: 1 << 20)
            let writer = ResponseWriter(socket, maxBody: 1 << 30)
            guard (try? reader.next()) != nil else { return }
            var hello = HelloReply()
            hello.capabilities = [ProtocolVersion.sharedMemory]
            try? writer.hello(hello, .init(id: 1, handle: 0))
            guard (try? reader.next()) != nil else { return }
            let layout = SharedMemoryLayout(
                observationSpace: description.observationSpace, actionSpace: description.actionSpace, count: count,
                autoreset: .nextStep)
            var made = MadeEnvironment(
                handle: 1, count: count, description: description, autoreset: .nextStep, maxEpisodeSteps: nil,
                transport: transport, sharedMemory: transport == .sharedMemory ? layout : nil)
            let memory = layout.flatMap { try? SharedMemory.create($0) }
            change(&made)
            try? writer.made(
                made, descriptor: transport == .sharedMemory ? memory?.descriptor.number ?? -1 : -1,
                .init(id: 2, handle: 0))
            while let frame = try? reader.next(), frame.body.count > 0 {}
        }
        do {
            _ = try Connection(path: path).make("p", count: count, transport: transport)
        } catch { return error }
        throw Unexpected(what: "the client believed it")
    }

    private func isViolation(_ error: any Error) -> Bool {
        if case GymError.protocolViolation = error { true } else { false }
    }

    @Test("Another number of environments, another mode, another transport") func other() throws {
        #expect(isViolation(try make { $0.count = 7 }))
        #expect(isViolation(try make { $0.autoreset = .disabled }))
        #expect(isViolation(try make { $0.transport = .sharedMemory }))
        #expect(isViolation(try make(.sharedMemory) { $0.sharedMemory = nil }))
    }

    @Test("Regions that overlap, lie outside, or are of another shape") func regions() throws {
        let changes: [@Sendable (inout SharedMemoryLayout) -> Void] = [
            { $0.results[1].observation[0].offset = $0.results[0].observation[0].offset },
            { $0.actions[0].offset = $0.results[0].fields[0].offset },
            { $0.actions[0].offset = $0.controlOffset },
            { $0.actions[0].offset = Int.max & ~63 },
            { $0.actions[0].shape = [Int(UInt32.max), Int(UInt32.max), Int(UInt32.max)] },
            { $0.size = Int.max },
            { $0.results[0].fields.removeLast() },
        ]
        for change in changes {
            #expect(isViolation(try make(.sharedMemory) { change(&$0.sharedMemory!) }))
        }
    }

    @Test("Spaces that a few bytes make large") func largeSpaces() throws {
        let box = Space.box(Box(low: UInt8(0), high: 255, shape: [1 << 22]))
        // Each is expanded in the client, unless they are alike.
        let alike = Space.tuple([Space](repeating: box, count: 20))
        let apart = Space.tuple(
            (0..<20).map { .box(Box(low: UInt8($0), high: 255, shape: [1 << 22])) })
        #expect(isViolation(try make(count: 1, observation: apart) { _ in }))
        #expect(throws: Unexpected.self) { try make(count: 1, observation: alike) { _ in } }
    }
}

/// An environment that does nothing, with any spaces.
private struct Plain: Environment, Sendable {
    let observationSpace: Space
    let actionSpace: Space

    init(observation: Space, action: Space) { (observationSpace, actionSpace) = (observation, action) }

    var registry: EnvironmentRegistry {
        var registry = EnvironmentRegistry()
        registry.register(EnvironmentSpec(id: "p", summary: "Nothing.")) { [self] _ in self }
        return registry
    }

    mutating func reset(options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter) throws {
    }

    mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult { StepResult(reward: 0, terminated: false) }
}
