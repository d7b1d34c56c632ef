// Batches of environments: made, reset, stepped, closed.
#include <stdlib.h>
#include <unistd.h>

#include "batch.h"

// ---------------------------------------------------------------------------------------------- making

static void free_batch(gym_batch *batch) {
    for (gym_batch **link = &batch->client->batches; *link; link = &(*link)->next) {
        if (*link != batch) continue;
        *link = batch->next;
        break;
    }
    gym_response_free(batch->made);
    for (size_t i = 0; i < batch->n_owned; i++) free(batch->owned[i]);
    free(batch->owned);
    gym_unmap_memory(batch);
    free(batch);
}

// One part of a step's request.
struct gym_action_parts {
    Gym__V1__Leaf leaf;
    Gym__V1__Tensor tensor;
};

// The request of a step, but for what the actions hold: it is the same for each.
static bool make_parts(gym_batch *batch) {
    batch->parts = gym_own(batch, batch->n_actions, sizeof *batch->parts);
    batch->part_pointers = gym_own(batch, batch->n_actions, sizeof *batch->part_pointers);
    if (!batch->parts || !batch->part_pointers) return false;
    for (size_t i = 0; i < batch->n_actions; i++) {
        const gym_tensor *action = &batch->actions[i];
        struct gym_action_parts *part = &batch->parts[i];
        gym__v1__tensor__init(&part->tensor);
        part->tensor.dtype = action->dtype;
        part->tensor.n_shape = action->n_shape;
        part->tensor.shape = (uint32_t *)action->shape;
        part->tensor.data = (ProtobufCBinaryData){.len = action->size, .data = action->data};
        gym__v1__leaf__init(&part->leaf);
        part->leaf.leaf_case = GYM__V1__LEAF__LEAF_TENSOR;
        part->leaf.tensor = &part->tensor;
        batch->part_pointers[i] = &part->leaf;
    }
    return true;
}

// Takes over what the server says that it made; asked: what it was to make.
static gym_status set_up(gym_batch *batch, const Gym__V1__MakeRequest *asked, int descriptor, gym_error *error) {
    const Gym__V1__MakeResponse *made = batch->made->make;
    batch->handle = made->handle;
    batch->count = asked->num_envs > 0 ? asked->num_envs : 1;
    batch->same_step = made->autoreset == GYM__V1__AUTORESET_MODE__SAME_STEP;
    bool is_as_asked = made->handle != 0 && made->num_envs == batch->count &&
                       made->transport == (asked->transport ? asked->transport : GYM__V1__TRANSPORT__SOCKET) &&
                       made->autoreset == (asked->autoreset ? asked->autoreset : GYM__V1__AUTORESET_MODE__NEXT_STEP);
    if (!is_as_asked || !gym_is_sound(made->action_space) || !gym_is_sound(made->observation_space))
        return gym_lose(batch->client, error, GYM_PROTOCOL, "the answer to make is not of what was asked for");
    if (!gym_count_leaves(made->action_space, &batch->n_actions) ||
        !gym_count_leaves(made->observation_space, &batch->n_observation))
        return gym_fail(
            error, GYM_ARGUMENT, "members of the environment's spaces differ in size; gym_request is for them");
    batch->actions = gym_make_leaves(batch, made->action_space, batch->n_actions);
    batch->results.n_observation = batch->n_observation;
    batch->fault_rows = gym_own(batch, batch->count, sizeof *batch->fault_rows);
    batch->effective_seeds = gym_own(batch, batch->count, sizeof *batch->effective_seeds);
    batch->results.fault_rows = batch->fault_rows;
    batch->results.effective_seeds = batch->effective_seeds;
    bool is_shared = made->transport == GYM__V1__TRANSPORT__SHARED_MEMORY;
    // With shared memory, resets have a set of their own: what the server's sets hold stays as it is (S8).
    struct gym_result_set *own_set = &batch->sets[is_shared ? 2 : 0];
    bool done = batch->actions && batch->fault_rows && batch->effective_seeds && gym_make_set(batch, own_set) &&
                gym_give_set_memory(batch, own_set);
    if (is_shared)
        done = done && gym_make_set(batch, &batch->sets[0]) && gym_make_set(batch, &batch->sets[1]);
    else
        done = done && gym_give_memory(batch, batch->actions, batch->n_actions) && make_parts(batch);
    if (!done) return gym_fail(error, GYM_MEMORY, "no memory for %zu environments", batch->count);
    gym_show(batch, own_set);
    return is_shared ? gym_map_memory(batch, descriptor, error) : GYM_OK;
}

