import GymCore
import NeuralNetwork

/// Observations of the past, each kept once, whatever number of transitions and of stacks it is part of.
///
/// A frame knows the one before it in its episode, so that a stack is put together when it is asked for. Frames leave in
/// the order they came; their memory is taken in pieces, as it is needed, and used again.
final class FramePool {
    /// The bytes of a frame.
    private let frameBytes: Int
    /// The frames of a row.
    private let frames: Int
    private var pieces: [Rows] = []
    /// For each slot the slot of the frame before it in its episode, or −1.
    private var previous: [Int32] = []
    /// For each slot the number of frames that came before it, in all.
    private var order: [Int] = []
    /// Slots in the order their frames came, as a ring.
    private var queue: [Int32] = []
    private var first = 0
    private var count = 0
    private var free: [Int32] = []
    private var added = 0

    /// Frames that are asked for at a time.
    private static let pieceFrames = 256

    init(frameBytes: Int, frames: Int) {
        self.frameBytes = frameBytes
        self.frames = frames
    }

    private func place(_ slot: Int32) -> (piece: Rows, row: Int) {
        (pieces[Int(slot) / FramePool.pieceFrames], Int(slot) % FramePool.pieceFrames)
    }

    /// Takes in a frame, the last of a row.
    ///
    /// - Parameter previous: the frame before it in its episode, −1 at its start.
    /// - Returns: what the frame is called from now on.
    func add(_ rows: Rows, row: Int, after previous: Int32) -> Int32 {
        if free.isEmpty { grow() }
        let slot = free.removeLast()
        let (piece, place) = place(slot)
        piece.copyStretch(
            row: place, at: 0, from: rows, row: row, at: rows.format.rowBytes - frameBytes, byteCount: frameBytes)
        self.previous[Int(slot)] = previous
        order[Int(slot)] = added
        added += 1
        queue[(first + count) % queue.count] = slot
        count += 1
        return slot
    }

    private func grow() {
        let start = Int32(order.count)
        pieces.append(Rows(InputFormat(.uint8, count: frameBytes), count: FramePool.pieceFrames))
        previous += [Int32](repeating: -1, count: FramePool.pieceFrames)
        order += [Int](repeating: 0, count: FramePool.pieceFrames)
        free.reserveCapacity(order.count)
        free += (start..<start + Int32(FramePool.pieceFrames)).reversed()
        queue = (0..<count).map { queue[(first + $0) % queue.count] }
        queue += [Int32](repeating: 0, count: order.count - count)
        first = 0
    }

    /// Lets go of the frames that came more than `margin` before the given one.
    func release(before frame: Int32, margin: Int) {
        let oldest = order[Int(frame)] - margin
        while count > 0, order[Int(queue[first])] < oldest {
            free.append(queue[first])
            first = (first + 1) % queue.count
            count -= 1
        }
    }

    /// Writes the row that ends with a frame: the last ones of its episode, the newest last, zeros before its first.
    func copyRow(_ frame: Int32, into rows: Rows, row: Int) {
        var frame = frame
        for position in stride(from: frames - 1, through: 0, by: -1) {
            if frame < 0 {
                rows.clearRow(row, butLast: rows.format.rowBytes - (position + 1) * frameBytes)
                return
            }
            let (piece, place) = place(frame)
            rows.copyStretch(
                row: row, at: position * frameBytes, from: piece, row: place, at: 0, byteCount: frameBytes)
            // A stack's last needs no frame before it; that one may be gone.
            frame = previous[Int(frame)]
        }
    }

    /// Bytes that a pool takes for so many frames, about.
    static func bytes(frames: Double, frameBytes: Int) -> Double { frames * Double(frameBytes + 16) }
}

extension FramePool {
    /// Writes or reads every frame.
    func code(_ state: inout StateCoder) throws {
        var slots = (0..<count).map { queue[(first + $0) % queue.count] }
        try state(&added)
        try state(anyLength: &previous)
        try state(anyLength: &order)
        try state(anyLength: &free)
        try state(anyLength: &slots)
        if state.isReading {
            let total = order.count
            guard total % FramePool.pieceFrames == 0, previous.count == total, free.count + slots.count == total,
                Set(free + slots) == Set(0..<Int32(total)), previous.allSatisfy({ (-1..<Int32(total)).contains($0) })
            else { throw StateError("the frames of the replay buffer do not go together") }
            while pieces.count * FramePool.pieceFrames < total {
                pieces.append(Rows(InputFormat(.uint8, count: frameBytes), count: FramePool.pieceFrames))
            }
            pieces.removeLast(pieces.count - total / FramePool.pieceFrames)
            queue = slots + [Int32](repeating: 0, count: total - slots.count)
            (first, count) = (0, slots.count)
        }
        for slot in slots {
            let (piece, row) = place(slot)
            try state(piece[row..<row + 1])
        }
    }

    /// Whether a frame is here.
    func contains(_ frame: Int32) -> Bool { (0..<Int32(order.count)).contains(frame) }
}
