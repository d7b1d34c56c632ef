import Foundation
import TestSupport
import Testing

/// Exported policies of runs.
@Suite struct ExportTests {
    @Test func modelsAreWritten() throws {
        let agent = try Agent()
        let run = try agent.train("ppo CartPole-v1 --steps 512 --quiet", run: "run").process
        try #require(run.status == 0, "\(run.errors)")
        let file = agent.path("policy.onnx")
        let process = try Agent.program.run(["export", agent.path("run"), "--onnx", file])
        #expect(process.status == 0 && process.output.hasPrefix("wrote \(file): "), "\(process.errors)")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        // 4 × 64 + 64 × 64 + 64 × 2 weights of four bytes, and not much more.
        #expect(bytes.count > 17_920 && bytes.count < 20_000)
        #expect(try Agent.program.run(["export", agent.path("none"), "--onnx", file]).status == 2)
        #expect(try Agent.program.run(["export", agent.path("run")]).status == 2)
        let lost = try Agent.program.run(["export", agent.path("run"), "--onnx", agent.path("none/policy.onnx")])
        #expect(lost.status == 1 && lost.errors.contains("cannot write"), "\(lost.errors)")
    }
}
