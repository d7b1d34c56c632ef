import Raster

/// A line of a chart, with the band that the runs it stands for lie in.
public struct Series: Sendable {
    /// A place on the line.
    public struct Point: Sendable, Hashable {
        /// Where on the horizontal axis.
        public var x: Double
        /// The line.
        public var mean: Double
        /// The band's lower edge.
        public var low: Double
        /// The band's upper edge.
        public var high: Double
    }

    /// What the legend says.
    public var label: String
    /// From left to right; finite.
    public var points: [Point]

    /// The mean of several curves, between the lowest and the highest of them, where all of them are known.
    ///
    /// - Parameter curves: points from left to right; values that are not finite are left out. Curves without points do
    ///   not count.
    public init(_ label: String, of curves: [[(x: Double, y: Double)]]) {
        self.label = label
        let curves = curves.map { $0.filter { $0.x.isFinite && $0.y.isFinite } }.filter { !$0.isEmpty }
        guard let start = curves.map(\.[0].x).max(), let end = curves.map({ $0[$0.count - 1].x }).min() else {
            points = []
            return
        }
        let places = Set(curves.flatMap { $0.map(\.x) }).filter { $0 >= start && $0 <= end }.sorted()
        var cursors = [Int](repeating: 0, count: curves.count)
        points = places.map { x in
            let values = curves.indices.map { curve in
                let points = curves[curve]
                while cursors[curve] + 1 < points.count, points[cursors[curve] + 1].x <= x { cursors[curve] += 1 }
                let left = points[cursors[curve]]
                guard left.x < x, cursors[curve] + 1 < points.count else { return left.y }
                let right = points[cursors[curve] + 1]
                return left.y + (right.y - left.y) * (x - left.x) / (right.x - left.x)
            }
            return Point(
                x: x, mean: values.reduce(0, +) / Double(values.count), low: values.min()!, high: values.max()!)
        }
    }
}

/// Lines with bands over two axes.
public struct Chart: Sendable {
    /// What stands above.
    public var title: String
    /// What the horizontal axis shows.
    public var horizontal: String
    /// What the vertical axis shows.
    public var vertical: String
    /// The lines.
    public var series: [Series]

    /// A chart of the given lines.
    public init(title: String, horizontal: String, vertical: String, series: [Series]) {
        self.title = title
        self.horizontal = horizontal
        self.vertical = vertical
        self.series = series
    }

    /// Colours of lines, in turn: far from each other also for most who see few colours.
    static let palette = [
        Color(31, 119, 180), Color(214, 39, 40), Color(44, 160, 44), Color(255, 127, 14), Color(148, 103, 189),
        Color(23, 190, 207), Color(140, 86, 75), Color(60, 60, 60),
    ]

    static func color(_ index: Int) -> Color { palette[index % palette.count] }

    /// What the axes have to hold.
    var extent: (x: Axis, y: Axis) {
        let points = series.flatMap(\.points)
        return (
            Axis(of: points.lazy.map { ($0.x, $0.x) }, isTight: true),
            Axis(of: points.lazy.map { ($0.low, $0.high) }, isTight: false)
        )
    }
}

/// A stretch of numbers with marks at round ones.
struct Axis {
    private(set) var low: Double
    private(set) var high: Double
    /// Between marks: 1, 2 or 5 times a power of ten.
    let step: Double

    /// An axis that holds all the intervals.
    ///
    /// - Parameter isTight: whether it ends where they do; else at marks.
    init(of intervals: some Sequence<(Double, Double)>, isTight: Bool) {
        var (low, high) = (Double.infinity, -Double.infinity)
        for (lower, upper) in intervals { (low, high) = (min(low, lower), max(high, upper)) }
        if low > high { (low, high) = (0, 1) }
        // One number alone is given room on both sides.
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300) {
            let room = max(abs(low) / 10, 0.5)
            (low, high) = (low - room, high + room)
        }
        // Five or so marks.
        let raw = (high - low) / 5
        let power = Axis.power(of: raw)
        step = (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10) * power
        self.low = isTight ? low : (low / step).rounded(.down) * step
        self.high = isTight ? high : (high / step).rounded(.up) * step
    }

    /// The largest power of ten that is not above a number.
    private static func power(of number: Double) -> Double {
        var power = 1.0
        while power > number { power /= 10 }
        while power * 10 <= number { power *= 10 }
        return power
    }

    /// The round numbers within.
    var marks: [Double] {
        let first = (low / step - 1e-9).rounded(.up)
        let last = (high / step + 1e-9).rounded(.down)
        return first <= last ? (0...Int(last - first)).map { (first + Double($0)) * step } : []
    }

    /// Where a number lies: 0 at the low end, 1 at the high one.
    func position(_ value: Double) -> Double { (value - low) / (high - low) }

    /// A mark as text: `-0.5`, `200k`, `1.5M`.
    func label(_ value: Double) -> String {
        let (scale, unit) =
            max(abs(low), abs(high)) >= 2e6 ? (1e6, "M") : max(abs(low), abs(high)) >= 1e4 ? (1e3, "k") : (1.0, "")
        // A sum of steps may miss zero by a rounding error.
        let scaled = abs(value) < step / 1000 ? 0 : value / scale
        var decimals = 0
        var rest = step / scale
        while decimals < 6, abs(rest - rest.rounded()) > 1e-6 * rest {
            rest *= 10
            decimals += 1
        }
        return scaled == 0 ? "0" : fixed(scaled, decimals: decimals) + unit
    }
}

/// A number with so many digits after the point.
func fixed(_ value: Double, decimals: Int) -> String {
    var power = 1.0
    for _ in 0..<decimals { power *= 10 }
    guard abs(value) * power < 1e15 else { return "\(value)" }
    let whole = Int((abs(value) * power).rounded())
    let sign = value < 0 && whole > 0 ? "-" : ""
    if decimals == 0 { return sign + String(whole) }
    let fraction = String(whole % Int(power))
    return sign + String(whole / Int(power)) + "." + String(repeating: "0", count: decimals - fraction.count) + fraction
}
