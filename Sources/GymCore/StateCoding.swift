/// Writes an environment's state as bytes: numbers little-endian, without padding.
public struct StateWriter {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// A writer with nothing written.
    public init() {}

    /// Writes a number or any other plain value, as it lies in memory.
    public mutating func write<T: BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// Writes the number of elements, then the elements.
    public mutating func write<T: BitwiseCopyable>(array: [T]) {
        write(UInt64(array.count))
        array.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
}

/// Reads what ``StateWriter`` wrote, in the same order, and never past the end.
public struct StateReader {
    private let bytes: [UInt8]
    private var offset = 0

    /// A reader of the given bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The bytes not yet read.
    public var remaining: Int { bytes.count - offset }

    /// Reads a value that was written with ``StateWriter/write(_:)``.
    ///
    /// - Throws: ``StateError`` when the bytes end first.
    public mutating func read<T: BitwiseCopyable>(_ type: T.Type = T.self) throws -> T {
        let size = MemoryLayout<T>.size
        guard size <= remaining else { throw StateError("the state ends \(size - remaining) bytes early") }
        defer { offset += size }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }

    /// Reads an array that was written with ``StateWriter/write(array:)``.
    ///
    /// - Throws: ``StateError`` when the bytes end first.
    public mutating func readArray<T: BitwiseCopyable>(of type: T.Type = T.self) throws -> [T] {
        let count = try read(UInt64.self)
        guard count <= UInt64(remaining / max(MemoryLayout<T>.stride, 1)) else {
            throw StateError("the state ends in an array of \(count) elements")
        }
        let size = Int(count) * MemoryLayout<T>.stride
        defer { offset += size }
        return bytes.withUnsafeBytes { bytes in
            [T](unsafeUninitializedCapacity: Int(count)) { elements, initialised in
                UnsafeMutableRawBufferPointer(elements)
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + size]))
                initialised = Int(count)
            }
        }
    }

    /// Checks that everything was read.
    ///
    /// - Throws: ``StateError`` when bytes are left.
    public func finish() throws {
        guard remaining == 0 else { throw StateError("the state has \(remaining) bytes too many") }
    }
}

/// A state that cannot be taken over, and why.
public struct StateError: Error, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    public let description: String

    /// An error with the given explanation.
    public init(_ description: String) { self.description = description }
}
