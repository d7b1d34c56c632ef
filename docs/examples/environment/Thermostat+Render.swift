import GymCore

extension Thermostat {
    func render(mode: String) throws -> Rendering {
        if mode == "ansi" { return .text("\(Int(state.inside.rounded())) °C inside\n") }
        // A column that rises with the temperature: 40 by 120 pixels, one for each °C from −60 to 60.
        let (width, height) = (40, 120)
        var pixels = [UInt8](repeating: 255, count: height * width * 3)
        let level = 60 - Int(state.inside.rounded())
        for y in max(0, level)..<height {
            for x in 10..<30 {
                pixels.replaceSubrange((y * width + x) * 3..<(y * width + x) * 3 + 3, with: [200, 60, 40])
            }
        }
        return .image(Tensor(pixels, shape: [height, width, 3]))
    }
}
