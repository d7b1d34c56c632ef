extension Picture {
    /// The picture as text for a terminal with 24-bit colors: each character cell shows two pixels, the upper one as
    /// the color of `▀`, the lower one as its background. Rows end with a reset and "\r\n", the last one with the reset.
    ///
    /// - Parameter columns: the most cells in a row.
    /// - Parameter rows: the most rows of cells. The picture keeps its proportions and is never enlarged.
    public func halfBlocks(columns: Int, rows: Int) -> String {
        let fitted = fitted(columns: columns, rows: rows)
        guard fitted.width > 0, fitted.height > 0 else { return "" }
        var text = ""
        for y in stride(from: 0, to: fitted.height, by: 2) {
            var last: (upper: Color, lower: Color?)?
            for x in 0..<fitted.width {
                let upper = fitted[x, y]
                let lower = y + 1 < fitted.height ? fitted[x, y + 1] : nil
                if last?.upper != upper { text += "\u{1B}[38;2;\(upper.red);\(upper.green);\(upper.blue)m" }
                if last == nil || last!.lower != lower {
                    text += lower.map { "\u{1B}[48;2;\($0.red);\($0.green);\($0.blue)m" } ?? "\u{1B}[49m"
                }
                text += "▀"
                last = (upper, lower)
            }
            text += "\u{1B}[0m"
            if y + 2 < fitted.height { text += "\r\n" }
        }
        return text
    }

    /// The picture shrunk until it fits, each pixel the mean of what it covers.
    private func fitted(columns: Int, rows: Int) -> Picture {
        guard width > 0, height > 0, columns > 0, rows > 0 else { return Picture(width: 0, height: 0) }
        let scale = min(1, Double(columns) / Double(width), Double(2 * rows) / Double(height))
        let newWidth = min(max(Int(Double(width) * scale), 1), width)
        let newHeight = min(max(Int(Double(height) * scale), 1), height)
        return newWidth == width && newHeight == height ? self : shrunk(width: newWidth, height: newHeight)
    }
}
