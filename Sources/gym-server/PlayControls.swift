import GymCore

/// How a person plays an environment: which key is which action, and what is set otherwise than for a program.
struct PlayControls {
    /// An action: of a discrete space, or of a box of float32.
    enum Action: Hashable {
        case discrete(Int)
        case box([Float])
    }

    /// What is done while no key is pressed; `nil`: the last action goes on.
    var rest: Action?
    /// Actions by key.
    var keys: [Key: Action]
    /// What the keys do, in a line.
    var help: String
    /// Options that make it playable, unless the user gives others.
    var options: [String: OptionValue] = [:]
    /// Steps a second, where not those of the registration.
    var stepsPerSecond: Double?

    /// The controls of an environment; digits stand for the actions of discrete spaces that are not known here.
    init(_ id: String, actionSpace: Space) {
        switch id {
        case "CartPole-v1":
            self.init(keys: [.left: .discrete(0), .right: .discrete(1)], help: "left and right push the cart")
        case "MountainCar-v0":
            self.init(
                rest: .discrete(1), keys: [.left: .discrete(0), .right: .discrete(2)],
                help: "left and right push the car")
        case "Acrobot-v1":
            self.init(
                rest: .discrete(1), keys: [.left: .discrete(0), .right: .discrete(2)],
                help: "left and right bend the joint")
        case "Pendulum-v1":
            self.init(
                rest: .box([0]), keys: [.left: .box([2]), .right: .box([-2])],
                help: "left and right turn the pendulum")
        case "MountainCarContinuous-v0":
            self.init(
                rest: .box([0]), keys: [.left: .box([-1]), .right: .box([1])], help: "left and right push the car")
        case "LunarLander-v3":
            self.init(
                rest: .discrete(0), keys: [.left: .discrete(1), .up: .discrete(2), .right: .discrete(3)],
                help: "up burns the main engine, left and right the side engines")
        case "LunarLanderContinuous-v3":
            self.init(
                rest: .box([0, 0]), keys: [.left: .box([0, -1]), .up: .box([1, 0]), .right: .box([0, 1])],
                help: "up burns the main engine, left and right the side engines")
        case "Pong-v1", "PongDifference-v1":
            self.init(
                rest: .discrete(0),
                keys: [
                    .up: .discrete(2), .down: .discrete(3), .character(" "): .discrete(1), .left: .discrete(4),
                    .right: .discrete(5),
                ],
                help: "up and down move the paddle, space fires, left and right do both")
            // A person sees and plays every frame.
            options = ["frameskip": .integer(1), "repeat_action_probability": .integer(0)]
            stepsPerSecond = 60
        default:
            guard case .discrete(let count, let start) = actionSpace else {
                self.init(keys: [:], help: "no keys for \(actionSpace); try --policy random")
                return
            }
            var keys: [Key: Action] = [:]
            for index in 0..<min(count, 10) { keys[.character(Character("\(index)"))] = .discrete(start + index) }
            self.init(keys: keys, help: "digits are actions")
        }
    }

    private init(rest: Action? = nil, keys: [Key: Action], help: String) {
        self.rest = rest
        self.keys = keys
        self.help = help
    }
}

extension PlayControls.Action {
    /// Writes the action into the only row of a batch.
    func store(in actions: BatchBuffer) {
        switch self {
        case .discrete(let value): actions.elements(as: Int64.self)[0] = Int64(value)
        case .box(let values):
            let elements = actions.elements(as: Float.self)
            for (index, value) in values.enumerated() where index < elements.count { elements[index] = value }
        }
    }

    /// A random member of an action space, or its first one; `nil` for spaces other than discrete and float32 boxes.
    init?(_ space: Space, random generator: inout NumPyGenerator) {
        switch space {
        case .discrete(let count, let start): self = .discrete(start + generator.integer(in: 0..<count))
        case .box(let box) where box.dtype == .float32:
            self = .box(
                zip(box.low.doubles, box.high.doubles).map { low, high in
                    Float(generator.uniform(max(low, -1e3), min(high, 1e3)))
                })
        default: return nil
        }
    }
}
