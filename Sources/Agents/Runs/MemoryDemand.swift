import Foundation

/// Refuses what this machine has no memory for, before anything is allocated: what is too large ends the process, or
/// another one.
///
/// - Parameters:
///   - bytes: what is asked for, as a floating-point number, which does not overflow.
///   - key: the hyperparameter that decides it.
///   - what: what takes so much, as the beginning of a sentence.
/// - Throws: ``HyperparameterError``.
func requireMemory(_ bytes: Double, for key: String, _ what: String) throws {
    let there = Double(ProcessInfo.processInfo.physicalMemory)
    guard bytes > there else { return }
    func gigabytes(_ bytes: Double) -> String { String(format: "%.1f GB", bytes * 1e-9) }
    throw HyperparameterError(
        key: key, description: "\(what) take \(gigabytes(bytes)); this machine has \(gigabytes(there))")
}
