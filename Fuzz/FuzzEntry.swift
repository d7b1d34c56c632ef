import Conversations
import Foundation
import FuzzSupport

// libFuzzer calls this once for each input. What goes wrong is found by it: crashes, hangs (-timeout), leaks and, with
// a sanitizer, whatever that sees. The environment says what to fuzz: FUZZ_TARGET=server or client. libFuzzer has no
// part in memory, for FUZZ_SECONDS with FUZZ_SEED, and in states, all that StateSweep makes of those of all environments.

private let environment = ProcessInfo.processInfo.environment

private let side: Mutator.Side = environment["FUZZ_TARGET"] == "client" ? .server : .client

private let target: @Sendable (Conversation) throws -> Void = trying("the fuzzer's target cannot be made") {
    switch side {
    case .client:
        let server = try FuzzedServer()
        return { try server.run($0) }
    case .server:
        let client = try FuzzedClient()
        return { try client.run($0) }
    }
}

private let recorded: [Conversation] = trying("no conversations could be recorded") {
    try Recorder.conversations().map { conversation in
        // To a server it is all the same what another server once said: only when.
        side == .server ? conversation : Conversation(conversation.parts.map(withoutAnswer))
    }
}

private let mutator = Mutator(side, donors: recorded)

private func withoutAnswer(_ part: Conversation.Part) -> Conversation.Part {
    switch part {
    case .response: .response([])
    case .serverWrite(_, let offset): .serverWrite([], offset: offset)
    default: part
    }
}

private func trying<Result>(_ what: String, _ body: () throws -> Result) -> Result {
    do { return try body() } catch { fatalError("\(what): \(error)") }
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ input: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The program's start: the package manager names it so for a target called gym-fuzz. Writes the recorded conversations
/// into the folder that the environment names, and lets libFuzzer take over.
@_cdecl("gym_fuzz_main")
public func start(
    _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
    signal(SIGPIPE, SIG_IGN)
    if environment["FUZZ_TARGET"] == "memory" {
        trying("the memory was not safe") {
            let siege = try MemorySiege()
            let end = Date().addingTimeInterval(Double(environment["FUZZ_SECONDS"] ?? "") ?? 600)
            var generator = FuzzGenerator(seed: UInt64(environment["FUZZ_SEED"] ?? "") ?? 0)
            var rounds = 0
            while Date() < end {
                try siege.run(seed: generator.next())
                rounds += 1
            }
            print("\(rounds) batches")
        }
        return 0
    }
    if environment["FUZZ_TARGET"] == "states" {
        for id in StateSweep.environments {
            trying("\(id): a state was not safe") {
                // The last line says which state ended the process.
                print(id, try StateSweep.run(id) { print(id, "offset", $0, "number", $1) })
            }
        }
        return 0
    }
    if let folder = environment["FUZZ_SEEDS"] {
        for (index, conversation) in recorded.enumerated() {
            trying("the conversations cannot be written to \(folder)") {
                let file = URL(fileURLWithPath: folder).appendingPathComponent("recorded-\(index)")
                try Data(conversation.encoded).write(to: file)
            }
        }
    }
    var count = count
    var arguments = arguments
    return runFuzzer(&count, &arguments) { bytes, count in
        trying("the input brought about what must not be") {
            try target(Conversation(decoding: UnsafeBufferPointer(start: bytes, count: count)))
        }
        return 0
    }
}

/// libFuzzer's own mutations know bytes; these know conversations.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ bytes: UnsafeMutablePointer<UInt8>, _ size: Int, _ capacity: Int, _ seed: UInt32) -> Int {
    var generator = FuzzGenerator(seed: UInt64(seed))
    let conversation = Conversation(decoding: UnsafeBufferPointer(start: bytes, count: size))
    return write(mutator.mutated(conversation, &generator), to: bytes, capacity)
}

/// One conversation goes on as another.
@_cdecl("LLVMFuzzerCustomCrossOver")
public func cross(
    _ left: UnsafePointer<UInt8>, _ leftSize: Int, _ right: UnsafePointer<UInt8>, _ rightSize: Int,
    _ bytes: UnsafeMutablePointer<UInt8>, _ capacity: Int, _ seed: UInt32
) -> Int {
    var generator = FuzzGenerator(seed: UInt64(seed))
    let crossed = mutator.crossed(
        Conversation(decoding: UnsafeBufferPointer(start: left, count: leftSize)),
        Conversation(decoding: UnsafeBufferPointer(start: right, count: rightSize)), &generator)
    return write(crossed, to: bytes, capacity)
}

private func write(_ conversation: Conversation, to bytes: UnsafeMutablePointer<UInt8>, _ capacity: Int) -> Int {
    let encoded = conversation.encoded.prefix(capacity)
    _ = UnsafeMutableBufferPointer(start: bytes, count: capacity).update(fromContentsOf: encoded)
    return encoded.count
}
