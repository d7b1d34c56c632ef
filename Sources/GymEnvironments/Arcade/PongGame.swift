import GymCore

/// The rules of Pong as Atari's console plays it against one person, one call a frame: integer arithmetic, no picture.
///
/// Found by watching the Arcade Learning Environment (game mode 0) and checked against it frame by frame. Positions
/// are in the console's own counts; `PongScene` turns them into pixels. The ball's x grows towards the player.
public struct PongGame: Hashable, Sendable {
    // MARK: Geometry, in counts

    /// The ball serves from here, both ways.
    private static let center: Int32 = 128
    /// A ball at or right of this is a point for the opponent.
    private static let rightGoal: Int32 = 205
    /// A ball at or left of this is a point for the player.
    private static let leftGoal: Int32 = 52
    /// Where a ball touches the player's paddle: the paddle's four columns and the ball's two.
    private static let playerColumns: ClosedRange<Int32> = 188...192
    /// Where a ball touches the opponent's paddle.
    private static let opponentColumns: ClosedRange<Int32> = 64...68
    /// A ball at or above this bounces off the upper wall.
    private static let upperWall: Int32 = 45
    /// A ball at or below this bounces off the lower wall.
    private static let lowerWall: Int32 = 206

    // MARK: Pace, in frames and counts a frame

    /// From a point to the next serve.
    private static let pause: Int32 = 63
    /// From the start of a game to the first serve.
    private static let firstPause: Int32 = 59
    /// The frame counter when a game starts; paddle readings and the opponent's rests follow it.
    private static let firstFrame: Int32 = 71
    /// The fastest that FIRE makes the ball.
    private static let fastest: Int32 = 4
    /// The opponent moves by this, or not at all.
    private static let opponentSpeed: Int32 = 2
    /// The opponent rests one frame in so many.
    private static let opponentRest: Int32 = 8
    /// Points that win.
    public static let winningScore: Int32 = 21

    // MARK: The player's paddle is an analog knob, read every second frame

    /// The knob turns by this in a frame of RIGHT or LEFT. In units of the knob, as are the next three.
    private static let knobStep: Int32 = 23_000
    private static let knobLow: Int32 = 27_450
    private static let knobHigh: Int32 = 790_196
    private static let knobStart: Int32 = 408_823
    /// The console times the knob in clock cycles, and looks once in so many of them: two lines of the picture.
    private static let cyclesPerLook: Int32 = 152
    /// What is added to the cycles before they are counted in looks.
    private static let cycleOffset: Int32 = 590
    /// A reading counts picture lines, two a look, and stays in these bounds.
    private static let readingBounds: ClosedRange<Int32> = 38...204

    // MARK: State

    /// Frames since the console was switched on.
    public private(set) var frame = PongGame.firstFrame
    /// Frames until the serve; 0 while the ball is in play.
    public private(set) var wait = PongGame.firstPause
    /// The ball; y is 0 between points.
    public private(set) var ballX: Int32 = 0
    public private(set) var ballY: Int32 = 0
    /// Counts a frame; the ball moves left when `ballSpeedX` is negative.
    public private(set) var ballSpeedX: Int32 = 0
    public private(set) var ballSpeedY: Int32 = 0
    /// The opponent's paddle, always even.
    public private(set) var opponentY: Int32 = 22
    /// The player's paddle as it is drawn and touched; one frame behind `playerTarget`.
    public private(set) var playerY: Int32 = 109
    /// The smoothed reading of the knob.
    public private(set) var playerTarget: Int32 = 109
    private var knob = PongGame.knobStart
    /// FIRE acts one frame after it was pressed.
    private var fires = false
    public private(set) var opponentScore: Int32 = 0
    public private(set) var playerScore: Int32 = 0

    /// A new game, before its first frame.
    public init() {}

    /// Whether either side has won.
    public var isOver: Bool {
        playerScore >= PongGame.winningScore || opponentScore >= PongGame.winningScore
    }

