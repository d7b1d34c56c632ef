import Foundation
import TestSupport
import Testing

/// What users get wrong: each case its exit code, and a message that names the thing and what would be right.
@Suite struct BadInputTests {
    @Test(arguments: [
        ("ppoo CartPole-v1", "there is no algorithm 'ppoo' (did you mean ppo?)"),
        ("ppo CartPol-v1", "there is no environment 'CartPol-v1' (did you mean CartPole-v1"),
        ("ppo CartPole-v1 --set gama=0.9", "there is no hyperparameter 'gama' (did you mean gamma?)"),
        ("ppo CartPole-v1 --set gamma=2", "gamma is '2'; it has to be a number from 0.0 to 1.0"),
        ("ppo CartPole-v1 --set gamma=nan", "gamma is 'nan'; it has to be a number from 0.0 to 1.0"),
        ("ppo CartPole-v1 --set n_steps=1.5", "n_steps is '1.5'"),
        ("ppo CartPole-v1 --set gamma", "--set is 'gamma'; it has to be KEY=VALUE"),
        ("ppo CartPole-v1 --preset Pendulum", "there is no preset 'Pendulum' for ppo (did you mean Pendulum-v1"),
        ("ppo CartPole-v1 --preset /no/such.yml", "the preset file /no/such.yml cannot be read"),
        ("ppo CartPole-v1 --steps 0", "--steps is 0"), ("ppo CartPole-v1 --envs 0", "--envs is 0"),
        ("ppo CartPole-v1 --server /tmp/x", "--server is '/tmp/x'; it has to be unix:PATH"),
        ("ppo CartPole-v1 --set use_sde=true", "cannot learn CartPole-v1"),
        ("ppo CartPole-v1 --set n_steps=1000000 --envs 65536", "the n_steps × n_envs = 65536000000 steps of a rollout"),
        ("ppo CartPole-v1 --server unix:", "--server is 'unix:'; it has to be unix:PATH"),
    ]) func wrongUsage(arguments: String, message: String) throws {
        let agent = try Agent()
        let process = try agent.train(arguments, run: "run").process
        #expect(process.status == 2 && process.output.isEmpty)
        #expect(process.errors.contains(message), "\(process.errors)")
        #expect(!FileManager.default.fileExists(atPath: agent.path("run")), "a run folder was made")
    }

    @Test(arguments: [
        ("CartPole-v1: {gamm: 0.9}", "there is no hyperparameter 'gamm' (did you mean gamma?)"),
        ("CartPole-v1: {gamma: 9}", "gamma is '9'; it has to be a number from 0.0 to 1.0"),
        ("CartPole-v1: {gamma: [}", "is not YAML: 1:23"),
        ("Pendulum-v1: {gamma: 0.9}", "has no entry for CartPole-v1; it has Pendulum-v1"),
    ]) func wrongPresets(text: String, message: String) throws {
        let agent = try Agent()
        try text.write(toFile: agent.path("mine.yml"), atomically: false, encoding: .utf8)
        let process = try agent.train("ppo CartPole-v1 --preset \(agent.path("mine.yml"))", run: "run").process
        #expect(process.status == 2 && process.errors.contains(message), "\(process.errors)")
    }

    @Test func noServerThere() throws {
        let agent = try Agent()
        let process = try agent.train("ppo CartPole-v1 --server unix:\(agent.path("none"))", run: "run").process
        #expect(process.status == 1)
        #expect(process.errors.contains("no server at unix:\(agent.path("none")) (No such file or directory)"))
        #expect(process.errors.contains("gym-server serve --socket"))
    }

    /// Something that listens, but answers like a web server, says nothing, or closes.
    @Test(arguments: [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", false, "what came is not a frame"),
        ("", false, "no answer within 10 seconds"), ("", true, "is not a gym.v1 server"),
    ]) func notAServer(answer: String, closes: Bool, message: String) throws {
        let agent = try Agent()
        let fake = try FakeServer(at: agent.path("socket"), answer: Array(answer.utf8), closes: closes)
        let process = try agent.train("ppo CartPole-v1 --server unix:\(fake.path)", run: "run").process
        #expect(process.status == 1)
        #expect(process.errors.contains(message) && process.errors.contains(fake.path), "\(process.errors)")
    }

