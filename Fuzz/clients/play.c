// Has the C client do all that it can with a server that plays hostile conversations to it.
//
//     play [--seconds N] [--most COUNT] [--found PREFIX] HOSTILE-SERVER replay FILE...
//     play [--seconds N] [--most COUNT] [--found PREFIX] HOSTILE-SERVER fuzz SEED FILE...
//
// Built with the sanitizers, which end it where the client does what it must not. A conversation that takes too long
// ends it as well. The conversation that brought that about is then kept in PREFIX-NUMBER.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gymclient.h"

// Seconds that one conversation may take: every wait in it is bounded, by a second or two.
#define HANG 120
// What the client waits for an answer, in seconds.
#define TIMEOUT 10
// The process that plays dies with the conversation that killed it; after so many another one takes over.
#define CONVERSATIONS_A_PROCESS 500

// Exit codes of a process that plays: there is more to come, or all is done. What a sanitizer ends has others.
enum { MORE = 64, DONE = 65 };

static char path[64];

// Nothing that a server says is worth so much memory; and what is not freed is a fault as well.
const char *__asan_default_options(void) {
    return "max_allocation_size_mb=256:detect_leaks=1:abort_on_error=0:exitcode=99";
}

// Adds up all bytes: a sanitizer sees what lies nowhere.
static unsigned look(const void *bytes, size_t size) {
    unsigned sum = 0;
    for (size_t index = 0; index < size; index++) sum += ((const unsigned char *)bytes)[index];
    return sum;
}

static unsigned look_at(const gym_batch *batch, uint32_t count) {
    const gym_results *results = gym_results_of(batch);
    unsigned sum = look(results->rewards, count * sizeof(double)) + look(results->terminated, count) +
        look(results->truncated, count) + look(results->episode_returns, count * sizeof(double)) +
        look(results->episode_lengths, count * sizeof(int64_t)) +
        look(results->fault_rows, results->n_faults * sizeof(uint32_t));
    for (size_t leaf = 0; leaf < results->n_observation; leaf++) {
        sum += look(results->observation[leaf].data, results->observation[leaf].size);
        if (results->final_observation)
            sum += look(results->final_observation[leaf].data, results->final_observation[leaf].size);
    }
    return sum;
}

// Makes a request that is its kind alone.
static Gym__V1__Response *ask(gym_client *client, const gym_batch *batch, Gym__V1__Request *request) {
    gym_error error;
    return gym_request(client, batch, request, &error);
}

static void ask_for_lists(gym_client *client) {
    Gym__V1__ListRequest list = GYM__V1__LIST_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_LIST;
    request.list = &list;
    gym_response_free(ask(client, NULL, &request));
}

static void ask_for_status(gym_client *client) {
    Gym__V1__StatusRequest status = GYM__V1__STATUS_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_STATUS;
    request.status = &status;
    gym_response_free(ask(client, NULL, &request));
}

// Samples actions, and asks whether they are actions.
static void sample(gym_client *client, gym_batch *batch) {
    Gym__V1__SampleRequest sample = GYM__V1__SAMPLE_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_SAMPLE;
    request.sample = &sample;
    Gym__V1__Response *response = ask(client, batch, &request);
    if (response && response->message_case == GYM__V1__RESPONSE__MESSAGE_SAMPLE) {
        Gym__V1__ContainsRequest contains = GYM__V1__CONTAINS_REQUEST__INIT;
        contains.n_members = response->sample->n_sample;
        contains.members = response->sample->sample;
        Gym__V1__Request question = GYM__V1__REQUEST__INIT;
        question.message_case = GYM__V1__REQUEST__MESSAGE_CONTAINS;
        question.contains = &contains;
        gym_response_free(ask(client, batch, &question));
    }
    gym_response_free(response);
}

