/// Plain values that are written when it is made and only read after that, at an address that does not change.
///
/// An array would do, but for its reference count: what looks at the bounds of a space for every element of every
/// action wants a pointer.
// Sendable although it holds a pointer: nothing is written behind it once `init` has returned, and it is freed when the
// last owner is gone.
final class ConstantMemory<Element: BitwiseCopyable>: @unchecked Sendable {
    let elements: UnsafeBufferPointer<Element>

    init(_ elements: [Element]) {
        let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(elements.count, 1))
        _ = memory.initialize(fromContentsOf: elements)
        self.elements = UnsafeBufferPointer(rebasing: memory[..<elements.count])
    }

    deinit { UnsafeMutablePointer(mutating: elements.baseAddress!).deallocate() }
}