static gym_status close_handle(gym_client *client, uint32_t handle, gym_error *error) {
    Gym__V1__CloseRequest part = GYM__V1__CLOSE_REQUEST__INIT;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.handle = handle;
    request.message_case = GYM__V1__REQUEST__MESSAGE_CLOSE;
    request.close = &part;
    uint64_t id;
    Gym__V1__Response *response;
    gym_status status = gym_send_request(client, &request, &id, error);
    if (status == GYM_OK) status = gym_await(client, id, &response, error);
    if (status == GYM_OK) gym_response_free(response);
    return status;
}

gym_batch *gym_make(gym_client *client, const gym_make_options *options, gym_error *error) {
    if (!options || !options->id) {
        gym_fail(error, GYM_ARGUMENT, "an environment's id is missing");
        return NULL;
    }
    Gym__V1__MakeRequest make = GYM__V1__MAKE_REQUEST__INIT;
    make.id = (char *)options->id;
    make.num_envs = options->num_envs;
    make.autoreset = options->autoreset;
    make.transport = options->transport;
    make.render_mode = (char *)(options->render_mode ? options->render_mode : "");
    make.check_observations = options->check_observations;
    make.pass_out_of_bounds = options->pass_out_of_bounds;
    make.n_options = options->n_options;
    make.options = options->options;
    make.n_autoreset_options = options->n_autoreset_options;
    make.autoreset_options = options->autoreset_options;
    if (options->has_time_limit) {
        make.time_limit_case = GYM__V1__MAKE_REQUEST__TIME_LIMIT_MAX_EPISODE_STEPS;
        make.max_episode_steps = options->max_episode_steps;
    }
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.message_case = GYM__V1__REQUEST__MESSAGE_MAKE;
    request.make = &make;
    gym_batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        gym_fail(error, GYM_MEMORY, "no memory for a batch");
        return NULL;
    }
    batch->client = client;
    uint64_t id;
    if (gym_send_request(client, &request, &id, error) != GYM_OK ||
        gym_await(client, id, &batch->made, error) != GYM_OK) {
        free(batch);
        return NULL;
    }
    int descriptor = client->descriptor;
    client->descriptor = -1;
    gym_status status =
        batch->made->message_case == GYM__V1__RESPONSE__MESSAGE_MAKE
            ? set_up(batch, &make, descriptor, error)
            : gym_lose(client, error, GYM_PROTOCOL, "the server's answer to make is of another kind");
    if (descriptor >= 0) close(descriptor);
    if (status != GYM_OK) {
        if (client->loss.status == GYM_OK) close_handle(client, batch->handle, NULL);
        free_batch(batch);
        return NULL;
    }
    batch->next = client->batches;
    client->batches = batch;
    client->deliver = gym_deliver;
    return batch;
}

gym_status gym_close(gym_batch *batch, gym_error *error) {
    if (!batch) return GYM_OK;
    if (batch->awaits_step) gym_step_receive(batch, NULL);
    gym_status status = close_handle(batch->client, batch->handle, error);
    free_batch(batch);
    return status;
}

void gym_disconnect(gym_client *client) {
    if (!client) return;
    while (client->batches) free_batch(client->batches);
    gym_free_client(client);
}

const Gym__V1__MakeResponse *gym_made(const gym_batch *batch) { return batch->made->make; }
const gym_tensor *gym_actions(const gym_batch *batch) { return batch->actions; }
size_t gym_action_leaves(const gym_batch *batch) { return batch->n_actions; }
const gym_results *gym_results_of(const gym_batch *batch) { return &batch->results; }

// ---------------------------------------------------------------------------------------------- resetting

