import Raster

/// What one frame of Pong shows, in pixels of its 160×210 screen, and how that is drawn.
struct PongScene: Hashable, Sendable, BitwiseCopyable {
    static let width = 160
    static let height = 210
    /// The rows between the walls. Paddles and ball show nowhere else.
    private static let field = 34..<194
    /// The upper wall's rows.
    private static let upperWall = 24..<34
    private static let paddleWidth = 4
    private static let opponentLeft = 16
    private static let playerLeft = 140
    private static let ballWidth = 2
    private static let ballHeight: Int32 = 4
    /// Before its first frame the console shows a ball that is in no game.
    private static let firstBall = Rectangle(x: 2, y: 45, width: ballWidth, height: Int(ballHeight))
    /// A cell of the score's digits, wide and high.
    private static let digitCell = 4
    private static let digitTop = 1
    /// Where the opponent's tens and ones stand; the player's stand `scoreDistance` further to the right.
    private static let tensLeft = 20
    private static let onesLeft = 36
    private static let scoreDistance = 80
    /// Frames that a new game shows in other colors.
    private static let attractFrames: Int32 = 2
    // The console's program switches the ball on and off while a line is being drawn: what is right of the beam
    // changes in that line, what is left of it in the next.

    /// Where the beam is at that moment, in even and odd lines, when the program takes its longest way there.
    private static let switchColumns: (even: Int32, odd: Int32) = (139, 158)
    /// A paddle in the line makes its way shorter by a cycle of the processor, which is so many pixels...
    private static let paddleLead: Int32 = 3
    /// ...and a knob that has been read already by two.
    private static let readingLead: Int32 = 6
    /// The reading is over so many lines before the one that its value names.
    private static let readingOffset: Int32 = 13

    /// A rectangle of pixels.
    struct Rectangle: Hashable, BitwiseCopyable {
        var x: Int32
        var y: Int32
        var width: Int32
        var height: Int32

        /// The part between the walls; possibly empty.
        init(x: Int, y: Int, width: Int, height: Int) {
            let top = max(y, PongScene.field.lowerBound)
            let bottom = min(y + height, PongScene.field.upperBound)
            self.x = Int32(x)
            self.y = Int32(top)
            self.width = Int32(max(min(width, PongScene.width - x), 0))
            self.height = Int32(max(bottom - top, 0))
        }
    }

    /// The ball, or its left column where the right one is not like it.
    let ball: Rectangle
    /// The ball's right column, empty where it is like the left one.
    let ballEdge: Rectangle
    let player: Rectangle
    let opponent: Rectangle
    let playerScore: Int8
    let opponentScore: Int8
    let isAttract: Bool

    init(_ game: PongGame, opponentSmall: Bool, playerSmall: Bool) {
        // Paddles stand on even rows.
        let playerTop = game.playerY + (game.playerY & 1) - 14
        let opponentTop = game.opponentY - 15
        let playerHeight: Int32 = playerSmall ? 8 : 16
        let opponentHeight: Int32 = opponentSmall ? 8 : 16
        let reading = game.currentReading
        /// The column from which on a change of the ball shows in the given line already.
        func switchColumn(_ line: Int32) -> Int32 {
            let isOdd = line & 1 == 1
            var column = isOdd ? PongScene.switchColumns.odd : PongScene.switchColumns.even
            if (0..<playerHeight).contains(line + (line & 1) - playerTop) { column -= PongScene.paddleLead }
            // In odd lines the opponent's paddle has been dealt with.
            if !isOdd, (0..<opponentHeight).contains(line + 1 - opponentTop) { column -= PongScene.paddleLead }
            if line >= reading - PongScene.readingOffset { column -= PongScene.readingLead }
            return column
        }
        let ballLeft = game.ballX - 49
        let ballTop = game.ballY - 14
        let ballBottom = ballTop + PongScene.ballHeight
        let (onColumn, offColumn) = (switchColumn(ballTop - 1), switchColumn(ballBottom - 1))
        func column(_ x: Int32, width: Int) -> Rectangle {
            let top = x >= onColumn ? ballTop - 1 : ballTop
            let bottom = x >= offColumn ? ballBottom - 1 : ballBottom
            return Rectangle(x: Int(x), y: Int(top), width: width, height: Int(game.hasBall ? bottom - top : 0))
        }
        // Beyond the right edge a line goes on at the left one.
        let ballRight = ballLeft + 1 < PongScene.width ? ballLeft + 1 : 0
        let isUneven = ballRight == onColumn || ballRight == offColumn || ballRight == 0
        ball =
            game.age == 0 ? PongScene.firstBall : column(ballLeft, width: isUneven ? 1 : PongScene.ballWidth)
        ballEdge = column(ballRight, width: isUneven ? 1 : 0)
        player = Rectangle(
            x: PongScene.playerLeft, y: Int(playerTop), width: PongScene.paddleWidth, height: Int(playerHeight))
        opponent = Rectangle(
            x: PongScene.opponentLeft, y: Int(opponentTop), width: PongScene.paddleWidth,
            height: Int(opponentHeight))
        playerScore = Int8(game.shownScores.player)
        opponentScore = Int8(game.shownScores.opponent)
        isAttract = game.age < PongScene.attractFrames
    }

