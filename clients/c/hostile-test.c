// The library against servers that it should not trust (X6): this program is both. Nothing that such a server says may
// end it, or have it read or write what is not its own; it is run under valgrind and the sanitizers.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gymclient.h"

static int failures = 0;
#define EXPECT(condition)                                                                                    \
    ((condition) ? (void)0                                                                                   \
                 : (void)(failures++, fprintf(stderr, "%s, line %d: %s is not so\n", scene, __LINE__, #condition)))

// ---------------------------------------------------------------------------------------------- the server

// What the server does otherwise than a right one.
enum change {
    nothing,
    many_environments,
    another_mode,
    no_handle,
    shared_unasked,
    no_action_space,
    empty_action_space,
    unknown_dtype,
    box_that_grows,
    box_past_64_bits,
    box_of_many_axes,
    dict_without_space,
    rows_too_few,
    shape_of_another,
    seeds_too_few,
    faults_of_nobody,
    faults_too_many,
    final_row_of_nobody,
    final_rows_too_many,
    flags_of_255,
    step_of_another_kind,
    answer_to_nobody,
    frame_of_4_gib,
    frame_of_another_kind,
    frame_of_millions_of_parts,
    memory_outside,
    memory_overlaps,
    memory_in_the_control_block,
    memory_of_another_shape,
    memory_too_few_regions,
    memory_faults_of_nobody,
};

static const char *scene = "";
static enum change change;
// How many discrete spaces the action is a tuple of; 0: a single one. An empty one: -1.
static int tuple_of;
static int listener;
static char path[64];

enum { rows = 2, memory_size = 1 << 14 };

static bool exactly(int stream, void *data, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t now = recv(stream, (char *)data + done, count - done, 0);
        if (now <= 0) return false;
        done += (size_t)now;
    }
    return true;
}

static void send_all(int stream, const uint8_t *data, size_t count, int descriptor) {
    while (count > 0) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec piece = {.iov_base = (void *)data, .iov_len = count};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
        if (descriptor >= 0) {
            message.msg_control = control.bytes;
            message.msg_controllen = sizeof control.bytes;
            struct cmsghdr *part = CMSG_FIRSTHDR(&message);
            *part = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
            memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
        }
        ssize_t now = sendmsg(stream, &message, MSG_NOSIGNAL);
        if (now <= 0) return;
        descriptor = -1;
        data += now;
        count -= (size_t)now;
    }
}

static void send_frame(int stream, uint8_t kind, const uint8_t *body, size_t length, int descriptor) {
    uint8_t *frame = malloc(8 + length);
    memcpy(frame, (uint8_t[]){(uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16), (uint8_t)(length >> 24), kind, 0, 0, 0}, 8);
    if (length > 0) memcpy(frame + 8, body, length);
    send_all(stream, frame, 8 + length, descriptor);
    free(frame);
}

static void send_response(int stream, Gym__V1__Response *response, int descriptor) {
    size_t length = gym__v1__response__get_packed_size(response);
    uint8_t *body = malloc(length + 1);
    gym__v1__response__pack(response, body);
    send_frame(stream, 2, body, length, descriptor);
    free(body);
}

// A descriptor of memory as S1 asks for it.
static int sealed_memory(void) {
    int descriptor = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0 || ftruncate(descriptor, memory_size) != 0) abort();
    fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    return descriptor;
}

