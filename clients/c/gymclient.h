// libgymclient: environments of a gym.v1 server, in C11.
//
//     gym_error error;
//     gym_client *client = gym_connect("unix:/tmp/gym.sock", NULL, &error);
//     gym_batch *batch = gym_make(client, &(gym_make_options){.id = "CartPole-v1", .num_envs = 8}, &error);
//     gym_reset(batch, NULL, 0, NULL, &error);
//     int64_t *actions = gym_actions(batch)[0].data;
//     actions[0] = 1;
//     gym_step(batch, &error);
//     printf("%f\n", gym_results_of(batch)->rewards[0]);
//     gym_disconnect(client);
//
// Proto/PROTOCOL.md is the specification of what is said; clauses such as (S5) are its.
//
// State: none is global. A client and its batches are for one thread at a time; different clients are independent.
//
// Ownership: gym_connect makes a client, gym_disconnect frees it and every batch that was made with it. gym_make makes a
// batch, gym_close frees it. Everything else that is returned belongs to the client or the batch, stays at the same
// address for its life, and is not freed by the caller, but for responses of gym_request.
//
// Errors: a function that can fail returns a gym_status, or NULL, and describes the failure in *error, which may be NULL
// when nobody wants to know. After GYM_LOST, GYM_PROTOCOL and GYM_TIMEOUT the connection is over: every later call
// fails in the same way, and the client has to be disconnected. After the others it goes on; after GYM_REFUSED nothing
// has happened.
#ifndef GYMCLIENT_H
#define GYMCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gym.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A connection to a server.
typedef struct gym_client gym_client;
/// Environments of one kind that step together.
typedef struct gym_batch gym_batch;

/// How a call ended.
typedef enum gym_status {
    GYM_OK = 0,
    /// An argument makes no sense; nothing was sent.
    GYM_ARGUMENT,
    /// Memory is short.
    GYM_MEMORY,
    /// No server could be reached.
    GYM_CONNECT,
    /// The connection ended: the server died, was stopped, or closed it.
    GYM_LOST,
    /// The server's answer makes no sense.
    GYM_PROTOCOL,
    /// The server did not answer in time.
    GYM_TIMEOUT,
    /// The server refused the request: gym_error.code says why. Nothing has happened.
    GYM_REFUSED,
    /// Some environments failed: gym_results.fault_rows says which. The results hold for all others.
    GYM_FAULT,
} gym_status;

/// What went wrong.
typedef struct gym_error {
    gym_status status;
    /// With GYM_REFUSED, the server's code; else GYM__V1__ERROR_CODE__ERROR_UNSPECIFIED.
    Gym__V1__ErrorCode code;
    /// For people; ended with a zero, cut when it is long.
    char message[512];
} gym_error;

/// What a connection is made with; fields that are 0 take their defaults.
typedef struct gym_connect_options {
    /// For the server's log. Default: "libgymclient".
    const char *name;
    /// When the server asks for one. Default: none.
    const char *token;
    /// Seconds to wait for any answer. Default: 0, without end; the hello waits ten seconds at most.
    double timeout_seconds;
} gym_connect_options;

/// Connects and exchanges hellos.
///
/// address: the server's socket, "unix:PATH" or a path. options: may be NULL. Neither is kept.
/// Returns the client, which the caller frees with gym_disconnect, or NULL: GYM_ARGUMENT (the path is too long),
/// GYM_CONNECT, GYM_TIMEOUT, GYM_LOST, GYM_PROTOCOL, GYM_REFUSED (another version, a token), GYM_MEMORY.
gym_client *gym_connect(const char *address, const gym_connect_options *options, gym_error *error);

/// Closes the connection, and frees the client and all of its batches. NULL does nothing.
void gym_disconnect(gym_client *client);

/// What the server said in its hello: version, capabilities, limits. The client's own; valid as long as it is.
const Gym__V1__HelloResponse *gym_server(const gym_client *client);

/// Waits for an answer of the server. Fails with GYM_LOST, GYM_TIMEOUT, GYM_PROTOCOL.
gym_status gym_ping(gym_client *client, gym_error *error);

/// Makes any request of the protocol that is not a step or a send: list, status, render, states, samples, and whatever
/// ragged spaces need. Its id is set here; batch, when it is not NULL, gives the handle.
///
/// request: stays the caller's. Returns the response, which the caller frees with gym_response_free; its message is of
/// the request's own kind. Or NULL: GYM_ARGUMENT, GYM_REFUSED, GYM_LOST, GYM_TIMEOUT, GYM_PROTOCOL, GYM_MEMORY.
Gym__V1__Response *gym_request(
    gym_client *client, const gym_batch *batch, Gym__V1__Request *request, gym_error *error);

/// Frees a response. NULL does nothing.
void gym_response_free(Gym__V1__Response *response);

