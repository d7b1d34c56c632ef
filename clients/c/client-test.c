// Tests the library against a server with the environments of the conformance suite: client-test unix:PATH
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gymclient.h"

static int failures = 0;

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);             \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

static const Gym__V1__Transport transports[] = {GYM__V1__TRANSPORT__SOCKET, GYM__V1__TRANSPORT__SHARED_MEMORY};

static gym_client *connect_to(const char *address) {
    gym_error error = {0};
    gym_client *client = gym_connect(address, &(gym_connect_options){.name = "test", .timeout_seconds = 20}, &error);
    if (!client) {
        fprintf(stderr, "connect: %s\n", error.message);
        exit(1);
    }
    return client;
}

// A counter to limit.
static gym_batch *make_counters(
    gym_client *client, uint32_t count, int64_t limit, Gym__V1__AutoresetMode mode, Gym__V1__Transport transport) {
    Gym__V1__OptionValue value = GYM__V1__OPTION_VALUE__INIT;
    value.value_case = GYM__V1__OPTION_VALUE__VALUE_INTEGER;
    value.integer = limit;
    Gym__V1__Option option = GYM__V1__OPTION__INIT;
    option.name = "limit";
    option.value = &value;
    gym_error error = {0};
    gym_batch *batch = gym_make(
        client,
        &(gym_make_options){
            .id = "conformance/Counter-v0", .num_envs = count, .autoreset = mode, .transport = transport,
            .n_options = 1, .options = (Gym__V1__Option *[]){&option}},
        &error);
    if (!batch) {
        fprintf(stderr, "make: %s\n", error.message);
        exit(1);
    }
    return batch;
}

static int64_t count_of(const gym_tensor *observation, size_t row) { return ((int64_t *)observation[0].data)[2 * row]; }

static void autoreset_tables(gym_client *client) {
    for (int t = 0; t < 2; t++) {
        gym_error error = {0};
        gym_batch *batch = make_counters(client, 2, 2, GYM__V1__AUTORESET_MODE__SAME_STEP, transports[t]);
        const gym_results *results = gym_results_of(batch);
        EXPECT(gym_reset(batch, (uint64_t[]){5}, 1, NULL, &error) == GYM_OK);
        EXPECT(results->effective_seeds[0] == 5 && results->effective_seeds[1] == 6);
        EXPECT(count_of(results->observation, 1) == 0);
        EXPECT(gym_step(batch, &error) == GYM_OK);
        EXPECT(count_of(results->observation, 0) == 1 && results->rewards[0] == 1 && !results->terminated[0]);
        EXPECT(gym_step(batch, &error) == GYM_OK);
        EXPECT(count_of(results->observation, 1) == 0 && results->terminated[1] && !results->truncated[1]);
        EXPECT(count_of(results->final_observation, 1) == 2);
        EXPECT(results->episode_returns[1] == 2 && results->episode_lengths[1] == 2);
        EXPECT(gym_close(batch, &error) == GYM_OK);

        batch = make_counters(client, 1, 2, GYM__V1__AUTORESET_MODE__NEXT_STEP, transports[t]);
        results = gym_results_of(batch);
        EXPECT(gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK);
        const int64_t counts[] = {1, 2, 0, 1, 2};
        const double rewards[] = {1, 1, 0, 1, 1};
        for (int step = 0; step < 5; step++) {
            EXPECT(gym_step(batch, &error) == GYM_OK);
            EXPECT(count_of(results->observation, 0) == counts[step] && results->rewards[0] == rewards[step]);
        }
        EXPECT(results->final_observation == NULL);
        EXPECT(gym_close(batch, &error) == GYM_OK);

        batch = make_counters(client, 2, 1, GYM__V1__AUTORESET_MODE__DISABLED, transports[t]);
        results = gym_results_of(batch);
        EXPECT(gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK);
        EXPECT(gym_step(batch, &error) == GYM_OK);
        EXPECT(gym_step(batch, &error) == GYM_REFUSED && error.code == GYM__V1__ERROR_CODE__NEEDS_RESET);
        EXPECT(gym_reset(batch, NULL, 0, (uint8_t[]){1, 0}, &error) == GYM_OK);
        EXPECT(count_of(results->observation, 0) == 0 && count_of(results->observation, 1) == 1);
        EXPECT(gym_close(batch, &error) == GYM_OK);
    }
}

