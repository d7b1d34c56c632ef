internal import CGymProtocol
internal import CProtobufC

/// The fields of a kind of message, as the compiled protocol describes them.
struct Schema: Sendable {
    struct Field: Sendable {
        enum Kind: Sendable, Hashable {
            case varint, signedVarint, double, text, bytes
            case message(String)
        }
        let name: String
        let number: UInt32
        let kind: Kind
        let isRepeated: Bool
        /// Names of the values of an enumeration.
        let names: [UInt64: String]
    }

    /// The message's name without its package.
    let name: String
    let byNumber: [UInt32: Field]
    let byName: [String: Field]

    /// All messages that can be in a frame, by name.
    static let all: [String: Schema] = {
        var found: [String: Schema] = [:]
        var request = Gym__V1__Request()
        gym__v1__request__init(&request)
        collect(request.base.descriptor, into: &found)
        var response = Gym__V1__Response()
        gym__v1__response__init(&response)
        collect(response.base.descriptor, into: &found)
        var notice = Gym__V1__Notice()
        gym__v1__notice__init(&notice)
        collect(notice.base.descriptor, into: &found)
        return found
    }()

    static func named(_ name: String) -> Schema {
        guard let schema = all[name] else { preconditionFailure("gym.v1 has no message \(name)") }
        return schema
    }

    private static func collect(
        _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, into found: inout [String: Schema]
    ) {
        let name = String(cString: descriptor.pointee.short_name)
        guard found[name] == nil else { return }
        var fields: [Field] = []
        var nested: [UnsafePointer<ProtobufCMessageDescriptor>] = []
        for index in 0..<Int(descriptor.pointee.n_fields) {
            let field = descriptor.pointee.fields[index]
            var names: [UInt64: String] = [:]
            let kind: Field.Kind
            switch field.type {
            case PROTOBUF_C_TYPE_STRING: kind = .text
            case PROTOBUF_C_TYPE_BYTES: kind = .bytes
            case PROTOBUF_C_TYPE_DOUBLE: kind = .double
            case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_INT32: kind = .signedVarint
            case PROTOBUF_C_TYPE_MESSAGE:
                let target = field.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
                kind = .message(String(cString: target.pointee.short_name))
                nested.append(target)
            case PROTOBUF_C_TYPE_ENUM:
                kind = .varint
                let target = field.descriptor.assumingMemoryBound(to: ProtobufCEnumDescriptor.self)
                for value in 0..<Int(target.pointee.n_values) {
                    names[UInt64(target.pointee.values[value].value)] = String(
                        cString: target.pointee.values[value].name)
                }
            default: kind = .varint
            }
            fields.append(
                Field(
                    name: String(cString: field.name), number: field.id, kind: kind,
                    isRepeated: field.label == PROTOBUF_C_LABEL_REPEATED, names: names))
        }
        found[name] = Schema(
            name: name, byNumber: Dictionary(uniqueKeysWithValues: fields.map { ($0.number, $0) }),
            byName: Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0) }))
        for descriptor in nested { collect(descriptor, into: &found) }
    }
}
