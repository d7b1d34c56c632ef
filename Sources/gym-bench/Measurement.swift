import Foundation
import GymCore

/// The middle one of the values; of an even number, the upper of the two in the middle.
func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// Seconds that `body` takes.
func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try body()
    return Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
}

/// Microseconds that one of `count` repetitions takes.
func microseconds(over count: Int, _ body: () throws -> Void) rethrows -> Double {
    try seconds { for _ in 0..<count { try body() } } * 1e6 / Double(count)
}

/// Prints a value as JSON with sorted keys in snake case.
func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

/// Fills `actions` with members of the space, drawn from a seed.
func fill(_ actions: BatchBuffer, from space: Space, seed: UInt64) {
    var sampler = SpaceSampler(space, seed: seed)
    for row in 0..<actions.count { actions.store(sampler.sample(), of: space, row: row) }
}
