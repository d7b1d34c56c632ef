import Foundation
public import GymCore
import Raster

extension MountainCarTrack {
    /// 600×400: the valley, the car on it, the flag at the goal.
    fileprivate static func picture(position: Double, goal: Double) -> Rendering {
        let scale = 600 / (rightEnd - leftEnd)  // pixels a meter
        func height(_ x: Double) -> Double { (sin(3 * x) * 0.45 + 0.55) * scale }
        func place(_ x: Double) -> Point { Point((x - leftEnd) * scale, height(x)) }
        let clearance = 10.0
        let slope = cos(3 * position)
        let car = Point(place(position).x, place(position).y + clearance)
        let track = (0..<100).map { place(leftEnd + (rightEnd - leftEnd) * Double($0) / 99) }
        let foot = Point(place(goal).x.rounded(.towardZero), place(goal).y.rounded(.towardZero))
        return Stage.picture(width: 600, height: 400) { stage in
            stage.lines(track, .black)
            stage.polygon(turnedBox(left: -20, right: 20, bottom: 0, top: 20, angle: slope, at: car), .black)
            for side in [10.0, -10.0] {
                let wheel = turned(Point(side, 0), angle: slope, about: car)
                stage.disc(x: wheel.x, y: wheel.y, radius: 8, Color(gray: 128))
            }
            flag(at: foot, on: stage, pole: .black, cloth: Color(204, 204, 0))
        }
    }
}

extension MountainCar: RenderableEnvironment {
    /// 600×400: the valley, the car, the flag.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: MountainCar.spec.id)
        return MountainCarTrack.picture(position: state.position, goal: MountainCar.goal)
    }
}

extension MountainCarContinuous: RenderableEnvironment {
    /// 600×400: the valley, the car, the flag.
    public func render(mode: String) throws -> Rendering {
        try requireColors(mode, of: MountainCarContinuous.spec.id)
        return MountainCarTrack.picture(position: state.position, goal: MountainCarContinuous.goal)
    }
}
