import Foundation
import GymProtocol

/// Something that listens on a socket and gives every client the same answer, whatever it asks.
final class FakeServer {
    let path: String
    private let listener: UnixSocket

    /// - Parameter closes: whether the connection is closed after the answer; else it stays open and silent.
    init(at path: String, answer: [UInt8], closes: Bool) throws {
        self.path = path
        let listener = try UnixSocket.listen(at: path)
        self.listener = listener
        Thread.detachNewThread {
            var open: [UnixSocket] = []
            while let client = try? listener.accept() {
                var request = [UInt8](repeating: 0, count: 4096)
                _ = recv(client.descriptor, &request, request.count, 0)
                _ = send(client.descriptor, answer, answer.count, Int32(MSG_NOSIGNAL))
                if !closes { open.append(client) }
            }
        }
    }

    deinit { listener.shutdown() }
}
