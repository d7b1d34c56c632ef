/// A file that cannot be written, or that is not what it should be.
public struct RunFileError: Error, Hashable, CustomStringConvertible {
    /// What is wrong.
    public let description: String

    /// An error with the given words.
    public init(_ description: String) { self.description = description }
}
