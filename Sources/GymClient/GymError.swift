public import GymCore
public import GymProtocol

/// What can go wrong between a client and a server, and what to do about it.
public enum GymError: Error, Sendable {
    /// Nothing listens at the path.
    case serverNotFound(path: String, reason: String)
    /// Something listens there, but it does not speak gym.v1.
    case notAServer(path: String, reason: String)
    /// The server speaks another version.
    case versionMismatch(path: String, message: String)
    /// The connection ended: the server died, was stopped, or closed it.
    case connectionLost(reason: String)
    /// The server refused a request, or the connection. Unless the error is fatal, nothing happened; if it is, the
    /// connection is lost.
    case refused(WireError)
    /// The server's answer makes no sense.
    case protocolViolation(String)
    /// Some environments of a batch failed; the others went on, and the results hold for them.
    case environmentFaults([EnvironmentFault])
    /// The batch was closed by its owner.
    case closed
    /// The library was asked for what cannot be; nothing was sent.
    case misuse(String)
}

extension GymError: CustomStringConvertible {
    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .serverNotFound(let path, let reason):
            "no server at unix:\(path) (\(reason)); start one with: gym-server serve --socket \(path)"
        case .notAServer(let path, let reason):
            "what listens at unix:\(path) is not a gym.v1 server: \(reason)"
        case .versionMismatch(let path, let message):
            "the server at unix:\(path) speaks another version: \(message); use a server and a client of the same release"
        case .connectionLost(let reason):
            "the connection to the server is lost: \(reason); connect again, and make the environments anew"
        case .refused(let error): error.message
        case .protocolViolation(let message):
            "the server broke the protocol: \(message); report it to the server's makers"
        case .environmentFaults(let faults):
            faults.map { "environment \($0.index) failed: \($0.message)" }.joined(separator: "; ")
                + "; the others have stepped; autoreset or a reset starts these anew"
        case .closed: "the environments are closed; make new ones"
        case .misuse(let message): message
        }
    }
}
