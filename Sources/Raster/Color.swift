/// A color of three 8-bit channels. On a canvas of one channel only `red` counts, as the gray level.
public struct Color: Hashable, Sendable {
    /// Red, 0 to 255.
    public var red: UInt8
    /// Green, 0 to 255.
    public var green: UInt8
    /// Blue, 0 to 255.
    public var blue: UInt8

    /// A color of the given channels.
    @inlinable
    public init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
        self.red = red
        self.green = green
        self.blue = blue
    }

    /// A gray.
    @inlinable
    public init(gray: UInt8) { self.init(gray, gray, gray) }

    /// (0, 0, 0).
    public static let black = Color(gray: 0)
    /// (255, 255, 255).
    public static let white = Color(gray: 255)
}

/// A place on a canvas, in pixels from the top left corner; pixel (i, j) covers x from i to i + 1, y from j to j + 1.
public struct Point: Hashable, Sendable {
    /// To the right.
    public var x: Double
    /// Downwards.
    public var y: Double

    /// A point at the given place.
    @inlinable
    public init(_ x: Double, _ y: Double) {
        self.x = x
        self.y = y
    }

    @usableFromInline var isFinite: Bool { x.isFinite && y.isFinite }
}
