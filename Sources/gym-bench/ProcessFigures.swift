import Foundation

/// What a process takes at one moment.
struct ProcessFigures: Encodable {
    /// Memory that it has resident.
    let residentMib: Double
    let threads: Int
    let descriptors: Int

    /// The figures of a process: its number, or "self".
    init(of process: String) throws {
        residentMib = try residentMebibytes(process)
        threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").count
        descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
    }
}

/// Memory that a process has resident, in MiB; "self" is this one.
func residentMebibytes(_ process: String) throws -> Double {
    let pages = try String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8).split(separator: " ")[1]
    return Double(Int(pages)! * sysconf(Int32(_SC_PAGESIZE))) / Double(1 << 20)
}

/// What grew between the warm-up and the end: the most in the second quarter of the samples and the least in the last,
/// where that is larger by more than is put down to chance. A leak raises both; ups and downs do not.
func growth(_ samples: [Double], allowed: Double) -> (before: Double, after: Double)? {
    let quarter = samples.count / 4
    guard quarter > 0 else { return nil }
    let before = samples[quarter..<(2 * quarter)].max()!
    let after = samples.suffix(quarter).min()!
    return after - before > allowed ? (before, after) : nil
}