static void save_and_restore(gym_client *client, gym_batch *batch) {
    Gym__V1__GetStateRequest get = GYM__V1__GET_STATE_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_GET_STATE;
    request.get_state = &get;
    Gym__V1__Response *response = ask(client, batch, &request);
    if (response && response->message_case == GYM__V1__RESPONSE__MESSAGE_GET_STATE) {
        Gym__V1__SetStateRequest set = GYM__V1__SET_STATE_REQUEST__INIT;
        set.n_states = response->get_state->n_states;
        set.states = response->get_state->states;
        Gym__V1__Request restoring = GYM__V1__REQUEST__INIT;
        restoring.message_case = GYM__V1__REQUEST__MESSAGE_SET_STATE;
        restoring.set_state = &set;
        gym_response_free(ask(client, batch, &restoring));
    }
    gym_response_free(response);
}

static void render(gym_client *client, gym_batch *batch) {
    Gym__V1__RenderRequest render = GYM__V1__RENDER_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_RENDER;
    request.render = &render;
    gym_response_free(ask(client, batch, &request));
}

static unsigned step(gym_batch *batch, uint32_t count) {
    gym_error error;
    for (size_t leaf = 0; leaf < gym_action_leaves(batch); leaf++)
        memset(gym_actions(batch)[leaf].data, 0, gym_actions(batch)[leaf].size);
    gym_step(batch, &error);
    return look_at(batch, count);
}

// The script of Tests/FuzzSupport/ClientScript.swift, in C.
static unsigned play(const char *id, uint32_t count, const char *mode, const char *transport, const char *render_mode) {
    gym_error error;
    unsigned sum = 0;
    gym_client *client =
        gym_connect(path, &(gym_connect_options){.name = "conversation", .timeout_seconds = TIMEOUT}, &error);
    if (!client) return 0;
    ask_for_lists(client);
    ask_for_status(client);
    gym_ping(client, &error);
    gym_batch *batch = gym_make(
        client,
        &(gym_make_options){
            .id = id,
            .num_envs = count,
            .autoreset = strcmp(mode, "same_step") == 0 ? GYM__V1__AUTORESET_MODE__SAME_STEP
                : strcmp(mode, "disabled") == 0         ? GYM__V1__AUTORESET_MODE__DISABLED
                                                        : GYM__V1__AUTORESET_MODE__NEXT_STEP,
            .transport = strcmp(transport, "shared_memory") == 0 ? GYM__V1__TRANSPORT__SHARED_MEMORY
                                                                 : GYM__V1__TRANSPORT__SOCKET,
            .render_mode = strcmp(render_mode, "none") == 0 ? NULL : render_mode,
        },
        &error);
    if (batch) {
        gym_reset(batch, (uint64_t[]){1}, 1, NULL, &error);
        sum += look_at(batch, count);
        sample(client, batch);
        for (int steps = 0; steps < 3; steps++) sum += step(batch, count);
        uint8_t mask[16] = {1};
        gym_reset(batch, NULL, 0, mask, &error);
        save_and_restore(client, batch);
        for (int steps = 0; steps < 4; steps++) sum += step(batch, count);
        render(client, batch);
        gym_close(batch, &error);
    }
    ask_for_status(client);
    gym_disconnect(client);
    return sum;
}

// Plays what the server says, in lines from it; writes the number of each to `progress`.
static int play_all(FILE *lines, int progress, double end, unsigned most) {
    char id[128], mode[32], transport[32], render_mode[32];
    unsigned number, count;
    for (int played = 0; played < CONVERSATIONS_A_PROCESS; played++) {
        if (fscanf(lines, "%u %127s %u %31s %31s %31s", &number, id, &count, mode, transport, render_mode) != 6)
            return DONE;
        if (pwrite(progress, &number, sizeof number, 0) != sizeof number) return 2;
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec + now.tv_nsec * 1e-9 > end || number >= most) return DONE;
        alarm(HANG);
        // Kept where the compiler cannot see that nobody looks.
        volatile unsigned seen = play(id, count, mode, transport, render_mode);
        (void)seen;
        alarm(0);
    }
    return MORE;
}

