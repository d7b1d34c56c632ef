// Steps through memory that the server maps, too (S1 to S9).
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

// The control block (S4).
enum {
    request_word = 0,
    request_flags = 4,
    response_word = 64,
    response_status = 68,
    request_sleeper = 128,
    response_sleeper = 192,
    control_size = 256,
};

// About 50 µs: longer would take a core that the server may need, shorter would pay a wake-up for most steps.
enum { spins = 2000 };
// Between looks whether the server still lives.
static const long sleep_nanoseconds = 100000000;

static _Atomic uint32_t *word(const gym_batch *batch, size_t offset) {
    return (_Atomic uint32_t *)(void *)(batch->memory + batch->control_offset + offset);
}

// The place of a region, when it is where S3 allows it to be and as large as the tensor; NULL otherwise.
static void *place(const gym_batch *batch, const Gym__V1__Region *region, Gym__V1__DType dtype, size_t size) {
    if (!region || region->dtype != dtype || region->offset % 64 != 0 || region->offset > batch->memory_size ||
        size > batch->memory_size - region->offset)
        return NULL;
    return batch->memory + region->offset;
}

static bool place_leaves(const gym_batch *batch, size_t n_regions, Gym__V1__Region **regions, size_t count, gym_tensor *leaves) {
    if (n_regions != count) return false;
    for (size_t i = 0; i < count; i++) {
        leaves[i].data = place(batch, regions[i], leaves[i].dtype, leaves[i].size);
        if (!leaves[i].data) return false;
    }
    return true;
}

static bool place_set(gym_batch *batch, const Gym__V1__ResultRegions *regions, struct gym_result_set *set) {
    size_t n = batch->count;
    set->rewards = place(batch, regions->rewards, GYM__V1__DTYPE__FLOAT64, n * 8);
    set->terminated = place(batch, regions->terminated, GYM__V1__DTYPE__BOOL, n);
    set->truncated = place(batch, regions->truncated, GYM__V1__DTYPE__BOOL, n);
    set->episode_returns = place(batch, regions->episode_returns, GYM__V1__DTYPE__FLOAT64, n * 8);
    set->episode_lengths = place(batch, regions->episode_lengths, GYM__V1__DTYPE__INT64, n * 8);
    return set->rewards && set->terminated && set->truncated && set->episode_returns && set->episode_lengths &&
           place_leaves(batch, regions->n_observation, regions->observation, batch->n_observation, set->observation) &&
           (!batch->same_step ||
            place_leaves(
                batch, regions->n_final_observation, regions->final_observation, batch->n_observation,
                set->final_observation));
}

gym_status gym_map_memory(gym_batch *batch, int descriptor, gym_error *error) {
    const Gym__V1__SharedMemory *layout = batch->made->make->shared_memory;
    struct stat status;
    int seals = descriptor >= 0 ? fcntl(descriptor, F_GET_SEALS) : -1;
    if (!layout || seals < 0 || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_GROW) || fstat(descriptor, &status) != 0 ||
        layout->size < control_size || (uint64_t)status.st_size < layout->size || layout->n_results != 2 ||
        layout->control_offset % 64 != 0 || layout->control_offset > layout->size - control_size)
        return gym_lose(batch->client, error, GYM_PROTOCOL, "the server's shared memory is not as it has to be");
    void *mapped = mmap(NULL, layout->size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED)
        return gym_fail(error, GYM_MEMORY, "cannot map %llu bytes", (unsigned long long)layout->size);
    batch->memory = mapped;
    batch->memory_size = layout->size;
    batch->control_offset = layout->control_offset;
    if (!place_leaves(batch, layout->n_actions, layout->actions, batch->n_actions, batch->actions) ||
        !place_set(batch, layout->results[0], &batch->sets[0]) || !place_set(batch, layout->results[1], &batch->sets[1]))
        return gym_lose(batch->client, error, GYM_PROTOCOL, "regions of the shared memory do not fit the spaces");
    return GYM_OK;
}

void gym_unmap_memory(gym_batch *batch) {
    if (batch->memory) munmap(batch->memory, batch->memory_size);
}

void gym_ring(gym_batch *batch) {
    batch->sequence++;
    atomic_store(word(batch, request_flags), 0);
    atomic_store(word(batch, request_word), batch->sequence);
    if (atomic_load(word(batch, request_sleeper)) != 0)
        syscall(SYS_futex, word(batch, request_word), FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

gym_status gym_wait_for_ring(gym_batch *batch, uint32_t *ending, gym_error *error) {
    gym_client *client = batch->client;
    double deadline = client->timeout_seconds > 0 ? gym_now() + client->timeout_seconds : 0;
    _Atomic uint32_t *response = word(batch, response_word);
    uint32_t before = batch->sequence - 1;
    for (int i = 0; i < spins && atomic_load(response) == before; i++) pause_briefly();
    while (atomic_load(response) == before) {
        atomic_store(word(batch, response_sleeper), 1);
        if (atomic_load(response) == before) {
            struct timespec limit = {.tv_nsec = sleep_nanoseconds};
            syscall(SYS_futex, response, FUTEX_WAIT, before, &limit, NULL, 0);
        }
        atomic_store(word(batch, response_sleeper), 0);
        if (atomic_load(response) != before) break;
        if (gym_has_gone(client)) {
            // It may have answered before it went.
            if (atomic_load(response) != before) break;
            return gym_lose(client, error, GYM_LOST, "the server closed the connection");
        }
        if (deadline > 0 && gym_now() > deadline)
            return gym_lose(client, error, GYM_TIMEOUT, "the server did not answer in time");
    }
    *ending = atomic_load(word(batch, response_status));
    return GYM_OK;
}
