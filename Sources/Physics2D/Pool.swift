/// A growing array of plain values in memory that does not move except when it grows.
///
/// Elements are reached through ``base``: bind it outside a loop, and nothing is checked, retained or copied inside.
struct Pool<Element: BitwiseCopyable>: ~Copyable {
    /// The first element.
    private(set) var base: UnsafeMutablePointer<Element>
    /// How many elements there are.
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int = 16) {
        self.capacity = capacity
        base = .allocate(capacity: capacity)
    }

    deinit {
        base.deallocate()
    }

    /// Makes room for `minimum` elements.
    mutating func reserve(_ minimum: Int) {
        if minimum <= capacity { return }
        let grown = max(minimum, 2 * capacity)
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: grown)
        memory.update(from: base, count: count)
        base.deallocate()
        base = memory
        capacity = grown
    }

    /// Adds an element and returns its index.
    @discardableResult
    mutating func append(_ element: Element) -> Int {
        reserve(count + 1)
        (base + count).initialize(to: element)
        count += 1
        return count - 1
    }

    /// Forgets the elements from `newCount` on, keeping the memory.
    mutating func truncate(to newCount: Int) {
        count = newCount
    }
}
