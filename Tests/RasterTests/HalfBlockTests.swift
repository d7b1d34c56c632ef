import Raster
import Testing

@Suite struct HalfBlockTests {
    @Test func aCellShowsTwoPixels() {
        let picture = Picture(width: 2, height: 3, bytes: [1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 10, 11, 12])
        #expect(
            picture.halfBlocks(columns: 10, rows: 10)
                == "\u{1B}[38;2;1;2;3m\u{1B}[48;2;4;5;6m▀\u{1B}[48;2;7;8;9m▀\u{1B}[0m\r\n"
                + "\u{1B}[38;2;10;11;12m\u{1B}[49m▀▀\u{1B}[0m")
    }

    @Test func picturesAreShrunkToFit() {
        let text = Picture(width: 600, height: 400).halfBlocks(columns: 90, rows: 20)
        // 20 rows are 40 pixels: a tenth.
        #expect(text.filter { $0 == "▀" }.count == 60 * 20)
        #expect(Picture(width: 600, height: 400).halfBlocks(columns: 0, rows: 5).isEmpty)
        #expect(Picture(width: 0, height: 0).halfBlocks(columns: 5, rows: 5).isEmpty)
        #expect(Picture(width: 500, height: 1).halfBlocks(columns: 1, rows: 1).filter { $0 == "▀" }.count == 1)
    }
}