static void answer_make(int stream, const Gym__V1__Request *request) {
    // Observations: two numbers a row.
    float bounds[2] = {-1, 1};
    Gym__V1__Tensor low = GYM__V1__TENSOR__INIT, high = GYM__V1__TENSOR__INIT;
    low.dtype = high.dtype = change == unknown_dtype ? (Gym__V1__DType)77 : GYM__V1__DTYPE__FLOAT32;
    low.data = (ProtobufCBinaryData){.len = 4, .data = (uint8_t *)&bounds[0]};
    high.data = (ProtobufCBinaryData){.len = 4, .data = (uint8_t *)&bounds[1]};
    uint32_t shape[64] = {2};
    Gym__V1__BoxSpace box = GYM__V1__BOX_SPACE__INIT;
    box.n_shape = 1;
    box.shape = shape;
    box.low = &low;
    box.high = &high;
    if (change == box_that_grows) shape[0] = 1u << 31;
    if (change == box_past_64_bits) {
        box.n_shape = 3;
        for (int i = 0; i < 3; i++) shape[i] = UINT32_MAX;
    }
    if (change == box_of_many_axes) {
        box.n_shape = 64;
        for (int i = 0; i < 64; i++) shape[i] = 1;
    }
    Gym__V1__Space observation = GYM__V1__SPACE__INIT;
    observation.space_case = GYM__V1__SPACE__SPACE_BOX;
    observation.box = &box;

    Gym__V1__DiscreteSpace discrete = GYM__V1__DISCRETE_SPACE__INIT;
    discrete.n = 2;
    Gym__V1__Space single = GYM__V1__SPACE__INIT, action = GYM__V1__SPACE__INIT;
    single.space_case = GYM__V1__SPACE__SPACE_DISCRETE;
    single.discrete = &discrete;
    action = single;
    size_t members = tuple_of > 0 ? (size_t)tuple_of : 0;
    Gym__V1__Space **spaces = calloc(members + 1, sizeof *spaces);
    for (size_t i = 0; i < members; i++) spaces[i] = &single;
    Gym__V1__TupleSpace tuple = GYM__V1__TUPLE_SPACE__INIT;
    tuple.n_spaces = members;
    tuple.spaces = spaces;
    Gym__V1__DictEntry entry = GYM__V1__DICT_ENTRY__INIT;
    entry.key = "x";
    Gym__V1__DictSpace dict = GYM__V1__DICT_SPACE__INIT;
    dict.n_entries = 1;
    dict.entries = (Gym__V1__DictEntry *[]){&entry};
    if (tuple_of != 0) {
        gym__v1__space__init(&action);
        action.space_case = GYM__V1__SPACE__SPACE_TUPLE;
        action.tuple = &tuple;
    }
    if (change == empty_action_space) gym__v1__space__init(&action);
    if (change == dict_without_space) {
        gym__v1__space__init(&action);
        action.space_case = GYM__V1__SPACE__SPACE_DICT;
        action.dict = &dict;
    }

    Gym__V1__MakeResponse made = GYM__V1__MAKE_RESPONSE__INIT;
    made.handle = change == no_handle ? 0 : 1;
    made.num_envs = change == many_environments ? UINT32_MAX : request->make->num_envs;
    made.observation_space = &observation;
    made.action_space = change == no_action_space ? NULL : &action;
    made.autoreset = change == another_mode ? GYM__V1__AUTORESET_MODE__DISABLED : request->make->autoreset;
    bool is_shared = change >= memory_outside || change == shared_unasked;
    made.transport = is_shared ? GYM__V1__TRANSPORT__SHARED_MEMORY : GYM__V1__TRANSPORT__SOCKET;

    // One region of actions, and six of results twice: observation, rewards, flags, returns, lengths.
    enum { n_regions = 13 };
    static const Gym__V1__DType dtypes[] = {
        GYM__V1__DTYPE__FLOAT32, GYM__V1__DTYPE__FLOAT64, GYM__V1__DTYPE__BOOL,
        GYM__V1__DTYPE__BOOL,    GYM__V1__DTYPE__FLOAT64, GYM__V1__DTYPE__INT64};
    uint32_t shapes[n_regions][2];
    Gym__V1__Region regions[n_regions];
    for (int i = 0; i < n_regions; i++) {
        gym__v1__region__init(&regions[i]);
        regions[i].offset = 256 + 64 * (uint64_t)i;
        regions[i].dtype = i == 0 ? GYM__V1__DTYPE__INT64 : dtypes[(i - 1) % 6];
        shapes[i][0] = rows;
        shapes[i][1] = 2;
        regions[i].n_shape = i > 0 && (i - 1) % 6 == 0 ? 2 : 1;
        regions[i].shape = shapes[i];
    }
    Gym__V1__ResultRegions sets[2];
    Gym__V1__Region *observations[2][1];
    for (int set = 0; set < 2; set++) {
        Gym__V1__Region *first = &regions[1 + 6 * set];
        gym__v1__result_regions__init(&sets[set]);
        observations[set][0] = first;
        sets[set].n_observation = change == memory_too_few_regions ? 0 : 1;
        sets[set].observation = observations[set];
        sets[set].rewards = first + 1;
        sets[set].terminated = first + 2;
        sets[set].truncated = first + 3;
        sets[set].episode_returns = first + 4;
        sets[set].episode_lengths = first + 5;
    }
    if (change == memory_outside) regions[0].offset = UINT64_MAX - 63;
    if (change == memory_overlaps) regions[9].offset = regions[1].offset;
    if (change == memory_in_the_control_block) regions[0].offset = 64;
    if (change == memory_of_another_shape) shapes[0][0] = 1u << 31;
    Gym__V1__SharedMemory layout = GYM__V1__SHARED_MEMORY__INIT;
    layout.size = memory_size;
    layout.n_actions = 1;
    layout.actions = (Gym__V1__Region *[]){&regions[0]};
    layout.n_results = 2;
    layout.results = (Gym__V1__ResultRegions *[]){&sets[0], &sets[1]};
    if (is_shared) made.shared_memory = &layout;

    Gym__V1__Response response = GYM__V1__RESPONSE__INIT;
    response.id = request->id;
    response.message_case = GYM__V1__RESPONSE__MESSAGE_MAKE;
    response.make = &made;
    int descriptor = is_shared ? sealed_memory() : -1;
    send_response(stream, &response, descriptor);
    if (change == memory_faults_of_nobody) {
        // What comes of the first step is there before it is asked for.
        uint32_t *words = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        words[17] = 1;
        words[16] = 1;
        munmap(words, memory_size);
    }
    if (descriptor >= 0) close(descriptor);
    free(spaces);
}

