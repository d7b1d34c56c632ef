import GymCore
import GymProtocol
import Synchronization

/// Carries out what is asked of a handle: one request after the other, in order, on whichever thread.
///
/// A request is carried out at once, on the thread that heard it. When the handle has shown to be slow, a thread of the
/// pool does it, if there is one; what comes meanwhile waits as it came. Steps in shared memory have a thread for
/// themselves, which takes turns with the requests.
final class HandleExecutor: PooledWork {
    let id: UInt32
    /// The environments that it has.
    let count: Int
    /// Bytes that it takes.
    private let bytes: Int
    private let link: ClientLink
    private let capabilities: Set<String>
    private let handle: Guarded<EnvironmentHandle>
    private let worker: SharedMemoryWorker?

    /// A request as it is when it has been checked: actions lie in the handle's own memory, and members of a space in a
    /// batch of their own.
    private typealias Checked = HandleRequest<BatchBuffer?>

    private struct Work {
        /// Whether a thread carries something out now.
        var isBusy = false
        /// What the pool's thread begins with.
        var next: (request: Checked, envelope: ResponseWriter.Envelope)?
        /// Bodies of requests that came while it was busy.
        var queue: [[UInt8]] = []
        var queuedBytes = 0
        /// Whether the last request took long.
        var isSlow = false
        var isEnding = false
    }

    private let work = Guarded(Work())

    /// Takes over a handle that takes so many bytes, which were counted; it counts the rest.
    ///
    /// - Throws: ``WireError`` when it steps in shared memory and there is no thread for that.
    init(
        id: UInt32, _ handle: sending EnvironmentHandle, bytes: Int, capabilities: Set<String>, link: ClientLink
    ) throws {
        self.id = id
        self.bytes = bytes
        self.link = link
        self.capabilities = capabilities
        count = handle.environment.count
        let memory = handle.sharedMemory
        let guarded = Guarded(handle)
        self.handle = guarded
        worker = memory.map { memory in
            SharedMemoryWorker(memory) { HandleExecutor.stepShared(guarded, id: id, memory, sequence: $0, link) }
        }
        if let worker, !link.server.pool.run(worker) {
            throw WireError(
                .limitExceeded, "the server has no thread left for another batch in shared memory; use the socket",
                details: [.init(field: "threads", expected: "at most \(link.server.pool.limit)")])
        }
        link.handles.add(1, ordering: .relaxed)
        link.environments.add(count, ordering: .relaxed)
    }

    /// Whether a step in shared memory is under way.
    var isStepping: Bool { worker?.isStepping ?? false }

    // MARK: Taking requests

    /// Takes a request that counts among the pending ones, and answers it, now or later.
    ///
    /// - Parameters:
    ///   - body: the request as it came.
    ///   - reader: the session that heard it; for the caller's thread, which listens to it.
    /// - Returns: whether the caller still does. Not when the request took so long that another thread began to.
    /// - Throws: ``WireError`` when there is no memory for it to wait.
    func submit(
        _ request: HandleRequest<ReceivedLeaves>, _ envelope: ResponseWriter.Envelope, _ body: UnsafeRawBufferPointer,
        reader: Session
    ) throws -> Bool {
        enum Place { case here, pool, queue }
        let place = work.withLock { work -> Place in
            if work.isBusy { return .queue }
            work.isBusy = true
            return work.isSlow ? .pool : .here
        }
        switch place {
        case .here: return carryOutHere(request, envelope, reader: reader)
        case .queue: try enqueue(body)
        case .pool:
            var isChecked = false
            link.answering(envelope) {
                let checked = try handle.withLock { try check(request, $0) }
                work.withLock { $0.next = (checked, envelope) }
                isChecked = true
            }
            if !isChecked {
                drain()
            } else if !link.server.pool.run(self) {
                return carryOutNext(reader: reader)
            }
        }
        return true
    }

    private func enqueue(_ body: UnsafeRawBufferPointer) throws {
        guard link.memory.take(body.count) else {
            throw WireError(
                .limitExceeded, "the requests that wait for the handle take the memory that the connection may have",
                details: [.init(field: "memory_bytes", expected: "at most \(link.memory.limit)")])
        }
        let most = link.server.limits.maxFrameBytes
        let isTaken = work.withLock(when: { $0.isEnding || $0.queue.isEmpty || $0.queuedBytes + body.count <= most }) {
            work in
            work.queue.append(Array(body))
            work.queuedBytes += body.count
            // It may have become idle just before.
            defer { work.isBusy = true }
            return work.isBusy
        }
        if !isTaken && !link.server.pool.run(self) { run() }
    }

    // MARK: Carrying out

