/// What a step brought, judged by its form.
struct Step: Equatable {
    struct Fault: Equatable {
        let index: Int
        let message: String
    }

    var observation: [[Member]] = []
    var rewards: [Double] = []
    var terminated: [UInt8] = []
    var truncated: [UInt8] = []
    var finalIndex: [Int] = []
    /// A row for each of `finalIndex`, under same-step autoreset.
    var finalObservation: [[Member]] = []
    var returns: [Double] = []
    var lengths: [Int] = []
    var info: [InfoColumn] = []
    var finalInfo: [InfoColumn] = []
    var faults: [Fault] = []
    /// Where make asked for it (M34).
    var nanoseconds: [Int64] = []
    /// Of an answer to receive.
    var environments: [Int] = []
}

/// What a reset brought.
struct Reset {
    var observation: [[Member]] = []
    var effectiveSeeds: [UInt64] = []
    var info: [InfoColumn] = []
    var faults: [Step.Fault] = []
}

/// One key of `info`; `nil` where a row does not have it.
struct InfoColumn: Equatable {
    let name: String
    let values: [Member?]
}

/// The autoreset modes of gym.v1.
enum Autoreset: UInt64, CaseIterable {
    case nextStep = 1
    case sameStep = 2
    case disabled = 3
}

/// A handle, and what the server said of it.
struct Batch {
    let client: Client
    let made: Message
    let handle: UInt32
    let count: Int
    let observationSpace: Space
    let actionSpace: Space
    let autoreset: Autoreset

    init(_ made: Message, client: Client) throws {
        self.client = client
        self.made = made
        try require(made.number("handle") > 0, "the handle (H1)", expected: "a number above 0", got: "0")
        handle = UInt32(truncatingIfNeeded: made.number("handle"))
        count = made.integer("num_envs")
        observationSpace = try Space(made.message("observation_space"), "observation_space")
        actionSpace = try Space(made.message("action_space"), "action_space")
        guard let autoreset = Autoreset(rawValue: made.number("autoreset")) else {
            throw CheckFailure(
                what: "the mode that the answer to make echoes (M7)", expected: "1 to 3",
                got: "\(made.number("autoreset"))")
        }
        self.autoreset = autoreset
    }

    // MARK: Requests

    /// The fields of a reset.
    static func resetFields(
        seeds: [UInt64?] = [], mask: [UInt8] = [], options: [(String, Message.Value)] = [], wantsInfo: Bool = false
    ) -> [(String, Message.Value)] {
        var fields: [(String, Message.Value)] = [
            ("seeds", .list(seeds.map { seed in .fields(seed.map { [("value", .number($0))] } ?? []) })),
            ("options", Client.options(options)),
        ]
        if !mask.isEmpty { fields.append(("mask", .bytes(mask))) }
        if wantsInfo { fields.append(("want_info", true)) }
        return fields
    }

    /// Starts episodes.
    @discardableResult
    func reset(
        seeds: [UInt64?] = [], mask: [UInt8] = [], options: [(String, Message.Value)] = [], wantsInfo: Bool = false
    ) throws -> Reset {
        let part = try client.call(
            "reset", Batch.resetFields(seeds: seeds, mask: mask, options: options, wantsInfo: wantsInfo),
            handle: handle)
        return try decodeReset(part)
    }

    func decodeReset(_ part: Message) throws -> Reset {
        var reset = Reset()
        reset.observation = try Leaves.decode(
            part.messages("observation"), of: observationSpace, count: count, "observation of a reset")
        reset.effectiveSeeds = part.numbers("effective_seeds")
        try expect(reset.effectiveSeeds.count, count, "number of effective_seeds (M17)")
        reset.info = try part.messages("info").map { try Batch.column($0, rows: count) }
        reset.faults = Batch.faults(part)
        return reset
    }

    /// The fields of a step.
    func stepFields(_ actions: [Member], wantsInfo: Bool = false) -> [(String, Message.Value)] {
        var fields = [("action", Leaves.encode(actions.map(actionSpace.leaves(of:)), of: actionSpace))]
        if wantsInfo { fields.append(("want_info", true)) }
        return fields
    }

    /// Steps all rows.
    @discardableResult
    func step(_ actions: [Member], wantsInfo: Bool = false) throws -> Step {
        let part = try client.call("step", stepFields(actions, wantsInfo: wantsInfo), handle: handle)
        return try decodeStep(part, count: count)
    }

    /// Steps all rows with the same action of a discrete space.
    @discardableResult
    func step(_ action: Int, wantsInfo: Bool = false) throws -> Step {
        try step([Member](repeating: .integer(action), count: count), wantsInfo: wantsInfo)
    }

    /// Makes a request about this handle.
    @discardableResult
    func call(_ message: String, _ fields: [(String, Message.Value)] = []) throws -> Message {
        try client.call(message, fields, handle: handle)
    }

    /// Makes a request about this handle that has to be refused.
    @discardableResult
    func expectError(
        _ code: ErrorCode, _ message: String, _ fields: [(String, Message.Value)] = [], _ what: String? = nil
    ) throws -> Message {
        try client.expectError(code, message, fields, handle: handle, what)
    }

