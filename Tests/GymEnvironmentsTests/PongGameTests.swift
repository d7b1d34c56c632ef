import Foundation
import GymEnvironments
import TestSupport
import Testing

/// A game recorded from the Arcade Learning Environment, one row a frame.
struct PongTrace {
    struct Row {
        let action: Int
        let ballX: Int32
        /// 0: no ball.
        let ballY: Int32
        let opponentY: Int32
        let playerY: Int32
        let opponentScore: Int32
        let playerScore: Int32
        let reward: Int32
    }

    let name: String
    let difficulty: Int
    let rows: [Row]

    static func load(_ fixture: String) throws -> [PongTrace] {
        struct File: Decodable {
            struct Trace: Decodable {
                let name: String
                let seed: Int
                let difficulty: Int?
                let rows: [[Int32]]
            }
            let traces: [Trace]
        }
        let file = try JSONDecoder().decode(File.self, from: Fixtures.unpack(fixture))
        // ALE's numbers for the six actions.
        let actions: [Int32: Int] = [0: 0, 1: 1, 3: 2, 4: 3, 11: 4, 12: 5]
        return file.traces.map { trace in
            PongTrace(
                name: "\(trace.name) \(trace.seed)", difficulty: trace.difficulty ?? 0,
                rows: trace.rows.map {
                    Row(
                        action: actions[$0[1]]!, ballX: $0[2], ballY: $0[3], opponentY: $0[4], playerY: $0[5],
                        opponentScore: $0[6], playerScore: $0[7], reward: $0[8])
                })
        }
    }
}

@Suite struct PongGameTests {
    /// Frames that agree, of how many.
    struct Rate: CustomStringConvertible {
        var agreed = 0
        var total = 0
        mutating func count(_ agrees: Bool) {
            agreed += agrees ? 1 : 0
            total += 1
        }
        var share: Double { total == 0 ? 1 : Double(agreed) / Double(total) }
        var description: String { "\(agreed)/\(total)" }
    }

    /// One game runs beside each recording from its first frame to its last, and is never set right in between.
    @Test(arguments: ["golden/pong-traces.json.gz", "pong-difficulty-traces.json.gz"])
    func replaysRecordedGamesFrameByFrame(fixture: String) throws {
        let names = [
            "ball in flight", "bounces", "points", "pauses", "serves", "opponent exact", "opponent within 1",
            "player exact", "player within 1", "rewards and scores",
        ]
        var sums = [Rate](repeating: Rate(), count: names.count)
        var table = "game".padded(28) + names.map { $0.padded(19) }.joined()
        for trace in try PongTrace.load(fixture) {
            var rates = [Rate](repeating: Rate(), count: names.count)
            var game = PongGame()
            var before = game
            for (index, row) in trace.rows.enumerated() {
                let reward = game.advance(
                    PongControls(action: row.action), opponentSmall: trace.difficulty & 1 != 0,
                    playerSmall: trace.difficulty & 2 != 0)
                let ball = game.ballY == row.ballY && (row.ballY == 0 || game.ballX == row.ballX)
                let previousY = index == 0 ? 0 : trace.rows[index - 1].ballY
                let kind: Int
                if row.reward != 0 {
                    kind = 2
                } else if row.ballY == 0 {
                    kind = 3
                } else if previousY == 0 {
                    kind = 4
                } else {
                    let bounced = before.ballSpeedX != game.ballSpeedX || before.ballSpeedY != game.ballSpeedY
                    kind = bounced ? 1 : 0
                }
                rates[kind].count(ball)
                rates[5].count(game.opponentY == row.opponentY)
                rates[6].count(abs(game.opponentY - row.opponentY) <= 1)
                rates[7].count(game.playerY == row.playerY)
                rates[8].count(abs(game.playerY - row.playerY) <= 1)
                rates[9].count(
                    reward == row.reward && game.opponentScore == row.opponentScore
                        && game.playerScore == row.playerScore)
                before = game
            }
            table += "\n" + trace.name.padded(28) + rates.map { "\($0)".padded(19) }.joined()
            for index in rates.indices {
                sums[index].agreed += rates[index].agreed
                sums[index].total += rates[index].total
            }
        }
        print(table + "\n" + "all".padded(28) + sums.map { "\($0)".padded(19) }.joined())
        for index in [0, 1, 2, 3, 4, 6, 9] {
            #expect(sums[index].total > 0 && sums[index].share == 1, "\(names[index])")
        }
        #expect(sums[8].share >= 0.95)
        // All of the rules are known, so nothing less than every frame is expected here.
        #expect(sums[5].share == 1 && sums[7].share == 1)
    }

    @Test func aGameIsWonAt21() {
        var game = PongGame()
        var frames = 0
        while !game.isOver && frames < 10_000 {
            _ = game.advance(PongControls(action: 0), opponentSmall: false, playerSmall: false)
            frames += 1
        }
        #expect(game.opponentScore == 21 && game.playerScore == 0)
        // As ALE: 3,056 frames without any action.
        #expect(frames == 3056)
    }

    @Test func theBallStaysBetweenTheWalls() {
        for difficulty in 0..<4 {
            var game = PongGame()
            var seed: UInt64 = 12345
            for _ in 0..<20_000 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1
                let action = Int(seed >> 40) % 6
                _ = game.advance(
                    PongControls(action: action), opponentSmall: difficulty & 1 != 0, playerSmall: difficulty & 2 != 0)
                if game.isOver { game = PongGame() }
                #expect(!game.hasBall || (40...212).contains(game.ballY))
                #expect((0...216).contains(game.ballX))
                #expect(game.opponentY % 2 == 0 && (0...214).contains(game.opponentY))
            }
        }
    }
}

extension String {
    fileprivate func padded(_ length: Int) -> String {
        self + String(repeating: " ", count: Swift.max(1, length - count))
    }
}