    private func carryOutHere(
        _ request: HandleRequest<ReceivedLeaves>, _ envelope: ResponseWriter.Envelope, reader: Session
    ) -> Bool {
        let start = monotonicSeconds()
        var turn = Session.Turn.none
        link.answering(envelope) {
            try handle.withLock { handle in
                let checked = try check(request, handle)
                // From here on nothing of the frame is needed any more: another thread may read the next one.
                turn = reader.beginLongWork(at: start)
                try carryOut(checked, handle, envelope)
            }
        }
        noteDuration(since: start)
        drain()
        return reader.endLongWork(turn)
    }

    private func carryOutNext(reader: Session) -> Bool {
        let turn = reader.beginLongWork(at: monotonicSeconds())
        run()
        return reader.endLongWork(turn)
    }

    /// Carries out what waits, as a thread of the pool.
    func run() {
        if let (request, envelope) = work.withLock({ work in
            defer { work.next = nil }
            return work.next
        }) {
            let start = monotonicSeconds()
            link.answering(envelope) { try handle.withLock { try carryOut(request, $0, envelope) } }
            noteDuration(since: start)
        }
        drain()
    }

    /// Carries out requests that came meanwhile, until there are none.
    private func drain() {
        while let body = nextInQueue() {
            let start = monotonicSeconds()
            body.withUnsafeBytes { bytes in
                handle.withLock { handle in
                    defer { handle.decoder.release() }
                    // It was decoded before, by the session, to see whose it is.
                    guard let request = try? handle.decoder.decode(bytes), case .handle(let message) = request.message
                    else { return }
                    link.answering(request.envelope) {
                        try carryOut(try check(message, handle), handle, request.envelope)
                    }
                }
            }
            link.memory.give(body.count)
            noteDuration(since: start)
        }
    }

    private func nextInQueue() -> [UInt8]? {
        work.withLock { work in
            guard !work.isEnding, !work.queue.isEmpty else {
                work.isBusy = false
                self.work.signal()
                return nil
            }
            let body = work.queue.removeFirst()
            work.queuedBytes -= body.count
            self.work.signal()
            return body
        }
    }

    private func noteDuration(since start: Double) {
        let isSlow = monotonicSeconds() - start > link.server.configuration.slowRequestSeconds
        work.withLock { $0.isSlow = isSlow }
    }

    // MARK: Ending

    /// Waits until all that it was given is done, and gives the handle up.
    func close() {
        work.withLock(when: { !$0.isBusy && $0.queue.isEmpty }) { $0.isEnding = true }
        giveUp()
    }

    /// Waits for what it does now, and gives the handle up; what waits is refused.
    func end() {
        work.withLock { $0.isEnding = true }
        work.signal()
        let queue = work.withLock(when: { !$0.isBusy }) { work in
            defer { work.queue = [] }
            return work.queue
        }
        let decoder = RequestDecoder()
        for body in queue {
            link.memory.give(body.count)
            guard link.isStopping, let request = body.withUnsafeBytes({ try? decoder.decode($0) }) else { continue }
            link.answer(WireError(.shuttingDown, "the server ends"), request.envelope)
        }
        giveUp()
    }

    private func giveUp() {
        worker?.end()
        link.memory.give(bytes)
        link.handles.subtract(1, ordering: .relaxed)
        link.environments.subtract(count, ordering: .relaxed)
    }

    // MARK: What requests ask for

    /// Checks what can be checked of a request without doing it, and takes over what it points to.
    private func check(_ request: HandleRequest<ReceivedLeaves>, _ handle: EnvironmentHandle) throws -> Checked {
        switch request {
        case .step(let actions, let wantsInfo):
            try handle.requireSocketTransport()
            try handle.requireNothingPending()
            try actions.copy(into: handle.actions, field: "action", code: .invalidAction)
            return .step(nil, wantsInfo: wantsInfo)
        case .send(let environments, let actions):
            try require(ProtocolVersion.asynchronous)
            try handle.requireSocketTransport()
            try handle.prepareToSend(environments, actions)
            return .send(environments: environments, nil)
        case .receive(let count):
            try require(ProtocolVersion.asynchronous)
            try handle.requireSocketTransport()
            return .receive(count: count)
        case .reset(let parameters): return .reset(parameters)
        case .render(let environments):
            try require(ProtocolVersion.render)
            return .render(environments: environments)
        case .getState(let environments):
            try require(ProtocolVersion.state)
            return .getState(environments: environments)
        case .setState(let environments, let states):
            try require(ProtocolVersion.state)
            return .setState(environments: environments, states: states)
        case .sample(let kind, let seed):
            try require(ProtocolVersion.spaces)
            return .sample(kind, seed: seed)
        case .contains(let kind, let members):
            try require(ProtocolVersion.spaces)
            return .contains(kind, try handle.members(of: kind, members))
        case .close: return .close
        }
    }

    private func require(_ capability: String) throws { try WireError.require(capability, among: capabilities) }

