import ArgumentParser

/// `gym-bench peer`: the other process of the bare measurements. Not for people.
struct PeerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "peer", shouldDisplay: false)

    @Argument var kind: String
    @Argument var path: String?

    func run() throws {
        if let path, kind == "shared-memory" {
            try BarePingPong.SharedMemoryPeer.answer(path: path)
        } else {
            BarePingPong.SocketPeer.answer()
        }
    }
}