static void answer_reset_or_step(int stream, const Gym__V1__Request *request) {
    bool is_step = request->message_case == GYM__V1__REQUEST__MESSAGE_STEP;
    uint8_t zeros[64] = {0}, flags[8];
    memset(flags, change == flags_of_255 ? 255 : 0, sizeof flags);
    Gym__V1__Tensor tensor = GYM__V1__TENSOR__INIT;
    tensor.dtype = GYM__V1__DTYPE__FLOAT32;
    uint32_t shape[2] = {change == rows_too_few ? 1 : rows, 2};
    if (change == shape_of_another) shape[0] = 4, shape[1] = 1;
    tensor.n_shape = 2;
    tensor.shape = shape;
    tensor.data = (ProtobufCBinaryData){.len = change == rows_too_few ? 8 : 16, .data = zeros};
    Gym__V1__Leaf leaf = GYM__V1__LEAF__INIT;
    leaf.leaf_case = GYM__V1__LEAF__LEAF_TENSOR;
    leaf.tensor = &tensor;
    Gym__V1__Leaf *leaves[] = {&leaf};
    Gym__V1__Fault fault = GYM__V1__FAULT__INIT;
    fault.environment_index = change == faults_too_many ? 0 : 4000000;
    Gym__V1__Fault *faults[5];
    for (int i = 0; i < 5; i++) faults[i] = &fault;
    size_t n_faults = change == faults_of_nobody || change == memory_faults_of_nobody ? 1 : change == faults_too_many ? 5 : 0;
    uint64_t seeds[rows] = {1, 2};
    Gym__V1__ResetResponse reset = GYM__V1__RESET_RESPONSE__INIT;
    reset.n_observation = 1;
    reset.observation = leaves;
    reset.n_effective_seeds = change == seeds_too_few ? 1 : rows;
    reset.effective_seeds = seeds;
    reset.n_faults = change == memory_faults_of_nobody ? 0 : n_faults;
    reset.faults = faults;
    Gym__V1__StepResponse step = GYM__V1__STEP_RESPONSE__INIT;
    step.n_observation = 1;
    step.observation = leaves;
    step.rewards = (ProtobufCBinaryData){.len = 8 * rows, .data = zeros};
    step.terminated = (ProtobufCBinaryData){.len = rows, .data = flags};
    step.truncated = (ProtobufCBinaryData){.len = rows, .data = zeros};
    uint32_t final_rows[4] = {change == final_row_of_nobody ? 4000000000u : 1, 1, 1, 1};
    step.n_final_index = change == final_row_of_nobody ? 1 : change == final_rows_too_many ? 4 : 0;
    step.final_index = final_rows;
    step.episode_returns = (ProtobufCBinaryData){.len = 8 * step.n_final_index, .data = zeros};
    step.episode_lengths = step.episode_returns;
    step.n_faults = n_faults;
    step.faults = faults;
    Gym__V1__PingResponse ping = GYM__V1__PING_RESPONSE__INIT;
    Gym__V1__Response response = GYM__V1__RESPONSE__INIT;
    response.id = request->id;
    response.handle = request->handle;
    response.message_case = is_step ? GYM__V1__RESPONSE__MESSAGE_STEP : GYM__V1__RESPONSE__MESSAGE_RESET;
    if (is_step)
        response.step = &step;
    else
        response.reset = &reset;
    if (change == step_of_another_kind && is_step) {
        response.message_case = GYM__V1__RESPONSE__MESSAGE_PING;
        response.ping = &ping;
    }
    if (change == answer_to_nobody) response.id += 4711;
    send_response(stream, &response, -1);
    if (change == memory_faults_of_nobody && !is_step) {
        response.id = 0;
        response.message_case = GYM__V1__RESPONSE__MESSAGE_STEP;
        response.step = &step;
        step.n_observation = 0;
        step.rewards.len = step.terminated.len = step.truncated.len = 0;
        send_response(stream, &response, -1);
    }
}

