import Conformance
import Foundation
import Synchronization

/// Wrong about what comes first, and about environments that step by themselves.
func addOrderMutants(to list: inout MutantList) {
    swap(&list, "errors-after-the-next", "answers what it refuses after the next request", "order.error-in-its-place") {
        $0.has("error")
    }
    swap(&list, "status-after-the-next", "answers status after the next request", "order.connection-requests") {
        $0.has("status")
    }
    swap(
        &list, "ping-overtakes-make", "answers a ping before the make that was sent before it",
        "order.ping-after-make-and-close", "order.ping-after-slow-make", "order.unknown-handle-after-slow-make",
        "order.unread-after-slow-make"
    ) { $0.has("make") }
    swap(
        &list, "ping-overtakes-close", "answers a ping before the close that was sent before it",
        "order.ping-after-slow-close"
    ) { $0.has("close") }
    swap(
        &list, "close-overtakes-step", "answers a close before the step that was sent before it",
        "order.close-after-steps"
    ) { $0.has("step") }
    swap(
        &list, "ping-after-close", "answers a ping after the close that was sent after it",
        "shared.spoilt-control-block"
    ) { $0.has("ping") }
    list.proxy(
        "one-queue-for-all-handles",
        "answers the requests of a connection in their order, whichever handle they are for",
        caughtBy: "order.handles-overlap", "order.handles-overlap-when-pipelined", "order.ping-overtakes-step"
    ) {
        let mutation = Mutation()
        var asked: [UInt64] = []
        var answers: [UInt64: Message] = [:]
        mutation.request = { request, _ in
            asked.append(request.number("id"))
            return .forward
        }
        mutation.response = { response, _ in
            answers[response.number("id")] = response
            var ready: [Message] = []
            while let next = asked.first, let answer = answers.removeValue(forKey: next) {
                asked.removeFirst()
                ready.append(answer)
            }
            return .send(ready)
        }
        return mutation
    }
    list.proxy(
        "one-connection-at-a-time", "lets a connection wait while another one steps",
        caughtBy: "order.connections-overlap"
    ) {
        let mutation = Mutation()
        mutation.request = { request, _ in
            if request.has("step") { steps.withLock { $0.begun += 1 } }
            return .forward
        }
        mutation.response = { response, _ in
            if response.has("step") { steps.withLock { $0.done += 1 } }
            if response.has("ping") {
                let pings = steps.withLock { steps in
                    steps.pings += 1
                    return steps.pings
                }
                // The step may come later than the ping of the other connection.
                for _ in 0..<30_000 where steps.withLock({ $0.begun < pings || $0.done < $0.begun }) { usleep(1_000) }
                // Long enough for the step's answer to arrive.
                usleep(1_000_000)
            }
            return .forward
        }
        return mutation
    }
    list.proxy(
        "send-answered-when-done", "answers send when the steps are done", caughtBy: "async.send-answers-at-once"
    ) {
        let mutation = Mutation()
        mutation.response = { response, link in
            let action = link.request(of: response)?.message("send")?.message("action")?.message("tensor")
            let milliseconds = action?.bytes("data").withUnsafeBytes { $0.loadUnaligned(as: Int64.self) } ?? 0
            if response.has("send") { usleep(UInt32(milliseconds) * 1000) }
            return .forward
        }
        return mutation
    }
    list.request("sends-to-row-zero", "sends to the first row, whichever is named", caughtBy: "async.some-rows") {
        request, _ in
        request.change("send") { send in
            if send.numbers("environment_index") == [1] { send.set("environment_index", .integers([0])) }
        }
        return .forward
    }
    list.part(
        "receive", "final-index-of-the-batch", "names rows that ended by their place in the batch",
        caughtBy: "async.autoreset"
    ) { part in
        let environments = part.numbers("environment_index")
        part.set("final_index", .integers(part.numbers("final_index").map { environments[Int($0)] }))
    }
    list.part(
        "receive", "faults-by-position", "names rows that failed by their place in the answer", caughtBy: "async.fault"
    ) { part in
        let environments = part.numbers("environment_index")
        part.change("faults") { fault in
            let index = environments.firstIndex(of: fault.number("environment_index")) ?? 0
            fault.set("environment_index", .integer(index))
        }
    }
    list.request(
        "action-of-a-reset-checked", "checks the action of a row that is reset",
        caughtBy: "fault.reset-ignores-action", "autoreset.next-step-ignores-action"
    ) { request, _ in
        let tensor = request.message("step")?.message("action")?.message("tensor")
        let isOutside = tensor?.bytes("data").withUnsafeBytes { raw in
            (0..<(raw.count / 8)).contains { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self) > 50 }
        }
        return isOutside == true
            ? answer(to: request, "error", [("code", 23), ("message", "outside")]) : .forward
    }
    list.proxy("one-fault-ends-all", "steps nothing any more after a fault", caughtBy: "fault.connection-goes-on") {
        let mutation = Mutation()
        var hasFailed = false
        mutation.request = { request, _ in
            request.has("step") && hasFailed
                ? answer(to: request, "error", [("code", 33), ("message", "it has failed")]) : .forward
        }
        mutation.response = { response, _ in
            if response.message("step")?.has("faults") == true { hasFailed = true }
            return .forward
        }
        return mutation
    }
    list.part(
        "reset", "reset-faults-hidden", "does not tell which rows failed to reset", caughtBy: "fault.reset",
        "fault.reset-disabled", "fault.reset-outside-observation-space"
    ) { $0.remove("faults") }
    list.part(
        "step", "fault-counts-its-step", "counts the step that failed", caughtBy: "fault.at-step-k", "fault.step",
        "fault.autoreset"
    ) { step in
        guard step.has("faults") else { return }
        let lengths = step.bytes("episode_lengths")
        step.set(
            "episode_lengths", .bytes(lengths.enumerated().map { $0.offset % 8 == 0 ? $0.element + 1 : $0.element }))
    }
    list.part(
        "step", "failed-reset-hides-the-end", "loses the last reward of an episode when the reset after it fails",
        caughtBy: "fault.same-step-autoreset"
    ) { step in
        guard step.has("faults") else { return }
        step.set("rewards", .bytes(step.bytes("rewards").map { _ in 0 }))
    }
    list.part(
        "step", "fault-loses-infos-row", "leaves a row that failed out of final_info", caughtBy: "fault.same-step-info"
    ) { step in
        guard step.has("faults") else { return }
        step.change("final_info") { column in column.set("mask", .bytes(Array(column.bytes("mask").dropFirst()))) }
    }
}

/// What has gone through connections that step one at a time: a ping for each step.
private let steps = Mutex((begun: 0, done: 0, pings: 0))

/// A server that sends some of its answers after the one that should follow.
private func swap(
    _ list: inout MutantList, _ name: String, _ summary: String, _ checks: String...,
    isLate: @escaping @Sendable (Message) -> Bool
) {
    list.proxy(name, summary, caughtBy: checks) {
        let mutation = Mutation()
        var held: Message?
        mutation.response = { response, _ in
            // What comes with id 0 is no answer.
            guard response.number("id") != 0 else { return .forward }
            if let late = held {
                held = nil
                return .forwardThen(late)
            }
            guard isLate(response) else { return .forward }
            held = response
            return .drop
        }
        return mutation
    }
}
