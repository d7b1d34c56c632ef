import RunFiles

/// `progress.csv`: a row a line, in the columns of the first.
final class CSVSink: MetricSink {
    private let path: String
    private var file: ProgressFile?

    init(_ path: String) { self.path = path }

    func start(at step: Int, of total: Int) throws {
        file = step == 0 ? nil : try ProgressFile(continuing: path, through: step, of: ProgressTable.steps)
    }

    func record(_ metrics: Metrics, at step: Int) throws {
        if file == nil { file = try ProgressFile(creating: path, columns: metrics.values.map(\.name)) }
        try file!.append(metrics.values)
    }

    func synchronise() { file?.synchronise() }
}

/// `tensorboard/`: an event a line, in a file of its own each time that the run goes on.
final class TensorBoardSink: MetricSink {
    private let folder: String
    private var step = 0
    private var file: TensorBoardFile?

    init(_ folder: String) { self.folder = folder }

    func start(at step: Int, of total: Int) { self.step = step }

    func record(_ metrics: Metrics, at step: Int) throws {
        if file == nil { file = try TensorBoardFile(in: folder, after: self.step) }
        try file!.append(metrics.values, step: step)
    }
}
