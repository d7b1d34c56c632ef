public import Raster

extension Chart {
    /// The width that a picture has unless asked otherwise.
    public static let defaultWidth = 880
    /// The height that a picture has unless asked otherwise.
    public static let defaultHeight = 500

    static let gridColor = Color(gray: 225)
    static let textColor = Color(gray: 40)
    /// How much of a band's colour is its line's.
    static let bandShare = 0.2

    /// The chart as a picture.
    public func picture(width: Int = Chart.defaultWidth, height: Int = Chart.defaultHeight) -> Picture {
        var picture = Picture(width: width, height: height)
        picture.draw { draw(on: $0) }
        return picture
    }

    private func draw(on canvas: Canvas) {
        let frame = Frame(of: self, width: Double(canvas.width), height: Double(canvas.height))
        let (x, y) = (frame.x, frame.y)
        text(title, at: frame.title, .middle, on: canvas)
        text(horizontal, at: frame.horizontalName, .middle, on: canvas)
        text(vertical, at: frame.verticalName, .middle, isUpright: true, on: canvas)
        for mark in x.marks {
            let foot = frame.point(x.position(mark), 0)
            canvas.line(from: foot, to: frame.point(x.position(mark), 1), Chart.gridColor)
            text(x.label(mark), at: Point(foot.x, foot.y + Frame.markDrop), .middle, on: canvas)
        }
        for mark in y.marks {
            let foot = frame.point(0, y.position(mark))
            canvas.line(from: foot, to: frame.point(1, y.position(mark)), Chart.gridColor)
            text(
                y.label(mark), at: Point(foot.x - Frame.markGap, foot.y + Frame.letter / 2), .end, on: canvas)
        }
        for (index, series) in series.enumerated() {
            drawBand(series, Chart.color(index), frame, x, y, on: canvas)
        }
        for (index, series) in series.enumerated() {
            let line = series.points.map { frame.point(x.position($0.x), y.position($0.mean)) }
            canvas.polyline(line, width: 1.8, Chart.color(index))
        }
        canvas.line(from: frame.point(0, 0), to: frame.point(1, 0), Chart.textColor)
        canvas.line(from: frame.point(0, 0), to: frame.point(0, 1), Chart.textColor)
        drawLegend(frame, on: canvas)
    }

    /// A band, column by column.
    private func drawBand(
        _ series: Series, _ color: Color, _ frame: Frame, _ x: Axis, _ y: Axis, on canvas: Canvas
    ) {
        for (left, right) in zip(series.points, series.points.dropFirst()) {
            let first = frame.point(x.position(left.x), 0).x
            let last = frame.point(x.position(right.x), 0).x
            // Each column belongs to the stretch that its middle lies in.
            for column in Int(
                (first - 0.5).rounded(.up))..<max(
                    Int((first - 0.5).rounded(.up)), Int((last - 0.5).rounded(.up)))
            {
                let share = (Double(column) + 0.5 - first) / (last - first)
                let top = frame.point(0, y.position(left.high + (right.high - left.high) * share)).y
                let bottom = frame.point(0, y.position(left.low + (right.low - left.low) * share)).y
                for row in Int(top.rounded())..<max(Int(top.rounded()), Int(bottom.rounded())) {
                    guard let below = canvas[column, row] else { continue }
                    canvas.set(x: column, y: row, below.mixed(with: color, Chart.bandShare))
                }
            }
        }
    }

    private func drawLegend(_ frame: Frame, on canvas: Canvas) {
        let widest = series.map { StrokeFont.width(of: $0.label, size: Frame.letter) }.max() ?? 0
        let width = widest + 46
        let height = Double(series.count * 18 + 8)
        let corner = Point(frame.right - width - 8, frame.bottom - height - 8)
        canvas.fill(x: Int(corner.x), y: Int(corner.y), width: Int(width), height: Int(height), .white)
        for (index, series) in series.enumerated() {
            let line = corner.y + 13 + Double(index * 18)
            canvas.line(
                from: Point(corner.x + 6, line), to: Point(corner.x + 28, line), width: 2.5, Chart.color(index))
            text(series.label, at: Point(corner.x + 36, line + Frame.letter / 2), .start, on: canvas)
        }
    }

    private enum Anchor: Double { case start = 0, middle = 0.5, end = 1 }

    /// Text that has a place on its base line.
    private func text(
        _ text: String, at place: Point, _ anchor: Anchor, isUpright: Bool = false, on canvas: Canvas
    ) {
        let back = StrokeFont.width(of: text, size: Frame.letter) * anchor.rawValue
        StrokeFont.draw(
            text, at: isUpright ? Point(place.x, place.y + back) : Point(place.x - back, place.y), size: Frame.letter,
            isUpright: isUpright, Chart.textColor, on: canvas)
    }
}

extension Color {
    /// A share of another colour in this one.
    func mixed(with other: Color, _ share: Double) -> Color {
        func mix(_ below: UInt8, _ above: UInt8) -> UInt8 {
            UInt8(Double(below) + (Double(above) - Double(below)) * share)
        }
        return Color(mix(red, other.red), mix(green, other.green), mix(blue, other.blue))
    }
}
