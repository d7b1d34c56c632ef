import Foundation
public import Raster

/// Writes a film frame by frame: `.gif` with nothing else installed, `.mp4` through `ffmpeg`.
public final class FilmRecorder {
    private enum Target {
        case gif(GIFEncoder)
        case ffmpeg(Process, FileHandle)
    }

    private let file: String
    private var target: Target
    private let width: Int
    private let height: Int
    /// Whether there was no file before.
    private var isNew = false

    /// Starts a film.
    ///
    /// - Parameter file: where it goes; what follows its last dot says which kind it is.
    /// - Throws: ``FilmError`` for an unknown kind, a size that the kind cannot have, or a missing `ffmpeg`.
    public init(file: String, width: Int, height: Int, framesPerSecond: Double) throws {
        guard (1...0xFFFF).contains(width), (1...0xFFFF).contains(height) else {
            throw FilmError("a film of \(width)×\(height) pixels cannot be written")
        }
        guard framesPerSecond.isFinite, framesPerSecond > 0 else {
            throw FilmError("a film needs a positive number of frames a second, not \(framesPerSecond)")
        }
        try FilmRecorder.check(file: file)
        self.file = file
        self.width = width
        self.height = height
        switch FilmRecorder.kind(of: file) {
        case "gif":
            target = .gif(GIFEncoder(width: width, height: height, framesPerSecond: framesPerSecond))
            isNew = access(file, F_OK) != 0
            // Found out now rather than after the last frame.
            guard let opened = fopen(file, "w") else { throw FilmError(FilmRecorder.failure(file)) }
            fclose(opened)
        default:
            target = try FilmRecorder.startFFmpeg(
                file: file, width: width, height: height, framesPerSecond: framesPerSecond)
        }
    }

    /// Looks at the name alone.
    ///
    /// - Throws: ``FilmError`` unless it says what kind of film it is to be.
    public static func check(file: String) throws {
        let kind = kind(of: file)
        guard ["gif", "mp4"].contains(kind) else {
            throw FilmError(
                "a film's name ends in .gif or .mp4; '\(file)' ends in \(kind.isEmpty ? "neither" : ".\(kind)")")
        }
    }

    private static func failure(_ file: String) -> String {
        "\(file) cannot be written: \(String(cString: strerror(errno)))"
    }

    private static func kind(of file: String) -> String {
        URL(fileURLWithPath: file).pathExtension.lowercased()
    }

    /// Adds a frame.
    ///
    /// - Throws: ``FilmError`` for a frame of another size, or when `ffmpeg` has given up.
    public func add(_ picture: Picture) throws {
        guard picture.width == width, picture.height == height else {
            throw FilmError(
                "the film is \(width)×\(height) pixels, this frame \(picture.width)×\(picture.height)")
        }
        switch target {
        case .gif(var encoder):
            encoder.add(picture)
            target = .gif(encoder)
        case .ffmpeg(_, let input):
            do {
                try input.write(contentsOf: picture.bytes)
            } catch {
                throw FilmError("ffmpeg has given up; what it says stands above")
            }
        }
    }

    /// Ends the film and waits until it is written.
    ///
    /// - Throws: ``FilmError`` when it could not be.
    public func finish() throws {
        switch target {
        case .gif(var encoder):
            encoder.finish()
            guard let output = fopen(file, "w") else { throw FilmError(FilmRecorder.failure(file)) }
            let written = encoder.bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, output) }
            // The last bytes may fail to be written at the end only.
            guard fclose(output) == 0, written == encoder.bytes.count else {
                let error = FilmError(FilmRecorder.failure(file))
                // No piece of a film stays, nor an empty file.
                truncate(file, 0)
                if isNew { unlink(file) }
                throw error
            }
        case .ffmpeg(let process, let input):
            try? input.close()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                throw FilmError("ffmpeg ended with status \(process.terminationStatus); \(file) is not whole")
            }
        }
    }

    private static func startFFmpeg(
        file: String, width: Int, height: Int, framesPerSecond: Double
    ) throws -> Target {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        guard
            let program = folders.map({ "\($0)/ffmpeg" }).first(where: {
                FileManager.default.isExecutableFile(atPath: $0)
            })
        else {
            throw FilmError(
                """
                writing .mp4 needs ffmpeg, which is not on PATH: install it ('sudo apt-get install ffmpeg', or \
                'brew install ffmpeg'), or record to a .gif, which needs nothing
                """)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = [
            "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "\(width)x\(height)", "-r",
            "\(framesPerSecond)", "-i", "-", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p",
            // The codec wants even sizes.
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", file,
        ]
        let pipe = Pipe()
        process.standardInput = pipe
        process.standardOutput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw FilmError("\(program) could not be started: \(error.localizedDescription)")
        }
        return .ffmpeg(process, pipe.fileHandleForWriting)
    }
}

/// A film that cannot be written, and why.
public struct FilmError: Error, Hashable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    init(_ description: String) { self.description = description }
}
