import GymCore

/// The reset options that bound the starting values, as Gymnasium's environments of classic control share them.
func resetBounds(low: Double, high: Double, of values: String) -> [OptionSpec] {
    [
        OptionSpec("low", .anyReal, default: .real(low), "Lower bound of \(values)."),
        OptionSpec("high", .anyReal, default: .real(high), "Upper bound of \(values)."),
    ]
}

/// Checks the options of ``resetBounds(low:high:of:)``.
///
/// - Throws: ``OptionError`` when the lower one is above the upper one, or they are too far apart to draw between.
func requireResetBounds(_ options: OptionValues) throws {
    let low = options.real("low")
    let high = options.real("high")
    guard low <= high else {
        throw OptionError(option: "low", "option 'low' (\(low)) has to be at most 'high' (\(high))")
    }
    guard (high - low).isFinite else {
        throw OptionError(
            option: "high", "option 'high' (\(high)) is too far from 'low' (\(low)): the difference has to be finite")
    }
}
