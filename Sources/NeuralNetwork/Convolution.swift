import CVectorKernels

/// The extents of what a convolution looks at: `planes` pictures on top of each other, each of `channels` numbers a
/// pixel, in memory as (planes, height, width, channels).
///
/// A picture with its channels last is one plane; one with its channels first is a plane of one channel each; a stack
/// of frames is a plane a frame.
public struct ImageShape: Sendable, Hashable {
    /// Pictures on top of each other.
    public let planes: Int
    /// Pixels from top to bottom.
    public let height: Int
    /// Pixels from left to right.
    public let width: Int
    /// Numbers of a pixel.
    public let channels: Int
    /// The numbers in all.
    public var count: Int { planes * height * width * channels }

    /// A shape; all extents are positive.
    public init(planes: Int = 1, height: Int, width: Int, channels: Int) {
        self.planes = planes
        self.height = height
        self.width = width
        self.channels = channels
    }
}

/// What a convolution is to look like.
public struct ConvolutionSize: Sendable, Hashable {
    /// Numbers of an output pixel.
    public let filters: Int
    /// The side of the square that one output pixel looks at.
    public let kernel: Int
    /// Pixels from one such square to the next.
    public let stride: Int

    /// A size; all numbers are positive.
    public init(filters: Int, kernel: Int, stride: Int) {
        self.filters = filters
        self.kernel = kernel
        self.stride = stride
    }

    /// The DQN network's (Mnih et al. 2015, doi 10.1038/nature14236); 512 units follow.
    public static let dqn = [
        ConvolutionSize(filters: 32, kernel: 8, stride: 4), ConvolutionSize(filters: 64, kernel: 4, stride: 2),
        ConvolutionSize(filters: 64, kernel: 3, stride: 1),
    ]

    /// The smallest side of a picture that convolutions of these sizes, one after the other, can look at.
    public static func smallestSide(_ sizes: [ConvolutionSize]) -> Int {
        sizes.reversed().reduce(1) { ($0 - 1) * $1.stride + $1.kernel }
    }
}

/// A two-dimensional convolution without padding, and the ReLU after it.
///
/// Each output pixel is a row of a matrix product: the patch that it looks at, times the weights. The patches of one
/// picture are laid out at a time, which keeps them in the second-level cache (400 kB for the DQN network's largest).
package struct Convolution: Sendable {
    package let input: ImageShape
    package let size: ConvolutionSize
    /// One plane; its channels are the filters.
    package let output: ImageShape
    /// (planes, kernel, kernel, channels, filters).
    package let weight: ParameterView
    /// (filters).
    package let bias: ParameterView
    /// The numbers that an output pixel looks at.
    var patch: Int { input.planes * size.kernel * size.kernel * input.channels }
    /// The output's pixels.
    var positions: Int { output.height * output.width }

    init(_ name: String, input: ImageShape, size: ConvolutionSize, layout: inout ParameterLayout) {
        precondition(
            min(input.height, input.width) >= size.kernel, "a kernel of \(size.kernel) on \(input) does not fit")
        self.input = input
        self.size = size
        output = ImageShape(
            height: (input.height - size.kernel) / size.stride + 1,
            width: (input.width - size.kernel) / size.stride + 1, channels: size.filters)
        weight = layout.add(
            "\(name).weight", shape: [input.planes, size.kernel, size.kernel, input.channels, size.filters])
        bias = layout.add("\(name).bias", shape: [size.filters])
    }

    /// The length of a stretch of a patch that is contiguous in the picture too.
    private var stretch: Int { size.kernel * input.channels }
    /// The numbers from one of an output row's patches to the next, in the picture.
    private var step: Int { size.stride * input.channels }

    /// Calls `body` for each row of a patch and each row of the output: with the place of the first of that row's
    /// `output.width` stretches in the picture, and its place among the patches.
    @inline(__always)
    private func forEachRow(_ body: (_ picture: Int, _ patches: Int) -> Void) {
        let rowLength = input.width * input.channels
        for y in 0..<output.height {
            for plane in 0..<input.planes {
                for ky in 0..<size.kernel {
                    body(
                        (plane * input.height + y * size.stride + ky) * rowLength,
                        y * output.width * patch + (plane * size.kernel + ky) * stretch)
                }
            }
        }
    }

    /// Lays out the patches of one picture: (positions, patch).
    func gatherPatches(_ picture: UnsafePointer<Float>, into patches: UnsafeMutablePointer<Float>) {
        forEachRow { place, target in
            vector_kernels_copy_stretches(output.width, stretch, picture + place, step, patches + target, patch)
        }
    }

    /// Adds up patches where they overlap: the transpose of ``gatherPatches(_:into:)``.
    func addPatches(_ patches: UnsafePointer<Float>, into picture: UnsafeMutablePointer<Float>) {
        picture.update(repeating: 0, count: input.count)
        forEachRow { place, source in
            for x in 0..<output.width {
                vector_kernels_add(stretch, patches + source + x * patch, picture + place + x * step)
            }
        }
    }

    /// The output of one picture whose patches are given: (positions, filters).
    func forward(
        _ parameters: UnsafePointer<Float>, patches: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>
    ) {
        matrixProduct(
            m: positions, n: size.filters, k: patch, patches, parameters + weight.offset,
            bias: parameters + bias.offset, into: y)
        vector_kernels_relu(positions * size.filters, y, y)
    }

    /// Adds the gradient of one picture, given that by its output before the ReLU.
    func addGradient(
        _ delta: UnsafePointer<Float>, patches: UnsafePointer<Float>, into gradient: UnsafeMutablePointer<Float>
    ) {
        matrixProduct(
            m: patch, n: size.filters, k: positions, patches, transposedA: true, delta,
            into: gradient + weight.offset, accumulate: true)
        vector_kernels_column_sums(positions, size.filters, delta, gradient + bias.offset, 1)
    }
}
