import GymCore
import Testing

@Suite struct OptionTests {
    private func message(_ given: [String: OptionValue]) -> String {
        do {
            _ = try OptionValues(given, for: CounterEnvironment.spec.options)
            return "taken"
        } catch { return "\(error)" }
    }

    @Test func whatIsNotGivenTakesItsDefault() throws {
        let values = try OptionValues(["size": .integer(5)], for: CounterEnvironment.spec.options)
        #expect(values.integer("size") == 5)
        #expect(values.real("speed") == 1)
        #expect(values.text("color") == "red")
        #expect(!values.bool("fast"))
        #expect(values.range("parts") == 3...3)
    }

    @Test func valuesTakeTheFormOfTheirKind() throws {
        let given: [String: OptionValue] = ["speed": .integer(2), "parts": .list([.integer(1), .integer(4)])]
        let values = try OptionValues(given, for: CounterEnvironment.spec.options)
        #expect(values.real("speed") == 2)
        #expect(values.range("parts") == 1...4)
    }

    @Test func unknownNamesGetSuggestions() {
        #expect(
            message(["colour": .text("red")])
                == "there is no option 'colour' (did you mean color?); the options are speed, size, color, fast, parts")
        #expect(
            message(["xyzzy": .integer(1)])
                == "there is no option 'xyzzy'; the options are speed, size, color, fast, parts")
        #expect(throws: OptionError(option: "any", "there is no option 'any', nor any other")) {
            try OptionValues(["any": .bool(true)], for: [])
        }
    }

    @Test func wrongTypesAndRangesAreNamed() {
        #expect(
            message(["speed": .text("fast")]) == "option 'speed' is \"fast\"; it has to be a number from 0.0 to 10.0")
        #expect(message(["speed": .real(10.5)]) == "option 'speed' is 10.5; it has to be a number from 0.0 to 10.0")
        #expect(message(["speed": .real(.nan)]) == "option 'speed' is nan; it has to be a number from 0.0 to 10.0")
        #expect(message(["size": .integer(0)]) == "option 'size' is 0; it has to be a whole number from 1 to 5")
        #expect(message(["size": .real(2)]) == "option 'size' is 2.0; it has to be a whole number from 1 to 5")
        #expect(message(["color": .text("blue")]) == "option 'color' is \"blue\"; it has to be one of red, green")
        #expect(message(["fast": .integer(1)]) == "option 'fast' is 1; it has to be true or false")
        let parts = "it has to be a whole number from 0 to 9, or a list [low, high] of two of them"
        #expect(
            message(["parts": .list([.integer(4), .integer(1)])]) == "option 'parts' is [4, 1]; \(parts)",
            "low above high")
        #expect(message(["parts": .list([.integer(1)])]) == "option 'parts' is [1]; \(parts)")
    }

    @Test func unknownEnvironmentsGetSuggestions() throws {
        var registry = EnvironmentRegistry()
        registry.register(CounterEnvironment.spec) { _ in CounterEnvironment(length: 2) }
        #expect(throws: UnknownEnvironmentError(id: "Count-v0", known: ["Counter-v0"])) {
            try registry.make("Count-v0")
        }
        let error = UnknownEnvironmentError(id: "Counter", known: ["Counter-v0", "Pong-v0"])
        #expect("\(error)" == "there is no environment 'Counter' (did you mean Counter-v0?)")
    }
}
