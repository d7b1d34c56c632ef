import GymCore
import Testing

@Suite struct SpaceTests {
    private let box = Space.box(Box(low: [-1, -Float.infinity], high: [1, 2.5]))

    private func float(_ values: Float...) -> Value { .tensor(Tensor(values)) }

    @Test func boxesContainWhatIsInsideTheirBounds() {
        #expect(box.contains(float(-1, -1e30)))
        #expect(box.contains(float(1, 2.5)))
        #expect(!box.contains(float(1.0000001, 0)))
        #expect(!box.contains(float(0, 2.6)))
        #expect(!box.contains(float(.nan, 0)))
        #expect(!box.contains(float(0, .nan)))
        #expect(!box.contains(float(0, .infinity)))
        #expect(box.contains(float(0, -.infinity)))
        #expect(!box.contains(float(0)))
        #expect(!box.contains(float(0, 0, 0)))
        #expect(!box.contains(.tensor(Tensor([0.0, 0.0]))), "another dtype")
        #expect(!box.contains(.tensor(Tensor([0, 0] as [Float], shape: [2, 1]))), "another shape")
        #expect(!box.contains(.list([float(0), float(0)])))
    }

    @Test func integerBoxesContainExactly() {
        let wide = Space.box(Box(low: Int64.max - 1, high: .max, shape: [1]))
        #expect(wide.contains(.tensor(Tensor([Int64.max]))))
        #expect(!wide.contains(.tensor(Tensor([Int64.max - 2]))), "no rounding through doubles")
        let unsigned = Space.box(Box(low: UInt64.max - 1, high: .max, shape: [1]))
        #expect(unsigned.contains(.tensor(Tensor([UInt64.max]))))
        #expect(!unsigned.contains(.tensor(Tensor([UInt64.max - 2]))))
        let bytes = Space.box(Box(low: UInt8(3), high: 7, shape: [2]))
        #expect(bytes.contains(.tensor(Tensor([UInt8(3), 7]))))
        #expect(!bytes.contains(.tensor(Tensor([UInt8(2), 7]))))
        #expect(!bytes.contains(.tensor(Tensor([UInt8(3), 8]))))
    }

