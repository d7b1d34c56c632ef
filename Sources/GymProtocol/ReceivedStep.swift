internal import CGymProtocol
internal import CProtobufC
public import GymCore

/// An answer to a step or a receive; valid until the next frame is read.
public struct ReceivedStep {
    private let message: UnsafePointer<Gym__V1__StepResponse>

    init(_ message: UnsafePointer<Gym__V1__StepResponse>) { self.message = message }

    /// Whether there is more in it than results: `info` or faults.
    public var hasExtras: Bool {
        message.pointee.n_info > 0 || message.pointee.n_final_info > 0 || message.pointee.n_faults > 0
    }

    /// Environments that failed.
    ///
    /// - Parameter count: how many environments there are.
    /// - Throws: ``WireError`` when one is named that there is not.
    public func faults(of count: Int) throws -> [EnvironmentFault] {
        try decodeFaults(message.pointee.n_faults, message.pointee.faults, of: count)
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
        try withUnsafeTemporaryAllocation(of: UInt32.self, capacity: max(part.n_final_index, 1)) { endedRows in
            for index in 0..<part.n_final_index {
                let position = Int(part.final_index[index])
                guard position < count else { throw WireError.malformed("final_index \(position) of \(count) rows") }
                endedRows.initializeElement(at: index, to: rows?[position] ?? UInt32(position))
            }
            let ended = UnsafeBufferPointer(rebasing: UnsafeBufferPointer(endedRows)[..<part.n_final_index])
            for (leaf, field) in buffers.fields.enumerated() {
                try scatter(
                    ResultFieldAccess.data(of: field, in: message).pointee, to: buffers.results.columns[leaf],
                    rows: field.rows == .all ? rows : ended, count: field.rows == .all ? count : ended.count,
                    field: field)
            }
            if hasFinalObservations && !ended.isEmpty {
                try ReceivedLeaves(part.final_observation, part.n_final_observation)
                    .copy(
                        into: buffers.finalObservation, rows: ended, field: "final_observation",
                        code: .malformedMessage)
            }
        }
    }

    private func scatter(
        _ data: ProtobufCBinaryData, to column: LeafColumn, rows: UnsafeBufferPointer<UInt32>?, count: Int,
        field: ResultField
    ) throws {
        let size = column.rowBytes
        guard data.len == count * size else {
            throw WireError.malformed(
                "\(field.name) of \(count) rows takes \(count * size) bytes, \(data.len) came")
        }
        guard let source = UnsafeRawPointer(data.data), let target = column.base else { return }
        if let rows {
            for (position, row) in rows.enumerated() {
                (target + Int(row) * size).copyMemory(from: source + position * size, byteCount: size)
            }
        } else {
            target.copyMemory(from: source, byteCount: data.len)
        }
    }
}
