import Glibc
import Synchronization

/// Standard output and error, written at once: whoever reads them through a pipe waits for these lines.
public enum StandardStreams {
    /// Why something could not be written to standard output, if something could not.
    static var failure: String? {
        let number = lastError.load(ordering: .relaxed)
        return number == 0 ? nil : String(cString: strerror(number))
    }

    private static let lastError = Atomic<Int32>(0)

    /// Prints a line to standard output.
    public static func print(_ line: String) {
        let number = write(line + "\n", to: STDOUT_FILENO)
        // A reader that has gone, as of `| head`, is not a failure of the program.
        if number != 0 && number != EPIPE { lastError.store(number, ordering: .relaxed) }
    }

    /// Prints a line to standard error.
    public static func error(_ line: String) { _ = write(line + "\n", to: STDERR_FILENO) }

    /// Opens the descriptors 0, 1 and 2 where whoever started the program closed them: the next socket or file would
    /// get their numbers, and what is printed would go there.
    static func fillDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", O_RDWR)
        }
    }

    /// - Returns: the system's number for what went wrong, or 0.
    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress!, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return errno }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
            return 0
        }
    }
}
