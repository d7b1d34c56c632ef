import Charts
import Raster
import Testing

@Suite struct ChartTests {
    private func chart(_ series: [Series]) -> Chart {
        Chart(title: "Pendulum-v1", horizontal: "steps", vertical: "return", series: series)
    }

    private let rising = Series("one", of: [[(0, -1000), (50_000, -500), (100_000, 0)]])

    /// Runs log at different steps: between its own, a run is taken to go in a straight line, and only where all runs
    /// are known is there a mean.
    @Test func seedsAreAveragedWhereAllAreKnown() {
        let series = Series("two", of: [[(0, 0), (10, 10), (20, 20)], [(5, 1), (15, 3), (30, 6)], []])
        #expect(
            series.points.map { [$0.x, $0.mean, $0.low, $0.high] } == [
                [5, 3, 1, 5], [10, 6, 2, 10], [15, 9, 3, 15], [20, 12, 4, 20],
            ])
    }

    @Test func whatIsNotFiniteIsLeftOut() {
        let series = Series("one", of: [[(0, .nan), (1, 5), (2, .infinity), (3, 7)]])
        #expect(series.points.map(\.x) == [1, 3])
        #expect(Series("none", of: []).points.isEmpty)
    }

    @Test func axesHaveRoundMarks() {
        let svg = chart([rising]).svg()
        for label in ["-1000", "-800", "-200", "0", "20k", "100k"] {
            #expect(svg.contains(">\(label)</text>"), "no mark \(label)")
        }
        let millions = chart([Series("one", of: [[(0, 0.1), (3_000_000, 0.35)]])]).svg()
        for label in ["0.5M", "3.0M", "0.10", "0.35"] {
            #expect(millions.contains(">\(label)</text>"), "no mark \(label)")
        }
    }

    /// A single number, none at all: still axes, nothing that is not a number.
    @Test(arguments: [[], [(10.0, 5.0)], [(10.0, 5.0), (20.0, 5.0)], [(0.0, 1e300), (1.0, -1e300)]])
    func oddCurvesAreDrawn(curve: [(Double, Double)]) {
        let chart = chart([Series("odd", of: [curve.map { (x: $0.0, y: $0.1) }])])
        let svg = chart.svg()
        #expect(!svg.contains("nan") && !svg.contains("inf"))
        _ = chart.picture()
        _ = chart.text(columns: 80, rows: 12, isColored: true)
    }

    @Test func aPictureHasItsLines() {
        let picture = chart([rising, Series("two", of: [[(0, -900), (100_000, -900)]])]).picture()
        #expect(picture.width == Chart.defaultWidth && picture.height == Chart.defaultHeight)
        // Pixels close to the first two colours of the palette: lines are smooth, so that few have it exactly.
        func count(_ wanted: Color) -> Int {
            var count = 0
            for y in 0..<picture.height {
                for x in 0..<picture.width {
                    let color = picture[x, y]
                    let channels = [(color.red, wanted.red), (color.green, wanted.green), (color.blue, wanted.blue)]
                    if channels.allSatisfy({ abs(Int($0.0) - Int($0.1)) < 80 }) { count += 1 }
                }
            }
            return count
        }
        #expect(count(Color(31, 119, 180)) > 500 && count(Color(214, 39, 40)) > 500)
    }

    @Test func aBandIsBehindItsLine() {
        let both = Series("both", of: [[(0, 0), (10, 10)], [(0, 10), (10, 0)]])
        let picture = chart([both]).picture()
        // A quarter in from the left the band is half as high as at the edge; a fifth of blue on white.
        let tint = Color(210, 227, 240)
        let column = (0..<picture.height).filter { picture[84 + 772 / 8, $0] == tint }
        #expect(column.count > 200)
        #expect(chart([both]).svg().contains("fill-opacity"))
        #expect(!chart([rising]).svg().contains("fill-opacity"))
    }

    @Test func namesAreEscaped() {
        let svg = chart([Series("a<b>&c", of: [[(0, 0), (1, 1)]])]).svg()
        #expect(svg.contains("a&lt;b&gt;&amp;c"))
    }

    @Test func terminalsGetDots() {
        let lines = chart([rising]).text(columns: 60, rows: 10, isColored: false).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "Pendulum-v1")
        #expect(lines.allSatisfy { $0.count <= 60 })
        let plot = lines[1...10]
        #expect(plot.first!.last! >= "\u{2800}" && plot.first!.hasPrefix("    0 ┤"))
        #expect(plot.last!.hasPrefix("-1000 ┤"))
        #expect(lines.contains { $0.hasSuffix("100k") })
        #expect(lines.contains { $0.hasSuffix("━━ one") })
        #expect(!lines.joined().contains("\u{1B}"))
        #expect(chart([rising]).text(columns: 60, rows: 10, isColored: true).contains("\u{1B}[38;2;31;119;180m"))
    }
}
