import GymCore

extension Thermostat {
    static let stateVersion = 1

    func save(to writer: inout StateWriter) { writer.write(state) }

    mutating func restore(from reader: inout StateReader) throws { state = try reader.read() }
}
