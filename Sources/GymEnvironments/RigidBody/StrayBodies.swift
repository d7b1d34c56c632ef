import GymCore
import Physics2D

/// Environments that can tell whether a body is where it cannot have gone: through the ground, or out of the world.
package protocol StrayBodyFinding: LockstepEnvironment {
    /// What is where it cannot be, in words; `nil` when all is well. Looks at the middle of each body.
    var strayBody: String? { get }
}

/// The ground as points at equal distances from x = 0 on.
private struct Profile {
    let spacing: Double  // m
    let count: Int
    let height: (Int) -> Double

    /// Meters that bodies may be beyond the ends of the ground before an episode ends, and below it there: a walker
    /// that stands on the left end lets a leg hang over it, as in Gymnasium.
    private static let margin = 3.0
    /// Meters from an end where a hanging leg may be: half its length.
    private static let edge = 0.6
    /// Meters that the middle of a body may be below the surface: a lander that comes down hard presses its legs in.
    private static let depth = 0.25
    /// Meters above the ground under it that no body gets to. Random play stays far below.
    private static let ceiling = 25.0

    /// What is wrong with a body's place.
    func complaint(_ name: String, _ place: Vec2) -> String? {
        let (x, y) = (Double(place.x), Double(place.y))
        let end = spacing * Double(count - 1)
        // Written so that NaN fails.
        guard x > -Profile.margin && x < end + Profile.margin else {
            return "\(name) is at x = \(x), 0 to \(end) is ground"
        }
        let position = min(max(x, 0), end) / spacing
        let i = min(Int(position), count - 2)
        let ground = height(i) + (height(i + 1) - height(i)) * (position - Double(i))
        let isAtEnd = x < Profile.edge || x > end - Profile.edge
        guard y > ground - (isAtEnd ? Profile.margin : Profile.depth) else {
            return "\(name) is at (\(x), \(y)), below the ground at \(ground)"
        }
        guard y < ground + Profile.ceiling else {
            return "\(name) is at (\(x), \(y)), far above the ground at \(ground)"
        }
        return nil
    }
}

extension BipedalWalker: StrayBodyFinding {
    package var strayBody: String? {
        let profile = Profile(spacing: Terrain.step, count: Terrain.length) { simulation.terrain.heights[$0] }
        let bodies = [simulation.hull] + (0..<4).map { simulation.legs[$0] }
        let names = ["the hull", "an upper leg", "a lower leg", "an upper leg", "a lower leg"]
        for (name, body) in zip(names, bodies) {
            let place = simulation.world.pointee.centerOfMass(of: body)
            if let complaint = profile.complaint(name, place) ?? buried(name, place) { return complaint }
        }
        return nil
    }

    /// Whether a place is inside an obstacle. These are rectangles along the axes.
    private func buried(_ name: String, _ place: Vec2) -> String? {
        let corners = simulation.terrain.obstacles
        let (x, y) = (Double(place.x), Double(place.y))
        for start in stride(from: 0, to: corners.count, by: 8) {
            let xs = stride(from: start, to: start + 8, by: 2).map { corners[$0] }
            let ys = stride(from: start + 1, to: start + 8, by: 2).map { corners[$0] }
            if x > xs.min()! && x < xs.max()! && y > ys.min()! && y < ys.max()! {
                return "\(name) is at (\(x), \(y)), inside an obstacle"
            }
        }
        return nil
    }
}

extension LunarLander: StrayBodyFinding {
    package var strayBody: String? {
        let profile = Profile(spacing: Simulation.groundX(1), count: Simulation.chunks) { simulation.ground[$0] }
        for (name, body) in [
            ("the lander", simulation.lander), ("a leg", simulation.legs[0]), ("a leg", simulation.legs[1]),
        ] {
            if let complaint = profile.complaint(name, simulation.world.pointee.centerOfMass(of: body)) {
                return complaint
            }
        }
        return nil
    }
}