    /// The colors of a screen: (red, green, blue), or gray levels in `red`.
    struct Palette {
        let background: Color
        let wall: Color
        let opponent: Color
        let player: Color
        let blank: Color

        static let colors = Palette(
            background: Color(144, 72, 17), wall: Color(236, 236, 236), opponent: Color(213, 130, 74),
            player: Color(92, 186, 92), blank: .black)
        static let attractColors = Palette(
            background: Color(109, 118, 43), wall: Color(53, 95, 24), opponent: Color(210, 182, 86),
            player: Color(101, 111, 228), blank: .black)
        static let grays = Palette(
            background: Color(gray: 87), wall: Color(gray: 236), opponent: Color(gray: 148),
            player: Color(gray: 147), blank: .black)
        static let attractGrays = Palette(
            background: Color(gray: 107), wall: Color(gray: 74), opponent: Color(gray: 179),
            player: Color(gray: 121), blank: .black)
    }

    private func palette(_ canvas: Canvas) -> Palette {
        canvas.channels == 1
            ? (isAttract ? .attractGrays : .grays) : (isAttract ? .attractColors : .colors)
    }

    /// Whether only paddles and ball can differ between this scene and another.
    func sharesBackdrop(with other: PongScene) -> Bool {
        playerScore == other.playerScore && opponentScore == other.opponentScore && isAttract == other.isAttract
    }

    /// Draws everything.
    func draw(on canvas: Canvas) {
        let palette = palette(canvas)
        canvas.clear(palette.background)
        canvas.fill(
            x: 0, y: PongScene.upperWall.lowerBound, width: PongScene.width, height: PongScene.upperWall.count,
            palette.wall)
        canvas.fill(
            x: 0, y: PongScene.field.upperBound, width: PongScene.width,
            height: PongScene.height - PongScene.field.upperBound, palette.wall)
        // The console blanks the start of its first line.
        canvas.fill(x: 0, y: 0, width: 8, height: 1, palette.blank)
        drawScore(opponentScore, left: 0, on: canvas, palette.opponent)
        drawScore(playerScore, left: PongScene.scoreDistance, on: canvas, palette.player)
        drawPieces(on: canvas, palette)
    }

    /// Draws over a canvas that shows `old`, only what changed.
    func draw(over old: PongScene, on canvas: Canvas) {
        guard sharesBackdrop(with: old) else {
            draw(on: canvas)
            return
        }
        let palette = palette(canvas)
        if ball != old.ball || ballEdge != old.ballEdge {
            fill(old.ball, on: canvas, palette.background)
            fill(old.ballEdge, on: canvas, palette.background)
        }
        if player != old.player { fill(old.player, on: canvas, palette.background) }
        if opponent != old.opponent { fill(old.opponent, on: canvas, palette.background) }
        drawPieces(on: canvas, palette)
    }

    /// The ball in front, as the console shows it.
    private func drawPieces(on canvas: Canvas, _ palette: Palette) {
        fill(opponent, on: canvas, palette.opponent)
        fill(player, on: canvas, palette.player)
        fill(ball, on: canvas, palette.wall)
        fill(ballEdge, on: canvas, palette.wall)
    }

    /// Everything that moves.
    @inline(__always)
    func forEachPiece(_ body: (Rectangle) -> Void) {
        body(ball)
        body(ballEdge)
        body(player)
        body(opponent)
    }

    private func fill(_ rectangle: Rectangle, on canvas: Canvas, _ color: Color) {
        canvas.fill(
            x: Int(rectangle.x), y: Int(rectangle.y), width: Int(rectangle.width), height: Int(rectangle.height), color)
    }

    private func drawScore(_ score: Int8, left: Int, on canvas: Canvas, _ color: Color) {
        func digit(_ value: Int8, x: Int) {
            canvas.draw(
                cells: Font.digits[Int(value)], x: left + x, y: PongScene.digitTop, cellWidth: PongScene.digitCell,
                cellHeight: PongScene.digitCell, color)
        }
        if score >= 10 { digit(score / 10, x: PongScene.tensLeft) }
        digit(score % 10, x: PongScene.onesLeft)
    }
}
