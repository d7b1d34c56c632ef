import GymCore

/// What a Pong environment shows of its frames.
enum PongObservation: String, CaseIterable, Sendable {
    /// The screen: 210×160×3.
    case rgb
    /// The screen in gray: 210×160.
    case grayscale
    /// The preprocessing of the DQN paper: 84×84×4.
    case stack
    /// The difference of two frames, as the policy-gradient lecture's network takes it: 80×80.
    case difference
    /// Positions and speeds, eight numbers.
    case state

    /// The spaces of all, which environments share: the bounds of a screen take 200 kB.
    private static let spaces = Dictionary(uniqueKeysWithValues: allCases.map { ($0, $0.newSpace) })

    var space: Space { PongObservation.spaces[self]! }

    private var newSpace: Space {
        switch self {
        case .rgb: .box(Box(low: UInt8(0), high: 255, shape: [PongScene.height, PongScene.width, 3]))
        case .grayscale: .box(Box(low: UInt8(0), high: 255, shape: [PongScene.height, PongScene.width]))
        case .stack: .box(Box(low: UInt8(0), high: 255, shape: [PongStack.side, PongStack.side, PongStack.depth]))
        case .difference: .box(Box(low: Int8(-1), high: 1, shape: [PongDifference.side, PongDifference.side]))
        case .state:
            // Ball x, y (its top left corner) and speeds, all 0 between points; the player's top and speed; the
            // opponent's top and speed, which can jump when it is set to the middle for a serve. Pixels and frames.
            .box(
                Box(
                    low: [0, 0, -4, -4, 0, -16, -16, -210], high: [160, 210, 4, 4, 210, 16, 210, 210] as [Float]))
        }
    }
}
