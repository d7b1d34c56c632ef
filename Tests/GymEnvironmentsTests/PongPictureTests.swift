import Foundation
import GymCore
import GymEnvironments
import TestSupport
import Testing

/// Whole games beside the Arcade Learning Environment's: every screen, every point, and the end.
@Suite struct PongPictureTests {
    /// A game of `record-pong.py`.
    struct Game: Decodable, Sendable {
        let name: String
        let difficulty: Int
        /// For each frame a digit, 0 to 5.
        let actions: String
        /// The frame, from 1 on, and the reward of each point.
        let rewards: [[Int]]
        /// In colors and in gray, after so many frames and at the end.
        let digests: [[String]]
    }

    private struct File: Decodable {
        /// Frames from one digest to the next.
        let every: Int
        let games: [Game]
    }

    /// A polynomial over the 64-bit words of all screens.
    private struct ScreenDigest {
        private(set) var value: UInt64 = 0

        mutating func add(_ screen: UnsafeMutableRawBufferPointer) {
            for word in screen.bindMemory(to: UInt64.self) { value = value &* 0x9E37_79B9_7F4A_7C15 &+ word }
        }

        var hexadecimal: String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
    }

    @Test(arguments: 0..<6) func everyScreenIsTheEmulators(index: Int) throws {
        let file = try JSONDecoder().decode(File.self, from: Fixtures.unpack("pong-pictures.json.gz"))
        try #require(file.games.count == 6)
        let game = file.games[index]
        let options = PongTests.everyFrame.merging(["difficulty": .integer(game.difficulty)]) { $1 }
        let colors = try PongPlayer(PongTests.options("rgb", options))
        let grays = try PongPlayer(PongTests.options("grayscale", options))
        var digests = (colors: ScreenDigest(), grays: ScreenDigest())
        func look() {
            digests.colors.add(colors.buffers.observation.bytes(ofLeaf: 0))
            digests.grays.add(grays.buffers.observation.bytes(ofLeaf: 0))
        }
        look()
        var rewards: [[Int]] = []
        let frames = game.actions.utf8.count
        for (index, digit) in game.actions.utf8.enumerated() {
            let action = Int(digit - UInt8(ascii: "0"))
            try colors.step(action)
            try grays.step(action)
            look()
            let frame = index + 1
            let reward = Int(colors.buffers.rewards[0])
            if reward != 0 { rewards.append([frame, reward]) }
            try #require(colors.hasEnded == (frame == frames), "\(game.name), frame \(frame)")
            if frame % file.every == 0 || frame == frames {
                let found = [digests.colors.hexadecimal, digests.grays.hexadecimal]
                try #require(
                    found == game.digests[index / file.every], "\(game.name), at or before frame \(frame)")
            }
        }
        #expect(rewards == game.rewards)
        #expect(rewards.count >= 21)
    }
}
