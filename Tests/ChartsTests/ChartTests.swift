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

    @Test func aBandIsBehindItsLine() throws {
        let both = Series("both", of: [[(0, 0), (10, 10)], [(0, 10), (10, 0)]])
        let picture = chart([both]).picture()
        // A fifth of blue on white.
        let tint = Color(210, 227, 240)
        let tinted = (0..<picture.width).map { x in (0..<picture.height).count { picture[x, $0] == tint } }
        let columns = tinted.indices.filter { tinted[$0] > 0 }
        let (left, right) = (try #require(columns.first), try #require(columns.last))
        #expect(tinted[left + (right - left) / 8] > 200 && tinted[(left + right) / 2] > 200)
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

    /// Nothing that is written touches the picture's edge, or runs into what is next to it.
    @Test(arguments: [1.0, 100_000, 12_345_678]) func textStaysWithinThePicture(most: Double) {
        let chart = Chart(
            title: "Pendulum-v1", horizontal: "steps", vertical: "rollout/ep_rew_mean",
            series: [Series("one", of: [[(0, -1e7), (most, 1e7)]])])
        let picture = chart.picture(width: 600, height: 400)
        func isWhite(_ x: Int, _ y: Int) -> Bool { picture[x, y] == Color.white }
        for y in 0..<400 { #expect((0..<6).allSatisfy { isWhite($0, y) && isWhite(599 - $0, y) }) }
        for x in 0..<600 { #expect((0..<6).allSatisfy { isWhite(x, $0) && isWhite(x, 399 - $0) }) }
        // The upright name stands in a strip of its own, in the middle of the height.
        let inked = (0..<400).filter { y in (8..<23).contains { !isWhite($0, y) } }
        #expect(abs(Double(inked.first! + inked.last!) / 2 - 192) < 8 && inked.count > 80)
        #expect(chart.svg().contains("text-anchor=\"middle\" transform=\"rotate(-90 "))
    }

    /// Letters have all shades between paper and ink, and each its own shape.
    @Test func lettersAreSmooth() {
        func picture(_ title: String) -> Picture {
            Chart(title: title, horizontal: "", vertical: "", series: []).picture(width: 300, height: 300)
        }
        let text = picture("Seed")
        let shades = Set((0..<40).flatMap { y in (0..<300).map { text[$0, y].red } })
        #expect(shades.count > 20 && shades.contains(40))
        let letters = (33..<127).map { String(UnicodeScalar($0)) }
        let pictures = Set(letters.map { picture($0).bytes })
        #expect(pictures.count == letters.count)
    }

    /// In the terminal a band is a thin pattern around the line; a single run has none.
    @Test func terminalsShowBands() {
        func dots(_ series: Series) -> Int {
            chart([series]).text(columns: 60, rows: 10, isColored: false).unicodeScalars
                .filter { (0x2800...0x28FF).contains($0.value) }.reduce(0) { $0 + ($1.value - 0x2800).nonzeroBitCount }
        }
        let low: [(x: Double, y: Double)] = [(0, 0), (10, 0)], high: [(x: Double, y: Double)] = [(0, 10), (10, 10)]
        let alone = dots(Series("a", of: [low]))
        #expect(dots(Series("a", of: [low, high])) > 4 * alone)
    }
}
