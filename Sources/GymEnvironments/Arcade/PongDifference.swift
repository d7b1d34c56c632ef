import GymCore

/// The observation of the policy-gradient lecture: the field (screen rows 35 to 193) at half size, 1 where there is a
/// paddle or the ball, minus the same of the step before.
enum PongDifference {
    static let side = 80
    /// The first screen row that is looked at, and every second one after it.
    private static let firstRow = 35

    /// Writes the difference of two frames: −1, 0 or 1 in each of 80×80 cells. Without an older frame it is all 0.
    static func write(newer: PongScene, older: PongScene?, to observation: ObservationWriter) {
        observation.write(as: Int8.self) { span in
            span.withUnsafeMutableBufferPointer { cells in
                cells.update(repeating: 0)
                guard let older else { return }
                mark(newer, 1, in: cells)
                mark(older, 2, in: cells)
                settle(newer, in: cells)
                settle(older, in: cells)
            }
        }
    }

    /// Sets a bit where a frame has a piece.
    private static func mark(_ scene: PongScene, _ bit: Int8, in cells: UnsafeMutableBufferPointer<Int8>) {
        forEachCell(of: scene) { cells[$0] |= bit }
    }

    /// Turns bits into differences. A cell can be met more than once, so no settled value may be settled again.
    private static func settle(_ scene: PongScene, in cells: UnsafeMutableBufferPointer<Int8>) {
        forEachCell(of: scene) { index in
            switch cells[index] {
            case 2: cells[index] = -1
            case 3: cells[index] = 0
            default: break
            }
        }
    }

    @inline(__always)
    private static func forEachCell(of scene: PongScene, _ body: (Int) -> Void) {
        scene.forEachPiece { forEachCell(of: $0, body) }
    }

    @inline(__always)
    private static func forEachCell(of piece: PongScene.Rectangle, _ body: (Int) -> Void) {
        // Even columns, odd rows.
        let left = (Int(piece.x) + 1) / 2
        let right = (Int(piece.x) + Int(piece.width) + 1) / 2
        let top = (Int(piece.y) - firstRow + 1) / 2
        let bottom = (Int(piece.y) + Int(piece.height) - firstRow + 1) / 2
        guard left < right, top < bottom else { return }
        for row in top..<bottom {
            for column in left..<right { body(row * side + column) }
        }
    }
}
