// Frames over a Unix socket: hello, requests, responses, notices.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"

enum { header_size = 8, kind_request = 1, kind_response = 2, kind_notice = 3, deepest_nesting = 64 };

// What is taken from a server, which is told so: a gibibyte. Frames that come are believed only as far as they come, but
// somebody has to say where it ends.
static const size_t most_bytes = (size_t)1 << 30;
// Messages within one: protobuf-c makes some fifty bytes of each, which takes two to say.
enum { most_messages = 1 << 22 };

static const double hello_seconds = 10;

double gym_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void describe(gym_error *error, gym_status status, const char *format, va_list arguments) {
    error->status = status;
    error->code = GYM__V1__ERROR_CODE__ERROR_UNSPECIFIED;
    vsnprintf(error->message, sizeof error->message, format, arguments);
}

gym_status gym_fail(gym_error *error, gym_status status, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        describe(error, status, format, arguments);
        va_end(arguments);
    }
    return status;
}

gym_status gym_lose(gym_client *client, gym_error *error, gym_status status, const char *format, ...) {
    if (client->loss.status == GYM_OK) {
        va_list arguments;
        va_start(arguments, format);
        describe(&client->loss, status, format, arguments);
        va_end(arguments);
    }
    return gym_check(client, error);
}

gym_status gym_check(const gym_client *client, gym_error *error) {
    if (client->loss.status != GYM_OK && error) *error = client->loss;
    return client->loss.status;
}

gym_status gym_refused(gym_client *client, const Gym__V1__Error *refusal, gym_error *error) {
    gym_error failure;
    gym_fail(&failure, GYM_REFUSED, "%s", refusal->message ? refusal->message : "");
    failure.code = refusal->code;
    if (refusal->fatal && client->loss.status == GYM_OK) {
        client->loss = failure;
        // A fatal refusal ends the connection.
        client->loss.status = GYM_LOST;
    }
    if (error) *error = failure;
    return GYM_REFUSED;
}

// ---------------------------------------------------------------------------------------------- sending

static gym_status wait_for(gym_client *client, short events, double deadline, gym_error *error) {
    struct pollfd request = {.fd = client->socket, .events = events};
    for (;;) {
        int milliseconds = -1;
        if (deadline > 0) {
            double left = deadline - gym_now();
            if (left <= 0) return gym_lose(client, error, GYM_TIMEOUT, "the server did not answer in time");
            milliseconds = (int)(left * 1e3) + 1;
        }
        int ready = poll(&request, 1, milliseconds);
        if (ready > 0) return GYM_OK;
        if (ready < 0 && errno != EINTR) return gym_lose(client, error, GYM_LOST, "poll: %s", strerror(errno));
    }
}

static double deadline_of(const gym_client *client) {
    return client->timeout_seconds > 0 ? gym_now() + client->timeout_seconds : 0;
}

static gym_status reserve(uint8_t **memory, size_t *capacity, size_t needed, gym_error *error) {
    if (needed <= *capacity) return GYM_OK;
    size_t larger = *capacity * 2 > needed ? *capacity * 2 : needed;
    uint8_t *moved = realloc(*memory, larger);
    if (!moved) return gym_fail(error, GYM_MEMORY, "no memory for %zu bytes", larger);
    *memory = moved;
    *capacity = larger;
    return GYM_OK;
}

gym_status gym_send_request(gym_client *client, Gym__V1__Request *request, uint64_t *id, gym_error *error) {
    gym_status status = gym_check(client, error);
    if (status != GYM_OK) return status;
    request->id = *id = client->next_id++;
    size_t length = gym__v1__request__get_packed_size(request);
    uint64_t most = client->hello ? client->hello->hello->limits ? client->hello->hello->limits->max_frame_bytes : 0 : 0;
    if (length > UINT32_MAX || (most > 0 && length > most))
        return gym_fail(error, GYM_ARGUMENT, "the request takes %zu bytes, more than the server takes", length);
    status = reserve(&client->sending, &client->sending_capacity, header_size + length, error);
    if (status != GYM_OK) return status;
    for (int i = 0; i < 4; i++) client->sending[i] = (uint8_t)(length >> (8 * i));
    memcpy(client->sending + 4, (uint8_t[]){kind_request, 0, 0, 0}, 4);
    gym__v1__request__pack(request, client->sending + header_size);
    double deadline = deadline_of(client);
    for (size_t sent = 0; sent < header_size + length;) {
        ssize_t now = send(client->socket, client->sending + sent, header_size + length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (now >= 0) {
            sent += (size_t)now;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            status = wait_for(client, POLLOUT, deadline, error);
            if (status != GYM_OK) return status;
        } else if (errno != EINTR) {
            return gym_lose(client, error, GYM_LOST, "the server closed the connection (%s)", strerror(errno));
        }
    }
    return GYM_OK;
}

// ---------------------------------------------------------------------------------------------- receiving

// Receives until count bytes are there. What a header says is believed only as bytes arrive.
static gym_status fill(gym_client *client, size_t count, double deadline, gym_error *error) {
    while (client->received_count < count) {
        if (client->received_start > 0) {
            memmove(client->received, client->received + client->received_start, client->received_count);
            client->received_start = 0;
        }
        gym_status status = reserve(
            &client->received, &client->received_capacity, client->received_count + (1 << 14), error);
        if (status != GYM_OK) return gym_lose(client, error, GYM_MEMORY, "no memory for an answer");
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(4 * sizeof(int))];
        } control;
        struct iovec piece = {
            .iov_base = client->received + client->received_count,
            .iov_len = client->received_capacity - client->received_count};
        struct msghdr message = {
            .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        ssize_t now = recvmsg(client->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (now < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                return gym_lose(client, error, GYM_LOST, "receive: %s", strerror(errno));
            status = wait_for(client, POLLIN, deadline, error);
            if (status != GYM_OK) return status;
            continue;
        }
        for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
            if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
            size_t passed = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < passed; i++) {
                int descriptor;
                memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof descriptor);
                if (client->descriptor >= 0) close(client->descriptor);
                client->descriptor = descriptor;
            }
        }
        if (now == 0) return gym_lose(client, error, GYM_LOST, "the server closed the connection");
        client->received_count += (size_t)now;
    }
    return GYM_OK;
}

