// What the library's own files share.
#ifndef GYMCLIENT_INTERNAL_H
#define GYMCLIENT_INTERNAL_H

#include "gymclient.h"

struct gym_client {
    int socket;
    double timeout_seconds;
    uint64_t next_id;
    /// Why the connection is over; GYM_OK while it is not.
    gym_error loss;
    Gym__V1__Response *hello;
    gym_batch *batches;
    /// What was received and not read yet: count bytes from start on.
    uint8_t *received;
    size_t received_capacity, received_start, received_count;
    uint8_t *sending;
    size_t sending_capacity;
    /// A descriptor that came with what was received; -1: none.
    int descriptor;
};

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

/// Notes a failure in *error, which may be NULL, and returns its status.
gym_status gym_fail(gym_error *error, gym_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/// Notes that the connection is over.
gym_status gym_lose(gym_client *client, gym_error *error, gym_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/// GYM_OK unless the connection is over.
gym_status gym_check(const gym_client *client, gym_error *error);

/// Sends a request with an id of its own, which is stored in *id.
gym_status gym_send_request(gym_client *client, Gym__V1__Request *request, uint64_t *id, gym_error *error);
/// Reads the next response, which the caller frees; notices are handled here.
gym_status gym_read_response(gym_client *client, Gym__V1__Response **response, gym_error *error);
/// Reads responses until that of the id comes; others go to the batches that await them.
gym_status gym_await(gym_client *client, uint64_t id, Gym__V1__Response **response, gym_error *error);
/// Reads one response for whichever batch awaits it.
gym_status gym_read_for_batches(gym_client *client, gym_error *error);
/// Gives a response to the batch that awaits it; false when none does. It is freed then.
bool gym_deliver(gym_client *client, Gym__V1__Response *response);
/// Whether the server has closed the connection; does not wait, nor read.
bool gym_has_gone(const gym_client *client);
/// Turns an error of the server into a failure.
gym_status gym_refused(gym_client *client, const Gym__V1__Error *refusal, gym_error *error);

/// Seconds on a clock that never goes back.
double gym_now(void);

/// Maps the memory that came with the answer to make and places the batch's arrays in it.
gym_status gym_map_memory(gym_batch *batch, int descriptor, gym_error *error);
/// Unmaps it, if there is any.
void gym_unmap_memory(gym_batch *batch);
/// Rings for a step in shared memory.
void gym_ring(gym_batch *batch);
/// Waits for the step that was rung for; *status is the server's (S6).
gym_status gym_wait_for_ring(gym_batch *batch, uint32_t *status, gym_error *error);

#endif
