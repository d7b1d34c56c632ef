internal import CSystemCalls

/// The processors that the calling thread, and what it starts, may run on: fewer than the machine has under `taskset`, or
/// in a container.
package enum Processors {
    /// Bytes of a set of processors, a bit each: enough for what the kernel knows at the most.
    private static let setSize = 1024

    /// Their numbers, ascending.
    package static var allowed: [Int] {
        get {
            var set = [UInt8](repeating: 0, count: setSize)
            guard gym_get_affinity(&set, setSize) == 0 else { return [] }
            return (0..<setSize * 8).filter { set[$0 / 8] & (1 << ($0 % 8)) != 0 }
        }
        set {
            var set = [UInt8](repeating: 0, count: setSize)
            for number in newValue { set[number / 8] |= 1 << (number % 8) }
            _ = gym_set_affinity(set, setSize)
        }
    }

    /// How many they are; at least 1.
    package static var count: Int { max(1, allowed.count) }
}
