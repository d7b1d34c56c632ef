import GymCore

/// Returns and lengths of the last hundred episodes, as Stable-Baselines3's monitor reports them.
public struct EpisodeStatistics: Sendable {
    private var returns: [Double] = []
    private var lengths: [Double] = []
    private var next = 0
    /// Episodes ended so far.
    public private(set) var episodes = 0

    private static let window = 100

    /// No episodes yet.
    public init() {}

    /// Takes in an episode that ended.
    public mutating func add(return total: Double, length: Int64) {
        episodes += 1
        if returns.count < EpisodeStatistics.window {
            returns.append(total)
            lengths.append(Double(length))
        } else {
            returns[next] = total
            lengths[next] = Double(length)
            next = (next + 1) % EpisodeStatistics.window
        }
    }

    /// The mean return of the window; `nil` before an episode ended.
    public var meanReturn: Double? { returns.isEmpty ? nil : returns.reduce(0, +) / Double(returns.count) }
    /// The mean length of the window; `nil` before an episode ended.
    public var meanLength: Double? { lengths.isEmpty ? nil : lengths.reduce(0, +) / Double(lengths.count) }
}

extension EpisodeStatistics {
    /// Writes the window.
    func save(to writer: inout StateWriter) {
        writer.write(array: returns)
        writer.write(array: lengths)
        writer.write(UInt64(next))
        writer.write(UInt64(episodes))
    }

    /// Takes over what ``save(to:)`` wrote.
    mutating func restore(from reader: inout StateReader) throws {
        let returns = try reader.readArray(of: Double.self)
        let lengths = try reader.readArray(of: Double.self)
        let next = try reader.readCount()
        guard returns.count == lengths.count, returns.count <= EpisodeStatistics.window, next <= returns.count else {
            throw StateError("the episodes' statistics do not go together")
        }
        (self.returns, self.lengths, self.next) = (returns, lengths, next)
        episodes = try reader.readCount()
    }
}
