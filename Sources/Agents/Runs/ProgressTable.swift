import Foundation

/// `progress.csv` as a run left it.
public struct ProgressTable: Sendable {
    /// The names of the columns.
    public let columns: [String]
    private let rows: [[Double?]]

    /// Reads a run's file. A row that was cut off at the end is left out.
    ///
    /// - Throws: ``RunFolderError`` when there is none, or it is no table of numbers.
    public init(of run: RunFolder) throws {
        let file = run.url.appendingPathComponent("progress.csv")
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw RunFolderError("\(run.url.path) has no readable progress.csv: nothing was logged yet")
        }
        // Nothing is quoted: the columns are the names of metrics.
        let lines = text.split(whereSeparator: \.isNewline).map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let columns = lines.first ?? []
        guard columns.contains(ProgressTable.steps) else {
            throw RunFolderError("\(file.path) has no column \(ProgressTable.steps)")
        }
        var rows: [[Double?]] = []
        for (index, line) in lines.enumerated().dropFirst() {
            let isLast = index == lines.count - 1
            if isLast && (line.count != columns.count || !text.hasSuffix("\n")) { break }
            guard line.count == columns.count else {
                throw RunFolderError("\(file.path): line \(index + 1) has \(line.count) of \(columns.count) columns")
            }
            rows.append(
                try line.map { cell in
                    guard !cell.isEmpty else { return nil }
                    guard let number = Double(cell) else {
                        throw RunFolderError("\(file.path): line \(index + 1): '\(cell)' is no number")
                    }
                    return number
                })
        }
        self.columns = columns
        self.rows = rows
    }

    /// The column of the steps done.
    static let steps = "time/total_timesteps"

    /// What a metric was after how many steps, where it has a value; `nil` when there is no such column.
    public func curve(_ metric: String) -> [(x: Double, y: Double)]? {
        guard let column = columns.firstIndex(of: metric), let steps = columns.firstIndex(of: ProgressTable.steps)
        else { return nil }
        return rows.compactMap { row in
            guard let x = row[steps], let y = row[column] else { return nil }
            return (x, y)
        }
    }
}