static void refusals(gym_client *client) {
    gym_error error = {0};
    EXPECT(!gym_make(client, &(gym_make_options){.id = "CartPol-v1"}, &error));
    EXPECT(error.status == GYM_REFUSED && error.code == GYM__V1__ERROR_CODE__UNKNOWN_ENVIRONMENT);
    EXPECT(strstr(error.message, "CartPole-v1") != NULL);
    EXPECT(!gym_make(client, NULL, &error) && error.status == GYM_ARGUMENT);
    for (int t = 0; t < 2; t++) {
        gym_batch *batch = make_counters(client, 2, 100, GYM__V1__AUTORESET_MODE__NEXT_STEP, transports[t]);
        EXPECT(gym_step(batch, &error) == GYM_REFUSED && error.code == GYM__V1__ERROR_CODE__NEEDS_RESET);
        EXPECT(gym_reset(batch, (uint64_t[]){1, 2, 3}, 3, NULL, &error) == GYM_REFUSED);
        EXPECT(error.code == GYM__V1__ERROR_CODE__INVALID_ARGUMENT);
        EXPECT(gym_reset(batch, (uint64_t[]){0}, 1, NULL, NULL) == GYM_OK);
        ((int64_t *)gym_actions(batch)[0].data)[1] = 7;
        EXPECT(gym_step(batch, &error) == GYM_REFUSED && error.code == GYM__V1__ERROR_CODE__INVALID_ACTION);
        ((int64_t *)gym_actions(batch)[0].data)[1] = 1;
        EXPECT(gym_step(batch, &error) == GYM_OK);
        EXPECT(count_of(gym_results_of(batch)->observation, 1) == 1);
        EXPECT(gym_step_receive(batch, &error) == GYM_ARGUMENT);
        EXPECT(gym_close(batch, &error) == GYM_OK);
    }
    EXPECT(gym_ping(client, &error) == GYM_OK);
    EXPECT(gym_close(NULL, NULL) == GYM_OK);
}

static void faults(gym_client *client) {
    for (int t = 0; t < 2; t++) {
        gym_error error = {0};
        gym_batch *batch = gym_make(
            client,
            &(gym_make_options){.id = "conformance/Fault-v0", .num_envs = 3, .transport = transports[t]}, &error);
        EXPECT(batch != NULL);
        if (!batch) return;
        const gym_results *results = gym_results_of(batch);
        int64_t *actions = gym_actions(batch)[0].data;
        EXPECT(gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK);
        memset(actions, 0, 3 * sizeof *actions);
        actions[1] = 1;
        EXPECT(gym_step(batch, &error) == GYM_FAULT);
        EXPECT(results->n_faults == 1 && results->fault_rows[0] == 1 && results->truncated[1]);
        EXPECT(results->rewards[0] == 1 && results->rewards[1] == 0);
        actions[1] = 0;
        EXPECT(gym_step(batch, &error) == GYM_OK && results->n_faults == 0);
        EXPECT(gym_close(batch, &error) == GYM_OK);
    }
}

// The same seed and actions by socket and by shared memory, in two halves that overlap.
static void same_bits(gym_client *client) {
    gym_error error = {0};
    gym_batch *batches[2];
    for (int t = 0; t < 2; t++) {
        batches[t] = gym_make(
            client, &(gym_make_options){.id = "CartPole-v1", .num_envs = 16, .transport = transports[t]}, &error);
        EXPECT(batches[t] != NULL);
        if (!batches[t]) return;
        EXPECT(gym_reset(batches[t], (uint64_t[]){7}, 1, NULL, &error) == GYM_OK);
    }
    for (int step = 0; step < 200; step++) {
        for (int t = 0; t < 2; t++) {
            int64_t *actions = gym_actions(batches[t])[0].data;
            for (int row = 0; row < 16; row++) actions[row] = (step / 3 + row) % 2;
            EXPECT(gym_step_send(batches[t], &error) == GYM_OK);
            EXPECT(gym_step_send(batches[t], &error) == GYM_ARGUMENT);
        }
        // Received in the other order than sent.
        for (int t = 1; t >= 0; t--) EXPECT(gym_step_receive(batches[t], &error) == GYM_OK);
        const gym_results *left = gym_results_of(batches[0]), *right = gym_results_of(batches[1]);
        EXPECT(memcmp(left->observation[0].data, right->observation[0].data, left->observation[0].size) == 0);
        EXPECT(memcmp(left->rewards, right->rewards, 16 * sizeof(double)) == 0);
        EXPECT(memcmp(left->terminated, right->terminated, 16) == 0);
    }
    // Left open: gym_disconnect frees them.
}

