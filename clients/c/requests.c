// Any request of the protocol that has no function of its own.
#include "batch.h"

Gym__V1__Response *gym_request(
    gym_client *client, const gym_batch *batch, Gym__V1__Request *request, gym_error *error) {
    if (request->message_case == GYM__V1__REQUEST__MESSAGE_STEP || request->message_case == GYM__V1__REQUEST__MESSAGE_MAKE ||
        request->message_case == GYM__V1__REQUEST__MESSAGE_HELLO || (batch && batch->awaits_step)) {
        gym_fail(error, GYM_ARGUMENT, "this request is made by a function of its own, or a step is under way");
        return NULL;
    }
    if (batch) request->handle = batch->handle;
    uint64_t id;
    Gym__V1__Response *response;
    if (gym_send_request(client, request, &id, error) != GYM_OK) return NULL;
    if (gym_await(client, id, &response, error) != GYM_OK) return NULL;
    // The cases of requests and responses have the same numbers.
    if ((int)response->message_case == (int)request->message_case) return response;
    gym_response_free(response);
    gym_lose(client, error, GYM_PROTOCOL, "the server's answer is of another kind");
    return NULL;
}

gym_status gym_ping(gym_client *client, gym_error *error) {
    Gym__V1__PingRequest ping = GYM__V1__PING_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_PING;
    request.ping = &ping;
    gym_error failure = {.status = GYM_OK};
    Gym__V1__Response *response = gym_request(client, NULL, &request, &failure);
    if (!response) {
        if (error) *error = failure;
        return failure.status;
    }
    gym_response_free(response);
    return GYM_OK;
}