int main(int count, char **arguments) {
    double seconds = 1e9;
    unsigned most = UINT32_MAX;
    const char *found = NULL;
    int next = 1;
    for (; next + 1 < count && strncmp(arguments[next], "--", 2) == 0; next += 2) {
        if (strcmp(arguments[next], "--seconds") == 0) seconds = atof(arguments[next + 1]);
        if (strcmp(arguments[next], "--most") == 0) most = (unsigned)strtoul(arguments[next + 1], NULL, 10);
        if (strcmp(arguments[next], "--found") == 0) found = arguments[next + 1];
    }
    int is_fuzzing = count > next + 2 && strcmp(arguments[next + 1], "fuzz") == 0;
    if (count < next + 3) {
        fprintf(
            stderr, "usage: play [--seconds N] [--most COUNT] [--found PREFIX] HOSTILE-SERVER replay FILE...|fuzz SEED "
                    "[FILE...]\n");
        return 2;
    }
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    double end = start.tv_sec + seconds;
    char folder[] = "/tmp/swift-gym-play-XXXXXX", current[64], progress_path[64];
    if (!mkdtemp(folder)) return perror("mkdtemp"), 2;
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(current, sizeof current, "%s/current", folder);
    snprintf(progress_path, sizeof progress_path, "%s/progress", folder);
    signal(SIGPIPE, SIG_IGN);

    // The server writes lines into a pipe, and ends when the other one does.
    int lines[2], input[2];
    if (pipe(lines) != 0 || pipe(input) != 0) return perror("pipe"), 2;
    pid_t server = fork();
    if (server == 0) {
        dup2(input[0], 0);
        dup2(lines[1], 1);
        close(lines[0]);
        close(lines[1]);
        close(input[0]);
        close(input[1]);
        char **command = calloc((size_t)count + 4, sizeof *command);
        int used = 0;
        command[used++] = arguments[next];
        command[used++] = arguments[next + 1];
        if (is_fuzzing) command[used++] = arguments[next + 2];
        command[used++] = path;
        if (is_fuzzing) command[used++] = current;
        for (int index = next + 2 + is_fuzzing; index < count; index++) command[used++] = arguments[index];
        execv(command[0], command);
        perror(command[0]);
        _exit(2);
    }
    close(lines[1]);
    close(input[0]);
    // Read byte by byte: what one process has not used is the next one's.
    FILE *text = fdopen(lines[0], "r");
    setvbuf(text, NULL, _IONBF, 0);
    int progress = open(progress_path, O_RDWR | O_CREAT, 0600), status = 0;
    unsigned number = 0;
    do {
        pid_t player = fork();
        // Not _exit: at the end the sanitizer looks for what was not freed.
        if (player == 0) exit(play_all(text, progress, end, most));
        waitpid(player, &status, 0);
    } while (WIFEXITED(status) && WEXITSTATUS(status) == MORE);
    if (pread(progress, &number, sizeof number, 0) != sizeof number) number = 0;
    int failed = !(WIFEXITED(status) && WEXITSTATUS(status) == DONE);
    if (failed) {
        char fuzzed[80], kept[4096], command[9000];
        snprintf(fuzzed, sizeof fuzzed, "%s-%u", current, number);
        snprintf(kept, sizeof kept, "%s-%u", found ? found : current, number);
        const char *culprit = is_fuzzing ? fuzzed : arguments[next + 2 + number];
        snprintf(command, sizeof command, "cp '%s' '%s'", culprit, kept);
        fprintf(stderr, "conversation %u, %s, ended the client with status %x\n", number, culprit, (unsigned)status);
        if (found && system(command) == 0) fprintf(stderr, "it is kept in %s\n", kept);
    } else {
        printf("%u conversations\n", number + 1);
    }
    close(input[1]);
    kill(server, SIGKILL);
    int server_status = 0;
    waitpid(server, &server_status, 0);
    unlink(path);
    unlink(progress_path);
    // What the server wrote last, and the one before.
    for (unsigned written = number < 2 ? 0 : number - 2; written < number + 3; written++) {
        char name[80];
        snprintf(name, sizeof name, "%s-%u", current, written);
        unlink(name);
    }
    rmdir(folder);
    return failed;
}
