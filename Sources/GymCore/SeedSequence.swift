/// NumPy's SeedSequence: spreads a seed over as many well-mixed words as a generator's state needs.
public struct SeedSequence: Sendable {
    private var pool: [UInt32]

    private static let poolSize = 4

    /// The sequence of a seed, as `SeedSequence(seed)`.
    public init(seed: UInt64) {
        // NumPy takes a seed as its 32-bit words, lowest first, without leading zeros.
        let high = UInt32(truncatingIfNeeded: seed >> 32)
        self.init(entropy: [UInt32(truncatingIfNeeded: seed)] + (high == 0 ? [] : [high]))
    }

    /// The sequence of entropy words: for independent streams from one seed, as
    /// `SeedSequence(entropy=seed, spawn_key=key)` makes them.
    ///
    /// - Parameter spawnKey: which of the seed's streams; streams of different keys are independent.
    public init(seed: UInt64, spawnKey: [UInt32]) {
        let high = UInt32(truncatingIfNeeded: seed >> 32)
        // A spawned sequence pads the seed to the pool's size, so that no key can be mistaken for seed words.
        let words: [UInt32] = [UInt32(truncatingIfNeeded: seed), high, 0, 0]
        self.init(entropy: words + spawnKey)
    }

    private init(entropy: [UInt32]) {
        var hashConstant: UInt32 = 0x43B0_D7E5
        func hash(_ word: UInt32) -> UInt32 {
            var value = word ^ hashConstant
            hashConstant &*= 0x931E_8875
            value &*= hashConstant
            return value ^ value >> 16
        }
        func mix(_ left: UInt32, _ right: UInt32) -> UInt32 {
            let value = 0xCA01_F9DD &* left &- 0x4973_F715 &* right
            return value ^ value >> 16
        }
        pool = (0..<SeedSequence.poolSize).map { hash($0 < entropy.count ? entropy[$0] : 0) }
        for source in pool.indices {
            for target in pool.indices where source != target {
                pool[target] = mix(pool[target], hash(pool[source]))
            }
        }
        for word in entropy.dropFirst(SeedSequence.poolSize) {
            for target in pool.indices { pool[target] = mix(pool[target], hash(word)) }
        }
    }

    /// `generate_state(count, uint32)`.
    public func words32(_ count: Int) -> [UInt32] {
        var hashConstant: UInt32 = 0x8B51_F9DD
        return (0..<count).map { index in
            var value = pool[index % pool.count] ^ hashConstant
            hashConstant &*= 0x58F3_8DED
            value &*= hashConstant
            return value ^ value >> 16
        }
    }

    /// `generate_state(count, uint64)`.
    public func words(_ count: Int) -> [UInt64] {
        let halves = words32(2 * count)
        return (0..<count).map { UInt64(halves[2 * $0]) | UInt64(halves[2 * $0 + 1]) << 32 }
    }
}
