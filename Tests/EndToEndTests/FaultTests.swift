import Foundation
import GymClient
import GymCore
import GymProtocol
import TestSupport
import Testing

/// Processes that are killed, and what is left of them at the other end: nothing.
@Suite(.serialized) struct FaultTests {
    /// Of the server's process: what a client's death has to give back.
    private struct Holdings {
        let threads: Int
        let descriptors: Int
        let segments: Int

        init(of process: String) throws {
            threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").count
            descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
            segments = try String(contentsOfFile: "/proc/\(process)/maps", encoding: .utf8)
                .split(separator: "\n").count { $0.contains("memfd:gym-environments") }
        }

        /// Whether it is no more than that but for ten threads: the server keeps eight for what comes next, and the
        /// system's own come and go. Clients that left one each would be seen, being more.
        func isWithin(_ other: Holdings) -> Bool {
            threads <= other.threads + 10 && descriptors <= other.descriptors && segments <= other.segments
        }
    }

    @Test(
        "A client that is killed leaves nothing in the server, whatever it was doing",
        arguments: [
            ["step", "socket"], ["step", "shared-memory"], ["make", "socket"], ["make", "shared-memory"],
            ["send", "socket"], ["spin", "socket"], ["spin", "shared-memory"],
        ])
    func killedClient(moment: [String]) throws {
        let server = try ServerProcess(arguments: ["--conformance"])
        let identifier = "\(server.processIdentifier)"
        let witness = try Connection(path: server.path)
        let batch = try witness.make("CartPole-v1", transport: .sharedMemory)
        try batch.reset()
        try batch.step()
        let before = try Holdings(of: identifier)
        for _ in 0..<12 {
            let client = try Executable("fault-client").start([server.path] + moment)
            #expect(eventually { client.output == "ready\n" })
            // It says that it is ready just before it makes something.
            if moment[0] == "make" { usleep(100_000) }
            #expect(try !Holdings(of: identifier).isWithin(before))
            client.signal(SIGKILL)
            #expect(try client.finish().status == -SIGKILL)
            try batch.step()
            try witness.ping()
        }
        #expect(eventually { (try? witness.status()).map { $0.environments == 1 && $0.connections == 1 } ?? false })
        #expect(
            eventually { (try? Holdings(of: identifier))?.isWithin(before) ?? false },
            "\((try? Holdings(of: identifier)).debugDescription), before it \(before)")
        try batch.step()
    }

    @Test("A server that is killed in a step: a typed error at once, no segment left", arguments: Transport.allCases)
    func killedServer(transport: Transport) throws {
        let segments = try Holdings(of: "self").segments
        do {
            let server = try ServerProcess(arguments: ["--conformance"])
            let connection = try Connection(path: server.path)
            let batch = try connection.make("conformance/Slow-v0", transport: transport)
            try batch.reset()
            batch.actions.elements(as: Int64.self)[0] = 2000
            try batch.sendStep()
            kill(server.processIdentifier, SIGKILL)
            let error = #expect(throws: GymError.self) { try batch.receiveStep() }
            guard case .connectionLost? = error else { Issue.record("\(String(describing: error))"); return }
            #expect(throws: GymError.self) { try batch.step() }
            #expect(throws: GymError.self) { try connection.ping() }
        }
        #expect(try Holdings(of: "self").segments <= segments)
    }
}
