/// The colors that terminals have, by the number of their escape sequence.
enum TextColor: Int {
    case red = 31
    case green = 32
    case yellow = 33
    case blue = 34
    case magenta = 35
}

/// Text with the escape sequences that show it in a color, or on a ground of that color.
func colored(_ text: String, _ color: TextColor, bold: Bool = false, highlight: Bool = false) -> String {
    "\u{1B}[\(color.rawValue + (highlight ? 10 : 0))\(bold ? ";1" : "")m\(text)\u{1B}[0m"
}
