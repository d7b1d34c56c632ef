/// A picture that owns its memory: three bytes a pixel, from the top left.
public struct Picture: Hashable, Sendable {
    /// Pixels in a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// Red, green, blue of each pixel.
    public private(set) var bytes: [UInt8]

    /// A picture of one color.
    public init(width: Int, height: Int, _ color: Color = .white) {
        self.width = width
        self.height = height
        bytes = [UInt8](repeating: 0, count: width * height * 3)
        draw { $0.clear(color) }
    }

    /// A picture of the given bytes.
    ///
    /// - Precondition: there are `width * height * 3` of them.
    public init(width: Int, height: Int, bytes: [UInt8]) {
        precondition(bytes.count == width * height * 3, "a picture has three bytes a pixel")
        self.width = width
        self.height = height
        self.bytes = bytes
    }

    /// Draws into the picture.
    public mutating func draw(_ body: (Canvas) throws -> Void) rethrows {
        try bytes.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            try body(Canvas(base, width: width, height: height))
        }
    }

    /// The color of a pixel.
    ///
    /// - Precondition: the pixel is inside.
    public subscript(x: Int, y: Int) -> Color {
        precondition(x >= 0 && x < width && y >= 0 && y < height, "the pixel is outside")
        let start = (y * width + x) * 3
        return Color(bytes[start], bytes[start + 1], bytes[start + 2])
    }

    /// The picture in another size, each pixel a copy of the nearest one. A zero extent gives an empty picture.
    public func scaled(width newWidth: Int, height newHeight: Int) -> Picture {
        let newWidth = max(newWidth, 0)
        let newHeight = max(newHeight, 0)
        var scaled = [UInt8](repeating: 0, count: newWidth * newHeight * 3)
        guard width > 0, height > 0 else { return Picture(width: newWidth, height: newHeight, bytes: scaled) }
        for y in 0..<newHeight {
            let row = (2 * y + 1) * height / (2 * newHeight) * width
            for x in 0..<newWidth {
                let source = (row + (2 * x + 1) * width / (2 * newWidth)) * 3
                let target = (y * newWidth + x) * 3
                for channel in 0..<3 { scaled[target + channel] = bytes[source + channel] }
            }
        }
        return Picture(width: newWidth, height: newHeight, bytes: scaled)
    }

    /// The picture in a size no larger than its own, each pixel the mean of the area it covers.
    public func shrunk(width newWidth: Int, height newHeight: Int) -> Picture {
        guard newWidth > 0, newHeight > 0, newWidth <= width, newHeight <= height else {
            return scaled(width: newWidth, height: newHeight)
        }
        let resize = AreaResize(from: (width, height), to: (newWidth, newHeight), channels: 3)
        var shrunk = [UInt8](repeating: 0, count: newWidth * newHeight * 3)
        bytes.withUnsafeBufferPointer { source in
            shrunk.withUnsafeMutableBufferPointer { target in
                resize.apply(source.baseAddress!, into: target.baseAddress!)
            }
        }
        return Picture(width: newWidth, height: newHeight, bytes: shrunk)
    }

    /// The picture at most so wide, in its proportions.
    public func shrunk(toWidth limit: Int) -> Picture {
        guard limit > 0, limit < width else { return self }
        return shrunk(width: limit, height: max(height * limit / width, 1))
    }
}
