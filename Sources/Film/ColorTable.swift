import Raster

/// At most 256 colors for a picture: its own when there are so few, otherwise their best approximation.
struct ColorTable {
    private(set) var palette: [Color] = []
    private var places: [UInt32: UInt8] = [:]

    /// Bits that number every color of the palette, from 1 to 8.
    var bits: Int {
        var bits = 1
        while 1 << bits < palette.count { bits += 1 }
        return bits
    }

    /// Finds a palette for a part of a picture, and each pixel's place in it.
    mutating func index(_ picture: Picture, x: Int, y: Int, width: Int, height: Int) -> [UInt8] {
        palette.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        let pixels = ColorTable.pixels(picture, x: x, y: y, width: width, height: height)
        var counts: [UInt32: Int] = [:]
        var run: UInt32?
        for pixel in pixels where pixel != run {
            // Runs of one color count once: what matters is that it occurs.
            counts[pixel, default: 0] += 1
            run = pixel
        }
        if counts.count <= 256 {
            for pixel in counts.keys.sorted() {
                places[pixel] = UInt8(palette.count)
                palette.append(Color(packed: pixel))
            }
        } else {
            reduce(counts)
        }
        var indices: [UInt8] = []
        indices.reserveCapacity(pixels.count)
        var last: (pixel: UInt32, place: UInt8)?
        for pixel in pixels {
            if let last, last.pixel == pixel {
                indices.append(last.place)
            } else {
                let place = places[pixel]!
                indices.append(place)
                last = (pixel, place)
            }
        }
        return indices
    }

    /// Median cut: the box of colors with the widest channel is split at the middle of its pixels, until there are 256
    /// boxes; each gives its mean. Source: P. Heckbert, "Color image quantization for frame buffer display" (1982).
    private mutating func reduce(_ counts: [UInt32: Int]) {
        typealias Entry = (pixel: UInt32, count: Int)
        var boxes: [[Entry]] = [counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }]
        func channel(_ pixel: UInt32, _ index: Int) -> Int { Int(pixel >> (16 - 8 * index)) & 0xFF }
        func widest(_ box: [Entry]) -> (channel: Int, range: Int) {
            (0..<3).map { index in
                let values = box.map { channel($0.pixel, index) }
                return (index, values.max()! - values.min()!)
            }.max { $0.1 < $1.1 }!
        }
        var ranges = boxes.map(widest)
        while boxes.count < 256 {
            guard let chosen = ranges.indices.max(by: { ranges[$0].range < ranges[$1].range }),
                ranges[chosen].range > 0
            else { break }
            let axis = ranges[chosen].channel
            let box = boxes[chosen].sorted {
                (channel($0.pixel, axis), $0.pixel) < (channel($1.pixel, axis), $1.pixel)
            }
            let half = box.reduce(0) { $0 + $1.count } / 2
            var sum = 0
            var split = 0
            while split < box.count - 1 && (split == 0 || sum + box[split].count <= half) {
                sum += box[split].count
                split += 1
            }
            boxes[chosen] = Array(box[..<split])
            boxes.append(Array(box[split...]))
            ranges[chosen] = widest(boxes[chosen])
            ranges.append(widest(boxes[boxes.count - 1]))
        }
        for box in boxes {
            let total = box.reduce(0) { $0 + $1.count }
            func mean(_ index: Int) -> UInt8 {
                UInt8((box.reduce(0) { $0 + channel($1.pixel, index) * $1.count } + total / 2) / total)
            }
            for entry in box { places[entry.pixel] = UInt8(palette.count) }
            palette.append(Color(mean(0), mean(1), mean(2)))
        }
    }

    private static func pixels(_ picture: Picture, x: Int, y: Int, width: Int, height: Int) -> [UInt32] {
        var pixels: [UInt32] = []
        pixels.reserveCapacity(width * height)
        picture.bytes.withUnsafeBufferPointer { bytes in
            for row in y..<y + height {
                for column in x..<x + width {
                    let start = (row * picture.width + column) * 3
                    pixels.append(
                        UInt32(bytes[start]) << 16 | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2]))
                }
            }
        }
        return pixels
    }
}

extension Color {
    fileprivate init(packed: UInt32) {
        self.init(
            UInt8(truncatingIfNeeded: packed >> 16), UInt8(truncatingIfNeeded: packed >> 8),
            UInt8(truncatingIfNeeded: packed))
    }
}