/// What a batch is made with; fields that are 0 take their defaults, but for id.
typedef struct gym_make_options {
    /// "CartPole-v1".
    const char *id;
    /// Default: 1.
    uint32_t num_envs;
    /// Default: GYM__V1__AUTORESET_MODE__NEXT_STEP.
    Gym__V1__AutoresetMode autoreset;
    /// Default: GYM__V1__TRANSPORT__SOCKET.
    Gym__V1__Transport transport;
    /// Whether max_episode_steps counts; without it, the limit that is registered does.
    bool has_time_limit;
    /// 0: none.
    uint64_t max_episode_steps;
    /// Default: rendering will not be asked for.
    const char *render_mode;
    /// Whether observations are checked against their space.
    bool check_observations;
    /// Whether finite actions outside of a box's bounds are handed on.
    bool pass_out_of_bounds;
    /// The environment's options; stay the caller's.
    size_t n_options;
    Gym__V1__Option **options;
    /// Reset options that autoreset uses; stay the caller's.
    size_t n_autoreset_options;
    Gym__V1__Option **autoreset_options;
} gym_make_options;

/// Makes a batch. Spaces whose members differ in size (Text, Sequence, Graph, OneOf) are GYM_ARGUMENT: gym_request is
/// for them.
///
/// Returns the batch, which belongs to the client and may be freed earlier with gym_close, or NULL: GYM_ARGUMENT,
/// GYM_REFUSED (unknown ids, options, limits), GYM_LOST, GYM_TIMEOUT, GYM_PROTOCOL, GYM_MEMORY.
gym_batch *gym_make(gym_client *client, const gym_make_options *options, gym_error *error);

/// Closes the environments and frees the batch, also when it fails (GYM_LOST, GYM_TIMEOUT, GYM_PROTOCOL). A step under
/// way is waited for. NULL does nothing.
gym_status gym_close(gym_batch *batch, gym_error *error);

/// What the server said of the batch: spec, spaces, limits. The batch's own.
const Gym__V1__MakeResponse *gym_made(const gym_batch *batch);

/// A leaf of a batch: an array whose first axis are the environments, row-major.
typedef struct gym_tensor {
    Gym__V1__DType dtype;
    size_t n_shape;
    const uint32_t *shape;
    /// All of its bytes: size of them.
    void *data;
    size_t size;
} gym_tensor;

/// The leaves of the actions, in the order of the space; as many as gym_action_leaves says. Cannot fail. The caller writes the
/// members there before a step. Memory of the batch's own, or shared with the server: not to be written to between
/// gym_step_send and gym_step_receive.
const gym_tensor *gym_actions(const gym_batch *batch);
size_t gym_action_leaves(const gym_batch *batch);

/// What the last reset or step brought; n is the number of environments. Memory of the batch's own, or shared with the
/// server; what it holds is replaced by the next reset or step.
typedef struct gym_results {
    size_t n_observation;
    /// The leaves of the observations.
    const gym_tensor *observation;
    /// Under SAME_STEP: the last observations of episodes that ended, in the rows that terminated or were truncated;
    /// other rows hold anything. Otherwise NULL.
    const gym_tensor *final_observation;
    /// n of each.
    const double *rewards;
    const uint8_t *terminated;
    const uint8_t *truncated;
    /// Where an episode ended, the sum of its rewards and the number of its steps; other rows hold anything.
    const double *episode_returns;
    const int64_t *episode_lengths;
    /// After GYM_FAULT, the rows that failed.
    size_t n_faults;
    const uint32_t *fault_rows;
    /// After a reset, n seeds: for each row the one that its generator was last given.
    const uint64_t *effective_seeds;
} gym_results;

/// The batch's results; the pointer is valid as long as the batch is, its contents change with each reset and step.
const gym_results *gym_results_of(const gym_batch *batch);

/// Starts episodes. seeds: none (NULL, 0), one, of which row i gets i more, or one for each row. mask: NULL for all
/// rows, or one byte for each, 0 or 1. Neither is kept. gym_request has the whole of it: absent seeds, options, info.
///
/// Fails with GYM_REFUSED, GYM_FAULT, GYM_ARGUMENT (a step is under way), GYM_LOST, GYM_TIMEOUT, GYM_PROTOCOL,
/// GYM_MEMORY.
gym_status gym_reset(
    gym_batch *batch, const uint64_t *seeds, size_t n_seeds, const uint8_t *mask, gym_error *error);

/// Steps all environments with gym_actions. Fails as gym_reset does.
gym_status gym_step(gym_batch *batch, gym_error *error);

/// The same in two halves, so that other work is done meanwhile, other batches of the client included. Between them
/// the batch takes no other call but gym_close and gym_disconnect (GYM_ARGUMENT).
///
/// gym_step_send fails with GYM_ARGUMENT, GYM_LOST, GYM_TIMEOUT, GYM_MEMORY; nothing is under way then. gym_step_receive
/// fails as gym_reset does, with GYM_ARGUMENT when no step is under way; none is afterwards, however it ends.
gym_status gym_step_send(gym_batch *batch, gym_error *error);
gym_status gym_step_receive(gym_batch *batch, gym_error *error);

#ifdef __cplusplus
}
#endif

#endif