// protobuf-c recurses without a limit; a server that is not what it seems must not overflow the stack (X6).
static bool nests_safely(
    const uint8_t *bytes, size_t count, const ProtobufCMessageDescriptor *descriptor, int depth, size_t *messages) {
    if (depth > deepest_nesting || ++*messages > most_messages) return false;
    for (size_t at = 0; at < count;) {
        uint64_t number[2] = {0, 0};
        int numbers = 1;
        for (int n = 0; n < numbers; n++) {
            int shift = 0;
            for (;; shift += 7) {
                if (at == count || shift > 63) return false;
                uint8_t byte = bytes[at++];
                number[n] |= (uint64_t)(byte & 0x7F) << shift;
                if (byte < 0x80) break;
            }
            if (n == 0 && ((number[0] & 7) == 0 || (number[0] & 7) == 2)) numbers = 2;
        }
        size_t skipped = 0;
        switch (number[0] & 7) {
        case 0: break;
        case 1: skipped = 8; break;
        case 5: skipped = 4; break;
        case 2: {
            if (number[1] > count - at) return false;
            skipped = (size_t)number[1];
            const ProtobufCFieldDescriptor *field =
                protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(number[0] >> 3));
            if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
                !nests_safely(bytes + at, skipped, field->descriptor, depth + 1, messages))
                return false;
            break;
        }
        default: return false;
        }
        if (skipped > count - at) return false;
        at += skipped;
    }
    return true;
}

static gym_status take_notice(gym_client *client, const uint8_t *body, size_t length, gym_error *error) {
    size_t messages = 0;
    if (!nests_safely(body, length, &gym__v1__notice__descriptor, 0, &messages)) return GYM_OK;
    Gym__V1__Notice *notice = gym__v1__notice__unpack(NULL, length, body);
    gym_status status = GYM_OK;
    // Notices of other kinds are ignored (V5).
    if (notice && notice->message_case == GYM__V1__NOTICE__MESSAGE_SHUTTING_DOWN)
        status = gym_lose(client, error, GYM_LOST, "the server is shutting down: %s", notice->shutting_down->reason);
    else if (notice && notice->message_case == GYM__V1__NOTICE__MESSAGE_REAPED)
        status = gym_lose(
            client, error, GYM_LOST, "the server closed the connection after %u idle seconds",
            notice->reaped->idle_seconds);
    if (notice) gym__v1__notice__free_unpacked(notice, NULL);
    return status;
}

