extension Canvas {
    /// Draws a line of the given width between two points, with square ends at the points.
    ///
    /// Antialiased unless asked otherwise; a line that is not is one pixel wide whatever `width` says. A zero or
    /// negative width, or equal points, draw nothing when antialiased.
    public func line(from start: Point, to end: Point, width: Double = 1, _ color: Color, antialiased: Bool = true) {
        guard start.isFinite, end.isFinite else { return }
        guard antialiased else {
            thinLine(from: start, to: end, color)
            return
        }
        let length = ((end.x - start.x) * (end.x - start.x) + (end.y - start.y) * (end.y - start.y)).squareRoot()
        guard length > 0, width > 0, length.isFinite else { return }
        let across = Point(
            (end.y - start.y) / length * width / 2, -(end.x - start.x) / length * width / 2)
        let corners: InlineArray<4, Point> = [
            Point(start.x + across.x, start.y + across.y), Point(end.x + across.x, end.y + across.y),
            Point(end.x - across.x, end.y - across.y), Point(start.x - across.x, start.y - across.y),
        ]
        corners.span.withUnsafeBufferPointer { fillPolygon($0, color, antialiased: true) }
    }

    /// Draws lines from each point to the next.
    public func polyline(_ points: [Point], width: Double = 1, _ color: Color, antialiased: Bool = true) {
        for (start, end) in zip(points, points.dropFirst()) {
            line(from: start, to: end, width: width, color, antialiased: antialiased)
        }
    }

    /// One pixel in each column, or in each row where the line is steep. Only the visible part is walked.
    private func thinLine(from start: Point, to end: Point, _ color: Color) {
        let steep = abs(end.y - start.y) > abs(end.x - start.x)
        let (a, b) = steep ? (start.y, end.y) : (start.x, end.x)
        let (across0, across1) = steep ? (start.x, end.x) : (start.y, end.y)
        let extent = steep ? height : width
        let low = Int(floor: min(a, b), in: -1...extent)
        let high = Int(floor: max(a, b), in: -1...extent)
        guard low <= high else { return }
        for main in max(low, 0)...max(high, 0) {
            let center = min(max(Double(main) + 0.5, min(a, b)), max(a, b))
            let fraction = b == a ? 0 : (center - a) / (b - a)
            let across = Int(floor: across0 + fraction * (across1 - across0), in: -1...(steep ? width : height))
            if main > high || main < low { continue }
            if steep {
                set(x: across, y: main, color)
            } else {
                set(x: main, y: across, color)
            }
        }
    }

    /// Fills a circle. Antialiased, the rim is blended by how far a pixel's center is inside; otherwise a pixel is
    /// filled when its center is inside. A zero or negative radius fills nothing.
    public func fillCircle(center: Point, radius: Double, _ color: Color, antialiased: Bool = true) {
        guard center.isFinite, radius.isFinite, radius > 0 else { return }
        let rim = antialiased ? 0.5 : 0
        let outer = radius + rim
        let inner = max(radius - rim, 0)
        let top = Int(floor: center.y - outer, in: 0...height)
        let bottom = Int(floor: (center.y + outer).rounded(.up), in: 0...height)
        guard top < bottom else { return }
        for y in top..<bottom {
            let down = Double(y) + 0.5 - center.y
            let reach = outer * outer - down * down
            guard reach > 0 else { continue }
            let left = Int(floor: (center.x - reach.squareRoot() - 0.5).rounded(.up), in: 0...width)
            let right = Int(floor: (center.x + reach.squareRoot() - 0.5).rounded(.up), in: 0...width)
            guard left < right else { continue }
            guard antialiased else {
                fillRow(y, from: left, to: right, color)
                continue
            }
            let solid = inner * inner - down * down
            let solidReach = solid > 0 ? solid.squareRoot() : 0
            let solidLeft = Int(floor: (center.x - solidReach - 0.5).rounded(.up), in: left...right)
            let solidRight = Int(floor: (center.x + solidReach - 0.5).rounded(.up), in: solidLeft...right)
            for x in left..<solidLeft { blendRim(x, y, center, outer, color) }
            fillRow(y, from: solidLeft, to: solidRight, color)
            for x in solidRight..<right { blendRim(x, y, center, outer, color) }
        }
    }

    private func blendRim(_ x: Int, _ y: Int, _ center: Point, _ outer: Double, _ color: Color) {
        let right = Double(x) + 0.5 - center.x
        let down = Double(y) + 0.5 - center.y
        let distance = (right * right + down * down).squareRoot()
        blend(x: x, y: y, color, coverage: Float(min(max(outer - distance, 0), 1)))
    }
}
