/// Somewhere that a run's log lines go: a terminal, a file, a program that draws them.
public protocol MetricSink: AnyObject {
    /// Lines come from now on, the first of them after `step`. A run that goes on from a checkpoint starts there: what
    /// was logged of later steps did not happen.
    ///
    /// - Parameter total: steps that the run is to have.
    func start(at step: Int, of total: Int) throws
    /// Takes in a line; the first decides the names.
    func record(_ metrics: Metrics, at step: Int) throws
    /// Has the lines so far on the disk, where that is where they go. Called from another thread, but never at the same
    /// time as ``finish()``.
    func synchronise()
    /// No more lines come for now.
    func finish()
}

extension MetricSink {
    /// Nothing is to be made ready.
    public func start(at step: Int, of total: Int) throws {}
    /// Nothing goes to a disk.
    public func synchronise() {}
    /// Nothing is to be closed.
    public func finish() {}
}
