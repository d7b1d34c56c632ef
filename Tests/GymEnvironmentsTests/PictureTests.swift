import Foundation
import GymCore
import GymEnvironments
import TestSupport
import Testing

/// Pictures beside those of Gymnasium, ten times smaller: antialiasing may differ, what is where may not.
@Suite struct PictureTests {
    struct File: Decodable {
        struct Picture: Decodable {
            let environment: String
            let seed: UInt64
            let action: Double
            let steps: Int
            let width: Int
            let height: Int
            let means: [Double]
        }
        let pictures: [Picture]
    }

    /// Gray levels that a block may be off by: a shape off by one pixel changes one by about 25. The lander's legs are a
    /// few pixels wide, and pygame's smoothed edges show most there.
    @Test(arguments: zip(["classic-control", "rigid-body"], [(count: 11, most: 24.0), (count: 9, most: 28.0)]))
    func picturesLookLikeGymnasiums(family: String, limits: (count: Int, most: Double)) throws {
        let file = try JSONDecoder().decode(File.self, from: Fixtures.unpack("\(family)-pictures.json.gz"))
        #expect(file.pictures.count == limits.count)
        for expected in file.pictures {
            let batch = try GymEnvironments.registry.make(expected.environment)
            let buffers = StepBuffers(observationSpace: batch.observationSpace, count: 1)
            let actions = BatchBuffer(space: batch.actionSpace, count: 1)
            _ = try batch.reset(rows: [0], seeds: [expected.seed], options: [:], wantsInfo: false, into: buffers)
            if case .discrete = batch.actionSpace {
                actions.elements(as: Int64.self)[0] = Int64(expected.action)
            } else {
                actions.elements(as: Float.self).update(repeating: Float(expected.action))
            }
            for _ in 0..<expected.steps {
                #expect(batch.step(rows: 0..<1, actions: actions, wantsInfo: false, into: buffers).isEmpty)
            }
            guard case .image(let image) = try batch.render(row: 0, mode: "rgb_array") else {
                Issue.record("\(expected.environment) drew no picture")
                continue
            }
            #expect(image.shape == [expected.height, expected.width, 3])
            var largest = 0.0
            var total = 0.0
            for (index, mean) in expected.means.enumerated() {
                let left = index % (expected.width / 10) * 10
                let top = index / (expected.width / 10) * 10
                var sum = 0
                for y in top..<top + 10 {
                    let start = (y * expected.width + left) * 3
                    for byte in image.bytes[start..<start + 30] { sum += Int(byte) }
                }
                let difference = abs(Double(sum) / 300 - mean)
                largest = max(largest, difference)
                total += difference
            }
            #expect(
                largest < limits.most, "\(expected.environment), seed \(expected.seed): a block is off by \(largest)")
            #expect(
                total / Double(expected.means.count) < 0.5,
                "\(expected.environment), seed \(expected.seed): off by \(total / Double(expected.means.count))")
        }
    }

    @Test func otherModesAreRefusedByName() throws {
        let batch = try GymEnvironments.registry.make("CartPole-v1")
        #expect {
            _ = try batch.render(row: 0, mode: "human")
        } throws: {
            "\($0)".contains("human") && "\($0)".contains("rgb_array")
        }
    }
}
