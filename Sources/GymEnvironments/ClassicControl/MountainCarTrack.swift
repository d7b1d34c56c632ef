import GymCore

/// The valley that both mountain cars drive in: height sin(3x), walls at both ends.
enum MountainCarTrack {
    static let leftEnd = -1.2  // m. A wall: the car stops there.
    static let rightEnd = 0.6  // m. The track goes no further.
    static let speedLimit = 0.07  // m/step. Faster is cut to this.
    static let gravity = 0.0025  // m/step², times cos(3x) along the track

    /// Position and velocity.
    static let observationSpace = Space.box(
        Box(low: [Float(leftEnd), -Float(speedLimit)], high: [Float(rightEnd), Float(speedLimit)]))

    static let options = [
        OptionSpec("goal_velocity", .anyReal, default: .real(0), "The least velocity, in m/step, that counts as there.")
    ]
    static let resetOptions = resetBounds(low: -0.6, high: -0.4, of: "the starting position")
}
