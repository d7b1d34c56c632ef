import Foundation
import Raster

/// Letters of lines and arcs, drawn smoothly at any size.
///
/// In units of which a capital letter has seven: y from the base line upwards. A letter is strokes, separated by `;`:
/// `l x y x y …`, lines from point to point, or `a x y rx ry from to`, the part of an ellipse around (x, y) between two
/// angles in degrees, counter-clockwise from the right.
enum StrokeFont {
    /// A stroke's width in units.
    private static let weight = 0.92
    /// Between the strokes of two letters.
    private static let gap = 1.65
    /// Of a capital letter.
    static let capitalHeight = 7.0

    private struct Glyph {
        /// Each a chain of points.
        let strokes: [[Point]]
        let width: Double
    }

    /// Pixels that a text takes.
    ///
    /// - Parameter size: of a capital letter, in pixels.
    static func width(of text: String, size: Double) -> Double {
        let units = text.reduce(0) { $0 + glyph($1).width + gap } - (text.isEmpty ? 0 : gap)
        return units * size / capitalHeight
    }

    /// Draws a text.
    ///
    /// - Parameters:
    ///   - origin: the left end of its base line; of an upright text, which is read from below, the lower end.
    ///   - size: of a capital letter, in pixels.
    static func draw(
        _ text: String, at origin: Point, size: Double, isUpright: Bool = false, _ color: Color, on canvas: Canvas
    ) {
        let scale = size / capitalHeight
        var left = 0.0
        for character in text {
            let glyph = glyph(character)
            draw(
                glyph.strokes.map { stroke in
                    stroke.map { point in
                        let (along, up) = ((left + point.x) * scale, point.y * scale)
                        return isUpright
                            ? Point(origin.x - up, origin.y - along) : Point(origin.x + along, origin.y - up)
                    }
                }, radius: max(0.5, weight * scale / 2), color, on: canvas)
            left += glyph.width + gap
        }
    }

    /// Draws lines with round ends: a pixel takes the share of the colour that its distance from the nearest leaves.
    /// Of each pixel the whole letter is known at once, so that joints are no darker than the rest.
    private static func draw(_ strokes: [[Point]], radius: Double, _ color: Color, on canvas: Canvas) {
        let points = strokes.joined()
        guard let first = points.first else { return }
        var (left, right, top, bottom) = (first.x, first.x, first.y, first.y)
        for point in points {
            (left, right) = (min(left, point.x), max(right, point.x))
            (top, bottom) = (min(top, point.y), max(bottom, point.y))
        }
        let rim = radius + 1
        for y in Int(top - rim)...Int(bottom + rim) {
            for x in Int(left - rim)...Int(right + rim) {
                let center = Point(Double(x) + 0.5, Double(y) + 0.5)
                var nearest = Double.infinity
                for stroke in strokes {
                    for (from, to) in zip(stroke, stroke.dropFirst()) {
                        nearest = min(nearest, distance(center, from, to))
                    }
                }
                let coverage = min(1, radius + 0.5 - nearest)
                guard coverage > 0, let below = canvas[x, y] else { continue }
                canvas.set(x: x, y: y, below.mixed(with: color, coverage))
            }
        }
    }

    /// From a point to the nearest of a line.
    private static func distance(_ point: Point, _ from: Point, _ to: Point) -> Double {
        let (x, y) = (to.x - from.x, to.y - from.y)
        let length = x * x + y * y
        let share = length > 0 ? min(1, max(0, ((point.x - from.x) * x + (point.y - from.y) * y) / length)) : 0
        let (dx, dy) = (point.x - from.x - share * x, point.y - from.y - share * y)
        return (dx * dx + dy * dy).squareRoot()
    }

    private static func glyph(_ character: Character) -> Glyph { glyphs[character] ?? unknown }

    /// A box, for what there is no letter for.
    private static let unknown = parse("l 0 0 0 7 4 7 4 0 0 0")
    private static let glyphs = outlines.mapValues(parse)

    private static func parse(_ text: String) -> Glyph {
        let strokes = text.split(separator: ";").map { stroke in
            let words = stroke.split(separator: " ")
            let numbers = words.dropFirst().map { Double($0)! }
            if words[0] == "l" {
                return stride(from: 0, to: numbers.count, by: 2).map { Point(numbers[$0], numbers[$0 + 1]) }
            }
            let (from, to) = (numbers[4] * .pi / 180, numbers[5] * .pi / 180)
            // A corner each ten degrees or so: at this size a curve.
            let pieces = max(2, Int(((to - from) * 18 / .pi).rounded(.up)))
            return (0...pieces).map { index in
                let angle = from + (to - from) * Double(index) / Double(pieces)
                return Point(numbers[0] + numbers[2] * cos(angle), numbers[1] + numbers[3] * sin(angle))
            }
        }
        return Glyph(strokes: strokes, width: text.isEmpty ? 1.5 : strokes.joined().map(\.x).max() ?? 0)
    }