gym_status gym_read_response(gym_client *client, Gym__V1__Response **response, gym_error *error) {
    *response = NULL;
    double deadline = deadline_of(client);
    for (;;) {
        gym_status status = gym_check(client, error);
        if (status != GYM_OK) return status;
        status = fill(client, header_size, deadline, error);
        if (status != GYM_OK) return status;
        const uint8_t *header = client->received + client->received_start;
        size_t length =
            (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 | (size_t)header[3] << 24;
        uint8_t kind = header[4];
        if ((kind != kind_response && kind != kind_notice) || header[5] || header[6] || header[7])
            return gym_lose(client, error, GYM_PROTOCOL, "what the server sent is not a frame of gym.v1");
        if (length > most_bytes)
            return gym_lose(
                client, error, GYM_PROTOCOL, "the server sends a frame of %zu bytes; at most %zu are taken", length, most_bytes);
        status = fill(client, header_size + length, deadline, error);
        if (status != GYM_OK) return status;
        const uint8_t *body = client->received + client->received_start + header_size;
        client->received_start += header_size + length;
        client->received_count -= header_size + length;
        if (kind == kind_notice) {
            status = take_notice(client, body, length, error);
            if (status != GYM_OK) return status;
            continue;
        }
        size_t messages = 0;
        if (nests_safely(body, length, &gym__v1__response__descriptor, 0, &messages))
            *response = gym__v1__response__unpack(NULL, length, body);
        if (!*response) return gym_lose(client, error, GYM_PROTOCOL, "the server's frame is not a gym.v1.Response");
        return GYM_OK;
    }
}

gym_status gym_read_for_batches(gym_client *client, gym_error *error) {
    Gym__V1__Response *response;
    gym_status status = gym_read_response(client, &response, error);
    if (status != GYM_OK || (client->deliver && client->deliver(client, response))) return status;
    if (response->message_case == GYM__V1__RESPONSE__MESSAGE_ERROR && response->error->fatal) {
        status = gym_refused(client, response->error, NULL);
        gym_check(client, error);
        status = client->loss.status;
    } else {
        status = gym_lose(client, error, GYM_PROTOCOL, "the server answered what was not asked");
    }
    gym_response_free(response);
    return status;
}

gym_status gym_await(gym_client *client, uint64_t id, Gym__V1__Response **response, gym_error *error) {
    for (;;) {
        gym_status status = gym_read_response(client, response, error);
        if (status != GYM_OK) return status;
        bool is_error = (*response)->message_case == GYM__V1__RESPONSE__MESSAGE_ERROR;
        if ((*response)->id == id || (is_error && (*response)->error->fatal)) {
            if (!is_error) return GYM_OK;
            status = gym_refused(client, (*response)->error, error);
            gym_response_free(*response);
            *response = NULL;
            return status;
        }
        if (!client->deliver || !client->deliver(client, *response)) {
            gym_response_free(*response);
            *response = NULL;
            return gym_lose(client, error, GYM_PROTOCOL, "the server answered what was not asked");
        }
    }
}

bool gym_has_gone(const gym_client *client) {
    // Not by reading: what was sent and not read yet, a notice for instance, would hide the end.
    struct pollfd request = {.fd = client->socket, .events = POLLRDHUP};
    return poll(&request, 1, 0) > 0 && request.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

// ---------------------------------------------------------------------------------------------- connecting

void gym_response_free(Gym__V1__Response *response) {
    if (response) gym__v1__response__free_unpacked(response, NULL);
}

static gym_status open_socket(gym_client *client, const char *address, gym_error *error) {
    const char *path = strncmp(address, "unix:", 5) == 0 ? address + 5 : address;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(path) == 0 || strlen(path) >= sizeof name.sun_path)
        return gym_fail(
            error, GYM_ARGUMENT, "the socket's path has %zu bytes; it has to have 1 to %zu", strlen(path),
            sizeof name.sun_path - 1);
    memcpy(name.sun_path, path, strlen(path));
    client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->socket < 0) return gym_fail(error, GYM_CONNECT, "socket: %s", strerror(errno));
    int status;
    do status = connect(client->socket, (struct sockaddr *)&name, sizeof name);
    while (status < 0 && errno == EINTR);
    if (status < 0) return gym_fail(error, GYM_CONNECT, "no server at unix:%s (%s)", path, strerror(errno));
    return GYM_OK;
}

static gym_status greet(gym_client *client, const gym_connect_options *options, gym_error *error) {
    Gym__V1__HelloRequest hello = GYM__V1__HELLO_REQUEST__INIT;
    hello.major = 1;
    hello.minor = 1;
    hello.max_frame_bytes = most_bytes;
    hello.client_name = (char *)(options->name ? options->name : "libgymclient");
    hello.token = (char *)(options->token ? options->token : "");
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_HELLO;
    request.hello = &hello;
    uint64_t id;
    gym_status status = gym_send_request(client, &request, &id, error);
    if (status != GYM_OK) return status;
    status = gym_await(client, id, &client->hello, error);
    if (status != GYM_OK) return status;
    if (client->hello->message_case != GYM__V1__RESPONSE__MESSAGE_HELLO || client->hello->hello->major != 1)
        return gym_fail(error, GYM_PROTOCOL, "the server does not speak gym.v1");
    return GYM_OK;
}

gym_client *gym_connect(const char *address, const gym_connect_options *options, gym_error *error) {
    const gym_connect_options defaults = {0};
    if (!options) options = &defaults;
    gym_client *client = calloc(1, sizeof *client);
    if (!client) {
        gym_fail(error, GYM_MEMORY, "no memory for a client");
        return NULL;
    }
    client->socket = -1;
    client->descriptor = -1;
    client->next_id = 1;
    client->timeout_seconds = options->timeout_seconds > 0 ? options->timeout_seconds : hello_seconds;
    if (open_socket(client, address, error) != GYM_OK || greet(client, options, error) != GYM_OK) {
        gym_free_client(client);
        return NULL;
    }
    client->timeout_seconds = options->timeout_seconds;
    return client;
}

void gym_free_client(gym_client *client) {
    if (client->socket >= 0) close(client->socket);
    if (client->descriptor >= 0) close(client->descriptor);
    gym_response_free(client->hello);
    free(client->received);
    free(client->sending);
    free(client);
}

const Gym__V1__HelloResponse *gym_server(const gym_client *client) { return client->hello->hello; }
