extension Canvas {
    /// Lines sampled in a pixel's height for antialiasing. More is smoother and slower; along a line coverage is exact.
    private static let sublines = 4

    /// Fills a simple polygon, convex or not, by the even-odd rule.
    ///
    /// Antialiased, a pixel takes the share of the color that the polygon covers of it. Otherwise a pixel is filled
    /// when its center is inside. Fewer than three corners, or corners on one line, fill nothing.
    public func fillPolygon(_ corners: [Point], _ color: Color, antialiased: Bool = true) {
        corners.withUnsafeBufferPointer { fillPolygon($0, color, antialiased: antialiased) }
    }

    func fillPolygon(_ corners: UnsafeBufferPointer<Point>, _ color: Color, antialiased: Bool) {
        guard corners.count >= 3, corners.allSatisfy(\.isFinite), width > 0 else { return }
        var low = Double.infinity
        var high = -Double.infinity
        for corner in corners {
            low = min(low, corner.y)
            high = max(high, corner.y)
        }
        let top = Int(floor: low, in: 0...height)
        let bottom = Int(floor: high.rounded(.up), in: 0...height)
        guard top < bottom else { return }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: corners.count) { crossings in
            if antialiased {
                withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { coverage in
                    for y in top..<bottom { fillRow(y, of: corners, color, crossings, coverage) }
                }
            } else {
                for y in top..<bottom {
                    let count = cross(corners, at: Double(y) + 0.5, into: crossings)
                    for pair in stride(from: 0, to: count - 1, by: 2) {
                        // Centers lie at i + 0.5.
                        let left = Int(floor: (crossings[pair] - 0.5).rounded(.up), in: 0...width)
                        let right = Int(floor: (crossings[pair + 1] - 0.5).rounded(.up), in: 0...width)
                        fillRow(y, from: left, to: right, color)
                    }
                }
            }
        }
    }

    /// Fills one row of an antialiased polygon: sums up each pixel's coverage over the sublines, then blends.
    private func fillRow(
        _ y: Int, of corners: UnsafeBufferPointer<Point>, _ color: Color,
        _ crossings: UnsafeMutableBufferPointer<Double>, _ coverage: UnsafeMutableBufferPointer<Float>
    ) {
        coverage.update(repeating: 0)
        let share = 1 / Float(Canvas.sublines)
        var first = width
        var last = -1
        for subline in 0..<Canvas.sublines {
            let level = Double(y) + (Double(subline) + 0.5) / Double(Canvas.sublines)
            let count = cross(corners, at: level, into: crossings)
            for pair in stride(from: 0, to: count - 1, by: 2) {
                let left = min(max(crossings[pair], 0), Double(width))
                let right = min(max(crossings[pair + 1], 0), Double(width))
                guard left < right else { continue }
                let start = Int(left)
                let end = min(Int(right), width - 1)
                first = min(first, start)
                last = max(last, end)
                if start == end {
                    coverage[start] += Float(right - left) * share
                } else {
                    coverage[start] += Float(Double(start + 1) - left) * share
                    for x in (start + 1)..<max(end, start + 1) { coverage[x] += share }
                    coverage[end] += Float(right - Double(end)) * share
                }
            }
        }
        guard first <= last else { return }
        var x = first
        while x <= last {
            if coverage[x] >= 0.999 {
                var end = x + 1
                while end <= last && coverage[end] >= 0.999 { end += 1 }
                fillRow(y, from: x, to: end, color)
                x = end
            } else {
                if coverage[x] > 0 { blend(x: x, y: y, color, coverage: coverage[x]) }
                x += 1
            }
        }
    }

    /// Where the polygon's edges cross a horizontal line, in order; always an even number.
    private func cross(
        _ corners: UnsafeBufferPointer<Point>, at level: Double, into crossings: UnsafeMutableBufferPointer<Double>
    ) -> Int {
        var count = 0
        var from = corners[corners.count - 1]
        for to in corners {
            // Half open, so that a corner on the line counts once.
            if (from.y <= level) != (to.y <= level) {
                let x = from.x + (level - from.y) / (to.y - from.y) * (to.x - from.x)
                var place = count
                while place > 0 && crossings[place - 1] > x {
                    crossings[place] = crossings[place - 1]
                    place -= 1
                }
                crossings[place] = x
                count += 1
            }
            from = to
        }
        return count
    }

    /// Fills a rectangle whose edges need not lie between pixels; antialiased.
    public func fillRectangle(left: Double, top: Double, right: Double, bottom: Double, _ color: Color) {
        let corners: InlineArray<4, Point> = [
            Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom),
        ]
        corners.span.withUnsafeBufferPointer { fillPolygon($0, color, antialiased: true) }
    }
}