static void answer(int stream, const Gym__V1__Request *request) {
    Gym__V1__Response response = GYM__V1__RESPONSE__INIT;
    response.id = request->id;
    response.handle = request->handle;
    Gym__V1__HelloResponse hello = GYM__V1__HELLO_RESPONSE__INIT;
    Gym__V1__PingResponse ping = GYM__V1__PING_RESPONSE__INIT;
    Gym__V1__CloseResponse closed = GYM__V1__CLOSE_RESPONSE__INIT;
    switch (request->message_case) {
    case GYM__V1__REQUEST__MESSAGE_HELLO:
        hello.major = 1;
        hello.minor = request->hello->minor;
        response.message_case = GYM__V1__RESPONSE__MESSAGE_HELLO;
        response.hello = &hello;
        break;
    case GYM__V1__REQUEST__MESSAGE_MAKE: answer_make(stream, request); return;
    case GYM__V1__REQUEST__MESSAGE_RESET:
    case GYM__V1__REQUEST__MESSAGE_STEP: answer_reset_or_step(stream, request); return;
    case GYM__V1__REQUEST__MESSAGE_CLOSE:
        response.message_case = GYM__V1__RESPONSE__MESSAGE_CLOSE;
        response.close = &closed;
        break;
    default:
        if (change == frame_of_4_gib) {
            send_all(stream, (uint8_t[]){255, 255, 255, 255, 2, 0, 0, 0}, 8, -1);
            return;
        }
        if (change == frame_of_another_kind) {
            send_all(stream, (uint8_t[]){0, 0, 0, 0, 1, 0, 0, 0}, 8, -1);
            return;
        }
        if (change == frame_of_millions_of_parts) {
            // Twenty megabytes of empty environments in a list: of each, two bytes make a struct.
            size_t count = 10 << 20, at = 0;
            uint8_t *body = malloc(2 * count + 16);
            memcpy(body, (uint8_t[]){0x9A, 0x01}, 2);
            at = 2;
            for (size_t rest = 2 * count;; rest >>= 7) {
                body[at++] = (uint8_t)(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0);
                if (rest <= 0x7F) break;
            }
            for (size_t i = 0; i < count; i++, at += 2) body[at] = 0x0A, body[at + 1] = 0;
            send_frame(stream, 2, body, at, -1);
            free(body);
            return;
        }
        response.message_case = GYM__V1__RESPONSE__MESSAGE_PING;
        response.ping = &ping;
    }
    send_response(stream, &response, -1);
}

