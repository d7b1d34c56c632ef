import NeuralNetwork

/// Where a gradient becomes a step, for parameters that are clipped together: the parts' gradients are summed in order,
/// looked at (finite or not), scaled to a norm, and given to the optimiser.
///
///     let step = GradientStep([("the critics'", critics)], …)
///     workers.run(pieces) { piece in … backward(…, gradient: step.gradient(piece: piece)) }
///     try step.apply(learningRate: rate)
package final class GradientStep: @unchecked Sendable {
    // Sendable: pieces write to gradients of their own; the rest is done between forks, by chunks that do not overlap.

    /// Whose gradients they are, for messages.
    private let names: [String]
    package let stores: [ParameterStore]
    private let parts: Parts
    private let optimisers: [any Optimiser]
    private let maxNorm: Double?
    private let workers: Workers
    private let communicator: any Communicator
    /// A store's gradient of each piece, `[store][piece]`.
    private let pieces: [[Vector<Float>]]
    /// Each part's gradient: its first slice's memory, `[store][part]`.
    private let partGradients: [[Vector<Float>]]
    /// Stretches of the parameters that one thread works on.
    private let chunks: [(store: Int, range: Range<Int>)]
    /// Whether chunks are worth a thread each.
    private let isDivided: Bool
    /// The squared norm of each chunk's gradient.
    private let squares: Vector<Double>

    /// The norm of the last gradient, before clipping.
    package private(set) var norm = 0.0

    /// Floats of a chunk: few enough to stay in a core's cache.
    private static let chunkSize = 1 << 15
    /// Floats below which dividing a step costs more than it gives.
    static let worthwhile = 1 << 15

    /// - Parameters:
    ///   - stores: the parameters, and whose they are, for messages: `the critics'`.
    ///   - optimiser: makes an optimiser for so many parameters.
    ///   - maxNorm: the norm of the gradient by all stores together that is not exceeded; `nil`: any.
    package init(
        _ stores: [(name: String, parameters: ParameterStore)], maxNorm: Double? = nil, _ context: UpdateContext,
        optimiser: (Int) -> any Optimiser
    ) {
        names = stores.map(\.name)
        let stores = stores.map(\.parameters)
        self.stores = stores
        let parts = context.parts
        self.parts = parts
        self.maxNorm = maxNorm
        workers = context.workers
        communicator = context.communicator
        optimisers = stores.map { optimiser($0.count) }
        pieces = stores.map { store in
            (0..<parts.pieces).map { $0 == 0 ? store.gradients : Vector(count: store.count) }
        }
        partGradients = pieces.map { pieces in (0..<parts.count).map { pieces[$0 * parts.slices] } }
        isDivided = stores.reduce(0) { $0 + $1.count } >= GradientStep.worthwhile
        // At least two of each: two threads are the least that are worth having.
        chunks = stores.indices.flatMap { index in
            let count = stores[index].count
            let chunks = max(2, (count + GradientStep.chunkSize - 1) / GradientStep.chunkSize)
            return (0..<chunks).map { (index, share($0, of: chunks, count: count, multiple: 16)) }
        }
        squares = Vector(count: chunks.count)
    }

    /// Where a piece's gradient by a store's parameters goes, overwritten by it.
    package func gradient(_ store: Int = 0, piece: Int) -> Vector<Float> { pieces[store][piece] }

    /// Applies the mean gradient of all pieces, whose shares add up to it.
    ///
    /// - Throws: ``NotFinite`` when the gradient is not finite; nothing is applied then.
    package func apply(learningRate: Double) throws {
        eachChunk { chunk in
            let (store, range) = chunks[chunk]
            for part in 0..<parts.count {
                let sum = partGradients[store][part][range]
                for slice in 1..<max(1, parts.slices) { sum.add(pieces[store][part * parts.slices + slice][range]) }
            }
            if communicator.ranks == 1 { total(partGradients[store], chunk) }
        }
        if communicator.ranks > 1 {
            for store in stores.indices {
                let all = try communicator.gather(partGradients[store])
                for chunk in chunks.indices where chunks[chunk].store == store { total(all, chunk) }
            }
        }
        var squared = 0.0
        for chunk in squares.indices { squared += squares[chunk] }
        norm = squared.squareRoot()
        let scale = maxNorm.map { clippingScale(norm: norm, maxNorm: $0) } ?? 1
        // The square has to be finite as a float, too: optimisers keep it, and a parameter whose second moment is infinite
        // would never move again.
        guard squared.isFinite, Float(squared * Double(scale * scale)).isFinite else {
            let chunk = squares.indices.first { !Float(squares[$0]).isFinite } ?? 0
            throw NotFinite("\(names[chunks[chunk].store]) gradient")
        }
        for optimiser in optimisers { optimiser.begin(learningRate: learningRate) }
        eachChunk { chunk in
            let (store, range) = chunks[chunk]
            optimisers[store].apply(pieces[store][0], to: stores[store], range, scale: scale)
        }
    }

    private func eachChunk(_ work: (_ chunk: Int) -> Void) {
        if isDivided { return workers.run(chunks.count, work) }
        for chunk in chunks.indices { work(chunk) }
    }

    /// Sums the parts' gradients of a chunk into the first piece's memory, and takes the square of the sum.
    private func total(_ parts: [Vector<Float>], _ chunk: Int) {
        let (store, range) = chunks[chunk]
        let sum = pieces[store][0][range]
        if communicator.ranks > 1 { sum.copy(parts[0][range]) }
        for part in 1..<max(1, parts.count) { sum.add(parts[part][range]) }
        squares[chunk] = sum.sumOfSquares()
    }

    /// Writes or reads the parameters and what the optimisers remember.
    package func code(_ state: inout StateCoder) throws {
        for (store, optimiser) in zip(stores, optimisers) {
            try state(store)
            try state(optimiser)
        }
    }
}

/// Something went out of the finite numbers; whoever knows the step makes a ``NotFiniteError`` of it.
package struct NotFinite: Error {
    package let term: String
    package init(_ term: String) { self.term = term }

    /// Throws where a sum over a minibatch is not finite.
    static func check(_ sum: Double, _ term: @autoclosure () -> String) throws {
        if !sum.isFinite { throw NotFinite(term()) }
    }
}
