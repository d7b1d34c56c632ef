public import GymCore

/// Where actions and results lie in memory that server and client share.
///
/// Offsets are in bytes from the mapping's start, each a multiple of 64. PROTOCOL.md, clauses S1 to S9.
public struct SharedMemoryLayout: Sendable, Hashable {
    /// A tensor of all environments.
    public struct Region: Sendable, Hashable {
        /// Where it starts.
        public var offset: Int
        /// Its element type.
        public var dtype: DType
        /// Its shape; the first axis are the environments.
        public var shape: [Int]
        /// The bytes it takes.
        public var byteCount: Int { Tensor.count(of: shape) * dtype.size }
    }

    /// One set of results.
    public struct Results: Sendable, Hashable {
        /// The observation's leaves.
        public var observation: [Region]
        /// The final observation's leaves; none unless the mode is same-step.
        public var finalObservation: [Region]
        /// One for each of the results that there are, in the order of ``ResultField/all``.
        public var fields: [Region]

        var all: [Region] { observation + finalObservation + fields }
    }

    /// More than can be mapped, and little enough to be added up some times over.
    private static let largest = 1 << 48

    /// Bytes of the control block.
    public static let controlSize = 256

    /// The mapping's size.
    public var size: Int
    /// Where the control block lies.
    public var controlOffset: Int
    /// The action's leaves.
    public var actions: [Region]
    /// Two sets; step k, counted from 0, writes set k mod 2.
    public var results: [Results]

    init(size: Int, controlOffset: Int, actions: [Region], results: [Results]) {
        self.size = size
        self.controlOffset = controlOffset
        self.actions = actions
        self.results = results
    }

    /// A layout for a batch of fixed spaces; `nil` when a space is ragged and cannot be shared, or when it would take
    /// more than there can be.
    ///
    /// - Parameter isTimed: whether results say how long steps took.
    public init?(
        observationSpace: Space, actionSpace: Space, count: Int, autoreset: AutoresetMode, isTimed: Bool = false
    ) {
        guard let observation = observationSpace.tensorLayouts, let action = actionSpace.tensorLayouts else {
            return nil
        }
        let fields = ResultField.present(isTimed: isTimed)
        // The largest there can be: all leaves four times and a few numbers a row, each aligned.
        let leaves = (observation + action).map(Leaf.tensor)
        guard count >= 1, let bytes = BatchBuffer.byteCount(of: leaves, count: count),
            bytes <= SharedMemoryLayout.largest, count <= SharedMemoryLayout.largest
        else { return nil }
        var end = SharedMemoryLayout.controlSize
        func place(_ dtype: DType, _ shape: [Int]) -> Region {
            let region = Region(offset: end, dtype: dtype, shape: [count] + shape)
            end = (end + region.byteCount + 63) & ~63
            return region
        }
        func place(_ layouts: [TensorLayout]) -> [Region] { layouts.map { place($0.dtype, $0.shape) } }
        actions = place(action)
        results = (0..<2).map { _ in
            Results(
                observation: place(observation), finalObservation: autoreset == .sameStep ? place(observation) : [],
                fields: fields.map { place($0.dtype, []) })
        }
        controlOffset = 0
        size = end
    }

    /// Whether everything lies inside the mapping, aligned and apart, with the dtypes and shapes that the spaces ask for:
    /// what a client checks before it believes a server.
    public func fits(
        observationSpace: Space, actionSpace: Space, count: Int, autoreset: AutoresetMode, isTimed: Bool = false
    ) -> Bool {
        guard
            let expected = SharedMemoryLayout(
                observationSpace: observationSpace, actionSpace: actionSpace, count: count, autoreset: autoreset,
                isTimed: isTimed)
        else { return false }
        func alike(_ left: [Region], _ right: [Region]) -> Bool {
            left.count == right.count && zip(left, right).allSatisfy { $0.dtype == $1.dtype && $0.shape == $1.shape }
        }
        // Alike first: shapes are multiplied out only when they are known.
        guard alike(actions, expected.actions), results.count == expected.results.count,
            zip(results, expected.results).allSatisfy({
                alike($0.observation, $1.observation) && alike($0.finalObservation, $1.finalObservation)
                    && alike($0.fields, $1.fields)
            })
        else { return false }
        let control = Region(offset: controlOffset, dtype: .uint8, shape: [SharedMemoryLayout.controlSize])
        let all = ([control] + actions + results.flatMap(\.all)).sorted { $0.offset < $1.offset }
        let areInside = all.allSatisfy { $0.offset >= 0 && $0.offset % 64 == 0 && $0.offset <= size - $0.byteCount }
        // Empty ones take no room, and may lie where another begins.
        let takingRoom = all.filter { $0.byteCount > 0 }
        return areInside
            && zip(takingRoom, takingRoom.dropFirst()).allSatisfy { $0.offset + $0.byteCount <= $1.offset }
    }
}
