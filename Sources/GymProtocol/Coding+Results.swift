internal import CGymProtocol
internal import CProtobufC
import GymCore

extension Arena {
    /// Observations, rewards, flags and the ends of episodes, from where they lie.
    func results(
        _ buffers: StepBuffers, _ contents: ResponseWriter.StepContents,
        into part: UnsafeMutablePointer<Gym__V1__StepResponse>
    ) {
        let count = contents.rows?.count ?? buffers.count
        part.pointee.n_observation = buffers.observation.leaves.count
        part.pointee.observation = leaves(of: buffers.observation, rows: contents.rows)
        if let rows = contents.rows {
            part.pointee.n_environment_index = rows.count
            part.pointee.environment_index = array(UInt32.self, count: rows.count)
            part.pointee.environment_index.update(from: rows.baseAddress!, count: rows.count)
        }
        func add(_ rows: ResultField.Rows, _ indices: UnsafeBufferPointer<UInt32>?) {
            for (leaf, field) in buffers.fields.enumerated() where field.rows == rows {
                ResultFieldAccess.data(of: field, in: part).pointee = data(
                    of: buffers.results, leaf: leaf, rows: indices)
            }
        }
        add(.all, contents.rows)
        func row(_ position: Int) -> Int { contents.rows.map { Int($0[position]) } ?? position }
        func hasEnded(_ row: Int) -> Bool { buffers.terminated[row] | buffers.truncated[row] != 0 }
        var ended = 0
        for position in 0..<count where hasEnded(row(position)) { ended += 1 }
        guard ended > 0 else { return }
        // In final_index stand positions in this response; the buffers are read by row.
        let positions = array(UInt32.self, count: ended)
        let rows = array(UInt32.self, count: ended)
        var next = 0
        for position in 0..<count where hasEnded(row(position)) {
            positions[next] = UInt32(position)
            rows[next] = UInt32(row(position))
            next += 1
        }
        let endedRows = UnsafeBufferPointer(start: UnsafePointer(rows), count: ended)
        part.pointee.n_final_index = ended
        part.pointee.final_index = positions
        add(.ended, endedRows)
        if contents.hasFinalObservations {
            part.pointee.n_final_observation = buffers.finalObservation.leaves.count
            part.pointee.final_observation = leaves(of: buffers.finalObservation, rows: endedRows)
        }
    }

    /// The elements of a leaf: of all rows from where they lie, of some gathered by a copy.
    private func data(of batch: BatchBuffer, leaf: Int, rows: UnsafeBufferPointer<UInt32>?) -> ProtobufCBinaryData {
        guard let rows else {
            let memory = batch.bytes(ofLeaf: leaf)
            return ProtobufCBinaryData(len: memory.count, data: memory.baseAddress?.assumingMemoryBound(to: UInt8.self))
        }
        let size = batch.columns[leaf].rowBytes
        return ProtobufCBinaryData(
            len: rows.count * size,
            data: gathered(batch, leaf: leaf, rows: rows).assumingMemoryBound(to: UInt8.self))
    }

    func faults(
        _ faults: [EnvironmentFault]
    ) -> (Int, UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__Fault>?>?) {
        if faults.isEmpty { return (0, nil) }
        let messages = faults.map { fault in
            let message = message(gym__v1__fault__init)
            message.pointee.environment_index = UInt32(fault.index)
            message.pointee.message = string(fault.message)
            return message
        }
        return (messages.count, pointers(messages))
    }
}
