import Raster
import Testing

@Suite struct ResamplingTests {
    @Test func graysAreWeightedAsInBT601() {
        let colors: [UInt8] = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 144, 72, 17]
        var gray = [UInt8](repeating: 0, count: 5)
        grayscale(colors, into: &gray, count: 5)
        #expect(gray == [76, 150, 29, 255, 87])
    }

    @Test func areaResizeAveragesWhatAPixelCovers() {
        // 5×2 to 2×1: each new pixel covers two and a half columns of both rows.
        let source: [UInt8] = [10, 20, 30, 40, 50, 110, 120, 130, 140, 150]
        var target: [UInt8] = [0, 0]
        AreaResize(from: (5, 2), to: (2, 1)).apply(source, into: &target)
        // (10 + 20 + 15) / 2.5 = 18 and 118, mean 68; (15 + 40 + 50) / 2.5 = 42 and 142, mean 92.
        #expect(target == [68, 92])
    }

    @Test func aConstantPictureStaysConstant() {
        let source = [UInt8](repeating: 87, count: 160 * 210)
        var target = [UInt8](repeating: 0, count: 84 * 84)
        AreaResize(from: (160, 210), to: (84, 84)).apply(source, into: &target)
        #expect(target.allSatisfy { $0 == 87 })
    }

    @Test func partsAgreeWithTheWhole() {
        var source = [UInt8](repeating: 0, count: 160 * 210)
        for index in source.indices { source[index] = UInt8(truncatingIfNeeded: index &* index &+ index / 7) }
        let resize = AreaResize(from: (160, 210), to: (84, 84))
        var whole = [UInt8](repeating: 0, count: 84 * 84)
        resize.apply(source, into: &whole)
        var changed = source
        changed.withUnsafeMutableBufferPointer {
            Canvas($0.baseAddress!, width: 160, height: 210, channels: 1).fill(
                x: 37, y: 190, width: 9, height: 30, Color(gray: 0))
        }
        var parts = whole
        let area = resize.covering(x: 37, y: 190, width: 9, height: 30)
        resize.apply(changed, into: &parts, columns: area.columns, rows: area.rows)
        resize.apply(changed, into: &whole)
        #expect(parts == whole)
        #expect(resize.covering(x: -10, y: 300, width: 5, height: 5).columns.isEmpty)
    }

    @Test func scalingRepeatsPixels() {
        let picture = Picture(width: 2, height: 1, bytes: [1, 2, 3, 4, 5, 6])
        #expect(
            picture.scaled(width: 4, height: 2).bytes
                == [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])
        #expect(picture.scaled(width: 0, height: 3).bytes.isEmpty)
        // Halves round to even: 2.5, 3.5, 4.5.
        #expect(picture.shrunk(width: 1, height: 1).bytes == [2, 4, 4])
    }
}