// Two batches by socket on one connection: answers reach whom they are for, in whichever order.
static void overlap(gym_client *client) {
    gym_error error = {0};
    gym_batch *first = make_counters(client, 1, 100, GYM__V1__AUTORESET_MODE__NEXT_STEP, GYM__V1__TRANSPORT__SOCKET);
    gym_batch *second = make_counters(client, 3, 100, GYM__V1__AUTORESET_MODE__NEXT_STEP, GYM__V1__TRANSPORT__SOCKET);
    EXPECT(gym_reset(first, NULL, 0, NULL, &error) == GYM_OK && gym_reset(second, NULL, 0, NULL, &error) == GYM_OK);
    for (int step = 1; step <= 20; step++) {
        EXPECT(gym_step_send(first, &error) == GYM_OK && gym_step_send(second, &error) == GYM_OK);
        EXPECT(gym_step_receive(second, &error) == GYM_OK && gym_step_receive(first, &error) == GYM_OK);
        EXPECT(count_of(gym_results_of(first)->observation, 0) == step);
        EXPECT(count_of(gym_results_of(second)->observation, 2) == step);
    }
    EXPECT(gym_step_send(first, &error) == GYM_OK);
    EXPECT(gym_close(first, &error) == GYM_OK);
    EXPECT(gym_close(second, &error) == GYM_OK);
}

// What only gym_request reaches: the list, states, a ragged space's refusal.
static void requests(gym_client *client) {
    gym_error error = {0};
    Gym__V1__ListRequest list = GYM__V1__LIST_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_LIST;
    request.list = &list;
    Gym__V1__Response *response = gym_request(client, NULL, &request, &error);
    EXPECT(response && response->list->n_environments > 0);
    gym_response_free(response);

    gym_batch *batch = make_counters(client, 1, 100, GYM__V1__AUTORESET_MODE__NEXT_STEP, GYM__V1__TRANSPORT__SOCKET);
    EXPECT(gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK && gym_step(batch, &error) == GYM_OK);
    Gym__V1__GetStateRequest get = GYM__V1__GET_STATE_REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_GET_STATE;
    request.get_state = &get;
    response = gym_request(client, batch, &request, &error);
    EXPECT(response && response->get_state->n_states == 1);
    EXPECT(gym_step(batch, &error) == GYM_OK);
    if (response) {
        Gym__V1__SetStateRequest set = GYM__V1__SET_STATE_REQUEST__INIT;
        set.n_states = 1;
        set.states = response->get_state->states;
        request.message_case = GYM__V1__REQUEST__MESSAGE_SET_STATE;
        request.set_state = &set;
        Gym__V1__Response *done = gym_request(client, batch, &request, &error);
        EXPECT(done != NULL);
        gym_response_free(done);
    }
    gym_response_free(response);
    EXPECT(gym_step(batch, &error) == GYM_OK && count_of(gym_results_of(batch)->observation, 0) == 2);

    Gym__V1__OptionValue value = GYM__V1__OPTION_VALUE__INIT;
    value.value_case = GYM__V1__OPTION_VALUE__VALUE_TEXT;
    value.text = "text";
    Gym__V1__Option option = GYM__V1__OPTION__INIT;
    option.name = "space";
    option.value = &value;
    gym_make_options ragged = {
        .id = "conformance/Echo-v0", .n_options = 1, .options = (Gym__V1__Option *[]){&option}};
    EXPECT(!gym_make(client, &ragged, &error) && error.status == GYM_ARGUMENT);
    value.text = "nested";
    gym_batch *nested = gym_make(client, &ragged, &error);
    EXPECT(nested && gym_action_leaves(nested) == 4 && gym_results_of(nested)->n_observation == 4);
    EXPECT(nested && gym_reset(nested, NULL, 0, NULL, &error) == GYM_OK && gym_step(nested, &error) == GYM_OK);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: client-test unix:PATH\n");
        return 2;
    }
    gym_error error = {0};
    EXPECT(!gym_connect("unix:/nonexistent/socket", NULL, &error) && error.status == GYM_CONNECT);
    EXPECT(!gym_connect("", NULL, &error) && error.status == GYM_ARGUMENT);
    gym_client *client = connect_to(arguments[1]);
    EXPECT(gym_server(client)->major == 1 && gym_server(client)->n_capabilities == 5);
    autoreset_tables(client);
    refusals(client);
    faults(client);
    overlap(client);
    requests(client);
    same_bits(client);
    // Two clients are independent of each other.
    gym_client *other = connect_to(arguments[1]);
    EXPECT(gym_ping(other, &error) == GYM_OK);
    gym_disconnect(client);
    EXPECT(gym_ping(other, &error) == GYM_OK);
    gym_disconnect(other);
    gym_disconnect(NULL);
    if (failures == 0) printf("all well\n");
    return failures == 0 ? 0 : 1;
}
