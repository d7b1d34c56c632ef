import CGymProtocol
import CProtobufC
import GymCore
import GymProtocol
import Testing

/// Steps are written and read without protobuf-c; here it has the last word.
@Suite struct StepCodingTests {
    private static let spaces: [Space] = [
        .discrete(count: 2),
        .box(Box(low: Float(-1), high: 1, shape: [4])),
        .box(Box(low: UInt8(0), high: 255, shape: [50, 60, 3])),
        .box(Box(low: Float(0), high: 1, shape: [0, 3])),
        .dict([
            .init("a", .multiBinary(shape: [3])),
            .init("b", .multiDiscrete(counts: [2, 3], starts: [0, 0], shape: [2])),
            .init("c", .box(Box(low: 0.0, high: 1, shape: []))),
        ]),
        .tuple((0..<20).map { .discrete(count: $0 + 1) }),
        .box(Box(low: Float(0), high: 1, shape: [1, 1, 1, 1, 1, 1, 1, 1, 2])),
    ]

    /// The body of the frame that `send` sends.
    private func body(
        _ kind: FrameKind, _ send: (UnixSocket) throws -> Void
    ) throws -> [UInt8] {
        let (left, right) = try UnixSocket.pair()
        // All of it fits into the socket: nobody reads meanwhile.
        try send(left)
        let reader = FrameReader(right, accepting: [kind], maxBody: 1 << 24)
        return Array(try #require(try reader.next()).body)
    }

    private func filled(_ space: Space, count: Int, seed: UInt64) -> BatchBuffer {
        let batch = BatchBuffer(space: space, count: count)
        var sampler = SpaceSampler(space, seed: seed)
        for row in 0..<count { batch.store(sampler.sample(), of: space, row: row) }
        return batch
    }

    private func contents(_ batch: BatchBuffer) -> [[UInt8]] {
        batch.leaves.indices.map { Array(batch.bytes(ofLeaf: $0)) }
    }

    @Test("A request has the bytes that protobuf-c gives it, and comes through", arguments: spaces, [1, 3])
    func requests(space: Space, count: Int) throws {
        let actions = filled(space, count: count, seed: 1)
        for (id, handle, wantsInfo) in [(0, 0, false), (1, 1, true), (127, 128, false), (.max, .max, true)]
            as [(UInt64, UInt32, Bool)]
        {
            let sent = try body(.request) {
                try RequestWriter($0, maxBody: 1 << 24).send(
                    .handle(.step(actions, wantsInfo: wantsInfo)), id: id, handle: handle)
            }
            #expect(try repacked(sent, gym__v1__request__unpack, gym__v1__request__pack) == sent)
            let decoder = RequestDecoder()
            try sent.withUnsafeBytes { bytes in
                let received = try decoder.decode(bytes)
                #expect(received.id == id && received.handle == handle)
                guard case .handle(.step(let leaves, wantsInfo)) = received.message else {
                    Issue.record("step"); return
                }
                let target = BatchBuffer(space: space, count: count)
                try leaves.copy(into: target, field: "action", code: .invalidAction)
                #expect(contents(target) == contents(actions))
            }
        }
    }

    @Test("A response has the bytes that protobuf-c gives it, and comes through", arguments: spaces, [1, 3])
    func responses(space: Space, count: Int) throws {
        let buffers = StepBuffers(observationSpace: space, count: count)
        let observation = filled(space, count: count, seed: 2)
        for row in 0..<count {
            buffers.observation.copyRow(row, from: observation, row: row)
            buffers.rewards[row] = Double(row) - 0.5
        }
        for (ended, finals) in [(false, false), (true, false), (false, true), (true, true)] {
            buffers.truncated[count - 1] = ended ? 1 : 0
            (buffers.episodeReturns[count - 1], buffers.episodeLengths[count - 1]) = ended ? (-2.5, 7) : (0, 0)
            var parts = ResponseWriter.StepContents()
            parts.hasFinalObservations = finals
            // Nothing has `info`: that it is wanted changes nothing.
            parts.wantsInfo = finals
            let sent = try body(.response) {
                try ResponseWriter($0, maxBody: 1 << 24).step(buffers, parts, .init(id: 300, handle: 2))
            }
            #expect(try repacked(sent, gym__v1__response__unpack, gym__v1__response__pack) == sent)
            let decoder = ResponseDecoder()
            try sent.withUnsafeBytes { bytes in
                let received = try decoder.decode(bytes)
                #expect(received.id == 300 && received.handle == 2)
                guard case .step(let step) = received.message else { Issue.record("step"); return }
                let target = StepBuffers(observationSpace: space, count: count)
                try step.copy(into: target, hasFinalObservations: finals)
                #expect(contents(target.observation) == contents(observation))
                #expect(Array(target.rewards) == Array(buffers.rewards))
                #expect(Array(target.truncated) == Array(buffers.truncated))
                #expect(Array(target.episodeReturns) == Array(buffers.episodeReturns))
                #expect(Array(target.episodeLengths) == Array(buffers.episodeLengths))
                #expect(try step.faults(of: count).isEmpty)
            }
        }
    }

    @Test("However many episodes end", arguments: [1, 63, 64, 65, 300]) func ends(count: Int) throws {
        let buffers = StepBuffers(observationSpace: .discrete(count: 2), count: 300)
        for row in 0..<count {
            buffers.terminated[row] = 1
            buffers.episodeReturns[row] = Double(row)
            buffers.episodeLengths[row] = Int64(row) + 1
        }
        let sent = try body(.response) {
            try ResponseWriter($0, maxBody: 1 << 24).step(buffers, .init(), .init(id: 1, handle: 1))
        }
        #expect(try repacked(sent, gym__v1__response__unpack, gym__v1__response__pack) == sent)
        let decoder = ResponseDecoder()
        try sent.withUnsafeBytes { bytes in
            guard case .step(let step) = try decoder.decode(bytes).message else { Issue.record("step"); return }
            let target = StepBuffers(observationSpace: .discrete(count: 2), count: 300)
            try step.copy(into: target, hasFinalObservations: false)
            #expect(Array(target.episodeReturns) == Array(buffers.episodeReturns))
            #expect(Array(target.episodeLengths) == Array(buffers.episodeLengths))
        }
    }

    @Test("Too large a step is not sent") func tooLarge() throws {
        let (left, _) = try UnixSocket.pair()
        let actions = filled(.discrete(count: 2), count: 1000, seed: 1)
        let error = #expect(throws: WireError.self) {
            try RequestWriter(left, maxBody: 4096).send(.handle(.step(actions, wantsInfo: false)), id: 1)
        }
        #expect(error?.code == .responseTooLarge)
    }