    private static let outlines: [Character: String] = [
        " ": "", ".": "l .2 0 .2 .1", ",": "l .5 .1 .1 -1.2", ":": "l .2 0 .2 .1;l .2 4 .2 4.1",
        ";": "l .5 .1 .1 -1.2;l .5 4 .5 4.1", "!": "l .2 7 .2 2.1;l .2 0 .2 .1", "'": "l .2 7.2 .2 5.4",
        "\"": "l .2 7.2 .2 5.4;l 1.6 7.2 1.6 5.4", "-": "l 0 2.8 2.3 2.8", "–": "l 0 2.8 3.6 2.8",
        "−": "l 0 2.8 4 2.8", "_": "l 0 -1 4.4 -1", "+": "l 0 2.8 4 2.8;l 2 4.8 2 .8",
        "=": "l 0 3.7 4 3.7;l 0 1.9 4 1.9", "±": "l 0 3.6 4 3.6;l 2 5.6 2 1.6;l 0 .3 4 .3",
        "×": "l 0 4.6 3.6 1;l 0 1 3.6 4.6", "*": "l 1.3 7 1.3 4.4;l .2 6.4 2.4 5;l 2.4 6.4 .2 5",
        "/": "l 0 -.8 2.8 7.3", "\\": "l 0 7.3 2.8 -.8", "|": "l .2 7.4 .2 -1.4",
        "<": "l 3.8 5 0 2.8 3.8 .6", ">": "l 0 5 3.8 2.8 0 .6", "^": "l 0 4.6 1.7 7 3.4 4.6",
        "~": "a 1 2.6 1 .9 0 180;a 3 2.6 1 .9 180 360", "`": "l 0 7.2 1 6",
        "(": "a 2.6 2.9 2.4 4.9 115 245", ")": "a -.8 2.9 2.4 4.9 -65 65", "[": "l 1.4 7.4 .2 7.4 .2 -1.4 1.4 -1.4",
        "]": "l 0 7.4 1.2 7.4 1.2 -1.4 0 -1.4",
        "{":
            "a 2 6.2 1 1.2 90 180;l 1 6.2 1 4.2;a 0 4.2 1 1.2 -90 0;a 0 1.8 1 1.2 0 90;l 1 1.8 1 -.2;a 2 -.2 1 1.2 180 270",
        "}":
            "a 0 6.2 1 1.2 0 90;l 1 6.2 1 4.2;a 2 4.2 1 1.2 180 270;a 2 1.8 1 1.2 90 180;l 1 1.8 1 -.2;a 0 -.2 1 1.2 -90 0",
        "?": "a 1.7 5.3 1.6 1.7 -60 165;l 2.5 3.83 1.7 3.1 1.7 2;l 1.7 0 1.7 .1",
        "#": "l 1 0 2 7;l 3 0 4 7;l 0 4.7 5 4.7;l 0 2.3 5 2.3",
        "%": "a 1.3 5.5 1.3 1.5 0 360;a 5.1 1.5 1.3 1.5 0 360;l 5 7 1.4 0",
        "&": "l 5 0 1.2 4.6;a 2 5.6 1.2 1.4 -20 220;l 3.1 5.1 .8 3;a 1.9 1.7 1.9 1.7 130 330;l 3.5 .85 4.8 3",
        "$": "a 2 4.6 1.9 1.4 25 270;a 2 1.7 2 1.5 -155 90;l 2 7 2 -.8",
        "@": "a 3.4 2.6 3.4 3.9 -60 310;a 3.2 2.6 1.4 1.7 0 360;l 4.6 4.3 4.6 1.6;a 5.7 1.7 1.1 .8 180 340",
        "0": "a 2.1 3.5 2.1 3.5 0 360", "1": "l .5 5.6 2.2 7 2.2 0;l .6 0 3.8 0",
        "2": "a 2.05 5 1.95 2 -25 165;l 3.82 4.15 .15 0 4.1 0",
        "3": "a 1.9 5.3 1.8 1.7 -90 150;a 1.9 1.8 2.1 1.8 -150 90;l 1.2 3.6 1.9 3.6", "4": "l 3.1 0 3.1 7 0 2 4.2 2",
        "5": "l 3.8 7 .6 7 .38 3.8;a 2 2.3 2.1 2.3 -145 140", "6": "a 2.1 2.2 2 2.2 0 360;a 3.6 2.2 3.5 4.8 85 180",
        "7": "l 0 7 4.1 7 1.4 0", "8": "a 2.1 5.3 1.75 1.7 0 360;a 2.1 1.8 2.1 1.8 0 360",
        "9": "a 2.1 4.8 2 2.2 0 360;a .6 4.8 3.5 4.8 -95 0", "A": "l 0 0 2.7 7 5.4 0;l .95 2.4 4.45 2.4",
        "B":
            "l 2.3 3.6 0 3.6;l 2.6 0 0 0 0 7 2.3 7;a 2.3 5.3 1.8 1.7 -90 90;l 2.3 3.6 2.6 3.6;a 2.6 1.8 2.1 1.8 -90 90",
        "C": "a 3.1 3.5 3.1 3.5 48 312", "D": "l 1.9 0 0 0 0 7 1.9 7;a 1.9 3.5 3.3 3.5 -90 90",
        "E": "l 4.2 7 0 7 0 0 4.3 0;l 0 3.7 3.7 3.7", "F": "l 4.1 7 0 7 0 0;l 0 3.7 3.6 3.7",
        "G": "a 3.1 3.5 3.1 3.5 48 330;l 5.78 1.75 5.78 3.3 3.6 3.3", "H": "l 0 7 0 0;l 5 7 5 0;l 0 3.7 5 3.7",
        "I": "l .2 7 .2 0", "J": "l 2.7 7 2.7 1.8;a 1.35 1.8 1.35 1.8 195 360",
        "K": "l 0 7 0 0;l 4.7 7 0 2.6;l 1.7 4.2 5 0",
        "L": "l 0 7 0 0 4 0", "M": "l 0 0 0 7 3 1.6 6 7 6 0", "N": "l 0 0 0 7 5 0 5 7", "O": "a 3.2 3.5 3.2 3.5 0 360",
        "P": "l 0 0 0 7 2.5 7;a 2.5 5.1 2 1.9 -90 90;l 2.5 3.2 0 3.2", "Q": "a 3.2 3.5 3.2 3.5 0 360;l 3.9 1.6 6.1 -.8",
        "R": "l 0 0 0 7 2.5 7;a 2.5 5.1 2 1.9 -90 90;l 2.5 3.2 0 3.2;l 2.4 3.2 4.7 0",
        "S": "a 2.3 5.25 2.2 1.75 25 270;a 2.3 1.75 2.3 1.75 -155 90", "T": "l 0 7 5 7;l 2.5 7 2.5 0",
        "U": "l 0 7 0 2.4;a 2.45 2.4 2.45 2.4 180 360;l 4.9 2.4 4.9 7", "V": "l 0 7 2.6 0 5.2 7",
        "W": "l 0 7 1.9 0 3.8 7 5.7 0 7.6 7", "X": "l 0 7 4.9 0;l 0 0 4.9 7", "Y": "l 0 7 2.5 3.4 5 7;l 2.5 3.4 2.5 0",
        "Z": "l 0 7 4.8 7 0 0 4.9 0", "a": "a 2 2.5 2 2.5 0 360;l 4 5 4 0", "b": "l 0 7.2 0 0;a 2 2.5 2 2.5 0 360",
        "c": "a 2.1 2.5 2.1 2.5 45 315", "d": "a 2 2.5 2 2.5 0 360;l 4 7.2 4 0",
        "e": "l 0 2.6 4.1 2.6;a 2.05 2.5 2.05 2.5 0 315", "f": "l 1 0 1 5.7;a 2.3 5.7 1.3 1.5 60 180;l 0 5 2.5 5",
        "g": "a 2 2.5 2 2.5 0 360;l 4 5 4 -.3;a 2 -.3 2 1.8 210 360",
        "h": "l 0 7.2 0 0;a 1.9 2.9 1.9 2.1 0 180;l 3.8 2.9 3.8 0", "i": "l .2 5 .2 0;l .2 6.8 .2 6.9",
        "j": "l 1 5 1 -.6;a .1 -.6 .9 1.4 270 360;l 1 6.8 1 6.9", "k": "l 0 7.2 0 0;l 3.6 5 0 1.8;l 1.3 2.95 3.8 0",
        "l": "l .2 7.2 .2 0",
        "m": "l 0 5 0 0;a 1.6 3.3 1.6 1.7 0 180;l 3.2 3.3 3.2 0;a 4.8 3.3 1.6 1.7 0 180;l 6.4 3.3 6.4 0",
        "n": "l 0 5 0 0;a 1.9 3 1.9 2 0 180;l 3.8 3 3.8 0", "o": "a 2.1 2.5 2.1 2.5 0 360",
        "p": "l 0 5 0 -2.2;a 2 2.5 2 2.5 0 360", "q": "l 4 5 4 -2.2;a 2 2.5 2 2.5 0 360",
        "r": "l 0 5 0 0;a 1.7 3 1.7 2 70 180", "s": "a 1.7 3.75 1.6 1.25 20 270;a 1.7 1.25 1.7 1.25 -160 90",
        "t": "l 1 6.6 1 1.2;a 2.2 1.2 1.2 1.2 180 290;l 0 5 2.4 5",
        "u": "l 0 5 0 2;a 1.9 2 1.9 2 180 360;l 3.8 5 3.8 0",
        "v": "l 0 5 1.9 0 3.8 5", "w": "l 0 5 1.4 0 2.8 5 4.2 0 5.6 5", "x": "l 0 5 3.6 0;l 0 0 3.6 5",
        "y": "l 0 5 1.95 0;l 3.9 5 1.2 -2.1 .2 -2.1", "z": "l 0 5 3.6 5 0 0 3.7 0",
    ]
}
