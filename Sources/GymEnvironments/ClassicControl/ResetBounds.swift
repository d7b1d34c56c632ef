import GymCore

/// Checks two reset options that bound an interval.
///
/// - Throws: ``OptionError`` when the lower one is above the upper one.
func requireOrdered(_ options: OptionValues, low: String, high: String) throws {
    guard options.real(low) <= options.real(high) else {
        throw OptionError(
            option: low,
            "option '\(low)' (\(options.real(low))) has to be at most '\(high)' (\(options.real(high)))")
    }
}