    /// The same, where several codes are right.
    @discardableResult
    func expectError(
        _ codes: [ErrorCode], _ message: String, _ fields: [(String, Message.Value)] = [], _ what: String? = nil
    ) throws -> Message {
        try client.expectError(codes, message, fields, handle: handle, what)
    }

    /// Begins to step some rows.
    func send(_ environments: [Int], _ actions: [Member]) throws {
        try call("send", sendFields(environments, actions))
    }

    /// The fields of a send.
    func sendFields(_ environments: [Int], _ actions: [Member]) -> [(String, Message.Value)] {
        [
            ("environment_index", .integers(environments)),
            ("action", Leaves.encode(actions.map(actionSpace.leaves(of:)), of: actionSpace)),
        ]
    }

    /// Takes the first rows that are ready.
    func receive(_ number: Int) throws -> Step {
        let step = try decodeStep(call("receive", [("count", .integer(number))]), count: number, "M25")
        try expect(step.environments.count, number, "number of environment_index of a receive (M25)")
        return step
    }

    /// The states of rows.
    func states(_ environments: [Int] = []) throws -> [[UInt8]] {
        let states = try call("get_state", [("environment_index", .integers(environments))]).byteStrings("states")
        try expect(states.count, environments.isEmpty ? count : environments.count, "number of states (M27)")
        return states
    }

    /// Puts states in place.
    func restore(_ states: [[UInt8]], _ environments: [Int] = []) throws {
        try call("set_state", Batch.stateFields(states, environments))
    }

    static func stateFields(_ states: [[UInt8]], _ environments: [Int] = []) -> [(String, Message.Value)] {
        [("environment_index", .integers(environments)), ("states", .list(states.map(Message.Value.bytes)))]
    }

    /// Members of a space for each row, drawn by the suite itself.
    func actions(_ sampler: inout SpaceSampler) -> [Member] { (0..<count).map { _ in sampler.sample() } }

    /// A sampler of actions.
    func sampler(seed: UInt64 = 1) -> SpaceSampler { SpaceSampler(actionSpace, seed: seed) }

    // MARK: Judging what came

    /// - Parameter clause: the one that says which rows there are.
    func decodeStep(
        _ part: Message, count: Int, _ clause: String = "M22", sharesResults: Bool = false
    ) throws -> Step {
        var step = Step()
        step.faults = Batch.faults(part)
        if !sharesResults {
            step.observation = try Leaves.decode(
                part.messages("observation"), of: observationSpace, count: count, "observation of a step")
            step.rewards = try Batch.numbers(part, "rewards", count)
            step.terminated = try Batch.flags(part, "terminated", count)
            step.truncated = try Batch.flags(part, "truncated", count)
            step.finalIndex = part.numbers("final_index").map { Int(clamping: $0) }
            step.environments = part.numbers("environment_index").map { Int(clamping: $0) }
            let ended = (0..<count).filter { step.terminated[$0] | step.truncated[$0] != 0 }
            try expect(
                step.finalIndex, ended,
                "final_index: the rows \(clause == "M25" ? "of the answer " : "")that ended, ascending (\(clause))")
            if part.has("step_nanoseconds") {
                step.nanoseconds = try Batch.numbers(part, "step_nanoseconds", count)
            }
            let k = ended.count
            step.returns = try Batch.numbers(part, "episode_returns", k)
            step.lengths = try Batch.numbers(part, "episode_lengths", k).map { (value: Int64) in Int(value) }
            if autoreset == .sameStep, k > 0 {
                step.finalObservation = try Leaves.decode(
                    part.messages("final_observation"), of: observationSpace, count: k, "final_observation (A5)")
            } else {
                try expect(part.messages("final_observation").count, 0, "leaves of final_observation (M22)")
            }
            try require(
                step.rewards.allSatisfy(\.isFinite), "rewards", expected: "finite numbers", got: "\(step.rewards)")
            step.finalInfo = try part.messages("final_info").map { try Batch.column($0, rows: k) }
        }
        step.info = try part.messages("info").map { try Batch.column($0, rows: count) }
        for columns in [step.info, step.finalInfo] {
            try expect(Set(columns.map(\.name)).count, columns.count, "number of different names of info (M23)")
        }
        return step
    }

    private static func faults(_ part: Message) -> [Step.Fault] {
        part.messages("faults").map {
            Step.Fault(index: $0.integer("environment_index"), message: $0.text("message"))
        }
    }

