import NeuralNetwork

/// A hyperparameter as a method declares it: its key in YAML (rl-baselines3-zoo's), its type in Swift, its default, what it
/// may be, and what it does.
///
/// Both ways of configuring a method come from the one declaration: `learning_rate: 3e-4` in a preset, and
/// `configuration.learningRate = 3e-4` in a program.
public struct Setting<Value: SettingValue>: Sendable {
    /// What listings and files know of it.
    public let hyperparameter: Hyperparameter

    /// A setting with a kind of its own.
    public init(_ key: String, _ standard: Value, _ kind: Hyperparameter.Kind, _ summary: String) {
        hyperparameter = Hyperparameter(key, kind, standard.hyperparameterValue, summary)
    }
}

extension Setting where Value == Bool {
    /// A switch.
    public init(_ key: String, _ standard: Bool, _ summary: String) { self.init(key, standard, .bool, summary) }
}

extension Setting where Value == Int {
    /// A whole number.
    public init(_ key: String, _ standard: Int, in range: ClosedRange<Int>, _ summary: String) {
        self.init(key, standard, .integer(range), summary)
    }
}

extension Setting where Value == Double {
    /// A number.
    public init(_ key: String, _ standard: Double, in range: ClosedRange<Double>, _ summary: String) {
        self.init(key, standard, .real(range), summary)
    }
}

extension Setting where Value == Double? {
    /// A number, or none.
    public init(_ key: String, _ standard: Double?, in range: ClosedRange<Double>, _ summary: String) {
        self.init(key, standard, .optional(.real(range)), summary)
    }
}

extension Setting where Value == Schedule {
    /// A number that may fall over the run.
    public init(_ key: String, _ standard: Schedule, in range: ClosedRange<Double>, _ summary: String) {
        self.init(key, standard, .schedule(range), summary)
    }
}

extension Setting where Value == Schedule? {
    /// A number that may fall over the run, or none.
    public init(_ key: String, _ standard: Schedule?, in range: ClosedRange<Double>, _ summary: String) {
        self.init(key, standard, .optional(.schedule(range)), summary)
    }
}

extension Setting where Value == Automatic {
    /// A number, or one that is found while learning.
    public init(_ key: String, _ standard: Automatic, in range: ClosedRange<Double>, _ summary: String) {
        self.init(key, standard, .automatic(range), summary)
    }
}

extension Setting where Value == HiddenLayers {
    /// Widths of hidden layers.
    public init(_ key: String, _ standard: HiddenLayers, _ summary: String) {
        self.init(key, standard, .networks, summary)
    }
}

extension Setting where Value == [ConvolutionSize] {
    /// Sizes of convolutions.
    public init(_ key: String, _ standard: [ConvolutionSize], _ summary: String) {
        self.init(key, standard, .convolutions, summary)
    }
}

extension Setting where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of a few names.
    public init(_ key: String, _ standard: Value, among choices: [Value] = Array(Value.allCases), _ summary: String) {
        self.init(key, standard, .choice(choices.map(\.rawValue)), summary)
    }
}

extension Setting {
    /// One of a few names, or none.
    public init<Name: RawRepresentable & CaseIterable & SettingValue>(
        _ key: String, _ standard: Name?, _ summary: String
    ) where Value == Name?, Name.RawValue == String {
        self.init(key, standard, .optional(.choice(Name.allCases.map(\.rawValue))), summary)
    }
}

// MARK: Values

/// A type that a setting can have.
public protocol SettingValue: Sendable {
    /// The value that a hyperparameter stands for; `nil` when it is of another kind.
    init?(hyperparameterValue: Hyperparameter.Value)
    /// As a hyperparameter keeps it.
    var hyperparameterValue: Hyperparameter.Value { get }
}

extension Bool: SettingValue {
    public init?(hyperparameterValue value: Hyperparameter.Value) {
        guard case .bool(let value) = value else { return nil }
        self = value
    }
    public var hyperparameterValue: Hyperparameter.Value { .bool(self) }
}

extension Int: SettingValue {
    public init?(hyperparameterValue value: Hyperparameter.Value) {
        guard case .integer(let value) = value else { return nil }
        self = value
    }
    public var hyperparameterValue: Hyperparameter.Value { .integer(self) }
}

