/// The names most like a misspelt one, best first: at most three, none that differ in more than half their letters.
public func nearestNames(to name: String, in names: [String]) -> [String] {
    // What is far longer than any name is not a misspelt one, and comparing it would take as long as someone wants.
    guard name.utf8.count <= 256 else { return [] }
    let wanted = name.lowercased()
    return
        names
        .map { candidate in
            let other = candidate.lowercased()
            let distance = other.hasPrefix(wanted) || wanted.hasPrefix(other) ? 1 : editDistance(wanted, other)
            return (name: candidate, distance: distance)
        }
        .filter { $0.distance <= max(2, max(wanted.count, $0.name.count) / 2) }
        .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
        .prefix(3)
        .map(\.name)
}

/// ` (did you mean A or B?)`, or nothing when no name is near.
public func suggestion(for name: String, in names: [String]) -> String {
    let near = nearestNames(to: name, in: names)
    return near.isEmpty ? "" : " (did you mean \(near.joined(separator: " or "))?)"
}

/// The number of single-letter changes from one text to the other (Levenshtein).
private func editDistance(_ left: String, _ right: String) -> Int {
    let left = Array(left)
    let right = Array(right)
    var row = Array(0...right.count)
    for (i, letter) in left.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, other) in right.enumerated() {
            let above = row[j + 1]
            row[j + 1] = min(above + 1, row[j] + 1, diagonal + (letter == other ? 0 : 1))
            diagonal = above
        }
    }
    return row[right.count]
}
