import Raster
import Testing

/// A picture as text: `#` where it has the foreground color, `.` elsewhere, one string a row.
func rows(_ picture: Picture, of color: Color = .black) -> [String] {
    (0..<picture.height).map { y in
        String((0..<picture.width).map { x in picture[x, y] == color ? "#" : "." })
    }
}

@Suite struct CanvasTests {
    @Test func fillsRectanglesAndClipsThem() {
        var picture = Picture(width: 6, height: 4)
        picture.draw { canvas in
            canvas.fill(x: 1, y: 1, width: 2, height: 2, .black)
            canvas.fill(x: 4, y: -3, width: 10, height: 4, .black)
            canvas.fill(x: -5, y: 3, width: 6, height: 9, .black)
        }
        #expect(rows(picture) == ["....##", ".##...", ".##...", "#....."])
    }

    @Test func nothingIsDrawnOutsideOrForZeroSizes() {
        // A frame of guard bytes around the canvas' memory shows any write out of bounds.
        let width = 7
        let height = 5
        let guardBytes = 64
        var memory = [UInt8](repeating: 0xAB, count: width * height * 3 + 2 * guardBytes)
        memory.withUnsafeMutableBufferPointer { buffer in
            let canvas = Canvas(buffer.baseAddress! + guardBytes, width: width, height: height)
            let far = [-1e300, -1e9, -8, -0.5, 0, 3, 6.999, 7, 8, 1e9, 1e300, .infinity, .nan]
            for x in far {
                for y in far {
                    for antialiased in [false, true] {
                        canvas.line(from: Point(3, 2), to: Point(x, y), .white, antialiased: antialiased)
                        canvas.line(from: Point(x, y), to: Point(y, x), width: 3, .white, antialiased: antialiased)
                        canvas.fillPolygon(
                            [Point(x, y), Point(3, 1), Point(y, x)], .white, antialiased: antialiased)
                        for radius in far {
                            canvas.fillCircle(
                                center: Point(x, y), radius: min(radius, 50), .white, antialiased: antialiased)
                        }
                    }
                }
            }
            for x in [Int.min, -9, -1, 0, 6, 7, 20, Int.max] {
                for extent in [Int.min, -3, 0, 1, 9, Int.max] {
                    canvas.fill(x: x, y: x, width: extent, height: extent, .white)
                    canvas.set(x: x, y: x, .white)
                }
            }
            canvas.draw("clipped", x: -5, y: -3, scale: 2, .white)
            canvas.draw("clipped", x: 5, y: 3, scale: 2, .white)
        }
        #expect(memory[..<guardBytes].allSatisfy { $0 == 0xAB })
        #expect(memory[(memory.count - guardBytes)...].allSatisfy { $0 == 0xAB })
    }

    @Test func degenerateShapesDrawNothing() {
        var picture = Picture(width: 5, height: 5)
        picture.draw { canvas in
            for antialiased in [false, true] {
                canvas.fillPolygon([], .black, antialiased: antialiased)
                canvas.fillPolygon([Point(1, 1)], .black, antialiased: antialiased)
                canvas.fillPolygon([Point(1, 1), Point(4, 4)], .black, antialiased: antialiased)
                canvas.fillPolygon([Point(1, 1), Point(2, 2), Point(4, 4)], .black, antialiased: antialiased)
                canvas.fillPolygon(Array(repeating: Point(2, 2), count: 6), .black, antialiased: antialiased)
                canvas.fillCircle(center: Point(2, 2), radius: 0, .black, antialiased: antialiased)
                canvas.fillCircle(center: Point(2, 2), radius: -3, .black, antialiased: antialiased)
            }
            canvas.line(from: Point(2, 2), to: Point(2, 2), width: 3, .black)
            canvas.line(from: Point(0, 2), to: Point(4, 2), width: 0, .black)
            canvas.fill(x: 1, y: 1, width: 0, height: 3, .black)
            canvas.fill(x: 1, y: 1, width: 3, height: -1, .black)
            canvas.draw("7", x: 1, y: 0, scale: 0, .black)
        }
        #expect(picture == Picture(width: 5, height: 5))
        var empty = Picture(width: 0, height: 0)
        empty.draw { $0.fillCircle(center: Point(0, 0), radius: 9, .black) }
        #expect(empty.bytes.isEmpty)
    }

