import Raster

/// Two screens kept up to date, and the brighter of the two in each pixel: what the console flickers between.
struct PongPool: Sendable {
    private let channels: Int
    private var screens: (newer: [UInt8], older: [UInt8])
    private var shown: (newer: PongScene, older: PongScene)?
    private(set) var pixels: [UInt8]

    init(channels: Int) {
        self.channels = channels
        pixels = [UInt8](repeating: 0, count: PongScene.width * PongScene.height * channels)
        screens = (pixels, pixels)
    }

    /// Takes in two frames.
    ///
    /// - Returns: whether anything but paddles and ball may have changed in ``pixels``.
    mutating func show(newer: PongScene, older: PongScene) -> Bool {
        PongPool.draw(newer, over: shown?.newer, in: &screens.newer, channels)
        PongPool.draw(older, over: shown?.older, in: &screens.older, channels)
        let sameBackdrop =
            shown.map {
                newer.sharesBackdrop(with: $0.newer) && older.sharesBackdrop(with: $0.older)
            } ?? false
        let previous = shown
        shown = (newer, older)
        if sameBackdrop, let previous {
            pool(previous.newer)
            pool(previous.older)
            pool(newer)
            pool(older)
        } else {
            pool(from: 0, count: pixels.count)
        }
        return !sameBackdrop
    }

    /// Bytes of heap memory.
    var heapBytes: Int { pixels.count + screens.newer.count + screens.older.count }

    /// Forgets what was shown.
    mutating func forget() { shown = nil }

    private static func draw(_ scene: PongScene, over old: PongScene?, in pixels: inout [UInt8], _ channels: Int) {
        pixels.withUnsafeMutableBufferPointer { buffer in
            let canvas = Canvas(
                buffer.baseAddress!, width: PongScene.width, height: PongScene.height, channels: channels)
            if let old {
                scene.draw(over: old, on: canvas)
            } else {
                scene.draw(on: canvas)
            }
        }
    }

    private mutating func pool(_ scene: PongScene) {
        scene.forEachPiece { pool($0) }
    }

    private mutating func pool(_ piece: PongScene.Rectangle) {
        for row in 0..<Int(piece.height) {
            let start = ((Int(piece.y) + row) * PongScene.width + Int(piece.x)) * channels
            pool(from: start, count: Int(piece.width) * channels)
        }
    }

    private mutating func pool(from start: Int, count: Int) {
        screens.newer.withUnsafeBufferPointer { newer in
            screens.older.withUnsafeBufferPointer { older in
                pixels.withUnsafeMutableBufferPointer { pixels in
                    for index in start..<start + count { pixels[index] = max(newer[index], older[index]) }
                }
            }
        }
    }
}