static void *serve(void *unused) {
    (void)unused;
    for (;;) {
        int stream = accept(listener, NULL, NULL);
        if (stream < 0) return NULL;
        uint8_t header[8];
        while (exactly(stream, header, sizeof header)) {
            size_t length = (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 | (size_t)header[3] << 24;
            uint8_t *body = malloc(length + 1);
            bool is_there = exactly(stream, body, length);
            Gym__V1__Request *request = is_there ? gym__v1__request__unpack(NULL, length, body) : NULL;
            free(body);
            if (!request) break;
            answer(stream, request);
            gym__v1__request__free_unpacked(request, NULL);
        }
        close(stream);
    }
}

// ---------------------------------------------------------------------------------------------- the client

static gym_client *begin(const char *name, enum change what, int members) {
    scene = name;
    change = what;
    tuple_of = members;
    gym_error error;
    gym_client *client = gym_connect(path, &(gym_connect_options){.timeout_seconds = 60}, &error);
    if (!client) {
        fprintf(stderr, "%s: connect: %s\n", name, error.message);
        exit(1);
    }
    return client;
}

static gym_batch *make(gym_client *client, bool is_shared, gym_error *error) {
    gym_make_options options = {.id = "x", .num_envs = rows, .autoreset = GYM__V1__AUTORESET_MODE__NEXT_STEP};
    if (is_shared) options.transport = GYM__V1__TRANSPORT__SHARED_MEMORY;
    return gym_make(client, &options, error);
}

static void refuses_make(const char *name, enum change what) {
    gym_client *client = begin(name, what, 0);
    gym_error error = {0};
    EXPECT(make(client, what >= memory_outside, &error) == NULL);
    EXPECT(error.status == GYM_PROTOCOL);
    gym_disconnect(client);
}

static void refuses_results(const char *name, enum change what, bool in_reset) {
    gym_client *client = begin(name, nothing, 0);
    gym_error error = {0};
    gym_batch *batch = make(client, false, &error);
    EXPECT(batch != NULL);
    if (batch) {
        if (!in_reset) EXPECT(gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK);
        change = what;
        EXPECT((in_reset ? gym_reset(batch, NULL, 0, NULL, &error) : gym_step(batch, &error)) == GYM_PROTOCOL);
        EXPECT(gym_ping(client, &error) == GYM_PROTOCOL);
    }
    gym_disconnect(client);
}

static void steps(const char *name, int members, size_t leaves) {
    gym_client *client = begin(name, nothing, members);
    gym_error error = {0};
    gym_batch *batch = make(client, false, &error);
    if (!batch) fprintf(stderr, "%s: %s\n", name, error.message);
    EXPECT(batch != NULL);
    if (batch) {
        EXPECT(gym_action_leaves(batch) == leaves);
        EXPECT(gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK);
        for (int i = 0; i < 2; i++) EXPECT(gym_step(batch, &error) == GYM_OK);
        EXPECT(gym_close(batch, &error) == GYM_OK);
    }
    gym_disconnect(client);
}

static void *small_stack(void *unused) {
    (void)unused;
    steps("a tuple of a hundred thousand, and little stack", 100000, 100000);
    return NULL;
}

static void refuses_frames(const char *name, enum change what) {
    gym_client *client = begin(name, what, 0);
    gym_error error = {0};
    EXPECT(gym_ping(client, &error) == GYM_PROTOCOL);
    gym_disconnect(client);
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/hostile-test-%d", (int)getpid());
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path);
    pthread_t server;
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 8) != 0 ||
        pthread_create(&server, NULL, serve, NULL) != 0)
        return 1;

    steps("a right server", 0, 1);
    steps("a tuple of three", 3, 3);
    steps("an empty tuple", -1, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    // Enough for protobuf-c, and a fraction of what a leaf each would take.
    pthread_attr_setstacksize(&attributes, 512 << 10);
    pthread_t stepper;
    if (pthread_create(&stepper, &attributes, small_stack, NULL) != 0) return 1;
    pthread_join(stepper, NULL);
    pthread_attr_destroy(&attributes);

    refuses_make("more environments than asked for", many_environments);
    refuses_make("another mode", another_mode);
    refuses_make("no handle", no_handle);
    refuses_make("shared memory that nobody asked for", shared_unasked);
    refuses_make("no action space", no_action_space);
    refuses_make("an empty action space", empty_action_space);
    refuses_make("an unknown dtype", unknown_dtype);
    refuses_make("a box that grows", box_that_grows);
    refuses_make("a box past 64 bits", box_past_64_bits);
    refuses_make("a box of many axes", box_of_many_axes);
    refuses_make("an entry without space", dict_without_space);
    refuses_make("regions outside", memory_outside);
    refuses_make("regions that overlap", memory_overlaps);
    refuses_make("a region in the control block", memory_in_the_control_block);
    refuses_make("a region of another shape", memory_of_another_shape);
    refuses_make("regions that are missing", memory_too_few_regions);

    refuses_results("a reset of too few rows", rows_too_few, true);
    refuses_results("a reset of another shape", shape_of_another, true);
    refuses_results("too few seeds", seeds_too_few, true);
    refuses_results("faults of nobody in a reset", faults_of_nobody, true);
    refuses_results("a step of too few rows", rows_too_few, false);
    refuses_results("a step of another shape", shape_of_another, false);
    refuses_results("faults of nobody", faults_of_nobody, false);
    refuses_results("more faults than environments", faults_too_many, false);
    refuses_results("an end in no row", final_row_of_nobody, false);
    refuses_results("more ends than rows", final_rows_too_many, false);
    refuses_results("a step that is a ping", step_of_another_kind, false);
    refuses_results("an answer to nobody", answer_to_nobody, false);

    gym_error error = {0};
    gym_client *client = begin("flags of 255", nothing, 0);
    gym_batch *batch = make(client, false, &error);
    EXPECT(batch && gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK);
    change = flags_of_255;
    EXPECT(batch && gym_step(batch, &error) == GYM_OK && gym_results_of(batch)->terminated[1] == 1);
    gym_disconnect(client);

    client = begin("faults of nobody, beside shared memory", memory_faults_of_nobody, 0);
    batch = make(client, true, &error);
    EXPECT(batch && gym_reset(batch, NULL, 0, NULL, &error) == GYM_OK);
    EXPECT(batch && gym_step(batch, &error) == GYM_PROTOCOL);
    gym_disconnect(client);

    refuses_frames("a frame of four gibibytes", frame_of_4_gib);
    refuses_frames("a frame of another kind", frame_of_another_kind);
    refuses_frames("a frame of millions of parts", frame_of_millions_of_parts);

    shutdown(listener, SHUT_RDWR);
    pthread_join(server, NULL);
    close(listener);
    unlink(path);
    if (failures > 0) fprintf(stderr, "%d expectations failed\n", failures);
    return failures > 0;
}
