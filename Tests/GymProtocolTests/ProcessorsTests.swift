import GymProtocol
import Testing

@Suite struct ProcessorsTests {
    @Test func aThreadCountsTheProcessorsThatItMayRunOn() throws {
        let allowed = Processors.allowed
        defer { Processors.allowed = allowed }
        #expect(Processors.count == allowed.count)
        let last = try #require(allowed.last)
        Processors.allowed = [last]
        #expect(Processors.allowed == [last])
        #expect(Processors.count == 1)
    }
}
