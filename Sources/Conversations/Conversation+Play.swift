import Glibc

extension Conversation {
    /// How long each side of a played conversation is waited for, in seconds.
    package struct Patience: Sendable {
        /// For what the other side has to say or do next.
        package var answer: Double
        /// For the same, when it may well have nothing to say: it was not asked in a way that it could understand.
        package var silence: Double

        /// Both.
        package init(answer: Double, silence: Double) {
            self.answer = answer
            self.silence = silence
        }
    }

    /// Plays the client's part against a server: sends what was sent, waits where an answer came, and writes into the
    /// memory that is passed.
    package func attack(_ server: Peer, patience: Patience) {
        var memory: MappedMemory?
        var shown: UInt32 = 0
        // Who has not answered once is not waited for again.
        var seconds = patience.answer
        func takeMemory() {
            guard let descriptor = server.takeDescriptor() else { return }
            memory = MappedMemory(descriptor: descriptor) ?? memory
            close(descriptor)
        }
        for part in parts {
            switch part {
            case .request(let bytes): server.send(bytes)
            case .response:
                if server.frame(within: seconds) == nil { seconds = 0 }
                takeMemory()
            case .clientWrite(let bytes, let offset):
                takeMemory()
                guard let memory else { continue }
                shown = memory.load(MappedMemory.responseWord)
                memory.write(bytes, at: Int(offset))
                if Int(offset) == MappedMemory.requestWord { memory.wake(MappedMemory.requestWord) }
            case .serverWrite(_, let offset):
                guard let memory, Int(offset) == MappedMemory.responseWord else { continue }
                let deadline = monotonicSeconds() + min(seconds, patience.silence)
                while memory.load(MappedMemory.responseWord) == shown, monotonicSeconds() < deadline { usleep(20) }
            }
        }
        server.endSending()
    }
}

/// Plays the server's part of a conversation to a client that need not be the one with which it was recorded.
///
/// A request is answered with what followed the next request of its kind in the conversation, its id put in; when there is
/// none any more, with what followed the last; and with an error when there never was one. So clients in any language,
/// asking in any order, come far enough to be hurt by what was changed.
package struct HostileServer {
    /// What followed one request, or one step in shared memory.
    private typealias Answer = [Conversation.Part]

    /// What is asked for: the number of the case in the request's envelope; 0, what is none; -1, a step in memory.
    private var answers: [Int: [Answer]] = [:]
    private let ids: [Int: [UInt64]]
    private let patience: Conversation.Patience

    /// Takes a conversation apart.
    package init(_ conversation: Conversation, patience: Conversation.Patience) {
        self.patience = patience
        var ids: [Int: [UInt64]] = [:]
        var kind = 0
        var isStepInMemory = false
        for part in conversation.parts {
            switch part {
            case .request(let bytes):
                let envelope = Envelope(frame: bytes)
                kind = envelope.message
                answers[kind, default: []].append([])
                ids[kind, default: []].append(envelope.id)
                isStepInMemory = false
            case .clientWrite:
                // Actions and the request word, one step.
                if !isStepInMemory {
                    kind = -1
                    answers[kind, default: []].append([])
                    ids[kind, default: []].append(0)
                }
                isStepInMemory = true
            case .response, .serverWrite:
                if answers[kind] == nil {
                    answers[kind] = [[]]
                    ids[kind] = [0]
                }
                answers[kind]![answers[kind]!.count - 1].append(part)
                if case .serverWrite = part { isStepInMemory = false }
            }
        }
        self.ids = ids
    }

    /// Answers a client until it leaves, or is silent for too long.
    package func serve(_ client: Peer) {
        var used: [Int: Int] = [:]
        var memory: MappedMemory?
        var shown: UInt32 = 0
        var seconds = patience.answer
        while true {
            var kind: Int
            var id: UInt64 = 0
            if let memory, memory.load(MappedMemory.requestWord) != shown {
                shown = memory.load(MappedMemory.requestWord)
                kind = -1
            } else if let request = nextRequest(of: client, memory, shown, within: seconds) {
                let envelope = Envelope(frame: request)
                (kind, id) = (envelope.message, envelope.id)
            } else if let memory, memory.load(MappedMemory.requestWord) != shown {
                continue
            } else {
                break
            }
            guard let known = answers[kind] else {
                client.send(Envelope.refusal(of: id))
                continue
            }
            let index = min(used[kind, default: 0], known.count - 1)
            used[kind, default: 0] += 1
            seconds = patience.silence
            for part in known[index] {
                switch part {
                case .response(let bytes, let size):
                    let bytes = Envelope.replacing(ids[kind]![index], by: id, inFrame: bytes)
                    if Envelope(frame: bytes).id == id || kind == -1 { seconds = patience.answer }
                    let made = size.flatMap { MappedMemory.make(size: $0) }
                    client.send(bytes, passing: made?.descriptor ?? -1)
                    if let made {
                        close(made.descriptor)
                        memory = made.0
                        shown = 0
                    }
                case .serverWrite(let bytes, let offset):
                    guard let memory else { continue }
                    seconds = patience.answer
                    // The word that the client waits for is the number of its own step.
                    let isAnswer = Int(offset) == MappedMemory.responseWord && bytes.count == 4 && kind == -1
                    memory.write(
                        isAnswer ? withUnsafeBytes(of: shown.littleEndian) { Array($0) } : bytes, at: Int(offset))
                    memory.wake(MappedMemory.responseWord)
                case .request, .clientWrite: break
                }
            }
        }
        client.endSending()
        client.drain(within: patience.answer)
    }

    /// The next frame; looks at the memory in between, where steps are asked for.
    private func nextRequest(
        of client: Peer, _ memory: MappedMemory?, _ shown: UInt32, within seconds: Double
    ) -> [UInt8]? {
        guard let memory else { return client.frame(within: seconds) }
        let deadline = monotonicSeconds() + seconds
        while monotonicSeconds() < deadline, !client.hasEnded, memory.load(MappedMemory.requestWord) == shown {
            if let frame = client.frame(within: 0.0005) { return frame }
        }
        return nil
    }
}

