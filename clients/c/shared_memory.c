// Steps through memory that the server maps, too (S1 to S9).
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "batch.h"

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

// Regions that were placed, to see whether two of them share a byte.
struct places {
    const gym_batch *batch;
    struct span {
        uint64_t start, end;
    } *spans;
    size_t count, capacity;
};

static bool take_span(struct places *places, uint64_t start, uint64_t size) {
    if (places->count == places->capacity) {
        size_t capacity = places->capacity > 0 ? 2 * places->capacity : 32;
        struct span *spans = realloc(places->spans, capacity * sizeof *spans);
        if (!spans) return false;
        places->spans = spans;
        places->capacity = capacity;
    }
    places->spans[places->count++] = (struct span){start, start + size};
    return true;
}

static int compare_spans(const void *one, const void *other) {
    uint64_t a = ((const struct span *)one)->start, b = ((const struct span *)other)->start;
    return (a > b) - (a < b);
}

static bool are_apart(struct places *places) {
    qsort(places->spans, places->count, sizeof *places->spans, compare_spans);
    for (size_t i = 1; i < places->count; i++)
        if (places->spans[i].start < places->spans[i - 1].end) return false;
    return true;
}

// The place of a region, when it is where S3 allows it to be, and of the tensor's dtype and shape; NULL otherwise.
static void *place(
    struct places *places, const Gym__V1__Region *region, Gym__V1__DType dtype, size_t n_shape, const uint32_t *shape,
    size_t size) {
    const gym_batch *batch = places->batch;
    if (!region || region->dtype != dtype || region->n_shape != n_shape || region->offset % 64 != 0 ||
        region->offset > batch->memory_size || size > batch->memory_size - region->offset)
        return NULL;
    for (size_t axis = 0; axis < n_shape; axis++)
        if (region->shape[axis] != shape[axis]) return NULL;
    return take_span(places, region->offset, size) ? batch->memory + region->offset : NULL;
}

static void *place_column(struct places *places, const Gym__V1__Region *region, Gym__V1__DType dtype) {
    uint32_t rows = (uint32_t)places->batch->count;
    return place(places, region, dtype, 1, &rows, places->batch->count * gym_element_size(dtype));
}

static bool place_leaves(
    struct places *places, size_t n_regions, Gym__V1__Region **regions, size_t count, gym_tensor *leaves) {
    if (n_regions != count) return false;
    for (size_t i = 0; i < count; i++) {
        leaves[i].data =
            place(places, regions[i], leaves[i].dtype, leaves[i].n_shape, leaves[i].shape, leaves[i].size);
        if (!leaves[i].data) return false;
    }
    return true;
}

static bool place_set(struct places *places, const Gym__V1__ResultRegions *regions, struct gym_result_set *set) {
    size_t count = places->batch->n_observation;
    set->rewards = place_column(places, regions->rewards, GYM__V1__DTYPE__FLOAT64);
    set->terminated = place_column(places, regions->terminated, GYM__V1__DTYPE__BOOL);
    set->truncated = place_column(places, regions->truncated, GYM__V1__DTYPE__BOOL);
    set->episode_returns = place_column(places, regions->episode_returns, GYM__V1__DTYPE__FLOAT64);
    set->episode_lengths = place_column(places, regions->episode_lengths, GYM__V1__DTYPE__INT64);
    return set->rewards && set->terminated && set->truncated && set->episode_returns && set->episode_lengths &&
           place_leaves(places, regions->n_observation, regions->observation, count, set->observation) &&
           (!places->batch->same_step ||
            place_leaves(places, regions->n_final_observation, regions->final_observation, count, set->final_observation));
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
    struct places places = {.batch = batch};
    bool fits = take_span(&places, layout->control_offset, control_size) &&
                place_leaves(&places, layout->n_actions, layout->actions, batch->n_actions, batch->actions) &&
                place_set(&places, layout->results[0], &batch->sets[0]) &&
                place_set(&places, layout->results[1], &batch->sets[1]) && are_apart(&places);
    free(places.spans);
    if (!fits)
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