    private static func numbers<Number: BitwiseCopyable>(
        _ part: Message, _ field: String, _ count: Int
    ) throws -> [Number] {
        let bytes = part.bytes(field)
        try expect(bytes.count, count * MemoryLayout<Number>.stride, "bytes of \(field) (M22)")
        return bytes.withUnsafeBytes { raw in
            (0..<count).map {
                raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Number>.stride, as: Number.self)
            }
        }
    }

    private static func flags(_ part: Message, _ field: String, _ count: Int) throws -> [UInt8] {
        let bytes = part.bytes(field)
        try expect(bytes.count, count, "bytes of \(field) (M22)")
        try require(bytes.allSatisfy { $0 <= 1 }, field, expected: "bytes of 0 or 1", got: hexadecimal(bytes))
        return bytes
    }

    static func column(_ part: Message, rows: Int) throws -> InfoColumn {
        let name = part.text("name")
        let mask = part.bytes("mask")
        try expect(mask.count, rows, "bytes of the mask of info '\(name)' (M23)")
        let values: [Member]
        if let tensor = part.message("tensor") {
            let tensor = try Tensor(tensor, "info '\(name)'")
            try expect(tensor.shape.first ?? -1, rows, "the first axis of info '\(name)' (M23)")
            let shape = Array(tensor.shape.dropFirst())
            let size = Tensor.count(of: shape) * tensor.dtype.size
            values = (0..<rows).map { row in
                .tensor(
                    Tensor(
                        dtype: tensor.dtype, shape: shape,
                        bytes: Array(tensor.bytes[(row * size)..<((row + 1) * size)])))
            }
        } else {
            let list = part.message("objects")?.messages("values") ?? []
            try expect(list.count, rows, "number of values of info '\(name)' (M23)")
            values = try list.enumerated().map { row, value in
                mask[row] == 0 ? .list([]) : try Member(value, "info '\(name)'")
            }
        }
        return InfoColumn(name: name, values: values.enumerated().map { mask[$0.offset] == 1 ? $0.element : nil })
    }

    /// Fails unless every observation is in its space.
    func expectMembers(_ rows: [[Member]], _ what: String) throws {
        for (row, members) in rows.enumerated() {
            try require(
                observationSpace.contains(leaves: members), "\(what), row \(row)",
                expected: "a member of \(observationSpace)", got: describe(members))
        }
    }
}

/// The rows that an error's details name, in their order (E3).
func rowsNamed(_ error: Message) -> [Int] {
    error.messages("details").filter { $0.has("environment_index") }.map { $0.integer("environment_index") }
}

/// Members as people read them.
func describe(_ members: [Member]) -> String { members.map(describe).joined(separator: "; ") }

private func describe(_ member: Member) -> String {
    switch member {
    case .tensor(let tensor):
        let values = tensor.doubles.prefix(16).map { "\($0)" }.joined(separator: " ")
        return "\(tensor.dtype.name)\(tensor.shape)[\(values)\(tensor.count > 16 ? " …" : "")]"
    case .text(let text): return "\"\(text)\""
    case .list(let members): return "(" + members.map(describe).joined(separator: ", ") + ")"
    case .graph(let nodes, let edges, let links):
        return "graph of nodes \(describe(.tensor(nodes))), edges \(edges.map { describe(.tensor($0)) } ?? "none"), "
            + "links \(links)"
    case .oneOf(let index, let member): return "of space \(index): \(describe(member))"
    }
}

extension Member: Readable {
    var readable: String { describe([self]) }
}

extension Step: Readable {
    var readable: String {
        "observation \(observation.map(describe)), rewards \(rewards), terminated \(terminated), "
            + "truncated \(truncated), returns \(returns), lengths \(lengths), "
            + "final observation \(finalObservation.map(describe))"
    }
}

extension Client {
    /// Options as a message's field.
    static func options(_ options: [(String, Message.Value)]) -> Message.Value {
        .list(
            options.map { name, value in
                let wire: (String, Message.Value) =
                    switch value {
                    case .real: ("real", value)
                    case .text: ("text", value)
                    case .list(let values):
                        ("list", .fields([("values", .list(values.map { .fields([("integer", $0)]) }))]))
                    case .fields: ("boolean", true)
                    default: ("integer", value)
                    }
                return .fields([("name", .text(name)), ("value", .fields([wire]))])
            })
    }

    /// An option that is true. (Whole numbers are written as such: see `options`.)
    static let yes = Message.Value.fields([])

    /// The fields of a make.
    static func makeFields(
        _ id: String, count: Int = 1, options: [(String, Message.Value)] = [], autoreset: Autoreset? = nil,
        limit: Int? = nil, extra: [(String, Message.Value)] = []
    ) -> [(String, Message.Value)] {
        var fields: [(String, Message.Value)] = [
            ("id", .text(id)), ("num_envs", .integer(count)), ("options", Client.options(options)),
        ]
        if let autoreset { fields.append(("autoreset", .number(autoreset.rawValue))) }
        if let limit { fields.append(("max_episode_steps", .integer(limit))) }
        return fields + extra
    }

    /// Makes environments.
    func make(
        _ id: String, count: Int = 1, options: [(String, Message.Value)] = [], autoreset: Autoreset? = nil,
        limit: Int? = nil, extra: [(String, Message.Value)] = []
    ) throws -> Batch {
        let fields = Client.makeFields(
            id, count: count, options: options, autoreset: autoreset, limit: limit, extra: extra)
        let batch = try Batch(call("make", fields), client: self)
        try expect(batch.count, max(count, 1), "num_envs of the answer to make (M5)")
        return batch
    }
}
