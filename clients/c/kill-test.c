// Kills the server in the middle of a call, which has to fail within a second, and all that come after it at once:
// kill-test unix:PATH PROCESS step|receive|reset|make socket|shared-memory
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include "gymclient.h"

// The calls take as long as the environment allows, two seconds, and the server is killed long before that.
enum { slow_milliseconds = 2000, kill_milliseconds = 300 };
// A second is promised; the others are for a busy machine, and for valgrind.
static const double noticed_seconds = 20;

static int failures = 0;
#define EXPECT(condition) \
    ((condition) ? (void)0 : (void)(failures++, fprintf(stderr, "line %d: %s is not so\n", __LINE__, #condition)))

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

struct killing {
    pid_t process;
    double done;
};

static void *kill_later(void *argument) {
    struct killing *killing = argument;
    nanosleep(&(struct timespec){.tv_nsec = kill_milliseconds * 1000000L}, NULL);
    killing->done = now();
    kill(killing->process, SIGKILL);
    return NULL;
}

static gym_batch *make_slow(gym_client *client, Gym__V1__Transport transport, int64_t make_milliseconds, gym_error *error) {
    Gym__V1__OptionValue value = GYM__V1__OPTION_VALUE__INIT;
    value.value_case = GYM__V1__OPTION_VALUE__VALUE_INTEGER;
    value.integer = make_milliseconds;
    Gym__V1__Option option = GYM__V1__OPTION__INIT;
    option.name = "make_milliseconds";
    option.value = &value;
    return gym_make(
        client,
        &(gym_make_options){
            .id = "conformance/Slow-v0", .num_envs = 2, .transport = transport, .n_options = 1,
            .options = (Gym__V1__Option *[]){&option}},
        error);
}

// A reset with options is a request of its own: gym_reset has none.
static gym_status slow_reset(gym_client *client, gym_batch *batch, gym_error *error) {
    Gym__V1__OptionValue value = GYM__V1__OPTION_VALUE__INIT;
    value.value_case = GYM__V1__OPTION_VALUE__VALUE_INTEGER;
    value.integer = slow_milliseconds;
    Gym__V1__Option option = GYM__V1__OPTION__INIT;
    option.name = "milliseconds";
    option.value = &value;
    Gym__V1__ResetRequest reset = GYM__V1__RESET_REQUEST__INIT;
    reset.n_options = 1;
    reset.options = (Gym__V1__Option *[]){&option};
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_RESET;
    request.reset = &reset;
    Gym__V1__Response *response = gym_request(client, batch, &request, error);
    gym_status status = response ? GYM_OK : error->status;
    gym_response_free(response);
    return status;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: kill-test unix:PATH PROCESS step|receive|reset|make socket|shared-memory\n");
        return 2;
    }
    const char *what = arguments[3];
    Gym__V1__Transport transport =
        strcmp(arguments[4], "socket") == 0 ? GYM__V1__TRANSPORT__SOCKET : GYM__V1__TRANSPORT__SHARED_MEMORY;
    gym_error error = {0};
    // Without a limit of time: what ends the call is that the server has gone.
    gym_client *client = gym_connect(arguments[1], NULL, &error);
    gym_batch *batch = client ? make_slow(client, transport, 0, &error) : NULL;
    if (!batch || gym_reset(batch, NULL, 0, NULL, &error) != GYM_OK || gym_step(batch, &error) != GYM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    int64_t *actions = gym_actions(batch)[0].data;
    actions[0] = actions[1] = slow_milliseconds;
    if (strcmp(what, "receive") == 0) EXPECT(gym_step_send(batch, &error) == GYM_OK);

    struct killing killing = {.process = (pid_t)atoi(arguments[2])};
    pthread_t thread;
    if (pthread_create(&thread, NULL, kill_later, &killing) != 0) return 1;
    gym_status status = GYM_OK;
    if (strcmp(what, "step") == 0) status = gym_step(batch, &error);
    if (strcmp(what, "receive") == 0) status = gym_step_receive(batch, &error);
    if (strcmp(what, "reset") == 0) status = slow_reset(client, batch, &error);
    if (strcmp(what, "make") == 0) status = make_slow(client, transport, slow_milliseconds, &error) ? GYM_OK : error.status;
    double noticed = now();
    pthread_join(thread, NULL);
    EXPECT(status == GYM_LOST && error.status == GYM_LOST && strlen(error.message) > 0);
    EXPECT(noticed >= killing.done && noticed - killing.done < noticed_seconds);

    EXPECT(gym_step(batch, &error) == GYM_LOST);
    EXPECT(gym_step_send(batch, &error) == GYM_LOST);
    EXPECT(gym_step_receive(batch, &error) == GYM_ARGUMENT);
    EXPECT(gym_reset(batch, NULL, 0, NULL, &error) == GYM_LOST);
    EXPECT(gym_ping(client, &error) == GYM_LOST);
    EXPECT(!make_slow(client, transport, 0, &error) && error.status == GYM_LOST);
    EXPECT(gym_close(batch, &error) == GYM_LOST);
    gym_disconnect(client);
    return failures == 0 ? 0 : 1;
}
