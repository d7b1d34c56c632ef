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

/// Writes the inputs to begin with into the folder that the environment names.
@_cdecl("LLVMFuzzerInitialize")
public func initializeFuzzer(_ count: UnsafeMutableRawPointer, _ arguments: UnsafeMutableRawPointer) -> CInt {
    guard let folder = ProcessInfo.processInfo.environment["FUZZ_SEEDS"] else { return 0 }
    do {
        for (index, seed) in try FuzzSession.seeds().enumerated() {
            try Data(seed).write(to: URL(fileURLWithPath: folder).appendingPathComponent("seed-\(index)"))
        }
    } catch {
        fatalError("the seeds cannot be written to \(folder): \(error)")
    }
    return 0
}

/// Serves one connection on which the input comes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try session.run(UnsafeRawBufferPointer(start: bytes, count: count))
    } catch {
        fatalError("the fuzzer's own machinery failed: \(error)")
    }
    return 0
}
