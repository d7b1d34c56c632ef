import GymCore
import Physics2D

extension World {
    /// Takes over a saved motion.
    ///
    /// - Throws: ``StateError`` when it is not one of this world.
    mutating func restore(motion: [UInt8]) throws {
        do {
            try restoreMotion(from: motion)
        } catch {
            throw StateError(error.description)
        }
    }
}
