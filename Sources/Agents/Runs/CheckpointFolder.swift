import Foundation
import GymCore
import RunFiles

/// The folder `checkpoints/` of a run: a file for each, named by the step, of which the newest two are kept.
public struct CheckpointFolder: Sendable {
    private let url: URL

    /// Two: when the newest is found broken, there is one before it.
    private static let kept = 2
    private static let ending = ".checkpoint"

    /// The checkpoints of the run in a folder.
    public init(of run: RunFolder) { url = run.url.appendingPathComponent("checkpoints") }

    /// Writes a checkpoint, whole or not at all, then removes those that are no longer kept.
    ///
    /// - Returns: the file's path.
    /// - Throws: ``RunFileError``.
    @discardableResult
    public func write(_ checkpoint: Checkpoint) throws -> String {
        var pieces: [[UInt8]] = []
        var writer = StateWriter { pieces.append([UInt8]($0)) }
        checkpoint.write(to: &writer)
        writer.flush()
        var rest = pieces.makeIterator()
        try write(steps: checkpoint.steps) { rest.next() }
        return file(checkpoint.steps)
    }

    /// Writes the checkpoint of a step from its pieces.
    func write(steps: Int, next: () -> [UInt8]?) throws {
        guard mkdir(url.path, 0o755) == 0 || errno == EEXIST else { throw DurableFile.failure(url.path) }
        try CheckpointFile.write(to: file(steps), version: Checkpoint.version, next: next)
        for old in self.steps.filter({ $0 < steps }).dropLast(CheckpointFolder.kept - 1) { unlink(file(old)) }
    }

    /// The newest checkpoint that is whole.
    ///
    /// - Parameter skipped: called with what is wrong with each newer one.
    /// - Returns: the checkpoint and its path; `nil` when none was written yet.
    /// - Throws: ``CheckpointError`` when there are some, and none can be taken.
    public func newest(skipped: (String) -> Void) throws -> (checkpoint: Checkpoint, path: String)? {
        var faults: [String] = []
        for steps in self.steps.reversed() {
            let path = file(steps)
            do {
                let checkpoint = try Checkpoint(file: path)
                guard checkpoint.steps == steps else { throw CheckpointError("it is of step \(checkpoint.steps)") }
                faults.forEach(skipped)
                return (checkpoint, path)
            } catch let error as CheckpointError {
                faults.append("the checkpoint \(path) cannot be taken: \(error)")
            }
        }
        if faults.isEmpty { return nil }
        throw CheckpointError(faults.joined(separator: "\n"))
    }

    /// Where the checkpoint of a step is.
    func file(_ steps: Int) -> String { url.appendingPathComponent("\(steps)\(CheckpointFolder.ending)").path }

    /// The steps of the checkpoints there are, in order.
    private var steps: [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.filter { $0.hasSuffix(CheckpointFolder.ending) }
            .compactMap { Int($0.dropLast(CheckpointFolder.ending.count)) }.sorted()
    }
}
