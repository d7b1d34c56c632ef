import Foundation
import ServerTestSupport

// libFuzzer calls this once for each input. What goes wrong is found by it: crashes, hangs (-timeout), leaks and, with
// a sanitizer, whatever that sees.

private let session: FuzzSession = {
    do {
        return try FuzzSession()
    } catch {
        fatalError("the fuzzer's server cannot be started: \(error)")
    }
}()

@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ input: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The program's start: the package manager names it so for a target called gym-fuzz. Writes the inputs to begin with
/// into the folder that the environment names, and lets libFuzzer take over.
@_cdecl("gym_fuzz_main")
public func start(
    _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
    if let folder = ProcessInfo.processInfo.environment["FUZZ_SEEDS"] {
        do {
            for (index, seed) in try FuzzSession.seeds().enumerated() {
                try Data(seed).write(to: URL(fileURLWithPath: folder).appendingPathComponent("seed-\(index)"))
            }
        } catch {
            fatalError("the seeds cannot be written to \(folder): \(error)")
        }
    }
    var count = count
    var arguments = arguments
    return runFuzzer(&count, &arguments) { bytes, count in fuzzOneInput(bytes, count) }
}

/// Serves one connection on which the input comes.
private func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try session.run(UnsafeRawBufferPointer(start: bytes, count: count))
    } catch {
        fatalError("the fuzzer's own machinery failed: \(error)")
    }
    return 0
}
