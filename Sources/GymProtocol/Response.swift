internal import CGymProtocol
internal import CProtobufC
public import GymCore

/// What a server answered.
public enum Response {
    case hello(HelloReply)
    case ping
    case status(ServerStatus)
    case list([EnvironmentDescription])
    case make(MadeEnvironment)
    case reset(ReceivedReset)
    case step(ReceivedStep)
    case sent
    case receive(ReceivedStep)
    case render([Rendering])
    case states([[UInt8]])
    case stateSet
    case sample(ReceivedLeaves)
    case contained([Bool])
    case closed
    case shutdown
    case error(WireError)
    /// A message that this version does not know.
    case unknown
}

/// A response as it was received.
public struct ReceivedResponse {
    /// The id of the request it answers.
    public let id: UInt64
    /// The request's handle.
    public let handle: UInt32
    /// The answer.
    public let message: Response
}

/// What a server tells without being asked.
public enum Notice: Sendable, Hashable {
    /// The server ends.
    case shuttingDown(reason: String)
    /// The connection was idle for too long.
    case reaped(idleSeconds: Int)
    /// A notice that this version does not know.
    case unknown
}

/// An answer to a reset; its leaves are valid until the next frame is read.
public struct ReceivedReset {
    /// The observations of all environments.
    public let observation: ReceivedLeaves
    /// The seed of each environment's generator.
    public let effectiveSeeds: [UInt64]
    /// `info`, if it was wanted.
    public let info: [InfoColumn]
    /// Environments that failed.
    public let faults: [EnvironmentFault]
}

/// An answer to a step or a receive; valid until the next frame is read.
public struct ReceivedStep {
    private let message: UnsafePointer<Gym__V1__StepResponse>

    init(_ message: UnsafePointer<Gym__V1__StepResponse>) { self.message = message }

    /// Whether there is more in it than results: `info` or faults.
    public var hasExtras: Bool {
        message.pointee.n_info > 0 || message.pointee.n_final_info > 0 || message.pointee.n_faults > 0
    }

    /// Environments that failed.
    public var faults: [EnvironmentFault] {
        (0..<message.pointee.n_faults).map { index in
            let fault = message.pointee.faults[index]!.pointee
            return EnvironmentFault(index: Int(fault.environment_index), message: String(cString: fault.message))
        }
    }

    /// For an answer to a receive, which environment each row is.
    public var environments: UnsafeBufferPointer<UInt32> {
        UnsafeBufferPointer(start: message.pointee.environment_index, count: message.pointee.n_environment_index)
    }

    /// `info`, if it was wanted.
    public func info() throws -> [InfoColumn] { try decodeInfo(message.pointee.n_info, message.pointee.info) }

    /// Under same-step autoreset, `info` of the steps that ended an episode, if it was wanted.
    public func finalInfo() throws -> [InfoColumn] {
        try decodeInfo(message.pointee.n_final_info, message.pointee.final_info)
    }

    /// Copies observations, rewards, flags and the ends of episodes to `buffers`.
    ///
    /// For an answer to a receive each row goes to its environment's row.
    ///
    /// - Throws: ``WireError`` when the server's answer does not fit the batch.
    public func copy(into buffers: StepBuffers, hasFinalObservations: Bool) throws {
        let part = message.pointee
        let isPart = part.n_environment_index > 0
        let rows = isPart ? environments : nil
        let count = rows?.count ?? buffers.count
        if let rows, rows.contains(where: { Int($0) >= buffers.count }) {
            throw WireError.malformed("a step's response names an environment that does not exist")
        }
        try ReceivedLeaves(part.observation, part.n_observation)
            .copy(into: buffers.observation, rows: rows, field: "observation", code: .malformedMessage)
        try scatter(part.rewards, to: buffers.rewards, rows: rows, count: count, field: "rewards")
        try scatter(part.terminated, to: buffers.terminated, rows: rows, count: count, field: "terminated")
        try scatter(part.truncated, to: buffers.truncated, rows: rows, count: count, field: "truncated")
        guard part.n_final_index > 0 else { return }
        let ended = part.n_final_index
        try withUnsafeTemporaryAllocation(of: UInt32.self, capacity: ended) { endedRows in
            for index in 0..<ended {
                let position = Int(part.final_index[index])
                guard position < count else { throw WireError.malformed("final_index \(position) of \(count) rows") }
                endedRows.initializeElement(at: index, to: rows?[position] ?? UInt32(position))
            }
            let targets = UnsafeBufferPointer(endedRows)
            try scatter(
                part.episode_returns, to: buffers.episodeReturns, rows: targets, count: ended, field: "episode_returns")
            try scatter(
                part.episode_lengths, to: buffers.episodeLengths, rows: targets, count: ended, field: "episode_lengths")
            if hasFinalObservations {
                try ReceivedLeaves(part.final_observation, part.n_final_observation)
                    .copy(
                        into: buffers.finalObservation, rows: targets, field: "final_observation",
                        code: .malformedMessage)
            }
        }
    }

    private func scatter<T: BitwiseCopyable>(
        _ data: ProtobufCBinaryData, to target: UnsafeMutableBufferPointer<T>, rows: UnsafeBufferPointer<UInt32>?,
        count: Int, field: String
    ) throws {
        guard data.len == count * MemoryLayout<T>.stride else {
            throw WireError.malformed(
                "\(field) of \(count) rows takes \(count * MemoryLayout<T>.stride) bytes, \(data.len) came")
        }
        guard let source = UnsafeRawPointer(data.data) else { return }
        if let rows {
            for (position, row) in rows.enumerated() {
                target[Int(row)] = source.loadUnaligned(fromByteOffset: position * MemoryLayout<T>.stride, as: T.self)
            }
        } else {
            UnsafeMutableRawPointer(target.baseAddress!).copyMemory(from: source, byteCount: data.len)
        }
    }
}

func decodeInfo(
    _ count: Int, _ messages: UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__InfoColumn>?>?
) throws -> [InfoColumn] {
    try (0..<count).map { index in
        let column = messages![index]!.pointee
        let mask = UnsafeRawBufferPointer(start: column.mask.data, count: column.mask.len)
        var values: [Value]
        switch column.values_case {
        case GYM__V1__INFO_COLUMN__VALUES_TENSOR:
            let tensor = try Tensor(column.tensor)
            guard let rows = tensor.shape.first, rows == mask.count else {
                throw WireError.malformed("an info column's mask does not fit its values")
            }
            let shape = Array(tensor.shape.dropFirst())
            let size = Tensor.count(of: shape) * tensor.dtype.size
            values = (0..<rows).map { row in
                .tensor(
                    Tensor(
                        dtype: tensor.dtype, shape: shape, bytes: Array(tensor.bytes[(row * size)..<((row + 1) * size)])
                    ))
            }
        case GYM__V1__INFO_COLUMN__VALUES_OBJECTS: values = try Value.list(column.objects)
        default: throw WireError.malformed("an info column is empty")
        }
        guard values.count == mask.count else {
            throw WireError.malformed("an info column's mask does not fit its values")
        }
        return InfoColumn(
            name: String(cString: column.name),
            values: values.enumerated().map { mask[$0.offset] != 0 ? $0.element : nil })
    }
}
