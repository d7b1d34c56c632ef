import Raster

/// Where the parts of a drawn chart lie, in pixels or their like.
struct Frame {
    let width: Double
    let height: Double
    let x: Axis
    let y: Axis
    /// Of the plot itself.
    let left: Double
    let right: Double
    let top = 40.0
    var bottom: Double { height - 56 }

    /// The height of a capital letter.
    static let letter = 9.5
    /// From the plot down to the base line of a number on the horizontal axis.
    static let markDrop = 18.0
    /// Between a number on the vertical axis and the plot.
    static let markGap = 8.0
    /// Between the picture's edge and whatever is next to it.
    private static let margin = 10.0

    init(of chart: Chart, width: Double, height: Double) {
        self.width = width
        self.height = height
        (x, y) = chart.extent
        func extent(_ mark: Double, of axis: Axis) -> Double {
            StrokeFont.width(of: axis.label(mark), size: Frame.letter)
        }
        let (x, y) = (x, y)
        let numbers = y.marks.map { extent($0, of: y) }.max() ?? 0
        left = Frame.margin + 2 * Frame.letter + numbers + Frame.markGap
        // The last number on the horizontal axis is to stay within the picture, wherever on the axis it stands.
        let beyond = x.marks.last.map { extent($0, of: x) / 2 } ?? 0
        right = width - max(24, Frame.margin + beyond)
    }

    func point(_ x: Double, _ y: Double) -> Point {
        Point(left + x * (right - left), bottom - y * (bottom - top))
    }

    /// The middle of the title's base line.
    var title: Point { Point(width / 2, 24) }
    /// The middle of the base line of what the horizontal axis shows.
    var horizontalName: Point { Point((left + right) / 2, height - 12) }
    /// The same of the vertical axis, whose name is read from below.
    var verticalName: Point { Point(Frame.margin + Frame.letter, (top + bottom) / 2) }
}
