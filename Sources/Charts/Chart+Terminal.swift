import Raster

extension Chart {
    /// The chart as text: each character shows two by four points.
    ///
    /// - Parameters:
    ///   - columns: the most characters in a line.
    ///   - rows: lines of the plot itself; title, axis and legend come on top.
    ///   - isColored: whether lines are told apart by 24-bit colours; else all look the same.
    public func text(columns: Int, rows: Int, isColored: Bool) -> String {
        let (x, y) = extent
        let marks = y.marks.map { (value: $0, label: y.label($0)) }
        let margin = (marks.map { $0.label.count }.max() ?? 0) + 1
        let width = max(10, columns - margin - 1)
        let rows = max(4, rows)
        var grid = DotGrid(columns: width, rows: rows)
        for (index, series) in series.enumerated() {
            for (left, right) in zip(series.points, series.points.dropFirst()) {
                grid.fill(
                    x.position(left.x)...x.position(right.x),
                    from: (y.position(left.low), y.position(left.high)),
                    to: (y.position(right.low), y.position(right.high)), owner: index)
            }
        }
        for (index, series) in series.enumerated() {
            let dots = series.points.map { grid.dot(x.position($0.x), y.position($0.mean)) }
            for (from, to) in zip(dots, dots.dropFirst()) { grid.line(from: from, to: to, owner: index) }
            if dots.count == 1 { grid.line(from: dots[0], to: dots[0], owner: index) }
        }
        var lines = [title]
        for row in 0..<rows {
            let label =
                marks.first { grid.dot(0, y.position($0.value)).y / 4 == row }?.label ?? ""
            lines.append(
                String(repeating: " ", count: margin - 1 - min(label.count, margin - 1)) + label + " "
                    + (label.isEmpty ? "│" : "┤") + grid.text(row: row, isColored: isColored))
        }
        lines.append(String(repeating: " ", count: margin) + "└" + String(repeating: "─", count: width))
        lines.append(axisLabels(x, width: width, margin: margin))
        lines.append(String(repeating: " ", count: margin + 1) + horizontal)
        for (index, series) in series.enumerated() {
            lines.append(
                String(repeating: " ", count: margin + 1) + DotGrid.colored("━━", isColored ? Chart.color(index) : nil)
                    + " " + series.label)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The horizontal axis's numbers, each with its last digit under its mark, where there is room.
    private func axisLabels(_ x: Axis, width: Int, margin: Int) -> String {
        var line = String(repeating: " ", count: margin + 1)
        for mark in x.marks {
            let label = x.label(mark)
            let start = margin + 1 + Int(x.position(mark) * Double(width - 1)) - label.count + 1
            guard start > line.count || line.allSatisfy({ $0 == " " }) else { continue }
            line += String(repeating: " ", count: max(0, start - line.count)) + label
        }
        return line
    }
}

/// Points two by four to a character.
private struct DotGrid {
    let columns: Int
    let rows: Int
    private var bits: [UInt8]
    private var owners: [Int]

    init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
        bits = [UInt8](repeating: 0, count: columns * rows)
        owners = [Int](repeating: 0, count: columns * rows)
    }

    /// The point at a place, 0 to 1 from the left and from below.
    func dot(_ x: Double, _ y: Double) -> (x: Int, y: Int) {
        (
            min(max(Int(x * Double(2 * columns - 1) + 0.5), 0), 2 * columns - 1),
            min(max(Int((1 - y) * Double(4 * rows - 1) + 0.5), 0), 4 * rows - 1)
        )
    }

    mutating func line(from: (x: Int, y: Int), to: (x: Int, y: Int), owner: Int) {
        let steps = max(abs(to.x - from.x), abs(to.y - from.y))
        for step in 0...max(steps, 1) {
            let share = steps == 0 ? 0 : Double(step) / Double(steps)
            set(
                from.x + Int((Double(to.x - from.x) * share).rounded()),
                from.y + Int((Double(to.y - from.y) * share).rounded()), owner: owner)
            if steps == 0 { return }
        }
    }

    /// Fills a band between two places with every fourth point, so that lines stand out from it.
    mutating func fill(
        _ range: ClosedRange<Double>, from: (low: Double, high: Double), to: (low: Double, high: Double), owner: Int
    ) {
        let (first, last) = (dot(range.lowerBound, 0).x, dot(range.upperBound, 0).x)
        for column in first...last where column % 2 == 0 {
            let share = last > first ? Double(column - first) / Double(last - first) : 0
            let low = from.low + (to.low - from.low) * share
            let high = from.high + (to.high - from.high) * share
            // A single run has no band.
            guard high > low else { continue }
            let (top, bottom) = (dot(0, high).y, dot(0, low).y)
            for row in top...bottom where row % 2 == 0 { set(column, row, owner: owner) }
        }
    }

    /// Braille's bits: three rows of two, then a fourth.
    private static let masks: [UInt8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80]

    private mutating func set(_ x: Int, _ y: Int, owner: Int) {
        let cell = y / 4 * columns + x / 2
        bits[cell] |= DotGrid.masks[y % 4 * 2 + x % 2]
        owners[cell] = owner
    }

    func text(row: Int, isColored: Bool) -> String {
        var text = ""
        for cell in row * columns..<(row + 1) * columns {
            if bits[cell] == 0 {
                text += " "
            } else {
                let character = String(UnicodeScalar(0x2800 + UInt32(bits[cell]))!)
                text += DotGrid.colored(character, isColored ? Chart.color(owners[cell]) : nil)
            }
        }
        return text
    }

    static func colored(_ text: String, _ color: Color?) -> String {
        guard let color else { return text }
        return "\u{1B}[38;2;\(color.red);\(color.green);\(color.blue)m\(text)\u{1B}[0m"
    }
}
