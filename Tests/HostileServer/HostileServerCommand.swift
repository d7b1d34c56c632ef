import Conversations
import Foundation
import FuzzSupport

/// A server that plays conversations to clients in any language, one a connection.
///
///     hostile-server replay SOCKET FILE...                as they are, one after the other
///     hostile-server fuzz SEED SOCKET CURRENT FILE...     changed at random, without end
///
/// Before each it prints a line that says what the client is to do: a number, id, number of environments, autoreset
/// mode, transport, render mode or "none". It ends when nobody connects for a minute, or when its input ends. What is
/// fuzzed next is written to the file CURRENT-NUMBER first, so that it is there when the client dies of it. The files are
/// changed like the conversations that it records with a server of its own.
@main
struct HostileServerCommand {
    private static let patience = Conversation.Patience(answer: 1, silence: 0.02)
    private static let seconds: Int32 = 60

    static func main() throws {
        signal(SIGPIPE, SIG_IGN)
        let arguments = CommandLine.arguments
        if arguments.count > 3, arguments[1] == "replay" {
            let conversations = try read(arguments[3...])
            try serve(at: arguments[2]) { $0 < conversations.count ? conversations[$0] : nil }
        } else if arguments.count > 4, arguments[1] == "fuzz", let seed = UInt64(arguments[2]) {
            let conversations = try Recorder.conversations() + read(arguments[5...])
            let mutator = Mutator(.server, donors: conversations)
            let current = { (number: Int) in URL(fileURLWithPath: "\(arguments[4])-\(number)") }
            try serve(at: arguments[3]) { number in
                var generator = FuzzGenerator(seed: seed &+ UInt64(number) &* 0x1_0000_0001)
                let base = conversations[Int(generator.next() % UInt64(conversations.count))]
                let conversation = mutator.mutated(base, &generator)
                try Data(conversation.encoded).write(to: current(number))
                try? FileManager.default.removeItem(at: current(number - 2))
                return conversation
            }
        } else {
            FileHandle.standardError.write(
                Data("usage: hostile-server replay SOCKET FILE... | fuzz SEED SOCKET CURRENT FILE...\n".utf8))
            exit(2)
        }
    }

    private static func read(_ files: ArraySlice<String>) throws -> [Conversation] {
        try files.map { Conversation(decoding: try Data(contentsOf: URL(fileURLWithPath: $0))) }
    }

    private static func serve(at path: String, _ conversation: (Int) throws -> Conversation?) throws {
        guard let listener = listeningSocket(at: path) else { throw POSIXError(.EADDRNOTAVAIL) }
        defer { unlink(path) }
        var number = 0
        while let next = try conversation(number) {
            print("\(number) \(ClientScript(of: next).line)")
            fflush(nil)
            var pollers = [
                pollfd(fd: listener, events: Int16(POLLIN), revents: 0), pollfd(fd: 0, events: 0, revents: 0),
            ]
            guard poll(&pollers, 2, seconds * 1000) > 0, pollers[0].revents != 0 else { return }
            let client = Peer(owning: accept(listener, nil, nil))
            HostileServer(next, patience: patience).serve(client)
            number += 1
        }
    }
}
