import Foundation
import TestSupport
import Testing

/// `gym-agent` in a folder of its own, where its runs go.
final class Agent {
    static let program = Executable("gym-agent")
    let folder: URL

    init() throws { folder = try temporaryFolder() }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// Trains into the run folder of a name, and reads the summary when there is one.
    func train(
        _ arguments: String, run: String, through wrapper: [String] = []
    ) throws -> (process: FinishedProcess, summary: Summary?) {
        let words = arguments.split(separator: " ").map(String.init)
        let process = try Agent.program.run(["train"] + words + ["--run", path(run)], through: wrapper)
        return (process, summary(of: run))
    }

    func summary(of run: String) -> Summary? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return (try? Data(contentsOf: URL(fileURLWithPath: path(run) + "/summary.json"))).flatMap {
            try? decoder.decode(Summary.self, from: $0)
        }
    }

    func text(_ name: String) -> String { (try? String(contentsOfFile: path(name), encoding: .utf8)) ?? "" }
}

/// `summary.json`.
struct Summary: Decodable {
    let algorithm: String
    let environment: String
    let seed: UInt64
    let steps: Int
    let wallSeconds: Double
    let stepsPerSecond: Double
    let updates: Int
    let finalMeanReturn: Double
    let weightsSha256: String
}

/// The processes whose command line holds a text.
func processes(mentioning text: String) -> [Int32] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap(Int32.init).filter { process in
        let line = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/cmdline"))) ?? Data()
        return String(decoding: line, as: UTF8.self).contains(text)
    }
}

/// The server that a process started, and the folder of its socket.
func ownServer(of parent: Int32) -> (process: Int32, folder: String)? {
    for process in processes(mentioning: "--until-eof") {
        let status = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
        // After the name in parentheses: state, parent.
        let fields = status.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 1, Int32(fields[1]) == parent else { continue }
        let line = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/cmdline"))) ?? Data()
        let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard let index = words.firstIndex(of: "--socket"), index + 1 < words.count else { continue }
        return (process, URL(fileURLWithPath: words[index + 1]).deletingLastPathComponent().path)
    }
    return nil
}