    private func carryOut(
        _ request: Checked, _ handle: EnvironmentHandle, _ envelope: ResponseWriter.Envelope
    ) throws {
        switch request {
        case .step(_, let wantsInfo): try step(handle, wantsInfo: wantsInfo, envelope)
        case .send(let environments, _):
            try handle.send(environments)
            try link.reply { try $0.sent(envelope) }
        case .receive(let count): try receive(handle, count, envelope)
        case .reset(let parameters): try reset(handle, parameters, envelope)
        case .render(let environments):
            var budget = replyBudget
            let renderings = try handle.render(environments, &budget)
            try link.reply { try $0.render(renderings, envelope) }
        case .getState(let environments):
            var budget = replyBudget
            let states = try handle.states(environments, &budget)
            try link.reply { try $0.states(states.bytes, ends: states.ends, envelope) }
        case .setState(let environments, let states):
            try handle.setStates(states, environments)
            try link.reply { try $0.stateSet(envelope) }
        case .sample(let kind, let seed):
            var budget = replyBudget
            try handle.sample(kind, seed: seed, &budget) { sample in
                try link.reply { try $0.sample(sample, envelope) }
            }
        case .contains(let kind, let members):
            guard let members else { throw WireError(.internal, "the members of a request were lost") }
            let flags = handle.contains(kind, members)
            try link.reply { try $0.contained(flags, envelope) }
        case .close: throw WireError(.internal, "a close is the session's")
        }
    }

    private var replyBudget: ReplyBudget { ReplyBudget(mostBytes: link.maxAnswerBytes, memory: link.memory) }

    private func step(
        _ handle: EnvironmentHandle, wantsInfo: Bool, _ envelope: ResponseWriter.Envelope
    ) throws {
        let faults = try handle.step(wantsInfo: wantsInfo)
        link.countSteps(handle.environment.count, faults)
        var contents = ResponseWriter.StepContents()
        contents.wantsInfo = wantsInfo
        contents.hasFinalObservations = handle.environment.autoreset == .sameStep
        contents.faults = faults
        try link.reply { try $0.step(handle.buffers, contents, envelope) }
    }

    private func receive(
        _ handle: EnvironmentHandle, _ count: Int, _ envelope: ResponseWriter.Envelope
    ) throws {
        let (rows, faults) = try handle.receive(count)
        link.countSteps(rows.count, faults)
        try rows.withUnsafeBufferPointer { rows in
            var contents = ResponseWriter.StepContents()
            contents.rows = rows
            contents.hasFinalObservations = handle.environment.autoreset == .sameStep
            contents.faults = faults
            try link.reply { try $0.step(handle.buffers, contents, envelope) }
        }
    }

    private func reset(
        _ handle: EnvironmentHandle, _ parameters: ResetParameters, _ envelope: ResponseWriter.Envelope
    ) throws {
        let report = try handle.reset(parameters)
        link.countFaults(report.faults)
        try link.reply {
            try $0.reset(
                handle.buffers, effectiveSeeds: report.effectiveSeeds, faults: report.faults,
                wantsInfo: parameters.wantsInfo, envelope)
        }
    }

    /// Steps a handle whose doorbell rang; says on the socket what does not fit into shared memory.
    private static func stepShared(
        _ handle: Guarded<EnvironmentHandle>, id: UInt32, _ memory: SharedMemory, sequence: UInt32, _ link: ClientLink
    ) -> (SharedMemory.Status, isCrowded: Bool) {
        let envelope = ResponseWriter.Envelope(id: 0, handle: id)
        let wantsInfo = memory.wantsInfo
        do {
            return try handle.withLock { handle in
                let faults = try handle.stepShared(sequence: sequence, wantsInfo: wantsInfo)
                link.countSteps(handle.environment.count, faults)
                // Most environments have no info: then its being wanted costs no frame.
                if faults.isEmpty && !(wantsInfo && handle.buffers.hasInfo) { return (.done, handle.isCrowded) }
                var contents = ResponseWriter.StepContents()
                contents.wantsInfo = wantsInfo
                contents.hasFinalObservations = handle.environment.autoreset == .sameStep
                contents.resultsAreShared = true
                contents.faults = faults
                try link.write { try $0.step(handle.buffers, contents, envelope) }
                return (.frameFollows, handle.isCrowded)
            }
        } catch is ClientLink.Gone {
            return (.closed, false)
        } catch {
            link.answer(WireError(answering: error), envelope)
            return (.failed, false)
        }
    }
}

extension WireError {
    /// - Throws: ``WireError`` unless the hellos agreed on the capability.
    static func require(_ capability: String, among capabilities: Set<String>) throws {
        guard capabilities.contains(capability) else {
            throw WireError(
                .unsupportedCapability, "the capability \(capability) is not in force on this connection",
                details: [.init(field: "capabilities", expected: capability)])
        }
    }
}
