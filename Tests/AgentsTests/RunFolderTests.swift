import Agents
import Foundation
import Testing

@Suite struct RunFolderTests {
    @Test func runFoldersReadBack() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = try RunFolder(creating: path)
        let h = try Algorithm.ppo.hyperparameters(
            environment: "CartPole-v1",
            settings: [("net_arch", "dict(pi=[3], vf=[4, 5])"), ("max_grad_norm", "null"), ("gamma", "0.123")])
        try folder.write(RunConfiguration(algorithm: .ppo, environment: "a/B: c-v1", seed: .max, hyperparameters: h))
        let read = try RunFolder(existing: path).configuration()
        #expect(read.environment == "a/B: c-v1" && read.seed == .max && read.algorithm == .ppo)
        for (key, _) in h.resolved { #expect(read.hyperparameters[key] == h[key], "\(key)") }
        // What is there is not overwritten.
        #expect(throws: RunFolderError.self) { try RunFolder(creating: path) }
    }

    /// The log of a run that goes on holds what was before the step, and nothing that did not happen.
    @Test func logsGoOn() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = try RunFolder(creating: path)
        func log(_ steps: [Int], from step: Int) throws {
            let sinks = folder.sinks()
            for sink in sinks { try sink.start(at: step, of: 100) }
            for step in steps {
                var metrics = Metrics()
                metrics["time/total_timesteps"] = Double(step)
                metrics["train/loss"] = step == 8 ? nil : 0.5
                for sink in sinks { try sink.record(metrics, at: step) }
            }
            for sink in sinks { sink.finish() }
        }
        func csv() throws -> String { try String(contentsOfFile: path + "/progress.csv", encoding: .utf8) }
        try log([8, 16, 24], from: 0)
        #expect(try csv() == "time/total_timesteps,train/loss\n8,\n16,0.5\n24,0.5\n")
        try log([24, 32], from: 16)
        #expect(try csv() == "time/total_timesteps,train/loss\n8,\n16,0.5\n24,0.5\n32,0.5\n")
        // A row that a crash cut off.
        try (csv() + "40,0.").write(toFile: path + "/progress.csv", atomically: false, encoding: .utf8)
        try log([40], from: 32)
        #expect(try csv().hasSuffix("32,0.5\n40,0.5\n"))
        try log([8], from: 0)
        #expect(try csv() == "time/total_timesteps,train/loss\n8,\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: path + "/tensorboard").count == 4)
    }

    @Test func foldersThatCannotBeWrittenAreNamed() {
        let error = #expect(throws: RunFolderError.self) { try RunFolder(creating: "/proc/no/such/run") }
        #expect(error?.description.contains("/proc/no/such/run") == true)
        #expect(throws: RunFolderError.self) { try RunFolder(existing: "/proc").configuration() }
    }
}
