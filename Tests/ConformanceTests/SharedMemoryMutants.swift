import Conformance
import Foundation

/// Wrong about what is in shared memory.
func addSharedMemoryMutants(to list: inout MutantList) {
    memory(&list, "memory-not-sealed", "passes memory that can shrink", "shared.layout") { $0.isSealed = false }
    memory(&list, "memory-not-zeros", "passes memory that was used before", "shared.layout", "shared.response-word") {
        $0.start = { memory in for index in memory.indices { memory[index] = 0x5A } }
    }
    memory(&list, "sleepers-not-woken", "does not wake a client that sleeps", "shared.wakes-a-sleeper") {
        $0.wakes = false
    }
    memory(&list, "status-always-done", "says 0 whatever happened", "shared.invalid-action", "shared.needs-reset") {
        $0.status = { _ in 0 }
    }
    memory(&list, "info-never", "does not look at the request's flags", "shared.info") { $0.flags = { _ in 0 } }
    memory(&list, "fault-is-done", "says that a step with a fault is done", "shared.fault") {
        $0.status = { $0 == 1 ? 0 : $0 }
    }
    memory(
        &list, "memory-garbled", "writes observations wrong", "shared.layout-of-all-spaces",
        "shared.same-bits-as-by-socket", "shared.two-sets", "shared.several-handles", "shared.others-by-socket",
        "shared.close", "shared.autoreset-table", "shared.wraps-around"
    ) {
        $0.results = { memory, layout, _ in
            for set in layout.messages("results") {
                for region in set.messages("observation") { memory[region.integer("offset")] ^= 1 }
            }
        }
    }
    memory(&list, "refused-step-writes", "spoils the results of a step that it refuses", "shared.invalid-action") {
        $0.results = { memory, layout, status in
            guard status == 2, let rewards = layout.messages("results")[0].message("rewards") else { return }
            memory[rewards.integer("offset")] ^= 1
        }
    }
}

private func memory(
    _ list: inout MutantList, _ name: String, _ summary: String, _ checks: String...,
    change: (inout MemoryMutation) -> Void
) {
    var wrong = MemoryMutation()
    change(&wrong)
    list.proxy(name, summary, caughtBy: checks) { [wrong] in
        let mutation = Mutation()
        mutation.memory = wrong
        return mutation
    }
}
