import GymCore
import Testing

@Suite struct TensorTests {
    @Test func elementsSurviveStorage() {
        let tensor = Tensor([1.5, -2.25, 3] as [Float], shape: [3, 1])
        #expect(tensor.dtype == .float32)
        #expect(tensor.elements(as: Float.self) == [1.5, -2.25, 3])
        #expect(tensor.doubles == [1.5, -2.25, 3])
    }

    @Test(arguments: DType.allCases) func zerosTakeTheirSize(dtype: DType) {
        let tensor = Tensor(zeros: [2, 3], dtype: dtype)
        #expect(tensor.bytes.count == 6 * dtype.size)
        #expect(tensor.doubles == [0, 0, 0, 0, 0, 0])
    }
}
