import GymCore
import GymProtocol
import Logging
import Synchronization

/// What is asked of a connection.
extension Session {
    func greet(_ hello: Hello, _ envelope: ResponseWriter.Envelope) throws {
        guard hello.major == ProtocolVersion.major else {
            throw WireError(
                .unsupportedVersion,
                "the client speaks gym.v1 \(hello.major).\(hello.minor), "
                    + "this server \(ProtocolVersion.major).\(ProtocolVersion.minor)",
                details: [
                    .init(
                        field: "major", expected: "\(ProtocolVersion.major).\(ProtocolVersion.minor)",
                        got: "\(hello.major).\(hello.minor)")
                ])
        }
        if let token = server.configuration.token, !isSameToken(token, hello.token) {
            throw WireError(.unauthorized, "the token is not this server's")
        }
        var reply = HelloReply()
        reply.minor = min(hello.minor, ProtocolVersion.minor)
        reply.serverName = "swift-gym"
        reply.serverVersion = Server.version
        let own = Server.capabilities
        reply.capabilities = hello.capabilities.isEmpty ? own : own.filter(hello.capabilities.contains)
        reply.limits = server.limits
        if reply.minor < 1 {
            reply.limits.maxThreads = 0
            reply.limits.maxServerMemoryBytes = 0
        }
        reply.sessionID = link.id
        hasGreeted = true
        capabilities = Set(reply.capabilities)
        link.greet(clientName: hello.clientName, maxFrameBytes: hello.maxFrameBytes, minorVersion: reply.minor)
        link.log.info("connected")
        try link.write { try $0.hello(reply, envelope) }
    }

    func answer(_ request: ConnectionRequest, _ envelope: ResponseWriter.Envelope) throws {
        if case .hello = request { throw WireError(.invalidArgument, "the connection has had its hello") }
        try link.countRequest()
        link.answering(envelope) {
            switch request {
            case .hello: break
            case .ping: try link.reply { try $0.ping(envelope) }
            case .status:
                let status = status
                try link.reply { try $0.status(status, envelope) }
            case .list:
                let descriptions = try server.descriptions()
                try link.reply { try $0.list(descriptions, envelope) }
            case .make(let parameters): try make(parameters, envelope)
            case .shutdown:
                guard server.configuration.allowsShutdown else {
                    throw WireError(.notAllowed, "this server was not started with clients allowed to end it")
                }
                try link.reply { try $0.shutdown(envelope) }
                server.beginToStop(reason: "a client asked for it")
            }
        }
    }

    private var status: ServerStatus {
        var status = server.status
        if link.minorVersion.load(ordering: .relaxed) < 1 {
            status.serverUse = []
        } else {
            status.connectionUse = link.use
        }
        return status
    }
}

/// Whether two tokens are the same, in time that depends neither on where they differ nor on the length of the server's.
private func isSameToken(_ own: String, _ given: String) -> Bool {
    let own = Array(own.utf8)
    let given = Array(given.utf8)
    var difference = own.count ^ given.count
    for (index, byte) in given.enumerated() {
        difference |= Int(byte ^ (own.isEmpty ? 0 : own[index % own.count]))
    }
    return difference == 0
}