    /// Whether there is a ball on the screen.
    public var hasBall: Bool { ballY != 0 }

    /// Frames played.
    public var age: Int32 { frame &- PongGame.firstFrame }

    /// The scores on the screen, where a point shows one frame after it was made.
    var shownScores: (player: Int32, opponent: Int32) {
        guard wait == PongGame.pause else { return (playerScore, opponentScore) }
        return ballX >= PongGame.rightGoal
            ? (playerScore, max(opponentScore - 1, 0)) : (max(playerScore - 1, 0), opponentScore)
    }

    /// Plays one frame.
    ///
    /// - Parameter opponentSmall: whether the opponent's paddle has half its height, as ALE's difficulties 1 and 3.
    /// - Parameter playerSmall: the same for the player's paddle, difficulties 2 and 3.
    /// - Returns: 1 when the player scores, −1 when the opponent does, else 0.
    public mutating func advance(_ controls: PongControls, opponentSmall: Bool, playerSmall: Bool) -> Int32 {
        frame &+= 1
        let touchedPlayerY = playerY
        turnKnob(controls.turn)
        let reward: Int32
        if wait > 0 {
            reward = 0
            countDown()
        } else if ballX >= PongGame.rightGoal {
            opponentScore += 1
            wait = PongGame.pause
            reward = -1
        } else if ballX <= PongGame.leftGoal {
            playerScore += 1
            wait = PongGame.pause
            reward = 1
        } else {
            reward = 0
            bounce(touchedPlayerY, opponentSmall: opponentSmall, playerSmall: playerSmall)
            moveBall()
        }
        fires = controls.fires
        if frame % PongGame.opponentRest != 1 { followBall() }
        return reward
    }

    private mutating func moveBall() {
        ballX += ballSpeedX
        ballY += ballSpeedY
    }

    /// The pause between points. A serve goes to the side that lost the point, up or down as the last ball went.
    private mutating func countDown() {
        wait -= 1
        ballY = 0
        guard wait == 0 else { return }
        ballX = PongGame.center
        ballY = PongGame.center
        opponentY = PongGame.center
        ballSpeedX = ballSpeedX > 0 ? 1 : -1
        ballSpeedY = ballSpeedY < 0 ? -1 : 1
        moveBall()
    }

    /// Walls first; a ball at a wall passes the paddles by.
    private mutating func bounce(_ playerY: Int32, opponentSmall: Bool, playerSmall: Bool) {
        if ballY <= PongGame.upperWall {
            ballSpeedY = -ballSpeedY
            ballY += 1
        } else if ballY >= PongGame.lowerWall {
            ballSpeedY = -ballSpeedY
            ballY -= 1
        } else if PongGame.playerColumns.contains(ballX) {
            // The picture has paddles on even lines only, so the touch is decided by the rounded position...
            let above = ballY - (playerY + (playerY & 1))
            guard above >= -2, above <= (playerSmall ? 7 : 15) else { return }
            ballSpeedX = -min(abs(ballSpeedX) + (fires ? 1 : 0), PongGame.fastest)
            // ...and the angle by the exact one.
            ballSpeedY = PongGame.deflection(ballY - playerY, small: playerSmall)
        } else if PongGame.opponentColumns.contains(ballX) {
            let above = ballY - opponentY
            guard above >= -4, above <= (opponentSmall ? 6 : 14) else { return }
            ballSpeedX = abs(ballSpeedX)
            ballSpeedY = PongGame.deflection(above, small: opponentSmall)
        }
    }

    /// How steeply a paddle sends the ball back, by how far below the paddle's top the ball is. A paddle has zones of
    /// four counts, a small one of two.
    private static func deflection(_ below: Int32, small: Bool) -> Int32 {
        // Shifts round towards minus infinity, which a ball above the paddle's top needs.
        small ? (below - 1) >> 1 : ((below - 1) >> 2) - 1
    }

