// A batch, and what it is made of: leaves, results, shared memory. Each file calls those above it here, and none below.
#ifndef GYM_BATCH_H
#define GYM_BATCH_H

#include "connection.h"

/// One set of places where results are.
struct gym_result_set {
    gym_tensor *observation;
    gym_tensor *final_observation;
    double *rewards;
    uint8_t *terminated;
    uint8_t *truncated;
    double *episode_returns;
    int64_t *episode_lengths;
};

struct gym_batch {
    gym_client *client;
    gym_batch *next;
    Gym__V1__Response *made;
    uint32_t handle;
    size_t count;
    bool same_step;
    size_t n_actions, n_observation;
    gym_tensor *actions;
    gym_results results;
    /// One set with the socket, where sets[1] is unused; with shared memory two, and sets[2] for resets.
    struct gym_result_set sets[3];
    uint32_t *fault_rows;
    uint64_t *effective_seeds;
    /// The parts of a step's request, a leaf each: made once, since a stack is no place for as many as a server says.
    struct gym_action_parts *parts;
    Gym__V1__Leaf **part_pointers;
    /// Everything that was allocated for the batch's arrays.
    void **owned;
    size_t n_owned;
    /// A step under way: its id, or 0 for a frame about a step in shared memory.
    bool awaits_step, awaits_frame;
    uint64_t step_id;
    /// How the frame that was awaited ended.
    gym_error outcome;
    uint8_t *memory;
    size_t memory_size, control_offset;
    uint32_t sequence;
};

// leaves.c

/// Memory for count things that goes with the batch, all zeros; NULL when there is none, or there are too many.
void *gym_own(gym_batch *batch, size_t count, size_t size);
/// Counts the leaves of a space (T4), which may be none: of an empty Tuple or Dict. Returns false when one is ragged.
bool gym_count_leaves(const Gym__V1__Space *space, size_t *count);
/// Whether a space is one: its parts are there, of dtypes that exist, and of a size that a member may have.
bool gym_is_sound(const Gym__V1__Space *space);
/// The leaves of a fixed space without memory for their data; NULL when out of memory, or too large altogether.
gym_tensor *gym_make_leaves(gym_batch *batch, const Gym__V1__Space *space, size_t count);
/// Memory for their data.
bool gym_give_memory(gym_batch *batch, gym_tensor *leaves, size_t count);
/// Bytes of an element; 0 for a dtype that does not exist.
size_t gym_element_size(Gym__V1__DType dtype);

// results.c

/// Makes a set without memory for its data, or gives it memory of the batch's own.
bool gym_make_set(gym_batch *batch, struct gym_result_set *set);
bool gym_give_set_memory(gym_batch *batch, struct gym_result_set *set);
/// Shows a set as the batch's results.
void gym_show(gym_batch *batch, const struct gym_result_set *set);
/// Gives a response to the batch that awaits it: what gym_client.deliver is.
bool gym_deliver(gym_client *client, Gym__V1__Response *response);
/// Takes over what a reset brought.
gym_status gym_take_reset(gym_batch *batch, const Gym__V1__ResetResponse *reset, gym_error *error);

// shared_memory.c

/// Maps the memory that came with the answer to make and places the batch's arrays in it.
gym_status gym_map_memory(gym_batch *batch, int descriptor, gym_error *error);
/// Unmaps it, if there is any.
void gym_unmap_memory(gym_batch *batch);
/// Rings for a step in shared memory.
void gym_ring(gym_batch *batch);
/// Waits for the step that was rung for; *status is the server's (S6).
gym_status gym_wait_for_ring(gym_batch *batch, uint32_t *status, gym_error *error);

#endif
