internal import CGymProtocol
import GymCore

extension Arena {
    func option(_ value: OptionValue) -> UnsafeMutablePointer<Gym__V1__OptionValue> {
        let message = message(gym__v1__option_value__init)
        switch value {
        case .bool(let flag):
            message.pointee.value_case = GYM__V1__OPTION_VALUE__VALUE_BOOLEAN
            message.pointee.boolean = flag ? 1 : 0
        case .integer(let number):
            message.pointee.value_case = GYM__V1__OPTION_VALUE__VALUE_INTEGER
            message.pointee.integer = Int64(number)
        case .real(let number):
            message.pointee.value_case = GYM__V1__OPTION_VALUE__VALUE_REAL
            message.pointee.real = number
        case .text(let text):
            message.pointee.value_case = GYM__V1__OPTION_VALUE__VALUE_TEXT
            message.pointee.text = string(text)
        case .list(let values):
            let list = self.message(gym__v1__option_list__init)
            list.pointee.n_values = values.count
            list.pointee.values = pointers(values.map(option))
            message.pointee.value_case = GYM__V1__OPTION_VALUE__VALUE_LIST
            message.pointee.list = list
        }
        return message
    }

    func options(_ options: [String: OptionValue]) -> (
        Int, UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__Option>?>
    ) {
        let messages = options.sorted { $0.key < $1.key }.map { name, value in
            let message = message(gym__v1__option__init)
            message.pointee.name = string(name)
            message.pointee.value = option(value)
            return message
        }
        return (messages.count, pointers(messages))
    }

    func optionSpecs(
        _ options: [EnvironmentDescription.Option]
    ) -> (Int, UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__OptionSpec>?>) {
        let messages = options.map { option in
            let message = message(gym__v1__option_spec__init)
            message.pointee.name = string(option.name)
            message.pointee.default_value = self.option(option.defaultValue)
            message.pointee.allowed = string(option.allowed)
            message.pointee.summary = string(option.summary)
            return message
        }
        return (messages.count, pointers(messages))
    }
}

extension OptionValue {
    init(_ message: UnsafePointer<Gym__V1__OptionValue>?) throws {
        guard let message else { throw WireError.malformed("an option's value is missing") }
        switch message.pointee.value_case {
        case GYM__V1__OPTION_VALUE__VALUE_BOOLEAN: self = .bool(message.pointee.boolean != 0)
        case GYM__V1__OPTION_VALUE__VALUE_INTEGER: self = .integer(Int(message.pointee.integer))
        case GYM__V1__OPTION_VALUE__VALUE_REAL: self = .real(message.pointee.real)
        case GYM__V1__OPTION_VALUE__VALUE_TEXT: self = .text(String(cString: message.pointee.text))
        case GYM__V1__OPTION_VALUE__VALUE_LIST:
            let list = message.pointee.list.pointee
            self = .list(try (0..<list.n_values).map { try OptionValue(list.values[$0]) })
        default: throw WireError.malformed("an option's value is empty")
        }
    }
}

func decodeOptions(
    _ count: Int, _ messages: UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__Option>?>?
) throws -> [String: OptionValue] {
    var options: [String: OptionValue] = [:]
    for index in 0..<count {
        let option = messages![index]!.pointee
        let name = String(cString: option.name)
        guard options.updateValue(try OptionValue(option.value), forKey: name) == nil else {
            throw WireError.malformed("option '\(name)' is given twice")
        }
    }
    return options
}

func decodeOptionSpecs(
    _ count: Int, _ messages: UnsafeMutablePointer<UnsafeMutablePointer<Gym__V1__OptionSpec>?>?
) throws -> [EnvironmentDescription.Option] {
    try (0..<count).map { index in
        let spec = messages![index]!.pointee
        return EnvironmentDescription.Option(
            name: String(cString: spec.name), defaultValue: try OptionValue(spec.default_value),
            allowed: String(cString: spec.allowed), summary: String(cString: spec.summary))
    }
}
