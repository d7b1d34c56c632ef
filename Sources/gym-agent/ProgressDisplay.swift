import CommandLineSupport
import Foundation

/// Shows how far a run is: a bar that redraws itself on a terminal, a line now and then elsewhere.
struct ProgressDisplay {
    private let total: Int
    /// Steps that were done before this program took over.
    private let before: Int
    private let isQuiet: Bool
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let start = ContinuousClock.now
    private var last: ContinuousClock.Instant?
    private var printedTenths = 0

    /// Seconds between two drawings of the bar.
    private static let redrawInterval = 0.1
    private static let barWidth = 24

    /// - Parameter done: steps of the run that are done already.
    init(total: Int, done: Int = 0, isQuiet: Bool) {
        self.total = total
        before = done
        printedTenths = 10 * done / max(1, total)
        self.isQuiet = isQuiet
    }

    /// Shows the given state; called as often as one likes.
    mutating func show(steps: Int, meanReturn: Double?) {
        if isQuiet { return }
        let now = ContinuousClock.now
        if isTerminal {
            if let last, seconds(now - last) < ProgressDisplay.redrawInterval { return }
            last = now
            write("\r\u{1B}[K" + line(steps: steps, meanReturn: meanReturn, at: now, withBar: true))
        } else {
            // Ten lines a run.
            let tenths = 10 * steps / max(1, total)
            if tenths == printedTenths { return }
            printedTenths = tenths
            write(line(steps: steps, meanReturn: meanReturn, at: now, withBar: false) + "\n")
        }
    }

    /// Leaves the last state on the screen.
    mutating func finish(steps: Int, meanReturn: Double?) {
        if isQuiet || !isTerminal { return }
        write("\r\u{1B}[K" + line(steps: steps, meanReturn: meanReturn, at: .now, withBar: true) + "\n")
    }

    private func line(
        steps: Int, meanReturn: Double?, at now: ContinuousClock.Instant, withBar: Bool
    ) -> String {
        let elapsed = seconds(now - start)
        let share = min(1, Double(steps) / Double(max(1, total)))
        let rate = elapsed > 0 ? Double(steps - before) / elapsed : 0
        let left = rate > 0 ? Double(max(0, total - steps)) / rate : 0
        var text = ""
        if withBar {
            let filled = Int(share * Double(ProgressDisplay.barWidth))
            text += String(repeating: "█", count: filled)
            text += String(repeating: "░", count: ProgressDisplay.barWidth - filled) + " "
        }
        text += "\(Int(share * 100))%  \(steps)/\(total) steps  \(Int(rate)) steps/s  \(duration(left)) left"
        if let meanReturn { text += "  mean return " + String(format: "%.1f", meanReturn) }
        return text
    }

    private func write(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }
}

/// A duration in seconds.
func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}

/// `1:02:03`, `2:03`.
private func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded(.up))
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
}