gym_status gym_reset(
    gym_batch *batch, const uint64_t *seeds, size_t n_seeds, const uint8_t *mask, gym_error *error) {
    if (batch->awaits_step) return gym_fail(error, GYM_ARGUMENT, "a step of this batch is under way; receive it first");
    Gym__V1__Seed *values = calloc(n_seeds + 1, sizeof *values);
    Gym__V1__Seed **pointers = calloc(n_seeds + 1, sizeof *pointers);
    gym_status status = GYM_OK;
    if (!values || !pointers) status = gym_fail(error, GYM_MEMORY, "no memory for %zu seeds", n_seeds);
    for (size_t i = 0; status == GYM_OK && i < n_seeds; i++) {
        gym__v1__seed__init(&values[i]);
        values[i].seed_case = GYM__V1__SEED__SEED_VALUE;
        values[i].value = seeds[i];
        pointers[i] = &values[i];
    }
    Gym__V1__ResetRequest reset = GYM__V1__RESET_REQUEST__INIT;
    reset.n_seeds = n_seeds;
    reset.seeds = pointers;
    if (mask) reset.mask = (ProtobufCBinaryData){.len = batch->count, .data = (uint8_t *)mask};
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.handle = batch->handle;
    request.message_case = GYM__V1__REQUEST__MESSAGE_RESET;
    request.reset = &reset;
    uint64_t id;
    Gym__V1__Response *response = NULL;
    if (status == GYM_OK) status = gym_send_request(batch->client, &request, &id, error);
    free(values);
    free(pointers);
    if (status == GYM_OK) status = gym_await(batch->client, id, &response, error);
    if (status != GYM_OK) return status;
    status = response->message_case == GYM__V1__RESPONSE__MESSAGE_RESET
                 ? gym_take_reset(batch, response->reset, error)
                 : gym_lose(batch->client, error, GYM_PROTOCOL, "the answer to a reset is of another kind");
    gym_response_free(response);
    return status;
}

// ---------------------------------------------------------------------------------------------- stepping

static gym_status send_step(gym_batch *batch, gym_error *error) {
    Gym__V1__StepRequest step = GYM__V1__STEP_REQUEST__INIT;
    step.n_action = batch->n_actions;
    step.action = batch->part_pointers;
    Gym__V1__Request request = GYM__V1__REQUEST__INIT;
    request.handle = batch->handle;
    request.message_case = GYM__V1__REQUEST__MESSAGE_STEP;
    request.step = &step;
    return gym_send_request(batch->client, &request, &batch->step_id, error);
}

gym_status gym_step_send(gym_batch *batch, gym_error *error) {
    if (batch->awaits_step) return gym_fail(error, GYM_ARGUMENT, "a step of this batch is under way; receive it first");
    gym_status status = gym_check(batch->client, error);
    if (status == GYM_OK && batch->memory) gym_ring(batch);
    if (status == GYM_OK && !batch->memory) status = send_step(batch, error);
    batch->awaits_step = status == GYM_OK;
    return status;
}

static gym_status receive_shared(gym_batch *batch, gym_error *error) {
    uint32_t ending = 0;
    gym_status status = gym_wait_for_ring(batch, &ending, error);
    if (status != GYM_OK) return status;
    batch->outcome.status = GYM_OK;
    batch->results.n_faults = 0;
    // The client may not rely on what the memory says more than on a frame: there are four statuses (S6).
    if (ending > 2) return gym_lose(batch->client, error, GYM_LOST, "the server closed the environments");
    if (ending != 2) gym_show(batch, &batch->sets[(batch->sequence - 1) & 1]);
    if (ending == 0) return GYM_OK;
    batch->awaits_frame = true;
    while (batch->awaits_frame) {
        status = gym_read_for_batches(batch->client, error);
        if (status != GYM_OK) return status;
    }
    return GYM_OK;
}

gym_status gym_step_receive(gym_batch *batch, gym_error *error) {
    // Another batch's call may have taken this batch's answer: then nothing is awaited, and the outcome is there.
    gym_status status = GYM_OK;
    if (batch->memory) {
        if (!batch->awaits_step) return gym_fail(error, GYM_ARGUMENT, "no step of this batch is under way");
        status = receive_shared(batch, error);
        batch->awaits_step = batch->awaits_frame = false;
    } else {
        if (batch->step_id == 0) return gym_fail(error, GYM_ARGUMENT, "no step of this batch is under way");
        while (status == GYM_OK && batch->awaits_step) status = gym_read_for_batches(batch->client, error);
        batch->awaits_step = false;
        batch->step_id = 0;
    }
    if (status != GYM_OK) return status;
    if (batch->outcome.status != GYM_OK && error) *error = batch->outcome;
    return batch->outcome.status;
}

gym_status gym_step(gym_batch *batch, gym_error *error) {
    gym_status status = gym_step_send(batch, error);
    return status == GYM_OK ? gym_step_receive(batch, error) : status;
}
