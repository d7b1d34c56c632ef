import Glibc

/// A system call that failed.
public struct SystemError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The call, and what it was about: `bind /tmp/gym.sock`.
    public let operation: String
    /// The system's error number.
    public let number: Int32

    /// The failure of an operation; by default with the last error number.
    public init(_ operation: String, _ number: Int32 = errno) {
        self.operation = operation
        self.number = number
    }

    /// `bind /tmp/gym.sock: Permission denied`.
    public var description: String { "\(operation): \(String(cString: strerror(number)))" }
}
