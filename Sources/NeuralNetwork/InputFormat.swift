/// How the rows lie in memory that a network takes in.
public struct InputFormat: Sendable, Hashable {
    /// The type of an element.
    public enum Element: Sendable, Hashable {
        case float32
        case uint8
        case int8

        /// The bytes of an element.
        public var size: Int { self == .float32 ? 4 : 1 }
    }

    /// The type of an element.
    public let element: Element
    /// The elements of a row.
    public let count: Int
    /// What an element is multiplied by before it enters the network: 1/255 for the bytes of a picture.
    public let scale: Float
    /// The bytes of a row.
    public var rowBytes: Int { count * element.size }

    /// Rows of `count` elements.
    public init(_ element: Element, count: Int, scale: Float = 1) {
        self.element = element
        self.count = count
        self.scale = scale
    }

    /// Writes a row as floats, scaled.
    @inline(__always)
    func read(_ row: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>) {
        switch element {
        case .float32:
            let source = row.assumingMemoryBound(to: Float.self)
            if scale == 1 {
                target.update(from: source, count: count)
            } else {
                for index in 0..<count { target[index] = source[index] * scale }
            }
        case .uint8:
            let source = row.assumingMemoryBound(to: UInt8.self)
            for index in 0..<count { target[index] = Float(source[index]) * scale }
        case .int8:
            let source = row.assumingMemoryBound(to: Int8.self)
            for index in 0..<count { target[index] = Float(source[index]) * scale }
        }
    }
}

/// What the first layer of a network reads.
enum InputRows {
    /// (rows, inputs), the rows so many floats apart.
    case dense(UnsafePointer<Float>, stride: Int)
    /// Those elements of the rows that are not 0.
    case sparse(SparseRows)
}
