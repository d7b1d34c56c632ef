import Conformance
package import Conversations
import GymClient
import GymCore
import GymProtocol

/// What a client does once with everything that the protocol has: the other half of a conversation.
///
/// Fuzz/clients has the same in Python and in C.
package struct ClientScript: Sendable {
    var make: MakeParameters

    init(_ make: MakeParameters) { self.make = make }

    /// The script with which a conversation was recorded, as far as its first make says.
    package init(of conversation: Conversation) {
        make = MakeParameters(id: "CartPole-v1", settings: VectorEnvironmentSettings(count: 2))
        for part in conversation.parts {
            guard case .request(let frame) = part,
                let request = try? Message("Request", decoding: frame.dropFirst(8)),
                let message = request.message("make")
            else { continue }
            make.id = message.text("id")
            make.settings.count = min(max(message.integer("num_envs"), 1), 16)
            make.settings.autoreset =
                [2: .sameStep, 3: .disabled][message.number("autoreset")] ?? .nextStep
            make.renderMode = message.text("render_mode")
            make.transport = message.number("transport") == 2 ? .sharedMemory : .socket
            return
        }
    }

    /// The script in a line, for clients in other languages: id, number of environments, autoreset mode, transport,
    /// render mode or "none".
    package var line: String {
        let mode =
            switch make.settings.autoreset {
            case .nextStep: "next_step"
            case .sameStep: "same_step"
            case .disabled: "disabled"
            }
        return [
            make.id.filter { !$0.isWhitespace }, "\(make.settings.count)", mode,
            make.transport == .sharedMemory ? "shared_memory" : "socket",
            make.renderMode.isEmpty ? "none" : make.renderMode,
        ].joined(separator: " ")
    }

    /// Plays it to a server.
    ///
    /// - Parameters:
    ///   - lists: whether to ask what there is, which makes a long conversation.
    ///   - afterStep: called after each step.
    /// - Throws: what is not a ``GymError``: the client's callers would not expect it.
    package func run(path: String, lists: Bool = true, afterStep: () -> Void = {}) throws {
        try attempt {
            let connection = try Connection(path: path, name: "conversation")
            if lists { try attempt { _ = try connection.environments() } }
            try attempt { _ = try connection.status() }
            try attempt { try connection.ping() }
            try use(try connection.make(make), afterStep)
            try attempt { _ = try connection.status() }
        }
    }

    private func use(_ batch: RemoteVectorEnvironment, _ afterStep: () -> Void) throws {
        let rows = Array(0..<batch.count)
        func step(wantsInfo: Bool = false) throws {
            try attempt {
                try batch.step(wantsInfo: wantsInfo)
                ClientScript.read(batch)
            }
            afterStep()
        }
        func act(seed: UInt64) throws {
            try attempt {
                let sample = try batch.sample(seed: seed)
                for row in rows { batch.actions.copyRow(row, from: sample, row: row) }
            }
        }
        try attempt { try batch.reset(seeds: [1], wantsInfo: true) }
        try act(seed: 2)
        for count in 0..<3 { try step(wantsInfo: count == 1) }
        try attempt {
            try batch.reset(
                seeds: [nil] + rows.dropFirst().map { UInt64($0) }, mask: rows.map { $0 == 0 },
                options: make.autoresetOptions)
        }
        var states: [[UInt8]] = []
        try attempt { states = try batch.states() }
        try step()
        try attempt { try batch.restore(states) }
        try attempt { try batch.restore(Array(states.suffix(1)), environments: [0]) }
        for _ in 0..<3 { try step() }
        try attempt { try batch.send(environments: rows) }
        try attempt {
            _ = try batch.receive(rows.count)
            ClientScript.read(batch)
        }
        try attempt { _ = try batch.render(environments: rows) }
        try attempt { _ = try batch.contains(.action, batch.actions) }
        try attempt { _ = try batch.contains(.observation, batch.results.observation) }
        try attempt { _ = try batch.contains(.observation, try batch.sample(.observation)) }
        try attempt { try batch.close() }
    }

    private func attempt(_ body: () throws -> Void) throws {
        do { try body() } catch is GymError {}
    }

    /// Looks at all of the results, as who uses them does: a sanitizer sees what lies nowhere.
    static func read(_ batch: RemoteVectorEnvironment) {
        let results = batch.results
        var sum = 0.0
        for row in 0..<batch.count {
            sum += results.rewards[row]
            if results.terminated[row] != 0 || results.truncated[row] != 0 {
                sum += results.episodeReturns[row] + Double(results.episodeLengths[row])
            }
        }
        for buffer in [results.observation, results.finalObservation] {
            for leaf in buffer.leaves.indices {
                switch buffer.leaves[leaf] {
                case .tensor: for byte in buffer.bytes(ofLeaf: leaf) { sum += Double(byte) }
                case .ragged: sum += Double(buffer[raggedLeaf: leaf].count)
                }
            }
        }
        withExtendedLifetime(sum) {}
    }
}
