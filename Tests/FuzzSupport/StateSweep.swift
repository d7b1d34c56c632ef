import GymClient
import GymCore
import GymProtocol
import GymServer

/// States of every environment in which numbers at their limits stand, at each offset: what is saved is the client's,
/// and comes back as it likes.
package enum StateSweep {
    /// The environments that have states.
    package static var environments: [String] {
        FuzzEnvironments.registry.specs.map(\.id)
    }

    /// What became of the states.
    package struct Result {
        /// Whether the environment has any.
        package var isRestorable = false
        /// How many the server took over.
        package var taken = 0
        /// How many it refused.
        package var refused = 0
    }

    private static let numbers: [UInt64] = [
        UInt64(Int64.max), UInt64(bitPattern: Int64.min), .max, UInt64(Int64.max) - 1, 1 << 32, 1 << 31,
        Double.nan.bitPattern, Double.infinity.bitPattern, Double.greatestFiniteMagnitude.bitPattern, 0,
    ]

    /// Sets each of these states, and steps.
    ///
    /// - Parameters:
    ///   - mostOffsets: so many offsets at the most, evenly over the state, the first hundred in any case.
    ///   - before: called before each, with the offset and the number.
    package static func run(
        _ id: String, autoreset: AutoresetMode = .nextStep, mostOffsets: Int = .max,
        before: (Int, UInt64) -> Void = { _, _ in }
    ) throws -> Result {
        let server = try FuzzEnvironments.server()
        let interposer = try Interposer(server: server, onRequest: { _ in }) { _, _ in }
        defer { interposer.end() }
        let connection = try Connection(path: interposer.path, name: "sweep")
        let batch = try connection.make(id, count: 1, autoreset: autoreset)
        guard batch.description.isRestorable else { return Result() }
        try batch.reset(seeds: [3])
        for _ in 0..<2 { try tolerant { try batch.step() } }
        let state = try batch.states()[0]
        var result = Result(isRestorable: true)
        // An odd number: it comes to each place within a word.
        let step = max(1, state.count / mostOffsets) | 1
        for offset in 0...max(0, state.count - 8) where offset < 100 || offset % step == 0 {
            for number in numbers {
                before(offset, number)
                var changed = state
                for byte in 0..<min(8, state.count - offset) {
                    changed[offset + byte] = UInt8(truncatingIfNeeded: number >> UInt64(8 * byte))
                }
                do {
                    try batch.restore([changed])
                    result.taken += 1
                } catch GymError.refused {
                    result.refused += 1
                    continue
                }
                for _ in 0..<2 { try tolerant { try batch.step() } }
                try tolerant { _ = try batch.states() }
            }
        }
        return result
    }

    /// What the server may well say of such a state.
    private static func tolerant(_ body: () throws -> Void) throws {
        do { try body() } catch GymError.refused(let error) where !error.isFatal {
        } catch GymError.environmentFaults {}
    }
}
