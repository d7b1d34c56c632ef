/// What a client and a server said to each other, byte for byte and in order: as it was recorded, or as a fuzzer changed
/// it.
///
/// Played from the client's side it is an attack on a server, from the server's side one on a client. A file has one
/// record a part: kind (u8), place (u32), length (u32), bytes; numbers are little-endian.
package struct Conversation: Sendable, Hashable {
    /// What one side did.
    package enum Part: Sendable, Hashable {
        /// The client sent these bytes: a frame, or what a fuzzer made of one.
        case request([UInt8])
        /// The server sent these bytes, and with them shared memory of so many bytes, when there is a size.
        case response([UInt8], memory: UInt32? = nil)
        /// The client wrote into the shared memory.
        case clientWrite([UInt8], offset: UInt32)
        /// The server wrote into the shared memory.
        case serverWrite([UInt8], offset: UInt32)

        /// The bytes that were sent or written.
        package var bytes: [UInt8] {
            get {
                switch self {
                case .request(let bytes), .response(let bytes, _), .clientWrite(let bytes, _),
                    .serverWrite(let bytes, _):
                    bytes
                }
            }
            set {
                switch self {
                case .request: self = .request(newValue)
                case .response(_, let memory): self = .response(newValue, memory: memory)
                case .clientWrite(_, let offset): self = .clientWrite(newValue, offset: offset)
                case .serverWrite(_, let offset): self = .serverWrite(newValue, offset: offset)
                }
            }
        }

        /// Whether it is the client's.
        package var isClients: Bool {
            switch self {
            case .request, .clientWrite: true
            case .response, .serverWrite: false
            }
        }
    }

    /// The parts, in order.
    package var parts: [Part]

    /// A conversation of the given parts.
    package init(_ parts: [Part] = []) { self.parts = parts }

    private static let headerSize = 9

    /// Reads a file. A last part that is cut short is taken as far as it goes: any bytes are a conversation.
    package init(decoding bytes: some RandomAccessCollection<UInt8>) {
        parts = []
        var rest = bytes[...]
        func number(_ offset: Int) -> UInt32 {
            rest.dropFirst(offset).prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        while rest.count >= Conversation.headerSize, let kind = rest.first {
            let (place, length) = (number(1), number(5))
            rest = rest.dropFirst(Conversation.headerSize)
            let content = Array(rest.prefix(Int(length)))
            rest = rest.dropFirst(content.count)
            switch kind & 3 {
            case 0: parts.append(.request(content))
            case 1: parts.append(.response(content, memory: place == 0 ? nil : place))
            case 2: parts.append(.clientWrite(content, offset: place))
            default: parts.append(.serverWrite(content, offset: place))
            }
        }
    }

    /// The conversation as a file.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for part in parts {
            let (kind, place): (UInt8, UInt32) =
                switch part {
                case .request: (0, 0)
                case .response(_, let memory): (1, memory ?? 0)
                case .clientWrite(_, let offset): (2, offset)
                case .serverWrite(_, let offset): (3, offset)
                }
            bytes.append(kind)
            for number in [place, UInt32(part.bytes.count)] {
                for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: number >> UInt32(8 * byte))) }
            }
            bytes += part.bytes
        }
        return bytes
    }
}