/// What a frame is about, as far as it can be read.
private struct Envelope {
    /// The request's id.
    var id: UInt64 = 0
    /// The number of the field that is its message; 0: none.
    var message = 0

    private static let headerSize = 8

    init(frame: [UInt8]) {
        var rest = frame.dropFirst(Envelope.headerSize)
        while let tag = Envelope.varint(&rest) {
            switch (tag >> 3, tag & 7) {
            case (1, 0): id = Envelope.varint(&rest) ?? 0
            case (_, 0): _ = Envelope.varint(&rest)
            case (let number, 2):
                message = Int(clamping: number)
                rest = rest.dropFirst(Int(clamping: Envelope.varint(&rest) ?? 0))
            default: return
            }
        }
    }

    /// The frame with another id in place of this one, where the envelope begins with it.
    static func replacing(_ old: UInt64, by new: UInt64, inFrame frame: [UInt8]) -> [UInt8] {
        guard old != new, frame.count > headerSize + 1, frame[headerSize] == 8 else { return frame }
        var rest = frame.dropFirst(headerSize + 1)
        guard varint(&rest) == old else { return frame }
        var id: [UInt8] = []
        var left = new
        while left > 0x7F {
            id.append(UInt8(left & 0x7F) | 0x80)
            left >>= 7
        }
        id.append(UInt8(left))
        let announced = (0..<4).reduce(UInt32(0)) { $0 | UInt32(frame[$1]) << UInt32(8 * $1) }
        let change = id.count - (frame.count - headerSize - 1 - rest.count)
        let length = announced &+ UInt32(truncatingIfNeeded: change)
        let header = (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(8 * $0)) } + frame[4..<8]
        return header + [8] + id + rest
    }

    /// A frame that answers a request with INTERNAL.
    static func refusal(of id: UInt64) -> [UInt8] {
        // Response { id, error { code: 35 } }, the id's place taken by one byte.
        replacing(0, by: id, inFrame: [6, 0, 0, 0, 2, 0, 0, 0, 0x08, 0, 0x7A, 2, 0x08, 35])
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for group in 0..<10 {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << UInt64(7 * group)
            if byte < 0x80 { return value }
        }
        return nil
    }
}
