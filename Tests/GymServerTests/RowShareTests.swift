import Foundation
import GymServer
import Testing

@Suite("Rows handed out to threads") struct RowShareTests {
    @Test("Each row is taken once, whoever takes how many", arguments: [1, 2, 3, 5])
    func onceEach(parts: Int) {
        for (count, groupSize) in [(1, 1), (7, 1), (7, 8), (64, 8), (100, 8), (1000, 1)] {
            let share = RowShare(threads: 5, groupSize: groupSize)
            for repetition in 0..<3 {
                let rows = repetition..<(repetition + count)
                share.share(rows, among: parts)
                var taken: [Int] = []
                var thread = repetition
                while let some = share.take(thread) {
                    taken += some
                    thread = (thread * 7 + 3) % 5
                }
                #expect(taken.sorted() == Array(rows))
            }
        }
    }

    @Test("A thread takes its own rows in order, in whole groups, then the last of another's")
    func order() {
        let share = RowShare(threads: 2, groupSize: 8)
        share.share(0..<64, among: 2)
        #expect((0..<6).map { _ in share.take(0) } == [0..<8, 8..<16, 16..<24, 24..<32, 56..<64, 48..<56])
        #expect(share.takes(of: 0) == 6)
        #expect((0..<3).map { _ in share.take(1) } == [32..<40, 40..<48, nil])
        #expect(share.takes(of: 1) == 2)
    }

    @Test("Threads at the same time take each row once") func concurrent() {
        final class Counts: @unchecked Sendable {
            let share = RowShare(threads: 4, groupSize: 1)
            let taken = UnsafeMutablePointer<UInt8>.allocate(capacity: 10_000)
        }
        let counts = Counts()
        defer { counts.taken.deallocate() }
        for _ in 0..<50 {
            counts.taken.initialize(repeating: 0, count: 10_000)
            counts.share.share(0..<10_000, among: 3)
            DispatchQueue.concurrentPerform(iterations: 4) { thread in
                while let rows = counts.share.take(thread) {
                    for row in rows { counts.taken[row] += 1 }
                }
            }
            #expect((0..<10_000).allSatisfy { counts.taken[$0] == 1 })
        }
    }
}
