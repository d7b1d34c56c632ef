import GymCore
import NeuralNetwork

/// Writes a learner's state, or reads it back: one description of what belongs to it serves both ways.
///
///     func code(_ state: inout StateCoder) throws {
///         try state(&updates)
///         try state(parameters)
///     }
package struct StateCoder: ~Copyable {
    private var writer: StateWriter?
    private var reader: StateReader?

    /// Whether state is read, and what is there overwritten.
    package var isReading: Bool { reader != nil }

    /// Writes what `body` describes.
    package static func write(to writer: inout StateWriter, _ body: (inout StateCoder) throws -> Void) rethrows {
        // Handed over and back, so that its bytes are never held twice.
        var coder = StateCoder(writer: writer, reader: nil)
        writer = StateWriter()
        defer { writer = coder.writer! }
        try body(&coder)
    }

    /// Reads what `body` describes.
    ///
    /// - Throws: ``StateError`` when it is of another shape.
    package static func read(from reader: inout StateReader, _ body: (inout StateCoder) throws -> Void) throws {
        var coder = StateCoder(writer: nil, reader: reader)
        defer { reader = coder.reader! }
        try body(&coder)
    }

    private init(writer: consuming StateWriter?, reader: consuming StateReader?) {
        self.writer = writer
        self.reader = reader
    }

    /// A plain value.
    package mutating func callAsFunction<Value: BitwiseCopyable>(_ value: inout Value) throws {
        if reader != nil { value = try reader!.read() } else { writer!.write(value) }
    }

    /// An array; read, it has to be as long as it is.
    package mutating func callAsFunction<Element: BitwiseCopyable>(_ array: inout [Element]) throws {
        guard reader != nil else { return writer!.write(array: array) }
        let read = try reader!.readArray(of: Element.self)
        guard read.count == array.count else {
            throw StateError("the state has \(read.count) numbers in place of \(array.count)")
        }
        array = read
    }

    /// An array of any length.
    package mutating func callAsFunction<Element: BitwiseCopyable>(anyLength array: inout [Element]) throws {
        if reader != nil { array = try reader!.readArray() } else { writer!.write(array: array) }
    }

    /// Numbers.
    package mutating func callAsFunction<Element>(_ vector: Vector<Element>) throws {
        try vector.withElements { elements in
            if reader != nil {
                try reader!.readArray(into: elements)
            } else {
                writer!.write(elements: UnsafeBufferPointer(elements))
            }
        }
    }

    /// A matrix.
    package mutating func callAsFunction(_ matrix: Matrix) throws { try self(matrix.vector) }

    /// Rows of observations.
    package mutating func callAsFunction(_ rows: Rows) throws {
        try rows.withBytes { bytes in
            let elements = bytes.bindMemory(to: UInt8.self)
            if reader != nil {
                try reader!.readArray(into: elements)
            } else {
                writer!.write(elements: UnsafeBufferPointer(elements))
            }
        }
    }

    /// A model's parameters.
    package mutating func callAsFunction(_ store: ParameterStore) throws { try self(store.parameters) }

    /// An optimiser's steps and moments.
    package mutating func callAsFunction(_ optimiser: any Optimiser) throws {
        var steps = optimiser.steps
        try self(&steps)
        try self(optimiser.moments)
        if isReading { optimiser.restore(steps: max(0, steps)) }
    }

    /// A generator.
    package mutating func callAsFunction(_ generator: inout NumPyGenerator) throws {
        if reader != nil {
            generator = try NumPyGenerator(from: &reader!)
        } else {
            generator.save(to: &writer!)
        }
    }
}

/// A learner whose state is described once, for writing and reading.
package protocol CodedLearner: Learner {
    /// Writes or reads everything that the run needs to go on exactly, but for the environments' own state.
    func code(_ state: inout StateCoder) throws
}

extension CodedLearner {
    package func save(to writer: inout StateWriter) {
        // Only reading fails.
        StateCoder.write(to: &writer) { state in try! code(&state) }
    }

    package func restore(from reader: inout StateReader) throws {
        try StateCoder.read(from: &reader) { state in try code(&state) }
    }
}

extension StateReader {
    /// Reads a count that was written as 64 bits.
    mutating func readCount() throws -> Int { Int(clamping: try read(UInt64.self)) }
}
