internal import CSystemCalls
import Glibc

/// A batch whose steps go through shared memory, by the letter of S1 to S9.
final class SharedBatch {
    let batch: Batch
    let layout: Message
    let size: Int

    /// What one step left in the memory.
    struct Result: Equatable {
        var status: UInt32 = 0
        var step = Step()
    }

    private let hasTimes: Bool
    private let base: UnsafeMutableRawPointer
    private let mappedSize: Int
    private(set) var sequence: UInt32 = 0
    private var client: Client { batch.client }

    // Offsets in the control block (S4).
    private static let requestFlags = 4
    private static let response = 64
    private static let status = 68
    private static let requestSleeper = 128
    private static let responseSleeper = 192

    /// Makes environments and maps their memory.
    convenience init(
        _ client: Client, _ id: String, count: Int = 1, options: [(String, Message.Value)] = [],
        autoreset: Autoreset? = nil, limit: Int? = nil, extra: [(String, Message.Value)] = []
    ) throws {
        let batch = try client.make(
            id, count: count, options: options, autoreset: autoreset, limit: limit,
            extra: extra + [("transport", 2)])
        try self.init(batch, hasTimes: extra.contains { $0.0 == "want_step_time" })
    }

    /// Maps the memory of environments that were made.
    ///
    /// - Parameter hasTimes: whether make asked for step times.
    init(_ batch: Batch, hasTimes: Bool = false) throws {
        self.batch = batch
        self.hasTimes = hasTimes
        let client = batch.client
        try expect(batch.made.number("transport"), 2, "the transport that the answer to make echoes")
        guard let layout = batch.made.message("shared_memory") else {
            throw CheckFailure(what: "shared_memory of the answer to make (S3)", expected: "a layout", got: "none")
        }
        self.layout = layout
        size = layout.integer("size")
        let descriptor = client.raw.takeDescriptor()
        guard descriptor >= 0 else {
            throw CheckFailure(
                what: "ancillary data of the answer to make (S1)", expected: "a descriptor", got: "none")
        }
        defer { close(descriptor) }
        try require(
            gym_is_sealed(descriptor) != 0, "seals of the memfd (S1)", expected: "F_SEAL_SHRINK and F_SEAL_GROW",
            got: "others, or none")
        var status = stat()
        fstat(descriptor, &status)
        mappedSize = Int(status.st_size)
        try require(
            mappedSize >= size && size >= 256, "the memfd's size (S1)", expected: "at least size, \(size)",
            got: "\(mappedSize)")
        let mapped = mmap(nil, mappedSize, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else { throw SystemFailure("map the shared memory") }
        base = mapped
        try checkLayout()
    }

    deinit { munmap(base, mappedSize) }

    // MARK: The layout

    /// Every region with its name, dtype and shape as they have to be.
    private func regions() throws -> [(name: String, region: Message?, dtype: DType, shape: [Int])] {
        let count = batch.count
        guard let actions = batch.actionSpace.tensorLayouts, let observation = batch.observationSpace.tensorLayouts
        else { throw CheckFailure(what: "spaces in shared memory (M10)", expected: "fixed ones", got: "ragged ones") }
        var regions: [(name: String, region: Message?, dtype: DType, shape: [Int])] = []
        func add(_ name: String, _ messages: [Message], _ layouts: [TensorLayout]) throws {
            try expect(messages.count, layouts.count, "number of regions of \(name) (S3)")
            for (index, layout) in layouts.enumerated() {
                regions.append(("\(name) \(index)", messages[index], layout.dtype, [count] + layout.shape))
            }
        }
        try add("actions", layout.messages("actions"), actions)
        let results = layout.messages("results")
        try expect(results.count, 2, "number of sets of results (S3)")
        for (set, part) in results.enumerated() {
            try add("results \(set) observation", part.messages("observation"), observation)
            try add(
                "results \(set) final_observation", part.messages("final_observation"),
                batch.autoreset == .sameStep ? observation : [])
            let columns: [(String, DType)] = [
                ("rewards", .float64), ("terminated", .bool), ("truncated", .bool), ("episode_returns", .float64),
                ("episode_lengths", .int64),
            ]
            for (field, dtype) in columns + (hasTimes ? [("step_nanoseconds", .int64)] : []) {
                regions.append(("results \(set) \(field)", part.message(field), dtype, [count]))
            }
        }
        return regions
    }

    private func checkLayout() throws {
        var taken: [(name: String, range: Range<Int>)] = []
        func place(_ name: String, _ offset: Int, _ length: Int) throws {
            try require(offset % 64 == 0, "\(name): offset (S3)", expected: "a multiple of 64", got: "\(offset)")
            try require(
                offset >= 0 && offset <= size - length, "\(name): end (S3)", expected: "inside of \(size) bytes",
                got: "\(offset) + \(length)")
            let range = offset..<(offset + length)
            if let other = taken.first(where: { $0.range.overlaps(range) }) {
                throw CheckFailure(
                    what: "\(name) (S3)", expected: "a place of its own", got: "\(range), which overlaps \(other.name)")
            }
            taken.append((name, range))
        }
        try place("the control block", layout.integer("control_offset"), 256)
        for (name, region, dtype, shape) in try regions() {
            guard let region else { throw CheckFailure(what: "\(name) (S3)", expected: "a region", got: "none") }
            try expect(region.number("dtype"), UInt64(dtype.rawValue), "\(name): dtype (S3)")
            try expect(region.numbers("shape"), shape.map(UInt64.init), "\(name): shape (S3)")
            try place(name, region.integer("offset"), Tensor.count(of: shape) * dtype.size)
        }
    }

    // MARK: The control block

    private func word(_ offset: Int) -> UnsafeMutablePointer<UInt32> {
        (base + layout.integer("control_offset") + offset).assumingMemoryBound(to: UInt32.self)
    }

    /// Whether all of the memory is zeros; but for the server's sleeper word, since the server may wait already (S7).
    var isZero: Bool {
        let sleeper = layout.integer("control_offset") + SharedBatch.requestSleeper
        let memory = UnsafeRawBufferPointer(start: base, count: size)
        return memory[..<sleeper].allSatisfy { $0 == 0 } && memory[(sleeper + 4)...].allSatisfy { $0 == 0 }
    }

    /// What the server's response word shows.
    var responseWord: UInt32 { gym_load(word(SharedBatch.response)) }

    /// What the server's status shows.
    var status: UInt32 { gym_load(word(SharedBatch.status)) }

    /// Rings with a value, whichever.
    func ring(_ value: UInt32) {
        gym_store(word(0), value)
        if gym_load(word(SharedBatch.requestSleeper)) != 0 { gym_futex_wake(word(0)) }
    }

    /// Waits, asleep, until the response word shows another value.
    func waitForAnswer(to value: UInt32) throws {
        let deadline = now() + client.raw.timeout
        gym_store(word(SharedBatch.responseSleeper), 1)
        defer { gym_store(word(SharedBatch.responseSleeper), 0) }
        while responseWord != value {
            let shown = responseWord
            if shown == value { return }
            guard now() < deadline else {
                throw Timeout(description: "the response word shows \(shown) and not \(value)")
            }
            // Short sleeps: whether the server wakes its client is what ``isWoken(by:within:)`` is for.
            _ = gym_futex_wait(word(SharedBatch.response), shown, 50_000_000)
        }
    }

    /// Sleeps until the server wakes this side (S7), or so many seconds have passed.
    ///
    /// - Returns: whether there was anything to wake: not when the answer had come before.
    /// - Throws: ``CheckFailure`` when the answer came without it.
    func isWoken(by value: UInt32, within seconds: Double) throws -> Bool {
        gym_store(word(SharedBatch.responseSleeper), 1)
        defer { gym_store(word(SharedBatch.responseSleeper), 0) }
        let deadline = now() + client.raw.timeout
        while true {
            let shown = responseWord
            if shown == value { return false }
            let result = gym_futex_wait(word(SharedBatch.response), shown, Int64(seconds * 1e9))
            guard result == 0 || result == -ETIMEDOUT else { continue }
            guard responseWord == value else {
                if now() < deadline { continue }
                throw Timeout(description: "the response word shows \(responseWord) and not \(value)")
            }
            try require(
                result == 0, "a client that sleeps until its step is answered (S7)", expected: "to be woken",
                got: "the answer, but no wake in \(seconds) s")
            return true
        }
    }

    /// Spoils every word of the control block.
    func fillControlBlock(with byte: UInt8) {
        memset(base + layout.integer("control_offset"), Int32(byte), 256)
    }

    /// Writes bytes to the region of an action's leaf.
    func write(_ bytes: [UInt8], leaf: Int) {
        let offset = layout.messages("actions")[leaf].integer("offset")
        bytes.withUnsafeBytes { (base + offset).copyMemory(from: $0.baseAddress!, byteCount: bytes.count) }
    }

    /// The bytes of a set of results.
    func bytes(ofSet set: Int) throws -> [[UInt8]] {
        try regions().filter { $0.name.hasPrefix("results \(set)") }.map { region in
            let count = Tensor.count(of: region.shape) * region.dtype.size
            return Array(UnsafeRawBufferPointer(start: base + region.region!.integer("offset"), count: count))
        }
    }

    // MARK: Steps

    /// Writes actions and rings; the answer is waited for by ``finish()``.
    func begin(_ actions: [Member], wantsInfo: Bool = false) {
        let rows = actions.map(batch.actionSpace.leaves(of:))
        for leaf in batch.actionSpace.leaves.indices {
            var bytes: [UInt8] = []
            for row in rows { if case .tensor(let tensor) = row[leaf] { bytes += tensor.bytes } }
            write(bytes, leaf: leaf)
        }
        gym_store(word(SharedBatch.requestFlags), wantsInfo ? 1 : 0)
        sequence &+= 1
        ring(sequence)
    }

    /// Waits for the step's answer and reads its results.
    func finish() throws -> Result {
        try waitForAnswer(to: sequence)
        var result = Result()
        result.status = status
        if result.status <= 1 { result.step = try results(Int((sequence &- 1) & 1)) }
        if result.status == 1 {
            let response = try client.receive(answerTo: 0, handle: batch.handle)
            guard let part = response.message("step") else {
                throw CheckFailure(
                    what: "the frame after status 1 (S6)", expected: "a step's response",
                    got: Client.describe(response))
            }
            for field in ["observation", "rewards", "terminated", "truncated", "final_observation"]
            where part.has(field) {
                throw CheckFailure(what: "the frame after status 1 (S6)", expected: "no \(field)", got: "\(part)")
            }
            let extra = try batch.decodeStep(part, count: batch.count, sharesResults: true)
            result.step.faults = extra.faults
            result.step.info = extra.info
        }
        return result
    }

    /// A step from beginning to end that has to be done.
    @discardableResult
    func step(_ actions: [Member]) throws -> Step {
        begin(actions)
        let result = try finish()
        try expect(result.status, 0, "the status of a step (S6)")
        return result.step
    }

    /// A step of the same discrete action in each row.
    @discardableResult
    func step(_ action: Int) throws -> Step {
        try step([Member](repeating: .integer(action), count: batch.count))
    }

    /// A step that has to be refused, with an error in a frame (S6).
    @discardableResult
    func expectError(_ code: ErrorCode, _ actions: [Member], _ what: String) throws -> Message {
        begin(actions)
        try waitForAnswer(to: sequence)
        try expect(status, 2, "\(what): the status (S6)")
        return try client.receiveError(code, id: 0, handle: batch.handle, what)
    }

    /// The results of a set, in the form of a step's response.
    func results(_ set: Int) throws -> Step {
        let part = layout.messages("results")[set]
        let count = batch.count
        func numbers<Number: BitwiseCopyable>(_ field: String, _: Number.Type) -> [Number] {
            let start = base + part.message(field)!.integer("offset")
            return (0..<count).map {
                start.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Number>.stride, as: Number.self)
            }
        }
        func rows(_ field: String) -> [[Member]] {
            (0..<count).map { row in
                zip(part.messages(field), batch.observationSpace.tensorLayouts!).map { region, layout in
                    let start = base + region.integer("offset") + row * layout.byteCount
                    return .tensor(
                        Tensor(
                            dtype: layout.dtype, shape: layout.shape,
                            bytes: Array(UnsafeRawBufferPointer(start: start, count: layout.byteCount))))
                }
            }
        }
        var step = Step()
        step.observation = rows("observation")
        step.rewards = numbers("rewards", Double.self)
        step.terminated = numbers("terminated", UInt8.self)
        step.truncated = numbers("truncated", UInt8.self)
        if hasTimes { step.nanoseconds = numbers("step_nanoseconds", Int64.self) }
        step.finalIndex = (0..<count).filter { step.terminated[$0] | step.truncated[$0] != 0 }
        let returns = numbers("episode_returns", Double.self)
        let lengths = numbers("episode_lengths", Int64.self)
        step.returns = step.finalIndex.map { returns[$0] }
        step.lengths = step.finalIndex.map { Int(lengths[$0]) }
        if batch.autoreset == .sameStep {
            let final = rows("final_observation")
            step.finalObservation = step.finalIndex.map { final[$0] }
        }
        return step
    }
}
