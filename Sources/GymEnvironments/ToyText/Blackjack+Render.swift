public import GymCore
import Raster

extension Blackjack: RenderableEnvironment {
    /// 384×376: the dealer's open card and the one face down, the player's sum, and whether it counts an ace as 11.
    public func render(mode: String) throws -> Rendering {
        let (width, height) = (384, 376)
        let ink = Color(56, 56, 68)
        var picture = Picture(width: width, height: height, Color(196, 216, 158))
        picture.draw { canvas in
            func centered(_ text: String, y: Int, scale: Int) {
                let length = (text.count * Font.advance - 1) * scale
                canvas.draw(text, x: (width - length) / 2, y: y, scale: scale, ink)
            }
            canvas.draw("DEALER: \(openCard)", x: 40, y: 32, scale: 4, ink)
            drawOpenCard(on: canvas, x: 96, y: 72)
            drawBack(on: canvas, x: 208, y: 72)
            canvas.draw("PLAYER", x: 40, y: 208, scale: 4, ink)
            centered("\(player.sum)", y: 248, scale: 12)
            if player.hasUsableAce { centered("USABLE ACE", y: 328, scale: 4) }
        }
        return .image(Tensor(dtype: .uint8, shape: [height, width, 3], bytes: picture.bytes))
    }

    private static let cardSize = (width: 80, height: 112)

    private func drawBlank(on canvas: Canvas, x: Int, y: Int) {
        let size = Blackjack.cardSize
        canvas.fill(x: x, y: y, width: size.width, height: size.height, Color(146, 148, 160))
        canvas.fill(x: x + 3, y: y + 3, width: size.width - 6, height: size.height - 6, .white)
    }

    private func drawBack(on canvas: Canvas, x: Int, y: Int) {
        drawBlank(on: canvas, x: x, y: y)
        let back = TileBoard.Tile(
            canvas: canvas, left: x + 8, top: y + 8, width: Blackjack.cardSize.width - 16,
            height: Blackjack.cardSize.height - 16)
        back.fill(Color(196, 100, 94))
        for step in 0...5 {
            let place = 0.5 + Double(step) / 10
            back.line(
                [(0.5, 1 - place), (place, 0.5), (0.5, place), (1 - place, 0.5), (0.5, 1 - place)], Color(166, 76, 74))
        }
    }

    private func drawOpenCard(on canvas: Canvas, x: Int, y: Int) {
        drawBlank(on: canvas, x: x, y: y)
        let color = suit == 1 || suit == 2 ? Color(188, 62, 58) : Color(56, 56, 68)
        let name: Character =
            switch openCard {
            case 1: "A"
            case 10: ["J", "Q", "K"][face]
            default: Character("\(openCard)")
            }
        canvas.draw(name, x: x + 8, y: y + 8, cellWidth: 4, cellHeight: 4, color)
        let size = 48
        drawSuit(
            on: TileBoard.Tile(
                canvas: canvas, left: x + (Blackjack.cardSize.width - size) / 2,
                top: y + (Blackjack.cardSize.height - size) / 2 + 6, width: size, height: size), color)
    }

    /// Clubs, diamonds, hearts or spades.
    private func drawSuit(on tile: TileBoard.Tile, _ color: Color) {
        let foot = [(0.5, 0.5), (0.62, 0.95), (0.38, 0.95)]
        switch suit {
        case 0:
            for (x, y) in [(0.5, 0.28), (0.28, 0.58), (0.72, 0.58)] { tile.disc(x: x, y: y, radius: 0.2, color) }
            tile.polygon(foot, color)
        case 1: tile.polygon([(0.5, 0.05), (0.85, 0.5), (0.5, 0.95), (0.15, 0.5)], color)
        case 2:
            for x in [0.31, 0.69] { tile.disc(x: x, y: 0.33, radius: 0.21, color) }
            tile.polygon([(0.12, 0.42), (0.5, 0.32), (0.88, 0.42), (0.5, 0.92)], color)
        default:
            for x in [0.31, 0.69] { tile.disc(x: x, y: 0.56, radius: 0.21, color) }
            tile.polygon([(0.5, 0.05), (0.88, 0.48), (0.5, 0.66), (0.12, 0.48)], color)
            tile.polygon(foot, color)
        }
    }
}
