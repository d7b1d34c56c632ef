import Glibc

/// A file descriptor that is closed when its owner lets go of it.
public final class OwnedDescriptor: Sendable {
    /// The descriptor; valid as long as this object lives.
    public let number: Int32

    /// Takes over an open descriptor.
    public init(owning number: Int32) { self.number = number }

    deinit { close(number) }
}
