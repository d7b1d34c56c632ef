/// The element type of a tensor, as it crosses the wire. Raw values are those of `gym.v1.DType`.
public enum DType: Int32, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case bool = 1
    case int8 = 2
    case int16 = 3
    case int32 = 4
    case int64 = 5
    case uint8 = 6
    case uint16 = 7
    case uint32 = 8
    case uint64 = 9
    case float16 = 10
    case float32 = 11
    case float64 = 12

    /// Bytes an element takes.
    @inlinable
    public var size: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16, .float16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// NumPy's name: `float32`, `int64`, `bool`.
    public var name: String { String(describing: self) }

    /// Whether elements are IEEE floating-point numbers.
    public var isFloatingPoint: Bool {
        switch self {
        case .float16, .float32, .float64: true
        default: false
        }
    }
}

/// A Swift type that can be an element of a tensor.
///
/// Booleans travel as `UInt8`, one byte each, 0 or 1; for that reason `UInt8` stands for both
/// ``DType/uint8`` and ``DType/bool`` and there is no conformance for `Bool`.
public protocol TensorElement: BitwiseCopyable, Sendable {
    /// The element type this Swift type is stored as.
    static var dtype: DType { get }
}

extension Int8: TensorElement { public static var dtype: DType { .int8 } }
extension Int16: TensorElement { public static var dtype: DType { .int16 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension UInt16: TensorElement { public static var dtype: DType { .uint16 } }
extension UInt32: TensorElement { public static var dtype: DType { .uint32 } }
extension UInt64: TensorElement { public static var dtype: DType { .uint64 } }
extension Float16: TensorElement { public static var dtype: DType { .float16 } }
extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
