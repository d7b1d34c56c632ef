/// Where a batch's results go: observations, rewards, flags, one row an environment.
///
/// The memory is the buffers' own, or a part of a mapping shared with another process.
public final class StepBuffers: Sendable {
    /// The number of rows.
    public let count: Int
    /// The observation after the step; after an end under same-step autoreset, the next episode's first.
    public let observation: BatchBuffer
    /// Under same-step autoreset, the last observation of the episodes that ended with the step. Other rows hold
    /// what they held before.
    public let finalObservation: BatchBuffer
    /// What else a step brings: a leaf for each of ``fields``, in their order.
    public let results: BatchBuffer
    /// What ``results`` holds.
    public let fields: [ResultField]

    // Views of memory that these buffers own, and which lasts as long as they do: looking a leaf up for every row would
    // weigh on a step. Rows are written and read by one thread at a time, as those of the batch that they belong to are.
    @usableFromInline nonisolated(unsafe) let views: Views

    @usableFromInline
    struct Views {
        @usableFromInline let rewards: UnsafeMutableBufferPointer<Double>
        @usableFromInline let terminated: UnsafeMutableBufferPointer<UInt8>
        @usableFromInline let truncated: UnsafeMutableBufferPointer<UInt8>
        @usableFromInline let episodeReturns: UnsafeMutableBufferPointer<Double>
        @usableFromInline let episodeLengths: UnsafeMutableBufferPointer<Int64>
        @usableFromInline let stepNanoseconds: UnsafeMutableBufferPointer<Int64>?
        // Not arrays: threads that step different rows write to them at the same time.
        @usableFromInline let infos: UnsafeMutableBufferPointer<[InfoEntry]>
        @usableFromInline let finalInfos: UnsafeMutableBufferPointer<[InfoEntry]>
    }

    /// The reward of each environment.
    @inlinable public var rewards: UnsafeMutableBufferPointer<Double> { views.rewards }
    /// 1 where the task ended, else 0.
    @inlinable public var terminated: UnsafeMutableBufferPointer<UInt8> { views.terminated }
    /// 1 where the episode was cut off, else 0.
    @inlinable public var truncated: UnsafeMutableBufferPointer<UInt8> { views.truncated }
    /// Where the episode ended with this step, the sum of its rewards.
    @inlinable public var episodeReturns: UnsafeMutableBufferPointer<Double> { views.episodeReturns }
    /// Where the episode ended with this step, the number of its steps.
    @inlinable public var episodeLengths: UnsafeMutableBufferPointer<Int64> { views.episodeLengths }
    /// How long the step took, in nanoseconds; `nil` unless that was asked for.
    @inlinable public var stepNanoseconds: UnsafeMutableBufferPointer<Int64>? { views.stepNanoseconds }
    /// `info` of the reset or step; filled when asked for.
    @inlinable public var infos: UnsafeMutableBufferPointer<[InfoEntry]> { views.infos }
    /// Under same-step autoreset, `info` of the steps that ended an episode; filled when asked for.
    @inlinable public var finalInfos: UnsafeMutableBufferPointer<[InfoEntry]> { views.finalInfos }
    /// Whether any row has `info`, of this step or of an episode that ended.
    public var hasInfo: Bool { infos.contains { !$0.isEmpty } || finalInfos.contains { !$0.isEmpty } }

    /// Where the parts lie, for memory that the caller provides; each aligned for its elements.
    public struct Memory {
        /// The tensor leaves of the observation, in order.
        public var observation: [UnsafeMutableRawPointer]
        /// The tensor leaves of the final observation, in order.
        public var finalObservation: [UnsafeMutableRawPointer]
        /// `count` elements of each of the fields, in order.
        public var results: [UnsafeMutableRawPointer]

        /// The given places.
        public init(
            observation: [UnsafeMutableRawPointer], finalObservation: [UnsafeMutableRawPointer],
            results: [UnsafeMutableRawPointer]
        ) {
            self.observation = observation
            self.finalObservation = finalObservation
            self.results = results
        }
    }

    /// Buffers for `count` environments with the given observation space.
    ///
    /// - Parameters:
    ///   - isTimed: whether there is room for ``stepNanoseconds``.
    ///   - memory: where the parts are to lie; it has to outlive the buffers. By default they own their memory.
    public init(observationSpace: Space, count: Int, isTimed: Bool = false, memory: Memory? = nil) {
        self.count = count
        let leaves = observationSpace.leaves.map(\.leaf)
        observation = BatchBuffer(leaves: leaves, count: count, memory: memory?.observation)
        finalObservation = BatchBuffer(leaves: leaves, count: count, memory: memory?.finalObservation)
        let fields = ResultField.present(isTimed: isTimed)
        let results = BatchBuffer(
            leaves: fields.map { .tensor(TensorLayout(dtype: $0.dtype, shape: [])) }, count: count,
            memory: memory?.results)
        func elements<Element: TensorElement>(of field: ResultField) -> UnsafeMutableBufferPointer<Element>? {
            fields.firstIndex(of: field).map { results.elements(ofLeaf: $0) }
        }
        self.fields = fields
        self.results = results
        func noInfos() -> UnsafeMutableBufferPointer<[InfoEntry]> {
            let infos = UnsafeMutableBufferPointer<[InfoEntry]>.allocate(capacity: count)
            infos.initialize(repeating: [])
            return infos
        }
        views = Views(
            rewards: elements(of: .rewards)!, terminated: elements(of: .terminated)!,
            truncated: elements(of: .truncated)!, episodeReturns: elements(of: .episodeReturns)!,
            episodeLengths: elements(of: .episodeLengths)!, stepNanoseconds: elements(of: .stepNanoseconds),
            infos: noInfos(), finalInfos: noInfos())
    }

    deinit {
        infos.deinitialize()
        infos.deallocate()
        finalInfos.deinitialize()
        finalInfos.deallocate()
    }

    /// The rows whose episode ended with the step, ascending, written to `rows`, which has room for all.
    ///
    /// - Returns: how many there are.
    public func collectEnded(into rows: UnsafeMutablePointer<UInt32>) -> Int {
        var ended = 0
        var row = 0
        let (terminated, truncated) = (
            UnsafeRawPointer(terminated.baseAddress!), UnsafeRawPointer(truncated.baseAddress!)
        )
        // In most steps hardly any: eight rows are looked at together.
        while row < count {
            let isWhole = row + 8 <= count
            if isWhole,
                terminated.loadUnaligned(fromByteOffset: row, as: UInt64.self)
                    | truncated.loadUnaligned(fromByteOffset: row, as: UInt64.self) == 0
            {
                row += 8
                continue
            }
            for index in row..<min(row + 8, count) where self.terminated[index] | self.truncated[index] != 0 {
                rows[ended] = UInt32(index)
                ended += 1
            }
            row += 8
        }
        return ended
    }
}
