/// The element types of gym.v1; raw values are those of `DType`.
enum DType: UInt64, Sendable, CaseIterable {
    case bool = 1
    case int8, int16, int32, int64
    case uint8, uint16, uint32, uint64
    case float16, float32, float64

    /// Bytes of an element.
    var size: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16, .float16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// `float32`.
    var name: String { "\(self)" }

    var isFloatingPoint: Bool { [.float16, .float32, .float64].contains(self) }
}

/// What elements are in Swift. Truth values are `UInt8`, as they are on the wire.
protocol Element: BitwiseCopyable, Comparable, Sendable {
    static var dtype: DType { get }
}

extension Int8: Element { static var dtype: DType { .int8 } }
extension Int16: Element { static var dtype: DType { .int16 } }
extension Int32: Element { static var dtype: DType { .int32 } }
extension Int64: Element { static var dtype: DType { .int64 } }
extension UInt8: Element { static var dtype: DType { .uint8 } }
extension UInt16: Element { static var dtype: DType { .uint16 } }
extension UInt32: Element { static var dtype: DType { .uint32 } }
extension UInt64: Element { static var dtype: DType { .uint64 } }
extension Float16: Element { static var dtype: DType { .float16 } }
extension Float: Element { static var dtype: DType { .float32 } }
extension Double: Element { static var dtype: DType { .float64 } }

extension DType {
    /// The Swift type of the elements.
    var element: any Element.Type {
        switch self {
        case .bool, .uint8: UInt8.self
        case .int8: Int8.self
        case .int16: Int16.self
        case .int32: Int32.self
        case .int64: Int64.self
        case .uint16: UInt16.self
        case .uint32: UInt32.self
        case .uint64: UInt64.self
        case .float16: Float16.self
        case .float32: Float.self
        case .float64: Double.self
        }
    }
}