    @Test func discreteSpacesContainTheirIntegers() {
        let space = Space.discrete(count: 3, start: -1)
        for value in -1...1 { #expect(space.contains(.tensor(Tensor(scalar: Int64(value))))) }
        #expect(!space.contains(.tensor(Tensor(scalar: Int64(-2)))))
        #expect(!space.contains(.tensor(Tensor(scalar: Int64(2)))))
        #expect(!space.contains(.tensor(Tensor(scalar: Int32(0)))))
        let several = Space.multiDiscrete(counts: [2, 3], starts: [0, 5], shape: [2])
        #expect(several.contains(.tensor(Tensor([Int64(1), 7]))))
        #expect(!several.contains(.tensor(Tensor([Int64(2), 7]))))
        #expect(!several.contains(.tensor(Tensor([Int64(1), 4]))))
        let binary = Space.multiBinary(shape: [2])
        #expect(binary.contains(.tensor(Tensor([Int8(0), 1]))))
        #expect(!binary.contains(.tensor(Tensor([Int8(0), 2]))))
        #expect(!binary.contains(.tensor(Tensor([Int8(-1), 0]))))
    }

    @Test func textIsCountedInCodePoints() {
        let space = Space.text(minLength: 1, maxLength: 2, characters: "ab\r\n")
        #expect(space.contains(.text("ab")))
        #expect(space.contains(.text("\r\n")), "one Swift character, two code points")
        #expect(!space.contains(.text("a\r\n")))
        #expect(!space.contains(.text("")))
        #expect(!space.contains(.text("c")))
        #expect(!space.contains(float(0)))
    }

    @Test func compositeSpacesContainTheirParts() {
        let one: Value = .tensor(Tensor(scalar: Int64(1)))
        let dict = Space.dict([.init("x", box), .init("y", .discrete(count: 2))])
        #expect(dict.contains(.list([float(0, 0), one])))
        #expect(!dict.contains(.list([one, float(0, 0)])))
        #expect(!dict.contains(.list([float(0, 0)])))
        let tuple = Space.tuple([.discrete(count: 2), box])
        #expect(tuple.contains(.list([one, float(0, 0)])))
        #expect(!tuple.contains(.list([one, float(2, 0)])))
        let sequence = Space.sequence(.discrete(count: 2))
        #expect(sequence.contains(.list([])))
        #expect(sequence.contains(.list([one, one])))
        #expect(!sequence.contains(.list([one, float(0, 0)])))
        let either = Space.oneOf([.discrete(count: 2), box])
        #expect(either.contains(.oneOf(index: 1, float(0, 0))))
        #expect(!either.contains(.oneOf(index: 0, float(0, 0))))
        #expect(!either.contains(.oneOf(index: 2, one)))
    }

    @Test func graphsContainLinksBetweenTheirNodes() {
        let space = Space.graph(node: box, edge: .discrete(count: 2))
        let nodes = Tensor([0, 0, 1, 1] as [Float], shape: [2, 2])
        let edges = Tensor([Int64(1)], shape: [1])
        #expect(space.contains(.graph(nodes: nodes, edges: edges, edgeLinks: [0, 1])))
        #expect(space.contains(.graph(nodes: nodes, edges: nil, edgeLinks: [])))
        #expect(!space.contains(.graph(nodes: nodes, edges: edges, edgeLinks: [0, 2])), "no such node")
        #expect(!space.contains(.graph(nodes: nodes, edges: edges, edgeLinks: [0, 1, 1, 0])), "a link without an edge")
        #expect(!space.contains(.graph(nodes: nodes, edges: nil, edgeLinks: [0, 1])))
        let far = Tensor([0, 0, 1, 3] as [Float], shape: [2, 2])
        #expect(!space.contains(.graph(nodes: far, edges: edges, edgeLinks: [0, 1])))
    }

    @Test func batchedSpacesFollowGymnasium() {
        guard case .box(let batch) = box.batched(3) else {
            Issue.record("boxes batch to boxes")
            return
        }
        #expect(batch.shape == [3, 2])
        #expect(batch.high.elements() == [1, 2.5, 1, 2.5, 1, 2.5] as [Float])
        #expect(
            Space.discrete(count: 4, start: 2).batched(2)
                == .multiDiscrete(counts: [4, 4], starts: [2, 2], shape: [2]))
        #expect(
            Space.multiDiscrete([2, 3]).batched(2)
                == .box(
                    Box(
                        low: Tensor([Int64](repeating: 0, count: 4), shape: [2, 2]),
                        high: Tensor([Int64(1), 2, 1, 2], shape: [2, 2]))))
        #expect(Space.multiBinary(shape: [5]).batched(2) == .box(Box(low: Int8(0), high: 1, shape: [2, 5])))
        #expect(Space.tuple([.discrete(count: 2)]).batched(2) == .tuple([Space.discrete(count: 2).batched(2)]))
        let text = Space.text(minLength: 1, maxLength: 2, characters: "ab")
        #expect(text.batched(2) == .tuple([text, text]))
    }

    @Test func leavesAreNumberedDepthFirst() {
        let text = Space.text(minLength: 0, maxLength: 3, characters: "x")
        let space = Space.dict([.init("a", .tuple([box, text])), .init("b", .discrete(count: 2))])
        #expect(space.leaves.map(\.space) == [box, text, .discrete(count: 2)])
        #expect(space.tensorLayouts == nil)
        #expect(Space.tuple([box, .discrete(count: 2)]).tensorLayouts?.map(\.byteCount) == [8, 8])
    }
}

@Suite struct LeafCheckerTests {
    @Test func rowsAreCheckedInOrder() throws {
        let checker = try #require(LeafChecker(.box(Box(low: Float(-1), high: 1, shape: [2]))))
        let members: [Float] = [0, 0, 1, -1, 0, 2, 9, 9]
        members.withUnsafeBytes { memory in
            let start = memory.baseAddress!
            #expect(checker.firstViolation(in: start, rows: 0..<2) == nil)
            #expect(checker.firstViolation(in: start, rows: 0..<4)! == (2, 1))
            #expect(checker.firstViolation(in: start, rows: 3..<4)! == (3, 0))
            #expect(checker.firstViolation(in: start + 16) == 1)
        }
    }

    /// What an environment that clips may be given: anything but NaN and infinity.
    @Test func finiteMembersNeedNotBeInsideTheirBounds() throws {
        func first<Element: TensorElement>(_ values: [Element], _ space: Space) throws -> Int? {
            let checker = try #require(LeafChecker(finiteMembersOf: space))
            return values.withUnsafeBytes { checker.firstViolation(in: $0.baseAddress!) }
        }
        let single = Space.box(Box(low: Float(-1), high: 1, shape: [2]))
        #expect(try first([5, -Float.greatestFiniteMagnitude], single) == nil)
        #expect(try first([0, Float.nan], single) == 1)
        #expect(try first([-Float.infinity, 0], single) == 0)
        let double = Space.box(Box(low: -1.0, high: 1, shape: [1]))
        #expect(try first([1e300], double) == nil)
        #expect(try first([Double.infinity], double) == 0)
        let half = Space.box(Box(low: Float16(-1), high: 1, shape: [1]))
        #expect(try first([Float16(7)], half) == nil)
        #expect(try first([Float16.infinity], half) == 0)
        // Integers have nothing to clip.
        #expect(try first([Int64(3)], .discrete(count: 3)) == 0)
        #expect(LeafChecker(finiteMembersOf: .sequence(single)) == nil)
    }
}
