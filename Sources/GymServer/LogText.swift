/// Text that came from a client, for a log: quoted, without anything that would look like another line of it, or that a
/// terminal would obey, and not too long.
///
/// - Parameter most: characters of it that are kept.
func quoted(_ text: String, most: Int = 200) -> String {
    var quoted = "\""
    var kept = 0
    for scalar in text.unicodeScalars {
        if kept == most {
            quoted += "…"
            break
        }
        kept += 1
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            quoted += "\\u{\(String(scalar.value, radix: 16))}"
        default:
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}