    /// A server of another version says so by its hello, or refuses the client's.
    @Test(arguments: [false, true]) func anotherVersion(refuses: Bool) throws {
        let agent = try Agent()
        let message = "version 2 only"
        // Response {id: 1, hello: {major: 2}} or {id: 1, error: {code: UNSUPPORTED_VERSION, message, fatal}}.
        let error = [0x08, 3, 0x12, UInt8(message.utf8.count)] + Array(message.utf8) + [0x18, 1]
        let body: [UInt8] = [0x08, 1] + (refuses ? [0x7A, UInt8(error.count)] + error : [0x82, 0x01, 2, 0x08, 2])
        let frame = [UInt8(body.count), 0, 0, 0, 2, 0, 0, 0] + body
        let fake = try FakeServer(at: agent.path("socket"), answer: frame, closes: false)
        let process = try agent.train("ppo CartPole-v1 --server unix:\(fake.path)", run: "run").process
        #expect(process.status == 1)
        #expect(process.errors.contains("speaks another version: "), "\(process.errors)")
    }

    @Test func aRunFolderThatIsNotEmptyIsLeftAlone() throws {
        let agent = try Agent()
        try FileManager.default.createDirectory(atPath: agent.path("run"), withIntermediateDirectories: true)
        try "mine".write(toFile: agent.path("run/config.yaml"), atomically: false, encoding: .utf8)
        let process = try agent.train("ppo CartPole-v1 --steps 1000", run: "run").process
        #expect(process.status == 2 && process.errors.contains("the folder \(agent.path("run")) is not empty"))
        #expect(agent.text("run/config.yaml") == "mine")
        let file = try agent.train("ppo CartPole-v1 --steps 1000", run: "run/config.yaml").process
        #expect(file.status == 2 && file.errors.contains("is a file; a run needs a folder"))
        #expect(agent.text("run/config.yaml") == "mine")
    }

    /// A disk that gets full, here by the user's limit on a file's size: a message, exit code 1, and what is there is
    /// whole. The smaller limit stops the first checkpoint, the larger one the log.
    @Test(arguments: [8, 256]) func aFullDiskIsReported(kibibytes: Int) throws {
        let agent = try Agent()
        let limited = ["bash", "-c", "ulimit -f \(kibibytes); exec \"$@\"", "limited"]
        let (process, summary) = try agent.train("ppo CartPole-v1 --steps 400000", run: "run", through: limited)
        #expect(process.status == 1 && summary == nil)
        #expect(process.errors.contains("cannot write \(agent.path("run"))/"), "\(process.errors)")
        #expect(process.errors.contains(": File too large"), "\(process.errors)")
        let checkpoints = (try? FileManager.default.contentsOfDirectory(atPath: agent.path("run/checkpoints"))) ?? []
        #expect(checkpoints.allSatisfy { $0.hasSuffix(".checkpoint") } && checkpoints.isEmpty == (kibibytes == 8))
        let rows = agent.text("run/progress.csv")
        #expect(rows.hasSuffix("\n"))
        let widths = Set(
            rows.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false).count })
        #expect(widths.count == 1)
        let again = try Agent.program.run(["evaluate", agent.path("run")])
        #expect(again.status != 0 && again.errors.contains("policy.safetensors"))
    }

    /// The same on a file system that is really full, where this user may mount one.
    @Test(arguments: [16, 40]) func aFullFileSystemIsReported(kilobytes: Int) throws {
        let agent = try Agent()
        let mount = ["unshare", "--mount", "bash", "-c"]
        let probe = try RunningProcess(mount + ["mount -t tmpfs tmpfs \(agent.folder.path)"]).finish()
        // Without the right to mount, the limit above stands for it.
        guard probe.status == 0 else { return }
        let script =
            "mount -t tmpfs -o size=\(kilobytes)k tmpfs \"$0\" && \"$@\"; status=$?; ls \"$0\"/run; exit $status"
        let process = try agent.train(
            "ppo CartPole-v1 --set n_steps=\(kilobytes == 16 ? 32 : 4096) --quiet", run: "run",
            through: mount + [script, agent.folder.path]
        ).process
        #expect(process.status == 1)
        #expect(process.errors.contains("No space left on device"), "\(process.errors)")
        #expect(!process.output.contains("summary.json") && !process.output.contains(".part"), "\(process.output)")
    }

    /// Of streams that were closed no socket gets the number: what is printed would go there.
    @Test func closedStreams() throws {
        let agent = try Agent()
        let process = try agent.train(
            "ppo CartPole-v1 --steps 1000", run: "run", through: ["sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"]
        ).process
        #expect(process.status == 0)
        #expect(agent.summary(of: "run") != nil)
    }

    @Test func outputThatCannotBeWritten() throws {
        let process = try Agent.program.run(["list"], through: ["sh", "-c", "exec \"$0\" \"$@\" >/dev/full"])
        #expect(process.status == 1)
        #expect(process.errors.contains("cannot write to standard output: No space left on device"))
    }

    @Test func evaluatingWhatIsNoRun() throws {
        let agent = try Agent()
        let process = try Agent.program.run(["evaluate", agent.folder.path])
        #expect(process.status == 2 && process.errors.contains("it has no readable config.yaml"))
    }
}
