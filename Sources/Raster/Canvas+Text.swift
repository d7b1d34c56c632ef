/// A font of capital letters, digits and some signs, three cells wide and five high.
public enum Font {
    /// Cells in a character's width.
    public static let width = 3
    /// Cells in a character's height.
    public static let height = 5
    /// Cells from one character's left edge to the next one's.
    public static let advance = 4

    /// A character's cells, row by row from the top, the topmost left one in bit 14; small letters look as capital
    /// ones do, what the font does not have is `nil`.
    public static func cells(_ character: Character) -> UInt16? {
        guard let ascii = character.asciiValue else { return nil }
        switch ascii {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return digits[Int(ascii - UInt8(ascii: "0"))]
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): return letters[Int(ascii - UInt8(ascii: "A"))]
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return letters[Int(ascii - UInt8(ascii: "a"))]
        case UInt8(ascii: " "): return 0
        case UInt8(ascii: "."): return 0b000_000_000_000_010
        case UInt8(ascii: ","): return 0b000_000_000_010_100
        case UInt8(ascii: ":"): return 0b000_010_000_010_000
        case UInt8(ascii: "-"): return 0b000_000_111_000_000
        case UInt8(ascii: "+"): return 0b000_010_111_010_000
        case UInt8(ascii: "/"): return 0b001_001_010_100_100
        case UInt8(ascii: "%"): return 0b101_001_010_100_101
        case UInt8(ascii: "="): return 0b000_111_000_111_000
        case UInt8(ascii: "("): return 0b010_100_100_100_010
        case UInt8(ascii: ")"): return 0b010_001_001_001_010
        case UInt8(ascii: "!"): return 0b010_010_010_000_010
        case UInt8(ascii: "?"): return 0b110_001_010_000_010
        case UInt8(ascii: "_"): return 0b000_000_000_000_111
        default: return nil
        }
    }

    /// The cells of 0 to 9.
    public static let digits: [UInt16] = [
        0b111_101_101_101_111, 0b010_010_010_010_010, 0b111_001_111_100_111, 0b111_001_011_001_111,
        0b101_101_111_001_001, 0b111_100_111_001_111, 0b100_100_111_101_111, 0b111_001_001_001_001,
        0b111_101_111_101_111, 0b111_101_111_001_001,
    ]

    private static let letters: [UInt16] = [
        0b010_101_111_101_101, 0b110_101_110_101_110, 0b011_100_100_100_011, 0b110_101_101_101_110,
        0b111_100_110_100_111, 0b111_100_110_100_100, 0b011_100_101_101_011, 0b101_101_111_101_101,
        0b111_010_010_010_111, 0b001_001_001_101_010, 0b101_101_110_101_101, 0b100_100_100_100_111,
        0b101_111_111_101_101, 0b110_101_101_101_101, 0b010_101_101_101_010, 0b110_101_110_100_100,
        0b010_101_101_011_001, 0b110_101_110_101_101, 0b011_100_010_001_110, 0b111_010_010_010_010,
        0b101_101_101_101_111, 0b101_101_101_101_010, 0b101_101_111_111_101, 0b101_101_010_101_101,
        0b101_101_010_010_010, 0b111_001_010_100_111,
    ]
}

extension Canvas {
    /// Draws one character with its top left corner at the given pixel, each cell of the font a rectangle of
    /// `cellWidth` × `cellHeight` pixels. A character that the font does not have draws as a full block.
    public func draw(_ character: Character, x: Int, y: Int, cellWidth: Int, cellHeight: Int, _ color: Color) {
        draw(
            cells: Font.cells(character) ?? 0x7FFF, x: x, y: y, cellWidth: cellWidth, cellHeight: cellHeight, color)
    }

    /// Draws cells laid out as ``Font/cells(_:)`` says.
    public func draw(cells: UInt16, x: Int, y: Int, cellWidth: Int, cellHeight: Int, _ color: Color) {
        guard cellWidth > 0, cellHeight > 0 else { return }
        for row in 0..<Font.height {
            for column in 0..<Font.width where cells >> (14 - row * Font.width - column) & 1 == 1 {
                fill(
                    x: x + column * cellWidth, y: y + row * cellHeight, width: cellWidth, height: cellHeight, color)
            }
        }
    }

    /// Draws a line of text with its top left corner at the given pixel, each cell of the font `scale` pixels wide
    /// and high.
    public func draw(_ text: String, x: Int, y: Int, scale: Int = 1, _ color: Color) {
        var left = x
        for character in text {
            draw(character, x: left, y: y, cellWidth: scale, cellHeight: scale, color)
            left += Font.advance * scale
        }
    }
}
