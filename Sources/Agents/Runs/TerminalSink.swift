import Foundation

/// Shows how far a run is on standard output: a bar that redraws itself on a terminal, ten lines elsewhere.
public final class TerminalSink: MetricSink {
    private let explorationSteps: Int
    private let isTerminal: Bool
    private let write: (String) -> Void
    private let now: () -> ContinuousClock.Instant
    private var total = 0
    /// Where the rate is counted from: where this program took over, and again where learning starts, as exploring goes
    /// many times as fast.
    private var origin = (steps: 0, time: ContinuousClock.now)
    private var isExploring = false
    private var drawn: ContinuousClock.Instant?
    private var printedTenths = 0
    private var latest: (steps: Int, meanReturn: Double?) = (0, nil)

    /// Seconds between two drawings of the bar.
    private static let redrawInterval = 0.1
    private static let barWidth = 24

    /// The progress of a run with these hyperparameters.
    public convenience init(_ hyperparameters: Hyperparameters) {
        self.init(
            explorationSteps: hyperparameters.has("learning_starts") ? hyperparameters.integer("learning_starts") : 0,
            isTerminal: isatty(STDOUT_FILENO) == 1, now: { .now }
        ) { try? FileHandle.standardOutput.write(contentsOf: Data($0.utf8)) }
    }

    package init(
        explorationSteps: Int, isTerminal: Bool, now: @escaping () -> ContinuousClock.Instant,
        write: @escaping (String) -> Void
    ) {
        self.explorationSteps = explorationSteps
        self.isTerminal = isTerminal
        self.now = now
        self.write = write
    }

    /// Shows how far a run is from a step on.
    public func start(at step: Int, of total: Int) {
        self.total = total
        origin = (step, now())
        isExploring = step < explorationSteps
        printedTenths = 10 * step / max(1, total)
        latest = (step, nil)
    }

    /// Shows the steps done and the mean return; called as often as one likes.
    public func record(_ metrics: Metrics, at step: Int) {
        latest = (step, metrics["rollout/ep_rew_mean"])
        let now = now()
        if isExploring && step >= explorationSteps {
            isExploring = false
            origin = (step, now)
        }
        if isTerminal {
            if let drawn, seconds(now - drawn) < TerminalSink.redrawInterval { return }
            drawn = now
            write("\r\u{1B}[K" + line(at: now))
        } else {
            // Ten lines a run.
            let tenths = 10 * step / max(1, total)
            if tenths == printedTenths { return }
            printedTenths = tenths
            write(line(at: now) + "\n")
        }
    }

    /// Leaves the last state on the screen.
    public func finish() {
        if isTerminal { write("\r\u{1B}[K" + line(at: now()) + "\n") }
    }

    private func line(at now: ContinuousClock.Instant) -> String {
        let (steps, meanReturn) = latest
        let elapsed = seconds(now - origin.time)
        let share = min(1, Double(steps) / Double(max(1, total)))
        var text = ""
        if isTerminal {
            let filled = Int(share * Double(TerminalSink.barWidth))
            text += String(repeating: "█", count: filled)
            text += String(repeating: "░", count: TerminalSink.barWidth - filled) + " "
        }
        text += "\(Int(share * 100))%  \(steps)/\(total) steps"
        if isExploring {
            // What is left depends on how fast it learns, which nobody knows yet.
            text += "  exploring"
        } else if steps > origin.steps && elapsed > 0 {
            let rate = Double(steps - origin.steps) / elapsed
            text += "  \(Int(rate)) steps/s  \(duration(Double(max(0, total - steps)) / rate)) left"
        }
        if let meanReturn { text += "  mean return " + String(format: "%.1f", meanReturn) }
        return text
    }
}

/// `1:02:03`, `2:03`.
private func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded(.up))
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
}