    /// The opponent goes after the ball, also between points, when the ball counts as being at the top.
    private mutating func followBall() {
        if opponentY < ballY {
            opponentY += PongGame.opponentSpeed
        } else if opponentY > ballY {
            opponentY -= PongGame.opponentSpeed
        }
    }

    /// Half the way to each new reading gives the paddle its inertia.
    private mutating func turnKnob(_ direction: Int32) {
        knob = min(max(knob + PongGame.knobStep * direction, PongGame.knobLow), PongGame.knobHigh)
        playerY = playerTarget
        guard frame % 2 == 0 else { return }
        let bounds = PongGame.readingBounds
        playerTarget =
            (playerTarget + min(max(PongGame.reading(of: knob), bounds.lowerBound), bounds.upperBound)) >> 1
    }

    /// Lines of the picture until the console finds a knob's capacitor charged.
    private static func reading(of knob: Int32) -> Int32 {
        // 0.01904 cycles a unit of the knob.
        let cycles = Int32(Int64(knob) * 1904 / 100_000)
        return 2 * ((cycles + cycleOffset) / cyclesPerLook)
    }

    /// The reading of the knob that is looked at in this frame: the player's in every second one, and in between the
    /// second player's, which nobody turns.
    var currentReading: Int32 { PongGame.reading(of: frame % 2 == 0 ? knob : PongGame.knobStart) }
}

extension PongGame {
    /// Writes what ``init(from:)`` takes.
    func save(to writer: inout StateWriter) {
        let numbers: InlineArray<13, Int32> = [
            frame, wait, ballX, ballY, ballSpeedX, ballSpeedY, opponentY, playerY, playerTarget, knob, fires ? 1 : 0,
            opponentScore, playerScore,
        ]
        for index in numbers.indices { writer.write(numbers[index]) }
    }

    /// The game that ``save(to:)`` wrote.
    ///
    /// - Throws: ``StateError`` when the bytes are not a game.
    init(from reader: inout StateReader) throws {
        func next(_ name: String, _ range: ClosedRange<Int32>) throws -> Int32 {
            let value = try reader.read(Int32.self)
            guard range.contains(value) else {
                throw StateError("the state's \(name) is \(value), not from \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
        frame = try next("frame", PongGame.firstFrame...Int32.max / 2)
        wait = try next("pause", 0...PongGame.pause)
        ballX = try next("ball's x", 0...PongGame.rightGoal + PongGame.fastest - 1)
        ballY = try next("ball's y", 0...255)
        guard ballX == 0 || ballX > PongGame.leftGoal - PongGame.fastest else {
            throw StateError("the state's ball is at \(ballX), left of the screen")
        }
        ballSpeedX = try next("ball's horizontal speed", -PongGame.fastest...PongGame.fastest)
        ballSpeedY = try next("ball's vertical speed", -4...4)
        opponentY = try next("opponent's place", 0...255)
        playerY = try next("player's place", 0...255)
        playerTarget = try next("player's target", 0...255)
        knob = try next("knob", PongGame.knobLow...PongGame.knobHigh)
        fires = try next("button", 0...1) == 1
        opponentScore = try next("opponent's score", 0...PongGame.winningScore)
        playerScore = try next("player's score", 0...PongGame.winningScore)
    }
}

/// What the player does in a frame.
public struct PongControls: Hashable, Sendable {
    /// −1 turns the paddle up, 1 down, 0 lets it coast.
    public let turn: Int32
    /// Whether the button is pressed.
    public let fires: Bool

    /// The actions of Pong's minimal action set: NOOP, FIRE, RIGHT, LEFT, RIGHTFIRE, LEFTFIRE. RIGHT is up.
    public static let actionMeanings = ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]

    /// The controls of an action 0...5.
    public init(action: Int) {
        turn =
            switch action {
            case 2, 4: -1
            case 3, 5: 1
            default: 0
            }
        fires = action == 1 || action >= 4
    }
}
