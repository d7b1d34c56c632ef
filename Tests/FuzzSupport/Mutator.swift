import Conformance
package import Conversations

/// Changes conversations: fields of messages, bytes of states and tensors, frames, what is written into shared memory.
///
/// What it puts in where something is missing comes from other conversations, so that it fits as often as not.
package struct Mutator: Sendable {
    /// Whose part of a conversation is changed.
    package enum Side: String, Sendable {
        /// That of a hostile client.
        case client
        /// That of a hostile server.
        case server
    }

    private let side: Side
    /// Fields that some conversation has, by the name of the message.
    private var fields: [String: [(number: UInt32, value: Message.Wire)]] = [:]
    /// Parts of this side.
    private var parts: [Conversation.Part] = []

    private static let names: [UInt8: String] = [1: "Request", 2: "Response", 3: "Notice"]
    private static let headerSize = 8
    private static let mostDonors = 64
    /// Longer conversations say nothing new.
    private static let mostParts = 256

    /// A mutator that has seen these conversations.
    package init(_ side: Side, donors: [Conversation]) {
        self.side = side
        for part in donors.flatMap(\.parts) where isOurs(part) {
            if parts.count < 4096 { parts.append(part) }
            if let (message, _) = Mutator.message(in: part.bytes) { collect(message) }
        }
    }

    private mutating func collect(_ message: Message) {
        for field in message.fields {
            if fields[message.name, default: []].count(where: { $0.number == field.number }) < Mutator.mostDonors {
                fields[message.name, default: []].append(field)
            }
            if case .message(let inner) = field.value { collect(inner) }
        }
    }

    private func isOurs(_ part: Conversation.Part) -> Bool { part.isClients == (side == .client) }

    /// The message in a frame, and the frame's kind; `nil` where there is none.
    private static func message(in frame: [UInt8]) -> (Message, kind: UInt8)? {
        guard frame.count >= headerSize, let name = names[frame[4]],
            (0..<4).reduce(headerSize, { $0 + Int(frame[$1]) << (8 * $1) }) == frame.count,
            let message = try? Message(name, decoding: frame.dropFirst(headerSize))
        else { return nil }
        return (message, frame[4])
    }

    // MARK: Conversations

    /// A conversation that differs in a few places.
    package func mutated(_ conversation: Conversation, _ generator: inout FuzzGenerator) -> Conversation {
        var parts = conversation.parts
        for _ in 0...generator.below(3) { change(&parts, &generator) }
        return Conversation(Array(parts.prefix(Mutator.mostParts)))
    }

    /// The first part of one conversation, and the rest of another.
    package func crossed(
        _ left: Conversation, _ right: Conversation, _ generator: inout FuzzGenerator
    ) -> Conversation {
        let head = left.parts.prefix(1 + generator.below(left.parts.count))
        let tail = right.parts.suffix(1 + generator.below(right.parts.count))
        return Conversation(Array((head + tail).prefix(Mutator.mostParts)))
    }

    private func change(_ parts: inout [Conversation.Part], _ generator: inout FuzzGenerator) {
        let ours = parts.indices.filter { isOurs(parts[$0]) }
        guard !ours.isEmpty else {
            if !self.parts.isEmpty { parts.append(generator.pick(self.parts)) }
            return
        }
        let index = generator.pick(ours)
        if generator.oneIn(8), changeState(in: &parts, &generator) { return }
        switch generator.below(20) {
        case 0: parts.remove(at: index)
        case 1: parts.insert(parts[index], at: index)
        case 2: parts.swapAt(index, generator.pick(ours))
        case 3: parts.insert(generator.pick(self.parts), at: index)
        case 4: parts[index] = generator.pick(self.parts)
        case 5: changeHeader(&parts[index], &generator)
        case 6: cut(&parts, at: index, &generator)
        case 7: changeOrder(&parts, at: index, &generator)
        case 8: repeatPart(&parts, at: index, &generator)
        default: changeContent(&parts[index], &generator)
        }
    }

    /// A number at its limit somewhere in a state that is set, where there is such a request.
    private func changeState(in parts: inout [Conversation.Part], _ generator: inout FuzzGenerator) -> Bool {
        // Field 22 of the envelope, "set_state": its tag is the bytes B2 01, after the header, id and handle.
        let candidates = parts.indices.filter {
            isOurs(parts[$0]) && parts[$0].bytes.prefix(24).dropFirst(8).contains(0xB2)
        }
        guard side == .client, !candidates.isEmpty else { return false }
        let index = generator.pick(candidates)
        guard case (var request, let kind)? = Mutator.message(in: parts[index].bytes) else { return false }
        request.change("set_state") { message in
            let places = message.fields.indices.filter { place in
                if case .bytes(let bytes) = message.fields[place].value { bytes.count >= 8 } else { false }
            }
            guard !places.isEmpty else { return }
            let place = generator.pick(places)
            guard case .bytes(var state) = message.fields[place].value else { return }
            let start = generator.below(state.count - 7)
            let number =
                generator.oneIn(2)
                ? generator.pick([UInt64(Int64.max), UInt64(bitPattern: .min), .max, UInt64(Int64.max) - 1])
                : generator.eightBytes(near: 0)
            for byte in 0..<8 { state[start + byte] = UInt8(truncatingIfNeeded: number >> UInt64(8 * byte)) }
            message.fields[place].value = .bytes(state)
        }
        parts[index].bytes = Mutator.frame(request.encoded, kind: kind)
        return true
    }

    /// A frame in two pieces, or two in one: nothing says that they come one by one.
    private func cut(_ parts: inout [Conversation.Part], at index: Int, _ generator: inout FuzzGenerator) {
        let bytes = parts[index].bytes
        guard bytes.count > 1 else { return }
        if generator.oneIn(2), let next = parts.indices.dropFirst(index + 1).first(where: { isOurs(parts[$0]) }) {
            parts[index].bytes += parts[next].bytes
            parts.remove(at: next)
        } else {
            let place = 1 + generator.below(bytes.count - 1)
            var rest = parts[index]
            rest.bytes = Array(bytes[place...])
            parts[index].bytes = Array(bytes[..<place])
            if !generator.oneIn(4) { parts.insert(rest, at: index + 1) }
        }
    }

    /// Answers that are not waited for, or that come before anybody asked.
    private func changeOrder(_ parts: inout [Conversation.Part], at index: Int, _ generator: inout FuzzGenerator) {
        if generator.oneIn(2) {
            let end = min(parts.count, index + 1 + generator.below(16))
            let rest = parts[index..<end]
            parts.replaceSubrange(index..<end, with: rest.filter(isOurs) + rest.filter { !isOurs($0) })
        } else {
            let part = parts.remove(at: index)
            parts.insert(part, at: generator.below(parts.count + 1))
        }
    }

    private func repeatPart(_ parts: inout [Conversation.Part], at index: Int, _ generator: inout FuzzGenerator) {
        let count = min(generator.pick([2, 8, 70]), max(0, Mutator.mostParts - parts.count))
        parts.insert(contentsOf: repeatElement(parts[index], count: count), at: index)
    }

    private func changeHeader(_ part: inout Conversation.Part, _ generator: inout FuzzGenerator) {
        var bytes = part.bytes
        guard bytes.count >= Mutator.headerSize else { return changeBytes(of: &part, &generator) }
        if generator.oneIn(2) {
            let length = generator.number(near: UInt64(bytes.count - Mutator.headerSize))
            for byte in 0..<4 { bytes[byte] = UInt8(truncatingIfNeeded: length >> UInt64(8 * byte)) }
        } else {
            bytes[4 + generator.below(4)] = UInt8(truncatingIfNeeded: generator.number(near: 1))
        }
        part.bytes = bytes
    }

    private func changeContent(_ part: inout Conversation.Part, _ generator: inout FuzzGenerator) {
        switch part {
        case .clientWrite, .serverWrite: changeWrite(&part, &generator)
        case .response(let bytes, let memory?) where generator.oneIn(4):
            let size = generator.oneIn(3) ? nil : UInt32(truncatingIfNeeded: generator.number(near: UInt64(memory)))
            part = .response(bytes, memory: size)
        case .request, .response:
            guard !generator.oneIn(8), case (var message, let kind)? = Mutator.message(in: part.bytes) else {
                return changeBytes(of: &part, &generator)
            }
            change(&message, &generator, depth: 0)
            part.bytes = Mutator.frame(message.encoded, kind: kind)
        }
    }

    private func changeWrite(_ part: inout Conversation.Part, _ generator: inout FuzzGenerator) {
        var bytes = part.bytes
        var offset: UInt32 = 0
        if case .clientWrite(_, let place) = part { offset = place }
        if case .serverWrite(_, let place) = part { offset = place }
        if generator.oneIn(3) {
            offset = UInt32(truncatingIfNeeded: generator.number(near: UInt64(offset)))
        } else {
            bytes = changed(bytes, &generator)
        }
        part = side == .client ? .clientWrite(bytes, offset: offset) : .serverWrite(bytes, offset: offset)
    }

    /// Bytes of a frame whose header goes on saying how many there are.
    private func changeBytes(of part: inout Conversation.Part, _ generator: inout FuzzGenerator) {
        guard part.bytes.count >= Mutator.headerSize else {
            part.bytes = changed(part.bytes, &generator)
            return
        }
        let body = changed(Array(part.bytes.dropFirst(Mutator.headerSize)), &generator)
        part.bytes = Mutator.frame(body, kind: part.bytes[4])
    }

    private static func frame(_ body: [UInt8], kind: UInt8) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (8 * $0)) } + [kind, 0, 0, 0] + body
    }

    // MARK: Messages

    private func change(_ message: inout Message, _ generator: inout FuzzGenerator, depth: Int) {
        if message.fields.isEmpty || generator.oneIn(depth == 0 ? 12 : 6) {
            return changeFields(of: &message, &generator)
        }
        let index = generator.below(message.fields.count)
        switch message.fields[index].value {
        case .message(var inner):
            if generator.oneIn(24) {
                inner = nested(inner, levels: generator.pick([1, 2, 40, 98, 200]))
            } else {
                change(&inner, &generator, depth: depth + 1)
            }
            message.fields[index].value = .message(inner)
        case .varint(let number): message.fields[index].value = .varint(generator.number(near: number))
        case .fixed64(let bits): message.fields[index].value = .fixed64(generator.eightBytes(near: bits))
        case .fixed32(let bits):
            message.fields[index].value = .fixed32(UInt32(truncatingIfNeeded: generator.number(near: UInt64(bits))))
        case .bytes(let bytes): message.fields[index].value = .bytes(changed(bytes, &generator))
        }
    }

    /// Which fields there are, how often, and in which order.
    private func changeFields(of message: inout Message, _ generator: inout FuzzGenerator) {
        let known = fields[message.name] ?? []
        let index = generator.below(message.fields.count)
        if message.fields.isEmpty || generator.oneIn(3), !known.isEmpty {
            message.fields.insert(generator.pick(known), at: generator.below(message.fields.count + 1))
            return
        }
        guard !message.fields.isEmpty else {
            message.fields.append((UInt32(1 + generator.below(30)), .varint(generator.number(near: 0))))
            return
        }
        switch generator.below(7) {
        case 0: message.fields.remove(at: index)
        case 1: message.fields.swapAt(index, generator.below(message.fields.count))
        case 2:
            let count = generator.pick([1, 2, 16, 100, 300, 2000])
            message.fields.insert(contentsOf: repeatElement(message.fields[index], count: count), at: index)
        case 3: message.fields[index].number = UInt32(1 + generator.below(32))
        case 4:
            let number = generator.number(near: 0)
            message.fields[index].value = generator.pick([
                .varint(number), .fixed64(number), .fixed32(UInt32(truncatingIfNeeded: number)), .bytes([]),
                .bytes([0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
            ])
        case 5:
            let number = UInt32(truncatingIfNeeded: generator.number(near: 26)) & 0x1FFF_FFFF | 1
            message.fields.append((number, .bytes(changed([1, 2, 3], &generator))))
        default: message.fields.removeLast(message.fields.count - index)
        }
    }

    /// The message inside others of its own kind, where there are such that hold themselves.
    private func nested(_ message: Message, levels: Int) -> Message {
        let wrap: (Message) -> Message
        switch message.name {
        case "Space": wrap = { Message("Space", [("tuple", .fields([("spaces", .message($0))]))]) }
        case "Value": wrap = { Message("Value", [("list", .fields([("values", .message($0))]))]) }
        case "OptionValue": wrap = { Message("OptionValue", [("list", .fields([("values", .message($0))]))]) }
        default: return message
        }
        return (0..<levels).reduce(message) { inner, _ in wrap(inner) }
    }

    // MARK: Bytes

    /// Bytes that differ in one place: elements of tensors, counters and lengths of states, characters.
    private func changed(_ bytes: [UInt8], _ generator: inout FuzzGenerator) -> [UInt8] {
        var bytes = bytes
        guard !bytes.isEmpty else {
            return (0..<generator.pick([1, 4, 8, 64])).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        }
        let place = generator.below(bytes.count)
        switch generator.below(14) {
        case 0: bytes[place] ^= 1 << UInt8(generator.below(8))
        case 1: bytes[place] = generator.pick([0, 1, 2, 0x7F, 0x80, 0xFF])
        case 2...6:
            // Whole numbers and doubles lie at each offset, not at multiples of eight: states have no padding.
            let width = generator.pick([2, 4, 8, 8, 8])
            guard bytes.count >= width else { return changed(bytes.dropLast(), &generator) }
            let start = generator.below(bytes.count - width + 1)
            let old = (0..<width).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
            let new = generator.eightBytes(near: old)
            for byte in 0..<width { bytes[start + byte] = UInt8(truncatingIfNeeded: new >> UInt64(8 * byte)) }
        case 7: bytes.removeLast(bytes.count - place)
        case 8: bytes.remove(at: place)
        case 9: bytes.insert(generator.pick([0, 0xFF, 0x80, 0x41]), at: place)
        case 10: bytes += bytes.prefix(4096)
        case 11:
            let count = generator.pick([1, 7, 8, 64, 1000])
            bytes += [UInt8](repeating: generator.pick([0, 1, 0xFF]), count: count)
        case 12:
            let end = min(bytes.count, place + 1 + generator.below(16))
            for index in place..<end { bytes[index] = UInt8(truncatingIfNeeded: generator.next()) }
        default: bytes = [UInt8](repeating: generator.pick([0, 0xFF]), count: bytes.count)
        }
        return bytes
    }

    private func changed(_ bytes: ArraySlice<UInt8>, _ generator: inout FuzzGenerator) -> [UInt8] {
        changed(Array(bytes), &generator)
    }
}
