import Conformance
import Synchronization

/// Wrong about sizes: of frames, of answers, of memory.
func addSizeMutants(to list: inout MutantList) {
    list.request(
        "limit-is-too-large", "refuses a frame of just the size that it announces",
        caughtBy: "robustness.frame-of-the-limit"
    ) { request, link in
        link.length < MutationTests.maxFrameBytes
            ? .forward : answer(to: request, "error", [("code", 28), ("message", "too large")])
    }
    list.proxy(
        "least-frame-forgotten", "sends a client no more than it asks for, however little",
        caughtBy: "limit.least-frame"
    ) {
        let mutation = Mutation()
        var most = UInt64.max
        mutation.request = { request, _ in
            if let hello = request.message("hello"), hello.number("max_frame_bytes") > 0 {
                most = hello.number("max_frame_bytes")
            }
            return .forward
        }
        mutation.response = { response, _ in
            guard !response.has("hello"), UInt64(response.encoded.count) > most else { return .forward }
            response.remove(response.messageCase ?? "error")
            response.set("error", ["code": 31, "message": "too large"])
            return .forward
        }
        return mutation
    }
    list.proxy(
        "too-large-makes-kept", "keeps environments whose make it could not answer",
        caughtBy: "limit.too-large-makes-nothing"
    ) {
        let mutation = Mutation()
        mutation.response = { response, link in
            if let make = link.request(of: response)?.message("make"), response.has("error"),
                make.number("num_envs") == 5000
            {
                kept.withLock { $0 += 5000 }
            }
            response.change("status") { status in
                status.set("environments", .number(status.number("environments") + kept.withLock { $0 }))
            }
            return .forward
        }
        return mutation
    }
    list.proxy(
        "too-large-samples-drawn", "goes on after a sample that it could not answer",
        caughtBy: "limit.too-large-draws-nothing"
    ) {
        let mutation = Mutation()
        var wasTooLarge = false
        mutation.request = { request, _ in
            guard wasTooLarge, request.has("sample") else { return .forward }
            wasTooLarge = false
            return answer(to: request, "sample")
        }
        mutation.response = { response, _ in
            if response.message("error")?.number("code") == 31 { wasTooLarge = true }
            return .forward
        }
        return mutation
    }
    list.part("hello", "limit-memory-bytes-not-enforced", "does not enforce max_memory_bytes", caughtBy: "limit.memory")
    {
        $0.change("limits") { $0.set("max_memory_bytes", .number($0.number("max_memory_bytes") / 20)) }
    }
    list.part(
        "hello", "pending-one-too-many", "takes one request more than it announces", caughtBy: "limit.pending-requests"
    ) { $0.change("limits") { $0.set("max_pending_requests", .number($0.number("max_pending_requests") - 1)) } }
}

/// Environments that were kept.
private let kept = Mutex<UInt64>(0)