extension Double: SettingValue {
    public init?(hyperparameterValue value: Hyperparameter.Value) {
        guard case .real(let value) = value else { return nil }
        self = value
    }
    public var hyperparameterValue: Hyperparameter.Value { .real(self) }
}

extension Schedule: SettingValue, ExpressibleByFloatLiteral {
    public init?(hyperparameterValue value: Hyperparameter.Value) {
        guard case .schedule(let value) = value else { return nil }
        self = value
    }
    public var hyperparameterValue: Hyperparameter.Value { .schedule(self) }
    /// A value that stays.
    public init(floatLiteral value: Double) { self = .constant(value) }
}

extension Optional: SettingValue where Wrapped: SettingValue {
    public init?(hyperparameterValue value: Hyperparameter.Value) {
        if case .none = value {
            self = Wrapped?.none
            return
        }
        guard let wrapped = Wrapped(hyperparameterValue: value) else { return nil }
        self = wrapped
    }
    public var hyperparameterValue: Hyperparameter.Value { self?.hyperparameterValue ?? .none }
}

extension Array: SettingValue where Element == ConvolutionSize {
    public init?(hyperparameterValue value: Hyperparameter.Value) {
        guard case .convolutions(let value) = value else { return nil }
        self = value
    }
    public var hyperparameterValue: Hyperparameter.Value { .convolutions(self) }
}

extension SettingValue where Self: RawRepresentable, RawValue == String {
    public init?(hyperparameterValue value: Hyperparameter.Value) {
        guard case .text(let text) = value else { return nil }
        self.init(rawValue: text)
    }
    public var hyperparameterValue: Hyperparameter.Value { .text(rawValue) }
}

extension Activation: SettingValue {}
extension OptimiserKind: SettingValue {}

/// Widths of the hidden layers, of what acts and of what values.
public struct HiddenLayers: Sendable, Hashable, ExpressibleByArrayLiteral, SettingValue {
    /// The actor's.
    public var actor: [Int]
    /// The critics'.
    public var critic: [Int]

    /// Widths of their own for each.
    public init(actor: [Int], critic: [Int]) {
        self.actor = actor
        self.critic = critic
    }
    /// The same widths for both.
    public init(arrayLiteral widths: Int...) { self.init(actor: widths, critic: widths) }

    public init?(hyperparameterValue value: Hyperparameter.Value) {
        guard case .networks(let actor, let critic) = value else { return nil }
        self.init(actor: actor, critic: critic)
    }
    public var hyperparameterValue: Hyperparameter.Value { .networks(actor: actor, critic: critic) }
}

/// A number that is given, or found while learning.
public enum Automatic: Sendable, Hashable, ExpressibleByFloatLiteral, SettingValue {
    /// It stays.
    case fixed(Double)
    /// It is found while learning, from where a method says that it starts.
    case automatic
    /// It is found while learning, from here on.
    case from(Double)

    /// One that stays.
    public init(floatLiteral value: Double) { self = .fixed(value) }

    /// Whether it is found while learning.
    public var isAutomatic: Bool {
        if case .fixed = self { return false }
        return true
    }

    /// The number, or where its search starts; `standard` where nothing is said.
    public func value(standard: Double) -> Double {
        switch self {
        case .fixed(let value), .from(let value): value
        case .automatic: standard
        }
    }

    public init?(hyperparameterValue value: Hyperparameter.Value) {
        switch value {
        case .real(let value): self = .fixed(value)
        case .text("auto"): self = .automatic
        case .text(let text):
            guard text.hasPrefix("auto_"), let start = Double(text.dropFirst(5)) else { return nil }
            self = .from(start)
        default: return nil
        }
    }
    public var hyperparameterValue: Hyperparameter.Value {
        switch self {
        case .fixed(let value): .real(value)
        case .automatic: .text("auto")
        case .from(let start): .text("auto_\(start)")
        }
    }
}

// MARK: Settings of a method

