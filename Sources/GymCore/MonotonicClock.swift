#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Nanoseconds on a clock that never goes back.
@usableFromInline
func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
