import Foundation

/// Standard output and error, written at once: whoever reads them through a pipe waits for these lines.
public enum StandardStreams {
    /// Prints a line to standard output.
    public static func print(_ line: String) { write(line + "\n", to: .standardOutput) }

    /// Prints a line to standard error.
    public static func error(_ line: String) { write(line + "\n", to: .standardError) }

    /// A reader that has gone is not a failure of the program.
    private static func write(_ text: String, to file: FileHandle) { try? file.write(contentsOf: Data(text.utf8)) }
}
