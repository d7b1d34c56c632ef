import Foundation
import GymCore

/// Arrays as bytes in the safetensors format: the length of a JSON header, the header, the elements.
public enum Safetensors {
    private static let names: [DType: String] = [
        .bool: "BOOL", .int8: "I8", .int16: "I16", .int32: "I32", .int64: "I64", .uint8: "U8", .uint16: "U16",
        .uint32: "U32", .uint64: "U64", .float16: "F16", .float32: "F32", .float64: "F64",
    ]

    private struct Entry: Encodable {
        let dtype: String
        let shape: [Int]
        let dataOffsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }
    }

    /// The bytes of a file; the same arrays and metadata give the same bytes.
    public static func encode(_ tensors: [NamedTensor], metadata: [String: String] = [:]) -> [UInt8] {
        // Elements of eight bytes come first, so that every array is aligned.
        let tensors = tensors.sorted { ($0.tensor.dtype.size, $1.name) > ($1.tensor.dtype.size, $0.name) }
        var header: [String] = []
        var data: [UInt8] = []
        if !metadata.isEmpty { header.append("\"__metadata__\":\(json(metadata))") }
        for tensor in tensors {
            let start = data.count
            data.append(contentsOf: tensor.tensor.bytes)
            let entry = Entry(
                dtype: names[tensor.tensor.dtype]!, shape: tensor.tensor.shape, dataOffsets: [start, data.count])
            header.append("\(json(tensor.name)):\(json(entry))")
        }
        var text = Array("{\(header.joined(separator: ","))}".utf8)
        text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text + data
    }

    private static func json(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings, numbers and arrays of them always encode.
        return String(decoding: try! encoder.encode(value), as: UTF8.self)
    }

    /// The arrays and metadata of a file.
    ///
    /// - Throws: ``RunFileError`` when the bytes are not such a file.
    public static func decode(_ bytes: [UInt8]) throws -> (tensors: [NamedTensor], metadata: [String: String]) {
        func broken(_ reason: String) -> RunFileError {
            RunFileError("this is not a whole safetensors file: \(reason)")
        }
        guard bytes.count >= 8 else { throw broken("it has \(bytes.count) bytes") }
        let length = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= UInt64(bytes.count - 8) else { throw broken("its header is cut off") }
        let data = bytes[(8 + Int(length))...]
        let text = Data(bytes[8..<8 + Int(length)])
        guard let root = try? JSONSerialization.jsonObject(with: text) as? [String: Any] else {
            throw broken("its header is not JSON")
        }
        var tensors: [NamedTensor] = []
        for (name, value) in root where name != "__metadata__" {
            guard let entry = value as? [String: Any], let dtypeName = entry["dtype"] as? String,
                let dtype = names.first(where: { $0.value == dtypeName })?.key, let shape = entry["shape"] as? [Int],
                let offsets = entry["data_offsets"] as? [Int], offsets.count == 2, shape.allSatisfy({ $0 >= 0 })
            else { throw broken("the entry of '\(name)' cannot be read") }
            var size = dtype.size
            for extent in shape {
                let (product, overflow) = size.multipliedReportingOverflow(by: extent)
                if overflow { throw broken("'\(name)' is too large") }
                size = product
            }
            guard offsets[0] >= 0, offsets[1] <= data.count, offsets[0] <= offsets[1], offsets[1] - offsets[0] == size
            else { throw broken("the elements of '\(name)' are cut off") }
            let start = data.startIndex
            let elements = Array(data[start + offsets[0]..<start + offsets[1]])
            tensors.append(NamedTensor(name, Tensor(dtype: dtype, shape: shape, bytes: elements)))
        }
        return (tensors.sorted { $0.name < $1.name }, root["__metadata__"] as? [String: String] ?? [:])
    }
}
