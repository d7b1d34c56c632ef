// A connection: frames out, frames in, and who waits for which. Knows of batches only that they may take what comes.
#ifndef GYM_CONNECTION_H
#define GYM_CONNECTION_H

#include "gymclient.h"

struct gym_client {
    int socket;
    double timeout_seconds;
    uint64_t next_id;
    /// Why the connection is over; GYM_OK while it is not.
    gym_error loss;
    Gym__V1__Response *hello;
    gym_batch *batches;
    /// Gives a response to the batch that awaits it, where there are batches; false when none does. It is freed then.
    bool (*deliver)(gym_client *client, Gym__V1__Response *response);
    /// What was received and not read yet: count bytes from start on.
    uint8_t *received;
    size_t received_capacity, received_start, received_count;
    uint8_t *sending;
    size_t sending_capacity;
    /// A descriptor that came with what was received; -1: none.
    int descriptor;
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
/// Whether the server has closed the connection; does not wait, nor read.
bool gym_has_gone(const gym_client *client);
/// Turns an error of the server into a failure.
gym_status gym_refused(gym_client *client, const Gym__V1__Error *refusal, gym_error *error);
/// Closes a connection that has no batches, and frees it.
void gym_free_client(gym_client *client);

/// Seconds on a clock that never goes back.
double gym_now(void);

#endif
