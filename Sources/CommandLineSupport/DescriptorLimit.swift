import Glibc

/// Lets the process open as many descriptors as the system allows it: the usual limit of 1024 is kept low only for
/// programs that use `select`, and each connection takes one.
public func raiseDescriptorLimit() {
    var limit = rlimit()
    let descriptors = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(descriptors, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(descriptors, &limit)
}
