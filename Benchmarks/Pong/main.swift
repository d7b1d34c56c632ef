// What Benchmarks/pong.py runs beside the Arcade Learning Environment: whole games, raw observations, speed.
//
//   pong-bench games POLICY COUNT SEED     one line of "player opponent steps" a game; POLICY random, track or still
//   pong-bench frames OBS_TYPE             actions as bytes on standard input, frameskip 1; raw observations out
//   pong-bench speed OBS_TYPE ENVS SECONDS frames a second through the vector interface, frameskip 4

import Foundation
import GymCore
import GymEnvironments

struct Usage: Error {}

func makeBatch(_ options: [String: OptionValue], count: Int = 1) throws -> (any VectorEnvironment, StepBuffers) {
    let batch = try GymEnvironments.registry.make("Pong-v1", .init(count: count, options: options))
    return (batch, StepBuffers(observationSpace: batch.observationSpace, count: count))
}

/// The action of the tracking policy: keep the paddle's middle at the ball's.
func track(_ state: UnsafeMutableBufferPointer<Float>) -> Int64 {
    guard state[1] != 0 else { return 0 }
    let below = state[1] - state[4] - 6
    return below > 6 ? 3 : below < -6 ? 2 : 0
}

func playGames(policy: String, count: Int, seed: UInt64) throws {
    let (batch, buffers) = try makeBatch(["obs_type": .text("state")])
    let actions = BatchBuffer(space: batch.actionSpace, count: 1)
    let action = actions.elements(as: Int64.self)
    let state = buffers.observation.elements(as: Float.self)
    var generator = NumPyGenerator(seed: seed)
    for game in 0..<count {
        _ = try batch.reset(
            rows: [0], seeds: [seed + UInt64(game)], options: [:], wantsInfo: false, into: buffers)
        var steps = 0
        var player = 0
        var opponent = 0
        repeat {
            action[0] =
                switch policy {
                case "random": Int64(generator.integer(in: 0..<6))
                case "track": track(state)
                case "still": 0
                default: throw Usage()
                }
            for fault in batch.step(rows: 0..<1, actions: actions, wantsInfo: false, into: buffers) { throw fault }
            steps += 1
            if buffers.rewards[0] > 0 { player += 1 }
            if buffers.rewards[0] < 0 { opponent += 1 }
        } while buffers.terminated[0] == 0 && buffers.truncated[0] == 0
        print(player, opponent, steps)
    }
}

func showFrames(observation: String) throws {
    let (batch, buffers) = try makeBatch([
        "obs_type": .text(observation), "frameskip": .integer(1), "repeat_action_probability": .integer(0),
    ])
    let actions = BatchBuffer(space: batch.actionSpace, count: 1)
    _ = try batch.reset(rows: [0], seeds: [0], options: [:], wantsInfo: false, into: buffers)
    let output = FileHandle.standardOutput
    for action in FileHandle.standardInput.readDataToEndOfFile() {
        actions.elements(as: Int64.self)[0] = Int64(action)
        for fault in batch.step(rows: 0..<1, actions: actions, wantsInfo: false, into: buffers) { throw fault }
        output.write(Data(buffers.observation.bytes(ofLeaf: 0)))
    }
}

func measureSpeed(observation: String, count: Int, seconds: Double) throws {
    let (batch, buffers) = try makeBatch(["obs_type": .text(observation)], count: count)
    let actions = BatchBuffer(space: batch.actionSpace, count: count)
    let action = actions.elements(as: Int64.self)
    _ = try batch.reset(
        rows: Array(0..<count), seeds: (0..<count).map { UInt64($0) }, options: [:], wantsInfo: false, into: buffers)
    let clock = ContinuousClock()
    let start = clock.now
    var steps = 0
    while clock.now - start < .seconds(seconds) {
        for _ in 0..<max(1, 1000 / count) {
            for row in 0..<count { action[row] = Int64((steps &* 2_654_435_761 &+ row &* 40_503) >> 7 & 0xFF) % 6 }
            for fault in batch.step(rows: 0..<count, actions: actions, wantsInfo: false, into: buffers) { throw fault }
            steps += 1
        }
    }
    let elapsed = clock.now - start
    let time = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    print(Int(Double(steps * count * 4) / time))
}

let arguments = CommandLine.arguments.dropFirst()
switch (arguments.first, Array(arguments.dropFirst())) {
case ("games", let rest) where rest.count == 3:
    try playGames(policy: rest[0], count: Int(rest[1]) ?? 0, seed: UInt64(rest[2]) ?? 0)
case ("frames", let rest) where rest.count == 1: try showFrames(observation: rest[0])
case ("speed", let rest) where rest.count == 3:
    try measureSpeed(observation: rest[0], count: max(Int(rest[1]) ?? 1, 1), seconds: Double(rest[2]) ?? 1)
default:
    FileHandle.standardError.write(Data("usage: see the head of Benchmarks/Pong/main.swift\n".utf8))
    exit(2)
}
