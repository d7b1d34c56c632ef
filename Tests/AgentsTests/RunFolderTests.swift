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

        var metrics = Metrics()
        metrics["time/total_timesteps"] = 8
        metrics["train/loss"] = nil
        try folder.log(metrics, step: 8)
        metrics["train/loss"] = 0.5
        try folder.log(metrics, step: 8)
        let csv = try String(contentsOfFile: path + "/progress.csv", encoding: .utf8)
        #expect(csv == "time/total_timesteps,train/loss\n8,\n8,0.5\n")
    }

    @Test func foldersThatCannotBeWrittenAreNamed() {
        let error = #expect(throws: RunFolderError.self) { try RunFolder(creating: "/proc/no/such/run") }
        #expect(error?.description.contains("/proc/no/such/run") == true)
        #expect(throws: RunFolderError.self) { try RunFolder(existing: "/proc").configuration() }
    }
}
