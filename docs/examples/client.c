#include <stdio.h>

#include "gymclient.h"

static int fail(const char *what, const gym_error *error) {
    fprintf(stderr, "%s: %s\n", what, error->message);
    return 1;
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: client unix:PATH\n"), 2;
    gym_error error;
    gym_client *client = gym_connect(arguments[1], NULL, &error);
    if (!client) return fail("connect", &error);
    gym_make_options options = {.id = "CartPole-v1", .num_envs = 8, .transport = GYM__V1__TRANSPORT__SHARED_MEMORY};
    gym_batch *batch = gym_make(client, &options, &error);
    if (!batch) return fail("make", &error);
    if (gym_reset(batch, (uint64_t[]){42}, 1, NULL, &error) != GYM_OK) return fail("reset", &error);

    // Both stay where they are; what lies there changes with each step.
    int64_t *actions = gym_actions(batch)[0].data;
    const gym_results *results = gym_results_of(batch);
    int episodes = 0;
    double total = 0;
    for (int step = 0; step < 500; step++) {
        const float *observations = results->observation[0].data; // 8 rows of 4
        for (int row = 0; row < 8; row++)
            actions[row] = observations[4 * row + 2] + observations[4 * row + 3] > 0;
        if (gym_step(batch, &error) != GYM_OK) return fail("step", &error);
        for (int row = 0; row < 8; row++) {
            if (!results->terminated[row] && !results->truncated[row]) continue;
            episodes++;
            total += results->episode_returns[row];
        }
    }
    printf("%d episodes, mean return %.1f\n", episodes, total / episodes);
    gym_disconnect(client); // and with it the batch
    return 0;
}