/// What a method can be told: a property of type ``Setting`` for each hyperparameter, a superclass's first.
open class Settings: @unchecked Sendable {
    // Sendable: properties are constants of sendable types; subclasses declare nothing else.

    /// `n_timesteps`
    public let steps = Setting<Int>(
        "n_timesteps", 1_000_000, in: 1...Int.max, "steps of the run, all environments together")
    /// `n_envs`
    public let environments = Setting<Int>("n_envs", 1, in: 1...65_536, "environments stepped together")
    /// `parts`
    public let parts = Setting<Int>(
        "parts", 1, in: 1...1024,
        "parts of the work, each with its share of the environments, of memory and of minibatches; the result depends "
            + "on it, and on the number of threads or machines that do them it does not")

    /// `learning_rate`
    public let learningRate: Setting<Schedule>
    /// `gamma`
    public let gamma = Setting<Double>("gamma", 0.99, in: 0...1, "discount")

    /// The settings that every method has.
    public init(learningRate: Schedule) {
        self.learningRate = Setting("learning_rate", learningRate, in: 0...1, "step size of the optimiser")
    }

    /// All of them, in order.
    public final var hyperparameters: [Hyperparameter] {
        var mirrors: [Mirror] = []
        var mirror: Mirror? = Mirror(reflecting: self)
        while let level = mirror {
            mirrors.append(level)
            mirror = level.superclassMirror
        }
        return mirrors.reversed().flatMap { $0.children.compactMap { ($0.value as? any AnySetting)?.hyperparameter } }
    }
}

/// A setting whatever its type.
private protocol AnySetting {
    var hyperparameter: Hyperparameter { get }
}

extension Setting: AnySetting {}

/// Settings that a method declares, made once.
public protocol DeclaredSettings: Settings {
    /// The declaration.
    static var declared: Self { get }
    /// Whose settings they are.
    static var method: any Method.Type { get }
}

/// A method's hyperparameters, each with its type: `configuration.learningRate = 3e-4`.
@dynamicMemberLookup
public struct MethodConfiguration<Declared: DeclaredSettings>: Sendable {
    /// The same, by the keys of YAML.
    public var hyperparameters: Hyperparameters

    /// What these hyperparameters say.
    ///
    /// - Precondition: they are of the method's schema.
    public init(_ hyperparameters: Hyperparameters) { self.hyperparameters = hyperparameters }

    /// The defaults, but for what is given and what `change` sets.
    public init(
        steps: Int? = nil, environments: Int? = nil, learningRate: Schedule? = nil, gamma: Double? = nil,
        change: (inout MethodConfiguration) -> Void = { _ in }
    ) {
        hyperparameters = Hyperparameters(Declared.declared.hyperparameters)
        if let steps { self[dynamicMember: \.steps] = steps }
        if let environments { self[dynamicMember: \.environments] = environments }
        if let learningRate { self[dynamicMember: \.learningRate] = learningRate }
        if let gamma { self[dynamicMember: \.gamma] = gamma }
        change(&self)
    }

    /// A preset, and over it what `change` sets.
    ///
    /// - Parameter preset: an environment's id, another preset's name, or the path of a YAML file.
    /// - Throws: ``PresetError`` or ``HyperparameterError``.
    public init(preset: String, change: (inout MethodConfiguration) -> Void = { _ in }) throws {
        hyperparameters = try Algorithm(Declared.method).hyperparameters(environment: preset, preset: preset)
        change(&self)
    }

    /// The value of a setting.
    ///
    /// - Precondition: a value that is set is one that the setting may have.
    public subscript<Value>(dynamicMember path: KeyPath<Declared, Setting<Value>>) -> Value {
        get {
            let hyperparameter = Declared.declared[keyPath: path].hyperparameter
            return Value(hyperparameterValue: hyperparameters[hyperparameter.key])!
        }
        set {
            let hyperparameter = Declared.declared[keyPath: path].hyperparameter
            let value = newValue.hyperparameterValue
            precondition(
                hyperparameter.kind.parse(value.text) != nil,
                "\(hyperparameter.key) is \(value.text); it has to be \(hyperparameter.kind.description)")
            hyperparameters[hyperparameter.key] = value
        }
    }
}
