/// The environments that can be made, by id.
public struct EnvironmentRegistry: Sendable {
    /// Makes a batch of one kind of environment.
    public typealias Factory = @Sendable (VectorEnvironmentSettings) throws -> any VectorEnvironment

    private struct Registration: Sendable {
        let spec: EnvironmentSpec
        let factory: Factory
    }

    private var registrations: [String: Registration] = [:]

    /// A registry with nothing registered.
    public init() {}

    /// Adds an environment.
    ///
    /// - Parameter make: makes one, from values for all the options that `spec` declares. It throws ``OptionError``
    ///   for options that do not go together.
    /// - Precondition: no environment of that id is registered yet.
    @inlinable
    public mutating func register<E: Environment & Sendable>(
        _ spec: EnvironmentSpec, make: @escaping @Sendable (OptionValues) throws -> E
    ) {
        register(spec, batches: { settings in try SyncVectorEnvironment(spec: spec, settings: settings, make: make) })
    }

    /// Adds an environment whose batches are stepped together.
    ///
    /// - Parameter make: makes one, from values for all the options that `spec` declares. It throws ``OptionError``
    ///   for options that do not go together.
    /// - Precondition: no environment of that id is registered yet.
    @inlinable
    public mutating func register<E: LockstepEnvironment & Sendable>(
        _ spec: EnvironmentSpec, make: @escaping @Sendable (OptionValues) throws -> E
    ) {
        register(
            spec,
            batches: { settings in try SyncVectorEnvironment(lockstep: spec, settings: settings, make: make) })
    }

    /// Adds an environment that makes its batches by itself.
    ///
    /// - Precondition: no environment of that id is registered yet.
    public mutating func register(_ spec: EnvironmentSpec, batches factory: @escaping Factory) {
        precondition(registrations[spec.id] == nil, "environment \(spec.id) is registered twice")
        registrations[spec.id] = Registration(spec: spec, factory: factory)
    }

    /// What is registered, sorted by id.
    public var specs: [EnvironmentSpec] { registrations.values.map(\.spec).sorted { $0.id < $1.id } }

    /// The registration of an id.
    ///
    /// - Throws: ``UnknownEnvironmentError`` with the nearest ids.
    public func spec(_ id: String) throws -> EnvironmentSpec { try registration(id).spec }

    /// Makes a batch of environments.
    ///
    /// - Throws: ``UnknownEnvironmentError``, ``OptionError``, or what making the environment throws.
    public func make(_ id: String, _ settings: VectorEnvironmentSettings = .init()) throws -> any VectorEnvironment {
        try registration(id).factory(settings)
    }

    private func registration(_ id: String) throws -> Registration {
        guard let registration = registrations[id] else {
            throw UnknownEnvironmentError(id: id, known: registrations.keys.sorted())
        }
        return registration
    }
}

/// An id that is not registered.
public struct UnknownEnvironmentError: Error, Hashable, CustomStringConvertible {
    /// The id asked for.
    public let id: String
    /// The ids that are registered.
    public let known: [String]

    /// An error for the given id.
    public init(id: String, known: [String]) {
        self.id = id
        self.known = known
    }

    /// Names the id and the nearest ones that exist.
    public var description: String { "there is no environment '\(id)'" + suggestion(for: id, in: known) }
}