    @Test("Whatever the bytes are, a request reads as protobuf-c reads it") func mutations() throws {
        let space = Space.dict([.init("a", .discrete(count: 9)), .init("b", .multiBinary(shape: [5]))])
        let original = try body(.request) {
            try RequestWriter($0, maxBody: 1 << 20)
                .send(.handle(.step(filled(space, count: 2, seed: 3), wantsInfo: true)), id: 5, handle: 300)
        }
        var random = NumPyGenerator(seed: 11)
        func below(_ bound: Int) -> Int { random.integer(in: 0..<bound) }
        let decoder = RequestDecoder()
        var (read, refused) = (0, 0)
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0...below(3) {
                switch below(5) {
                case 0: bytes[below(bytes.count)] = UInt8(below(256))
                case 1: bytes[below(bytes.count)] ^= 1 << below(8)
                case 2: bytes.remove(at: below(bytes.count))
                case 3: bytes.insert(UInt8(below(32)), at: below(bytes.count + 1))
                default:
                    let start = below(bytes.count)
                    let part = bytes[start..<min(start + 1 + below(6), bytes.count)]
                    bytes.insert(contentsOf: part, at: below(bytes.count + 1))
                }
                if bytes.isEmpty { bytes = original }
            }
            let expected = StepReading(protobufC: bytes)
            let found = bytes.withUnsafeBytes { StepReading($0, decoder, space: space) }
            // A list of values is read as one, but has no place in this space: both then have no leaves.
            #expect(found == expected, "\(bytes)")
            if expected == nil { refused += 1 } else { read += 1 }
        }
        #expect(read > 1000 && refused > 1000)
    }
}

/// What was read of a request for a step.
private struct StepReading: Equatable {
    var id: UInt64
    var handle: UInt32
    var wantsInfo: Bool
    /// The bytes of the batch's leaves; `nil` when they do not fit the space.
    var leaves: [[UInt8]]?

    /// What protobuf-c reads; `nil` when it is no request for a step.
    init?(protobufC bytes: [UInt8]) {
        guard let message = gym__v1__request__unpack(nil, bytes.count, bytes) else { return nil }
        defer { gym__v1__request__free_unpacked(message, nil) }
        guard message.pointee.message_case == GYM__V1__REQUEST__MESSAGE_STEP else { return nil }
        id = message.pointee.id
        handle = message.pointee.handle
        let step = message.pointee.step!
        wantsInfo = step.pointee.want_info != 0
        let expected: [(dtype: UInt32, shape: [UInt32], size: Int)] = [(5, [2], 16), (2, [2, 5], 10)]
        guard step.pointee.n_action == expected.count else { return }
        let found: [[UInt8]] = expected.indices.compactMap { index in
            let leaf = step.pointee.action[index]!
            guard leaf.pointee.leaf_case == GYM__V1__LEAF__LEAF_TENSOR, let tensor = leaf.pointee.tensor else {
                return nil
            }
            let shape = (0..<tensor.pointee.n_shape).map { tensor.pointee.shape[$0] }
            let data = UnsafeBufferPointer(start: tensor.pointee.data.data, count: tensor.pointee.data.len)
            guard tensor.pointee.dtype.rawValue == expected[index].dtype, shape == expected[index].shape,
                data.count == expected[index].size
            else { return nil }
            return Array(data)
        }
        leaves = found.count == expected.count ? found : nil
    }

    /// What the library reads; `nil` when it is no request for a step.
    init?(_ bytes: UnsafeRawBufferPointer, _ decoder: RequestDecoder, space: Space) {
        guard let request = try? decoder.decode(bytes),
            case .handle(.step(let received, let wantsInfo)) = request.message
        else {
            return nil
        }
        id = request.id
        handle = request.handle
        self.wantsInfo = wantsInfo
        let batch = BatchBuffer(space: space, count: 2)
        guard (try? received.copy(into: batch, field: "action", code: .invalidAction)) != nil else { return }
        leaves = batch.leaves.indices.map { Array(batch.bytes(ofLeaf: $0)) }
    }
}

/// What protobuf-c writes for what it has read.
private func repacked<Message>(
    _ bytes: [UInt8],
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?,
    _ pack: (UnsafePointer<Message>?, UnsafeMutablePointer<UInt8>?) -> Int
) throws -> [UInt8] {
    let message = try #require(unpack(nil, bytes.count, bytes))
    defer {
        protobuf_c_message_free_unpacked(
            UnsafeMutableRawPointer(message).assumingMemoryBound(to: ProtobufCMessage.self), nil)
    }
    var packed = [UInt8](repeating: 0, count: bytes.count + 64)
    return Array(packed[..<pack(message, &packed)])
}
