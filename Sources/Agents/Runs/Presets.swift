import Foundation
import GymCore
import Yams

/// Hyperparameters that are known to work, from YAML files with rl-baselines3-zoo's keys: one file an algorithm, one
/// entry an environment (or a name of its own).
public struct Presets: Sendable {
    /// An entry: keys and values as text, in the order they were written.
    public struct Entry: Sendable {
        /// The environment's id, or the entry's own name.
        public let name: String
        /// What it sets.
        public let settings: [(key: String, value: String)]
    }

    /// The entries, in the order of the file.
    public let entries: [Entry]

    /// Reads a file's text.
    ///
    /// - Parameter source: what the file is called, for messages.
    /// - Throws: ``PresetError`` when it is not a map of maps.
    public init(yaml: String, source: String) throws {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw PresetError("\(source) is not YAML: \(error)")
        }
        guard let mapping = root?.mapping else {
            throw PresetError("\(source) has to map environment ids to hyperparameters")
        }
        entries = try mapping.map { name, node in
            guard let name = name.string, let settings = node.mapping else {
                throw PresetError("\(source): the entry '\(name.string ?? "?")' has to map hyperparameters to values")
            }
            return Entry(
                name: name,
                settings: try Presets.merged(settings, source: source).map { key, value in
                    (key, Presets.text(of: value))
                })
        }
    }

    /// The pairs of a map, with those that it takes over from others by YAML's merge key, `<<: *other` or
    /// `<<: [*first, *second]`: what the map says itself wins, and an earlier of the others over a later.
    private static func merged(_ mapping: Node.Mapping, source: String) throws -> [(key: String, value: Node)] {
        var pairs: [(key: String, value: Node)] = []
        func add(_ key: String, _ value: Node) {
            if !pairs.contains(where: { $0.key == key }) { pairs.append((key, value)) }
        }
        for (key, value) in mapping where key.string != mergeKey { add(key.string ?? "", value) }
        for (key, value) in mapping where key.string == mergeKey {
            for other in value.sequence.map(Array.init) ?? [value] {
                guard let other = other.mapping else {
                    throw PresetError("\(source): << has to name a map, or a list of maps")
                }
                for (key, value) in try merged(other, source: source) { add(key, value) }
            }
        }
        return pairs
    }

    private static let mergeKey = "<<"

    /// A node as the text of a value: lists as `[a, b]`, maps as `dict(k=v)`.
    static func text(of node: Node) -> String {
        switch node {
        case .scalar(let scalar): scalar.string
        case .sequence(let sequence): "[" + sequence.map(text(of:)).joined(separator: ", ") + "]"
        case .mapping(let mapping):
            "dict(" + mapping.map { ($0.key.string ?? "") + "=" + text(of: $0.value) }.joined(separator: ", ") + ")"
        default: ""
        }
    }

    /// The entry of a name.
    public func entry(_ name: String) -> Entry? { entries.first { $0.name == name } }

    /// What to say when there is no entry of a name: an entry of another version of the environment is pointed out.
    func absence(of name: String, in source: String) -> String {
        func base(_ id: String) -> Substring {
            id.range(of: "-v", options: .backwards).map { id[..<$0.lowerBound] } ?? id[...]
        }
        let names = entries.map(\.name)
        if let other = names.first(where: { base($0) == base(name) }) {
            return "\(source) has no entry for \(name), but one for \(other); rename it to \(name) if that is meant"
        }
        return "\(source) has no entry for \(name)\(suggestion(for: name, in: names)); it has "
            + names.joined(separator: ", ")
    }
}

/// A preset that cannot be read or does not exist.
public struct PresetError: Error, Hashable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}
