import GymCore
import Raster

/// The observation of the DQN paper: the brighter of each two last frames in gray, shrunk to 84×84, the last four of
/// them as channels, the newest last.
struct PongStack: Sendable {
    static let side = 84
    static let depth = 4

    private var pool = PongPool(channels: 1)
    private let resize = AreaResize(from: (PongScene.width, PongScene.height), to: (side, side))
    private var shrunk = [UInt8](repeating: 0, count: side * side)
    /// For each pixel its last four values, the oldest in the lowest byte.
    private(set) var history = [UInt32](repeating: 0, count: side * side)
    private var shown: (newer: PongScene, older: PongScene)?

    /// Starts with the given frame in each of the four channels.
    mutating func start(_ scene: PongScene) {
        shrink(newer: scene, older: scene)
        for index in history.indices { history[index] = UInt32(shrunk[index]) &* 0x0101_0101 }
    }

    /// Takes in a step's last two frames.
    mutating func show(newer: PongScene, older: PongScene) {
        shrink(newer: newer, older: older)
        history.withUnsafeMutableBufferPointer { history in
            shrunk.withUnsafeBufferPointer { shrunk in
                for index in 0..<history.count {
                    history[index] = history[index] >> 8 | UInt32(shrunk[index]) << 24
                }
            }
        }
    }

    /// Bytes of heap memory, but for the weights, which take some kilobytes.
    var heapBytes: Int { pool.heapBytes + shrunk.count + history.count * MemoryLayout<UInt32>.stride }

    /// Takes over a saved history, and the frames that were shown last.
    mutating func restore(history: [UInt32]) {
        self.history = history
        // The next frames are drawn and shrunk as a whole.
        pool.forget()
        shown = nil
    }

    func write(to observation: ObservationWriter) {
        observation.write(as: UInt8.self) { span in
            span.withUnsafeMutableBufferPointer { target in
                history.withUnsafeBytes {
                    target.baseAddress!.update(
                        from: $0.baseAddress!.assumingMemoryBound(to: UInt8.self), count: $0.count)
                }
            }
        }
    }

    private mutating func shrink(newer: PongScene, older: PongScene) {
        let everything = pool.show(newer: newer, older: older)
        if everything || shown == nil {
            shrink(columns: 0..<PongStack.side, rows: 0..<PongStack.side)
        } else if let shown {
            shrink(shown.newer)
            shrink(shown.older)
            shrink(newer)
            shrink(older)
        }
        shown = (newer, older)
    }

    private mutating func shrink(_ scene: PongScene) {
        scene.forEachPiece { shrink($0) }
    }

    private mutating func shrink(_ piece: PongScene.Rectangle) {
        guard piece.height > 0, piece.width > 0 else { return }
        let area = resize.covering(
            x: Int(piece.x), y: Int(piece.y), width: Int(piece.width), height: Int(piece.height))
        shrink(columns: area.columns, rows: area.rows)
    }

    private mutating func shrink(columns: Range<Int>, rows: Range<Int>) {
        pool.pixels.withUnsafeBufferPointer { source in
            shrunk.withUnsafeMutableBufferPointer { target in
                resize.apply(source.baseAddress!, into: target.baseAddress!, columns: columns, rows: rows)
            }
        }
    }
}
