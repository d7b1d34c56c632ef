/// One number of each of several islands that are solved together.
///
/// Eight, which are two registers of baseline x86-64 and of arm64: while an operation on the first waits for its
/// operands, the one on the second runs.
typealias Lanes = SIMD8<Float>

/// A choice for each lane: all bits set, or none.
typealias LaneMask = SIMD8<UInt32>

extension SIMD8<Float> {
    @inline(__always)
    var bits: LaneMask { unsafeBitCast(self, to: LaneMask.self) }

    @inline(__always)
    init(bits: LaneMask) { self = unsafeBitCast(bits, to: Lanes.self) }

    /// The lanes where this is below `other`.
    @inline(__always)
    func isBelow(_ other: Lanes) -> LaneMask { unsafeBitCast(self .< other, to: LaneMask.self) }

    /// The lanes where this is at least `other`.
    @inline(__always)
    func isAtLeast(_ other: Lanes) -> LaneMask { unsafeBitCast(self .>= other, to: LaneMask.self) }
}

/// In each lane the first value where the mask is set, else the second.
@inline(__always)
func select(_ mask: LaneMask, _ first: Lanes, _ second: Lanes) -> Lanes {
    Lanes(bits: (first.bits & mask) | (second.bits & ~mask))
}

/// In each lane the value, or the bound that it exceeds; as the scalar ``clamp(_:_:_:)``.
@inline(__always)
func clamp(_ value: Lanes, _ low: Lanes, _ high: Lanes) -> Lanes {
    let lower = select(value.isBelow(high), value, high)
    return select(lower.isBelow(low), low, lower)
}

/// A vector in each lane.
struct LaneVector: BitwiseCopyable {
    var x = Lanes.zero
    var y = Lanes.zero

    @inline(__always)
    static func + (a: LaneVector, b: LaneVector) -> LaneVector { LaneVector(x: a.x + b.x, y: a.y + b.y) }
    @inline(__always)
    static func - (a: LaneVector, b: LaneVector) -> LaneVector { LaneVector(x: a.x - b.x, y: a.y - b.y) }
    @inline(__always)
    static func * (s: Lanes, a: LaneVector) -> LaneVector { LaneVector(x: s * a.x, y: s * a.y) }
    @inline(__always)
    static prefix func - (a: LaneVector) -> LaneVector { LaneVector(x: -a.x, y: -a.y) }

    /// The vector of one lane.
    subscript(lane: Int) -> Vec2 {
        get { Vec2(x[lane], y[lane]) }
        set {
            x[lane] = newValue.x
            y[lane] = newValue.y
        }
    }
}

@inline(__always)
func dot(_ a: LaneVector, _ b: LaneVector) -> Lanes { a.x * b.x + a.y * b.y }

@inline(__always)
func cross(_ a: LaneVector, _ b: LaneVector) -> Lanes { a.x * b.y - a.y * b.x }

@inline(__always)
func cross(_ s: Lanes, _ a: LaneVector) -> LaneVector { LaneVector(x: -s * a.y, y: s * a.x) }
