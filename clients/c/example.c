// Plays an episode: example unix:PATH [ENVIRONMENT]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gymclient.h"

static int fail(const char *what, const gym_error *error) {
    fprintf(stderr, "example: %s: %s\n", what, error->message);
    return 1;
}

// Fills the actions from the server's own sampler (M30): it knows what is in the space.
static bool sample_actions(gym_client *client, gym_batch *batch, gym_error *error) {
    Gym__V1__SampleRequest sample = GYM__V1__SAMPLE_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_SAMPLE;
    request.sample = &sample;
    Gym__V1__Response *response = gym_request(client, batch, &request, error);
    if (!response) return false;
    const gym_tensor *actions = gym_actions(batch);
    bool fits = response->sample->n_sample == gym_action_leaves(batch);
    for (size_t i = 0; fits && i < response->sample->n_sample; i++) {
        const Gym__V1__Leaf *leaf = response->sample->sample[i];
        fits = leaf->leaf_case == GYM__V1__LEAF__LEAF_TENSOR && leaf->tensor->data.len == actions[i].size;
        if (fits && actions[i].size > 0) memcpy(actions[i].data, leaf->tensor->data.data, actions[i].size);
    }
    if (!fits) snprintf(error->message, sizeof error->message, "the sample does not fit the actions");
    gym_response_free(response);
    return fits;
}

static int play(gym_client *client, const char *id, gym_error *error) {
    gym_make_options options = {.id = id};
    for (size_t i = 0; i < gym_server(client)->n_capabilities; i++)
        if (strcmp(gym_server(client)->capabilities[i], "shared-memory.v1") == 0)
            options.transport = GYM__V1__TRANSPORT__SHARED_MEMORY;
    gym_batch *batch = gym_make(client, &options, error);
    if (!batch) return fail("make", error);
    if (gym_reset(batch, (uint64_t[]){42}, 1, NULL, error) != GYM_OK) return fail("reset", error);
    const gym_results *results = gym_results_of(batch);
    long steps = 0;
    do {
        if (!sample_actions(client, batch, error)) return fail("sample", error);
        if (gym_step(batch, error) != GYM_OK) return fail("step", error);
        steps++;
    } while (!results->terminated[0] && !results->truncated[0] && steps < 1000000);
    printf(
        "%s: %lld steps, return %g, %s\n", id, (long long)results->episode_lengths[0], results->episode_returns[0],
        results->terminated[0] ? "terminated" : "truncated");
    return gym_close(batch, error) == GYM_OK ? 0 : fail("close", error);
}

int main(int count, char **arguments) {
    if (count < 2 || count > 3) {
        fprintf(stderr, "usage: example unix:PATH [ENVIRONMENT]\n");
        return 2;
    }
    gym_error error;
    gym_client *client = gym_connect(arguments[1], &(gym_connect_options){.name = "example"}, &error);
    if (!client) return fail("connect", &error);
    int status = play(client, count == 3 ? arguments[2] : "CartPole-v1", &error);
    gym_disconnect(client);
    return status;
}
