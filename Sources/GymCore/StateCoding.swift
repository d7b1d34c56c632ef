/// Writes an environment's state as bytes: numbers little-endian, without padding.
public struct StateWriter {
    /// What was written so far; with a sink, what it has not been given yet.
    public private(set) var bytes: [UInt8] = []
    private let sink: ((UnsafeRawBufferPointer) -> Void)?

    /// Bytes that are collected before the sink gets them.
    private static let chunk = 1 << 16

    /// A writer with nothing written, that keeps all bytes.
    public init() { sink = nil }

    /// A writer that hands the bytes on piece by piece, and keeps none: for states that are too large to be had twice.
    ///
    /// - Parameter sink: called with every byte once, in order, the last of them in ``flush()``.
    public init(sink: @escaping (UnsafeRawBufferPointer) -> Void) { self.sink = sink }

    /// Hands on what the sink has not been given yet.
    public mutating func flush() {
        guard let sink, !bytes.isEmpty else { return }
        bytes.withUnsafeBytes(sink)
        bytes.removeAll(keepingCapacity: true)
    }

    private mutating func append(_ raw: UnsafeRawBufferPointer) {
        if let sink, bytes.count + raw.count > StateWriter.chunk {
            flush()
            if raw.count > StateWriter.chunk { return sink(raw) }
        }
        bytes.append(contentsOf: raw)
    }

    /// Writes a number or any other plain value, as it lies in memory.
    public mutating func write<T: BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value) { append($0) }
    }

    /// Writes the number of elements, then the elements.
    public mutating func write<T: BitwiseCopyable>(array: [T]) {
        array.withUnsafeBufferPointer { write(elements: $0) }
    }

    /// Writes the number of elements, then the elements: what ``write(array:)`` would write.
    public mutating func write<T: BitwiseCopyable>(elements: UnsafeBufferPointer<T>) {
        write(UInt64(elements.count))
        append(UnsafeRawBufferPointer(elements))
    }
}

extension StateWriter {
    /// Writes a text: the number of its bytes in UTF-8, then these.
    public mutating func write(text: String) { write(array: Array(text.utf8)) }
}

/// Reads what ``StateWriter`` wrote, in the same order, and never past the end.
public struct StateReader {
    private enum Source {
        case array([UInt8])
        case memory(UnsafeRawBufferPointer)
    }

    private let source: Source
    private let count: Int
    /// Where the next byte to be read lies.
    public private(set) var offset = 0

    /// A reader of the given bytes.
    public init(_ bytes: [UInt8]) {
        source = .array(bytes)
        count = bytes.count
    }

    /// A reader of bytes that stay where they are for as long as it is used.
    public init(_ memory: UnsafeRawBufferPointer) {
        source = .memory(memory)
        count = memory.count
    }

    private func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        switch source {
        case .array(let bytes): try bytes.withUnsafeBytes(body)
        case .memory(let memory): try body(memory)
        }
    }

    /// The bytes not yet read.
    public var remaining: Int { count - offset }

    /// Reads a value that was written with ``StateWriter/write(_:)``.
    ///
    /// - Throws: ``StateError`` when the bytes end first.
    public mutating func read<T: BitwiseCopyable>(_ type: T.Type = T.self) throws -> T {
        let size = MemoryLayout<T>.size
        guard size <= remaining else { throw StateError("the state ends \(size - remaining) bytes early") }
        defer { offset += size }
        return withBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }

    /// Reads an array that was written with ``StateWriter/write(array:)``.
    ///
    /// - Throws: ``StateError`` when the bytes end first.
    public mutating func readArray<T: BitwiseCopyable>(of type: T.Type = T.self) throws -> [T] {
        let (range, count) = try readRange(of: type)
        return withBytes { bytes in
            [T](unsafeUninitializedCapacity: count) { elements, initialised in
                UnsafeMutableRawBufferPointer(elements)
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
                initialised = count
            }
        }
    }

    /// Reads an array of as many elements as there is room for.
    ///
    /// - Throws: ``StateError`` when they are more or fewer, or the bytes end first.
    public mutating func readArray<T: BitwiseCopyable>(into elements: UnsafeMutableBufferPointer<T>) throws {
        let (range, count) = try readRange(of: T.self)
        guard count == elements.count else {
            throw StateError("the state has \(count) numbers in place of \(elements.count)")
        }
        withBytes {
            UnsafeMutableRawBufferPointer(elements).copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[range]))
        }
    }

    /// The most that a counter of a state may be: 10⁶ a second take nine years to it, and nothing overflows for as long
    /// again.
    public static let mostCounted = 1 << 48

    /// Reads a counter that was written as an `Int64`.
    ///
    /// Whoever sends a state may have made it up; a counter near the end of its range would overflow in the next step.
    ///
    /// - Parameters:
    ///   - name: what it counts, for the error.
    ///   - most: the most that it can be.
    /// - Throws: ``StateError`` when it is below 0 or above `most`, or the bytes end first.
    public mutating func readCount(_ name: String, atMost most: Int = StateReader.mostCounted) throws -> Int {
        let count = try read(Int64.self)
        guard count >= 0, count <= Int64(most) else {
            throw StateError("the state's \(name) is \(count), not from 0 to \(most)")
        }
        return Int(count)
    }

    /// Reads a text that was written with ``StateWriter/write(text:)``.
    ///
    /// - Parameter most: the most bytes that it may have.
    /// - Throws: ``StateError`` when it is longer, is not UTF-8, or the bytes end first.
    public mutating func readText(atMost most: Int) throws -> String {
        let bytes = try readArray(of: UInt8.self)
        guard bytes.count <= most, let text = String(validating: bytes, as: UTF8.self) else {
            throw StateError("the state has \(bytes.count) bytes where a name is")
        }
        return text
    }

    private mutating func readRange<T>(of type: T.Type) throws -> (bytes: Range<Int>, count: Int) {
        let count = try read(UInt64.self)
        guard count <= UInt64(remaining / max(MemoryLayout<T>.stride, 1)) else {
            throw StateError("the state ends in an array of \(count) elements")
        }
        let size = Int(count) * MemoryLayout<T>.stride
        defer { offset += size }
        return (offset..<offset + size, Int(count))
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

/// A state that is whole, but of something else than the environment that is to take it over.
public struct ForeignStateError: Error, Hashable, CustomStringConvertible {
    /// In what they differ.
    public enum Part: String, Sendable, Hashable {
        /// The environment's id.
        case environment
        /// The options that it was made with.
        case options
        /// The version of the state.
        case version
    }

    /// In what they differ.
    public let part: Part
    /// What the environment takes.
    public let expected: String
    /// What the state is of.
    public let got: String

    /// An error about a state of something else.
    public init(_ part: Part, expected: String, got: String) {
        self.part = part
        self.expected = expected
        self.got = got
    }

    /// Names both.
    public var description: String {
        switch part {
        case .environment: "the state is of \(got), not of \(expected)"
        case .options: "the state is of an environment made with other options: \(got), not \(expected)"
        case .version: "the state is of version \(got), not \(expected)"
        }
    }
}
