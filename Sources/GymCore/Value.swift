/// A member of a space, as a tree: what ragged spaces (text, sequences, graphs, one-of) travel as.
public indirect enum Value: Sendable, Hashable {
    /// A member of a box, discrete, multi-discrete or multi-binary space.
    case tensor(Tensor)
    /// A member of a text space.
    case text(String)
    /// Members in order: of a tuple, of a dictionary (in the order of its keys), or of a sequence.
    case list([Value])
    /// A member of a graph space: node members, edge members (if the space has any), and for each edge the indices
    /// of the nodes that it joins.
    case graph(nodes: Tensor, edges: Tensor?, edgeLinks: [Int64])
    /// A member of the space at `index` of a one-of.
    case oneOf(index: Int, Value)
}
