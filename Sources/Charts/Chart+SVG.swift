import Raster

extension Chart {
    /// The chart as an SVG document.
    public func svg(width: Int = Chart.defaultWidth, height: Int = Chart.defaultHeight) -> String {
        let frame = Frame(of: self, width: Double(width), height: Double(height))
        let (x, y) = (frame.x, frame.y)
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(width) \(height)\" font-family=\"sans-serif\" "
                + "font-size=\"13\" fill=\"\(Chart.textColor.hexadecimal)\">",
            "<rect width=\"\(width)\" height=\"\(height)\" fill=\"white\"/>",
            text(title, at: frame.title, "middle"), text(horizontal, at: frame.horizontalName, "middle"),
            text(vertical, at: frame.verticalName, "middle", isUpright: true),
        ]
        for mark in x.marks {
            let foot = frame.point(x.position(mark), 0)
            parts.append(line([foot, frame.point(x.position(mark), 1)], Chart.gridColor, width: 1))
            parts.append(text(x.label(mark), at: Point(foot.x, foot.y + Frame.markDrop), "middle"))
        }
        for mark in y.marks {
            let foot = frame.point(0, y.position(mark))
            parts.append(line([foot, frame.point(1, y.position(mark))], Chart.gridColor, width: 1))
            parts.append(text(y.label(mark), at: Point(foot.x - Frame.markGap, foot.y + 4), "end"))
        }
        func place(_ point: Series.Point, _ value: Double) -> Point {
            frame.point(x.position(point.x), y.position(value))
        }
        for (index, series) in series.enumerated() where series.points.contains(where: { $0.low < $0.high }) {
            let edge = series.points.map { place($0, $0.high) } + series.points.reversed().map { place($0, $0.low) }
            parts.append(
                "<polygon points=\"\(list(edge))\" fill=\"\(Chart.color(index).hexadecimal)\" "
                    + "fill-opacity=\"\(Chart.bandShare)\"/>")
        }
        for (index, series) in series.enumerated() {
            parts.append(line(series.points.map { place($0, $0.mean) }, Chart.color(index), width: 1.8))
        }
        parts.append(line([frame.point(0, 1), frame.point(0, 0), frame.point(1, 0)], Chart.textColor, width: 1))
        for (index, series) in series.enumerated() {
            let row = frame.bottom - 14 - Double((self.series.count - 1 - index) * 18)
            parts.append(text(series.label, at: Point(frame.right - 40, row + 4), "end"))
            parts.append(
                line([Point(frame.right - 32, row), Point(frame.right - 10, row)], Chart.color(index), width: 2.5))
        }
        return parts.joined(separator: "\n") + "\n</svg>\n"
    }

    private func list(_ points: [Point]) -> String {
        points.map { fixed($0.x, decimals: 1) + "," + fixed($0.y, decimals: 1) }.joined(separator: " ")
    }

    private func line(_ points: [Point], _ color: Color, width: Double) -> String {
        "<polyline points=\"\(list(points))\" fill=\"none\" stroke=\"\(color.hexadecimal)\" stroke-width=\"\(width)\"/>"
    }

    private func text(_ text: String, at place: Point, _ anchor: String, isUpright: Bool = false) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.append(character)
            }
        }
        let (x, y) = (fixed(place.x, decimals: 1), fixed(place.y, decimals: 1))
        let turn = isUpright ? " transform=\"rotate(-90 \(x) \(y))\"" : ""
        return "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\"\(turn)>\(escaped)</text>"
    }
}

extension Color {
    /// `#1f77b4`.
    fileprivate var hexadecimal: String {
        "#" + [red, green, blue].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
