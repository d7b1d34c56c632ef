internal import CGymProtocol
import GymCore

extension Arena {
    func info(
        _ infos: [[InfoEntry]]
    ) -> (Int, UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__InfoColumn>?>) {
        let messages = InfoColumn.columns(of: infos).map { column in
            let message = message(gym__v1__info_column__init)
            message.pointee.name = string(column.name)
            message.pointee.mask = data(column.values.map { $0 == nil ? 0 : 1 })
            if let stacked = column.stacked {
                message.pointee.values_case = GYM__V1__INFO_COLUMN__VALUES_TENSOR
                message.pointee.tensor = tensor(stacked)
            } else {
                message.pointee.values_case = GYM__V1__INFO_COLUMN__VALUES_OBJECTS
                message.pointee.objects = list(column.values.map { $0 ?? .list([]) })
            }
            return message
        }
        return (messages.count, pointers(messages))
    }
}

extension InfoColumn {
    /// The values as one tensor, zeros where there are none; `nil` when they are not tensors of one kind.
    fileprivate var stacked: Tensor? {
        guard case .tensor(let first)?? = values.first(where: { $0 != nil }) else { return nil }
        var bytes: [UInt8] = []
        for value in values {
            switch value {
            case nil: bytes += [UInt8](repeating: 0, count: first.bytes.count)
            case .tensor(let tensor)? where tensor.dtype == first.dtype && tensor.shape == first.shape:
                bytes += tensor.bytes
            default: return nil
            }
        }
        return Tensor(dtype: first.dtype, shape: [values.count] + first.shape, bytes: bytes)
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

func decodeFaults(
    _ count: Int, _ messages: UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__Fault>?>?,
    of environmentCount: Int = .max
) throws -> [EnvironmentFault] {
    try (0..<count).map { index in
        let fault = messages![index]!.pointee
        guard fault.environment_index < environmentCount else {
            throw WireError.malformed(
                "environment \(fault.environment_index) of \(environmentCount) is said to have failed")
        }
        return EnvironmentFault(index: Int(fault.environment_index), message: String(cString: fault.message))
    }
}
