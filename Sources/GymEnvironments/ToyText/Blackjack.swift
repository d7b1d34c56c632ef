public import GymCore

/// Blackjack-v1: draw cards to come closer to 21 than the dealer, and not beyond it. Cards come from a pack without end.
///
/// | action | meaning |
/// |---|---|
/// | 0 | stick: the dealer draws up to 17 or more, and the hands are compared |
/// | 1 | hit: draw a card |
///
/// | observation | space |
/// |---|---|
/// | 0: the player's sum, an ace counted as 11 where that is no more than 21 | `Discrete(32)` |
/// | 1: the dealer's open card, 1 to 10, an ace as 1 | `Discrete(11)` |
/// | 2: whether the player has an ace that counts as 11 | `Discrete(2)` |
///
/// Reward: 1 for a hand that wins, −1 for one that loses, 0 otherwise. With `sab` an ace and a ten win against all but
/// another ace and ten; with `natural`, and without `sab`, they are worth 1.5 where they win.
///
/// Start: two cards each.
///
/// End: after sticking, and beyond 21. There is no time limit.
///
/// Source: example 5.1 of R. Sutton, A. Barto, "Reinforcement Learning: An Introduction" (2nd edition, 2018); rules and
/// order of draws as Gymnasium's Blackjack-v1.
public struct Blackjack: RestorableEnvironment, Sendable {
    public static let spec = EnvironmentSpec(
        id: "Blackjack-v1", summary: "Draw cards to come closer to 21 than the dealer.", renderModes: ["rgb_array"],
        renderFPS: 4,
        options: [
            OptionSpec(
                "natural", .bool, default: .bool(false), "An ace and a ten that win are worth 1.5; not with sab."),
            OptionSpec(
                "sab", .bool, default: .bool(true),
                "The rules of the book by Sutton and Barto: an ace and a ten win against all but the same."),
        ])

    public let observationSpace = Space.tuple([.discrete(count: 32), .discrete(count: 11), .discrete(count: 2)])
    public let actionSpace = Space.discrete(count: 2)

    /// Cards in a hand, as far as the rules ask for them.
    struct Hand: Hashable {
        /// Aces counted as 1.
        private(set) var points = 0
        private(set) var hasAce = false
        private(set) var count = 0

        mutating func add(_ card: Int) {
            points += card
            hasAce = hasAce || card == 1
            count += 1
        }

        /// Whether an ace counts as 11.
        var hasUsableAce: Bool { hasAce && points + 10 <= 21 }
        var sum: Int { hasUsableAce ? points + 10 : points }
        var isBust: Bool { sum > 21 }
        /// An ace and a ten.
        var isNatural: Bool { count == 2 && hasAce && points == 11 }

        init() {}

        fileprivate init(from reader: inout StateReader) throws {
            // Beyond 21, and for the dealer beyond 16, no card is added.
            points = try reader.read(UInt8.self, in: 0..<32, "points")
            hasAce = try reader.read(UInt8.self, in: 0..<2, "ace") == 1
            count = try reader.read(UInt8.self, in: 0..<32, "number of cards")
        }

        fileprivate func save(to writer: inout StateWriter) {
            writer.write(UInt8(clamping: points))
            writer.write(UInt8(hasAce ? 1 : 0))
            writer.write(UInt8(clamping: count))
        }
    }

    private let natural: Bool
    private let sab: Bool

    private(set) var player = Hand()
    private var dealer = Hand()
    /// The dealer's open card, 1 to 10.
    private(set) var openCard = 1
    /// How the open card looks: its suit, one of clubs, diamonds, hearts, spades, and which of the three faces it is
    /// when it is worth ten (a ten itself is never shown, as in the reference).
    private(set) var suit = 0
    private(set) var face = 0

    /// An environment with the options of ``spec``.
    public init(options: OptionValues) {
        natural = options.bool("natural")
        sab = options.bool("sab")
    }

    /// A card: 1 to 9, and with the tens' and the faces' probability 10.
    private static func draw(_ generator: inout NumPyGenerator) -> Int { min(generator.integer(in: 0..<13) + 1, 10) }

    public mutating func reset(
        options: OptionValues, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws {
        dealer = Hand()
        openCard = Blackjack.draw(&generator)
        dealer.add(openCard)
        dealer.add(Blackjack.draw(&generator))
        player = Hand()
        player.add(Blackjack.draw(&generator))
        player.add(Blackjack.draw(&generator))
        // Only pictures show these, but the generator goes on by them.
        suit = generator.integer(in: 0..<4)
        face = openCard == 10 ? generator.integer(in: 0..<3) : 0
        observe(observation)
    }

    public mutating func step(
        action: ActionReader, generator: inout NumPyGenerator, observation: ObservationWriter
    ) throws -> StepResult {
        defer { observe(observation) }
        if action.integer() == 1 {
            player.add(Blackjack.draw(&generator))
            return StepResult(reward: player.isBust ? -1 : 0, terminated: player.isBust)
        }
        while dealer.sum < 17 { dealer.add(Blackjack.draw(&generator)) }
        let mine = player.isBust ? 0 : player.sum
        let theirs = dealer.isBust ? 0 : dealer.sum
        var reward: Double = mine > theirs ? 1 : mine < theirs ? -1 : 0
        if sab {
            if player.isNatural, !dealer.isNatural { reward = 1 }
        } else if natural, player.isNatural, reward == 1 {
            reward = 1.5
        }
        return StepResult(reward: reward, terminated: true)
    }

    private func observe(_ observation: ObservationWriter) {
        observation.store([Int64(player.sum)], leaf: 0)
        observation.store([Int64(openCard)], leaf: 1)
        observation.store([Int64(player.hasUsableAce ? 1 : 0)], leaf: 2)
    }

    // MARK: Saving

    public static let stateVersion = 1

    public func save(to writer: inout StateWriter) {
        player.save(to: &writer)
        dealer.save(to: &writer)
        writer.write(UInt8(openCard))
        writer.write(UInt8(suit))
        writer.write(UInt8(face))
    }

    public mutating func restore(from reader: inout StateReader) throws {
        var restored = self
        restored.player = try Hand(from: &reader)
        restored.dealer = try Hand(from: &reader)
        restored.openCard = try reader.read(UInt8.self, in: 1..<11, "open card")
        restored.suit = try reader.read(UInt8.self, in: 0..<4, "suit")
        restored.face = try reader.read(UInt8.self, in: 0..<3, "face")
        self = restored
    }
}
