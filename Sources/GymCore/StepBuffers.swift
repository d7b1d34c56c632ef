/// Where a batch's results go: observations, rewards, flags, one row an environment.
///
/// The memory is the buffers' own, or a part of a mapping shared with another process.
public final class StepBuffers: @unchecked Sendable {
    /// The number of rows.
    public let count: Int
    /// The observation after the step; after an end under same-step autoreset, the next episode's first.
    public let observation: BatchBuffer
    /// Under same-step autoreset, the last observation of the episodes that ended with the step. Other rows hold
    /// what they held before.
    public let finalObservation: BatchBuffer
    /// The reward of each environment.
    public let rewards: UnsafeMutableBufferPointer<Double>
    /// 1 where the task ended, else 0.
    public let terminated: UnsafeMutableBufferPointer<UInt8>
    /// 1 where the episode was cut off, else 0.
    public let truncated: UnsafeMutableBufferPointer<UInt8>
    /// Where the episode ended with this step, the sum of its rewards.
    public let episodeReturns: UnsafeMutableBufferPointer<Double>
    /// Where the episode ended with this step, the number of its steps.
    public let episodeLengths: UnsafeMutableBufferPointer<Int64>
    /// `info` of the reset or step; filled when asked for.
    public let infos: UnsafeMutableBufferPointer<[InfoEntry]>
    /// Under same-step autoreset, `info` of the steps that ended an episode; filled when asked for.
    public let finalInfos: UnsafeMutableBufferPointer<[InfoEntry]>
    /// Whether any row has `info`, of this step or of an episode that ended.
    public var hasInfo: Bool { infos.contains { !$0.isEmpty } || finalInfos.contains { !$0.isEmpty } }

    private let owned: [UnsafeMutableRawPointer]

    /// Where the parts lie, for memory that the caller provides; each aligned for its elements.
    public struct Memory {
        /// The tensor leaves of the observation, in order.
        public var observation: [UnsafeMutableRawPointer]
        /// The tensor leaves of the final observation, in order.
        public var finalObservation: [UnsafeMutableRawPointer]
        /// `count` doubles.
        public var rewards: UnsafeMutableRawPointer
        /// `count` bytes.
        public var terminated: UnsafeMutableRawPointer
        /// `count` bytes.
        public var truncated: UnsafeMutableRawPointer
        /// `count` doubles.
        public var episodeReturns: UnsafeMutableRawPointer
        /// `count` 64-bit integers.
        public var episodeLengths: UnsafeMutableRawPointer

        /// The given places.
        public init(
            observation: [UnsafeMutableRawPointer], finalObservation: [UnsafeMutableRawPointer],
            rewards: UnsafeMutableRawPointer, terminated: UnsafeMutableRawPointer, truncated: UnsafeMutableRawPointer,
            episodeReturns: UnsafeMutableRawPointer, episodeLengths: UnsafeMutableRawPointer
        ) {
            self.observation = observation
            self.finalObservation = finalObservation
            self.rewards = rewards
            self.terminated = terminated
            self.truncated = truncated
            self.episodeReturns = episodeReturns
            self.episodeLengths = episodeLengths
        }
    }

    /// Buffers for `count` environments with the given observation space.
    ///
    /// - Parameter memory: where the parts are to lie; it has to outlive the buffers. By default they own their memory.
    public init(observationSpace: Space, count: Int, memory: Memory? = nil) {
        self.count = count
        let leaves = observationSpace.leaves.map(\.leaf)
        observation = BatchBuffer(leaves: leaves, count: count, memory: memory?.observation)
        finalObservation = BatchBuffer(leaves: leaves, count: count, memory: memory?.finalObservation)
        var owned: [UnsafeMutableRawPointer] = []
        func place<T: BitwiseCopyable>(_ provided: UnsafeMutableRawPointer?, _: T.Type) -> UnsafeMutableBufferPointer<T>
        {
            let bytes = max(count, 1) * MemoryLayout<T>.stride
            let start = provided ?? .allocate(byteCount: bytes, alignment: 64)
            if provided == nil {
                start.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
                owned.append(start)
            }
            return UnsafeMutableBufferPointer(start: start.assumingMemoryBound(to: T.self), count: count)
        }
        rewards = place(memory?.rewards, Double.self)
        terminated = place(memory?.terminated, UInt8.self)
        truncated = place(memory?.truncated, UInt8.self)
        episodeReturns = place(memory?.episodeReturns, Double.self)
        episodeLengths = place(memory?.episodeLengths, Int64.self)
        // Not arrays: threads that step different rows write to them at the same time.
        infos = .allocate(capacity: count)
        infos.initialize(repeating: [])
        finalInfos = .allocate(capacity: count)
        finalInfos.initialize(repeating: [])
        self.owned = owned
    }

    deinit {
        infos.deinitialize()
        infos.deallocate()
        finalInfos.deinitialize()
        finalInfos.deallocate()
        for memory in owned { memory.deallocate() }
    }
}
