internal import CGymProtocol
internal import CProtobufC
import GymCore

/// Where the fields of ``ResultField/all`` lie in protobuf-c's structures, looked up by their numbers: a new one is in
/// the messages as soon as it is in the table.
enum ResultFieldAccess {
    /// Offsets in `Gym__V1__StepResponse`, of bytes, by the fields' numbers.
    private static let stepOffsets: [Int] = {
        var message = Gym__V1__StepResponse()
        gym__v1__step_response__init(&message)
        return offsets(in: message.base.descriptor) { UInt32($0.number) }
    }()

    /// Offsets in `Gym__V1__ResultRegions`, of pointers to regions, by the numbers that the fields have in a response.
    private static let regionOffsets: [Int] = {
        var message = Gym__V1__ResultRegions()
        gym__v1__result_regions__init(&message)
        return offsets(in: message.base.descriptor) { $0.regionNumber }
    }()

    private static func offsets(
        in descriptor: UnsafePointer<ProtobufCMessageDescriptor>, number: (ResultField) -> UInt32
    ) -> [Int] {
        var offsets = [Int](repeating: 0, count: 16)
        for field in ResultField.all {
            guard let found = protobuf_c_message_descriptor_get_field(descriptor, number(field)) else {
                preconditionFailure("\(field.name) has a number that gym.proto does not have")
            }
            offsets[Int(field.number)] = Int(found.pointee.offset)
        }
        return offsets
    }

    /// The bytes of a field in a response.
    static func data(
        of field: ResultField, in message: UnsafePointer<Gym__V1__StepResponse>
    ) -> UnsafeMutablePointer<ProtobufCBinaryData> {
        let place = UnsafeMutableRawPointer(mutating: message) + stepOffsets[Int(field.number)]
        return place.assumingMemoryBound(to: ProtobufCBinaryData.self)
    }

    /// The region of a field in a set of results.
    static func region(
        of field: ResultField, in message: UnsafePointer<Gym__V1__ResultRegions>
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__Region>?> {
        let place = UnsafeMutableRawPointer(mutating: message) + regionOffsets[Int(field.number)]
        return place.assumingMemoryBound(to: UnsafeMutablePointer<Gym__V1__Region>?.self)
    }
}