    @Test func fillsPolygonsWithoutAntialiasing() {
        var triangle = Picture(width: 6, height: 5)
        triangle.draw {
            $0.fillPolygon([Point(0, 0), Point(6, 0), Point(0, 5)], .black, antialiased: false)
        }
        #expect(rows(triangle) == ["#####.", "####..", "###...", "##....", "#....."])
        // Simple, not convex.
        var arrow = Picture(width: 7, height: 5)
        arrow.draw {
            $0.fillPolygon(
                [Point(0, 0), Point(3.5, 2.4), Point(7, 0), Point(3.5, 5)], .black, antialiased: false)
        }
        #expect(rows(arrow) == ["#.....#", ".#...#.", "..###..", "..###..", "...#..."])
    }

    @Test func antialiasedCoverageIsTheCoveredArea() {
        var picture = Picture(width: 4, height: 3)
        picture.draw { $0.fillRectangle(left: 0.5, top: 0, right: 2.25, bottom: 1.5, .black) }
        // Half of pixel 0, all of pixel 1, a quarter of pixel 2; half of each in the second row.
        #expect((0..<4).map { picture[$0, 0].red } == [128, 0, 191, 255])
        #expect((0..<4).map { picture[$0, 1].red } == [191, 128, 223, 255])
        #expect((0..<4).map { picture[$0, 2].red } == [255, 255, 255, 255])
    }

    @Test func aDiscCoversItsArea() {
        for radius in [3.0, 7.5, 20] {
            var picture = Picture(width: 64, height: 64, .black)
            picture.draw { $0.fillCircle(center: Point(31.3, 32.1), radius: radius, .white) }
            let area = picture.bytes.reduce(0) { $0 + Double($1) } / (3 * 255)
            #expect(abs(area / (Double.pi * radius * radius) - 1) < 0.02)
        }
        var disc = Picture(width: 5, height: 5)
        disc.draw { $0.fillCircle(center: Point(2.5, 2.5), radius: 2.3, .black, antialiased: false) }
        #expect(rows(disc) == [".###.", "#####", "#####", "#####", ".###."])
    }

    @Test func drawsThinLines() {
        var picture = Picture(width: 6, height: 4)
        picture.draw {
            $0.line(from: Point(0, 0), to: Point(6, 4), .black, antialiased: false)
        }
        #expect(rows(picture) == ["#.....", ".##...", "...#..", "....##"])
        var steep = Picture(width: 3, height: 5)
        steep.draw { $0.line(from: Point(1.2, -50), to: Point(1.8, 50), .black, antialiased: false) }
        #expect(rows(steep) == [".#.", ".#.", ".#.", ".#.", ".#."])
    }

    @Test func aThickLineCoversItsArea() {
        var picture = Picture(width: 40, height: 40, .black)
        picture.draw { $0.line(from: Point(5, 8), to: Point(33, 29), width: 4, .white) }
        let area = picture.bytes.reduce(0) { $0 + Double($1) } / (3 * 255)
        #expect(abs(area - 35 * 4) < 1.5)
    }

    @Test func drawsText() {
        var picture = Picture(width: 11, height: 5)
        picture.draw { $0.draw("4A~", x: 0, y: 0, .black) }
        #expect(
            rows(picture) == [
                "#.#..#..###", "#.#.#.#.###", "###.###.###", "..#.#.#.###", "..#.#.#.###",
            ])
        var large = Picture(width: 6, height: 10)
        large.draw { $0.draw("1", x: 0, y: 0, scale: 2, .black) }
        #expect(rows(large) == Array(repeating: "..##..", count: 10))
    }

    @Test func grayCanvasesHaveOneByteAPixel() {
        var memory = [UInt8](repeating: 0, count: 12)
        memory.withUnsafeMutableBufferPointer {
            Canvas($0.baseAddress!, width: 4, height: 3, channels: 1).fill(
                x: 1, y: 1, width: 2, height: 5, Color(gray: 9))
        }
        #expect(memory == [0, 0, 0, 0, 0, 9, 9, 0, 0, 9, 9, 0])
    }
}
