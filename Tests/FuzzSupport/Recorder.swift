import Conformance
import ConformanceEnvironments
package import Conversations
import Glibc
import GymCore
import GymEnvironments
import GymProtocol
import GymServer
import Logging
import Synchronization
import TestSupport

/// What the fuzzer's servers serve: all environments, but those that take their time.
enum FuzzEnvironments {
    static let registry: EnvironmentRegistry = {
        var conformance = EnvironmentRegistry()
        ConformanceEnvironments.register(in: &conformance)
        var all = TestEnvironments.quickRegistry
        for source in [GymEnvironments.registry, conformance] {
            for spec in source.specs where spec.id != "conformance/Slow-v0" {
                all.register(spec) { try source.make(spec.id, $0) }
            }
        }
        return all
    }()

    /// Limits that a mutated request reaches, and that keep each of them short.
    static var configuration: ServerConfiguration {
        var configuration = ServerConfiguration(logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
        configuration.limits.maxFrameBytes = 256 << 10
        configuration.limits.maxHandles = 8
        configuration.limits.maxEnvironments = 64
        configuration.limits.maxMemoryBytes = 16 << 20
        configuration.limits.maxPendingRequests = 64
        configuration.threads = 2
        return configuration
    }

    /// A server that nobody can reach but who hands it a socket.
    static func server() throws -> Server {
        let folder = try temporaryFolder().path
        defer { rmdir(folder) }
        defer { unlink(folder + "/socket") }
        return try Server(registry: registry, path: folder + "/socket", configuration: configuration)
    }
}

/// Records conversations: it stands between the real client and a real server, passes everything on, and keeps it.
package enum Recorder {
    /// Conversations with every environment, over both transports, in all modes; some of them with pictures.
    package static func conversations() throws -> [Conversation] {
        let server = try FuzzEnvironments.server()
        return try scripts().map { try record(ClientScript($0), with: server) }
    }

    /// What is asked of each environment. Pictures are asked for where they are small.
    private static func scripts() -> [MakeParameters] {
        FuzzEnvironments.registry.specs.flatMap { spec in
            var choices: [[String: OptionValue]] = [
                Dictionary(uniqueKeysWithValues: spec.options.map { ($0.name, $0.defaultValue) })
            ]
            if spec.id.hasSuffix("/Echo-v0"), case .choice(let spaces)? = spec.options.first?.kind {
                choices = spaces.map { ["space": .text($0)] }
            }
            let hasSmallPictures = spec.id.hasSuffix("/Counter-v0") || spec.id.hasSuffix("/Counting-v0")
            let text = spec.renderModes.contains("ansi") ? "ansi" : ""
            return choices.enumerated().flatMap { index, options in
                func make(
                    _ count: Int, _ autoreset: AutoresetMode, _ transport: Transport, limit: Int? = nil,
                    renderMode: String = ""
                ) -> MakeParameters {
                    var make = MakeParameters(
                        id: spec.id,
                        settings: VectorEnvironmentSettings(
                            count: count, options: options, autoreset: autoreset,
                            timeLimit: limit.map { .steps($0) } ?? .registered, checksObservations: index == 0))
                    make.transport = transport
                    make.renderMode = renderMode
                    make.passesOutOfBounds = autoreset == .sameStep
                    make.autoresetOptions = Dictionary(
                        uniqueKeysWithValues: spec.resetOptions.map { ($0.name, $0.defaultValue) })
                    return make
                }
                let first = make(2, .nextStep, .socket, renderMode: text)
                // One space of many: the other ways to travel are the same for all.
                if index > 0 { return [first] }
                return [
                    first, make(3, .sameStep, .sharedMemory, limit: 2),
                    make(1, .disabled, .socket, limit: 2, renderMode: hasSmallPictures ? "rgb_array" : ""),
                    make(2, .sameStep, .socket, limit: 1),
                ]
            }
        }
    }

    private static func record(_ script: ClientScript, with server: Server) throws -> Conversation {
        let recording = Recording()
        let interposer = try Interposer(server: server, onRequest: { recording.note(request: $0) }) {
            recording.note(response: $0, $1)
        }
        let lists = script.make.id == "test/Counting-v0"
        try script.run(path: interposer.path, lists: lists) { recording.noteStep() }
        interposer.end()
        return recording.conversation
    }
}

/// What is kept of one connection.
private final class Recording: Sendable {
    private struct State {
        var parts: [Conversation.Part] = []
        var memory: MappedMemory?
        var before: [UInt8] = []
        /// Where results begin; before them, and after the control block, lie actions.
        var resultsOffset = 0
        /// Frames that came with the step under way.
        var ofStep: [Conversation.Part] = []
    }
    private let state = Mutex(State())

    private static let controlSize = 256

    var conversation: Conversation { Conversation(state.withLock { $0.parts }) }

    func note(request frame: [UInt8]) { state.withLock { $0.parts.append(.request(frame)) } }

    func note(response frame: [UInt8], _ memory: MappedMemory?) {
        let response = try? Message("Response", decoding: frame.dropFirst(8))
        let layout = response?.message("make")?.message("shared_memory")
        state.withLock { state in
            let part = Conversation.Part.response(frame, memory: memory.map { UInt32($0.size) })
            if state.memory != nil, response?.number("id") == 0 { return state.ofStep.append(part) }
            state.parts.append(part)
            guard let memory, let layout, let results = layout.messages("results").first else { return }
            state.memory = memory
            state.before = memory.bytes
            let first = results.messages("observation").first ?? results.message("rewards")
            state.resultsOffset = first?.integer("offset") ?? memory.size
        }
    }

    /// Keeps what a step in shared memory wrote, the words that were waited on last.
    func noteStep() {
        state.withLock { state in
            guard let memory = state.memory else { return }
            let (before, now) = (state.before, memory.bytes)
            state.before = now
            func word(_ offset: Int) -> [UInt8] { Array(now[offset..<(offset + 4)]) }
            func changed(_ range: Range<Int>) -> (bytes: [UInt8], offset: UInt32)? {
                guard let first = range.first(where: { before[$0] != now[$0] }),
                    let last = range.last(where: { before[$0] != now[$0] })
                else { return nil }
                return (Array(now[first...last]), UInt32(first))
            }
            if let (bytes, offset) = changed(Recording.controlSize..<state.resultsOffset) {
                state.parts.append(.clientWrite(bytes, offset: offset))
            }
            for offset in [4, MappedMemory.requestWord] {
                state.parts.append(.clientWrite(word(offset), offset: UInt32(offset)))
            }
            if let (bytes, offset) = changed(state.resultsOffset..<now.count) {
                state.parts.append(.serverWrite(bytes, offset: offset))
            }
            for offset in [MappedMemory.responseWord + 4, MappedMemory.responseWord] {
                state.parts.append(.serverWrite(word(offset), offset: UInt32(offset)))
            }
            state.parts += state.ofStep
            state.ofStep = []
        }
    }
}
