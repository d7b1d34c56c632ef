import Foundation

/// A key of the keyboard, as far as terminals tell.
enum Key: Hashable {
    case up
    case down
    case left
    case right
    case escape
    case character(Character)
}

/// The terminal on standard input and output, in a state for drawing: another screen, no cursor, keys at once.
final class Terminal {
    private var original = termios()
    private let signals: [any DispatchSourceSignal]

    /// Whether both standard input and output are terminals.
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 }

    /// Takes the terminal over until ``restore()``.
    init() {
        tcgetattr(STDIN_FILENO, &original)
        var raw = original
        cfmakeraw(&raw)
        // Reading returns at once. A non-blocking descriptor would make writing fail too: a terminal is one file.
        withUnsafeMutableBytes(of: &raw.c_cc) { characters in
            characters[Int(VMIN)] = 0
            characters[Int(VTIME)] = 0
        }
        tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        // Ended from outside, the terminal has to be given back too.
        let saved = original
        signals = [SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                Terminal.giveBack(saved)
                Foundation.exit(128 + number)
            }
            source.resume()
            return source
        }
        Terminal.write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J")
    }

    /// Gives the terminal back as it was.
    func restore() {
        for source in signals { source.cancel() }
        Terminal.giveBack(original)
    }

    private static func giveBack(_ settings: termios) {
        var settings = settings
        write("\u{1B}[0m\u{1B}[?25h\u{1B}[?1049l")
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }

    /// Character cells, as of now.
    var size: (columns: Int, rows: Int) {
        var window = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(window.ws_col), Int(window.ws_row))
    }

    /// Draws over what stands there.
    func show(_ text: String, status: String) {
        let line = String(status.prefix(max(size.columns, 1)))
        Terminal.write("\u{1B}[H\(text)\u{1B}[J\r\n\u{1B}[0m\(line)\u{1B}[K")
    }

    /// The keys pressed since the last call; control-C comes as escape.
    func keys() -> [Key] {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(STDIN_FILENO, &bytes, bytes.count)
        guard count > 0 else { return [] }
        return Terminal.keys(of: Array(bytes[..<count]))
    }

    static func keys(of bytes: [UInt8]) -> [Key] {
        var keys: [Key] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == 0x1B {
                // ESC [ A, or ESC O A where the terminal is in its application mode.
                guard index + 1 < bytes.count, bytes[index] == UInt8(ascii: "[") || bytes[index] == UInt8(ascii: "O")
                else {
                    keys.append(.escape)
                    continue
                }
                switch bytes[index + 1] {
                case UInt8(ascii: "A"): keys.append(.up)
                case UInt8(ascii: "B"): keys.append(.down)
                case UInt8(ascii: "C"): keys.append(.right)
                case UInt8(ascii: "D"): keys.append(.left)
                default: break
                }
                index += 2
            } else if byte == 3 {
                keys.append(.escape)
            } else {
                keys.append(.character(Character(Unicode.Scalar(byte))))
            }
        }
        return keys
    }

    private static func write(_ text: String) {
        try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }
}
