public import GymCore

/// An array with a name and a shape.
public struct NamedTensor: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// Its elements, element type and shape.
    public let tensor: Tensor

    /// An array of the given name.
    public init(_ name: String, _ tensor: Tensor) {
        self.name = name
        self.tensor = tensor
    }
}
