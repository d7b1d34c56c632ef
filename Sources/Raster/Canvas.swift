/// Picture memory that belongs to the caller, and drawing into it.
///
/// Rows lie from the top, pixels from the left, `channels` bytes a pixel: 3 (red, green, blue) or 1 (gray). Whatever
/// lies outside is clipped; coordinates that are not finite draw nothing. No call allocates on the heap.
public struct Canvas {
    /// Pixels in a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// Bytes in a pixel, 1 or 3.
    public let channels: Int
    /// The first byte of the top left pixel.
    public let pixels: UnsafeMutablePointer<UInt8>

    /// A canvas over the caller's memory, which has to outlive it.
    ///
    /// - Precondition: `channels` is 1 or 3 and `pixels` points to `width * height * channels` bytes.
    @inlinable
    public init(_ pixels: UnsafeMutablePointer<UInt8>, width: Int, height: Int, channels: Int = 3) {
        precondition(channels == 1 || channels == 3, "a canvas has 1 or 3 channels")
        precondition(width >= 0 && height >= 0, "a canvas has no negative extent")
        self.pixels = pixels
        self.width = width
        self.height = height
        self.channels = channels
    }

    /// The color of a pixel; `nil` outside.
    public subscript(x: Int, y: Int) -> Color? {
        guard x >= 0, x < width, y >= 0, y < height else { return nil }
        let pixel = pixels + (y * width + x) * channels
        return channels == 1 ? Color(gray: pixel[0]) : Color(pixel[0], pixel[1], pixel[2])
    }

    // MARK: Filling

    /// Fills everything.
    public func clear(_ color: Color) {
        fill(x: 0, y: 0, width: width, height: height, color)
    }

    /// Fills the rectangle of whole pixels with the given top left corner. A zero or negative extent fills nothing.
    public func fill(x: Int, y: Int, width: Int, height: Int, _ color: Color) {
        guard width > 0, height > 0 else { return }
        let left = max(x, 0)
        let right = min(x.addingClipped(width), self.width)
        let top = max(y, 0)
        let bottom = min(y.addingClipped(height), self.height)
        guard left < right, top < bottom else { return }
        let rowBytes = self.width * channels
        let first = pixels + top * rowBytes + left * channels
        fillSpan(first, count: right - left, color)
        let spanBytes = (right - left) * channels
        var row = first + rowBytes
        for _ in (top + 1)..<max(bottom, top + 1) {
            row.update(from: first, count: spanBytes)
            row += rowBytes
        }
    }

    /// Fills pixels `left..<right` of a row; both may lie outside.
    func fillRow(_ y: Int, from left: Int, to right: Int, _ color: Color) {
        let left = max(left, 0)
        let right = min(right, width)
        guard y >= 0, y < height, left < right else { return }
        fillSpan(pixels + (y * width + left) * channels, count: right - left, color)
    }

    /// Fills `count` pixels from `start` on: the first by hand, the rest by copies that double each time.
    private func fillSpan(_ start: UnsafeMutablePointer<UInt8>, count: Int, _ color: Color) {
        if channels == 1 {
            start.update(repeating: color.red, count: count)
            return
        }
        start[0] = color.red
        start[1] = color.green
        start[2] = color.blue
        let total = count * 3
        var filled = 3
        while filled < total {
            let next = min(filled, total - filled)
            (start + filled).update(from: start, count: next)
            filled += next
        }
    }

    // MARK: Blending

    /// Sets a pixel; outside, nothing happens.
    @inlinable
    public func set(x: Int, y: Int, _ color: Color) {
        guard x >= 0, x < width, y >= 0, y < height else { return }
        let pixel = pixels + (y * width + x) * channels
        pixel[0] = color.red
        if channels == 3 {
            pixel[1] = color.green
            pixel[2] = color.blue
        }
    }

    /// Mixes a color into a pixel: `coverage` 0 leaves the pixel as it is, 1 replaces it.
    ///
    /// - Precondition: the pixel is inside.
    func blend(x: Int, y: Int, _ color: Color, coverage: Float) {
        let pixel = pixels + (y * width + x) * channels
        pixel[0] = mix(pixel[0], color.red, coverage)
        if channels == 3 {
            pixel[1] = mix(pixel[1], color.green, coverage)
            pixel[2] = mix(pixel[2], color.blue, coverage)
        }
    }

    private func mix(_ below: UInt8, _ above: UInt8, _ coverage: Float) -> UInt8 {
        let share = min(max(coverage, 0), 1)
        return UInt8(Float(below) + (Float(above) - Float(below)) * share + 0.5)
    }
}

extension Int {
    /// The sum, or the largest or smallest integer where it would overflow.
    func addingClipped(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }

    /// The nearest integer towards minus infinity, held between two bounds, for coordinates of any size.
    init(floor value: Double, in bounds: ClosedRange<Int>) {
        let clamped = Swift.min(Swift.max(value, Double(bounds.lowerBound)), Double(bounds.upperBound))
        self = Int(clamped.rounded(.down))
    }
}
