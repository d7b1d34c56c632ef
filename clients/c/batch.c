// Batches of environments: made, reset, stepped, closed.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static size_t element_size(Gym__V1__DType dtype) {
    static const size_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8};
    return (size_t)dtype < sizeof sizes / sizeof *sizes ? sizes[dtype] : 0;
}

// Memory that goes with the batch.
static void *own(gym_batch *batch, size_t size) {
    void *memory = calloc(1, size > 0 ? size : 1);
    void **owned = realloc(batch->owned, (batch->n_owned + 1) * sizeof *owned);
    if (owned) batch->owned = owned;
    if (!memory || !owned) {
        free(memory);
        return NULL;
    }
    batch->owned[batch->n_owned++] = memory;
    return memory;
}

// ---------------------------------------------------------------------------------------------- leaves

// The number of leaves of a space (T4); 0 when one of them is ragged.
static size_t leaf_count(const Gym__V1__Space *space) {
    size_t count = 0;
    switch (space->space_case) {
    case GYM__V1__SPACE__SPACE_BOX:
    case GYM__V1__SPACE__SPACE_DISCRETE:
    case GYM__V1__SPACE__SPACE_MULTI_DISCRETE:
    case GYM__V1__SPACE__SPACE_MULTI_BINARY: return 1;
    case GYM__V1__SPACE__SPACE_DICT:
        for (size_t i = 0; i < space->dict->n_entries; i++) {
            const Gym__V1__Space *member = space->dict->entries[i]->space;
            size_t leaves = member ? leaf_count(member) : 0;
            if (leaves == 0) return 0;
            count += leaves;
        }
        return count;
    case GYM__V1__SPACE__SPACE_TUPLE:
        for (size_t i = 0; i < space->tuple->n_spaces; i++) {
            size_t leaves = leaf_count(space->tuple->spaces[i]);
            if (leaves == 0) return 0;
            count += leaves;
        }
        return count;
    default: return 0;
    }
}

// Describes one leaf with a first axis of the environments; false when it is out of all proportion.
static bool describe_leaf(
    gym_batch *batch, gym_tensor *tensor, Gym__V1__DType dtype, size_t n_shape, const uint32_t *extents) {
    uint32_t *shape = own(batch, (n_shape + 1) * sizeof *shape);
    if (!shape) return false;
    shape[0] = (uint32_t)batch->count;
    tensor->dtype = dtype;
    tensor->n_shape = n_shape + 1;
    tensor->shape = shape;
    tensor->size = batch->count * element_size(dtype);
    for (size_t axis = 0; axis < n_shape; axis++) {
        shape[axis + 1] = extents[axis];
        if (__builtin_mul_overflow(tensor->size, (size_t)extents[axis], &tensor->size)) return false;
    }
    return element_size(dtype) > 0 && tensor->size <= SIZE_MAX / 2;
}

static bool describe_leaves(gym_batch *batch, const Gym__V1__Space *space, gym_tensor **next) {
    switch (space->space_case) {
    case GYM__V1__SPACE__SPACE_BOX:
        return space->box->low &&
               describe_leaf(batch, (*next)++, space->box->low->dtype, space->box->n_shape, space->box->shape);
    case GYM__V1__SPACE__SPACE_DISCRETE: return describe_leaf(batch, (*next)++, GYM__V1__DTYPE__INT64, 0, NULL);
    case GYM__V1__SPACE__SPACE_MULTI_DISCRETE:
        return describe_leaf(
            batch, (*next)++, GYM__V1__DTYPE__INT64, space->multi_discrete->n_shape, space->multi_discrete->shape);
    case GYM__V1__SPACE__SPACE_MULTI_BINARY:
        return describe_leaf(
            batch, (*next)++, GYM__V1__DTYPE__INT8, space->multi_binary->n_shape, space->multi_binary->shape);
    case GYM__V1__SPACE__SPACE_DICT:
        for (size_t i = 0; i < space->dict->n_entries; i++)
            if (!describe_leaves(batch, space->dict->entries[i]->space, next)) return false;
        return true;
    case GYM__V1__SPACE__SPACE_TUPLE:
        for (size_t i = 0; i < space->tuple->n_spaces; i++)
            if (!describe_leaves(batch, space->tuple->spaces[i], next)) return false;
        return true;
    default: return false;
    }
}

// The leaves of a space without memory for their data; NULL when it is ragged or out of memory.
static gym_tensor *make_leaves(gym_batch *batch, const Gym__V1__Space *space, size_t *count) {
    *count = space ? leaf_count(space) : 0;
    if (*count == 0) return NULL;
    gym_tensor *leaves = own(batch, *count * sizeof *leaves);
    gym_tensor *next = leaves;
    return leaves && describe_leaves(batch, space, &next) ? leaves : NULL;
}

static bool give_memory(gym_batch *batch, gym_tensor *leaves, size_t count) {
    for (size_t i = 0; i < count; i++) {
        leaves[i].data = own(batch, leaves[i].size);
        if (!leaves[i].data) return false;
    }
    return true;
}

static bool make_set(gym_batch *batch, struct gym_result_set *set) {
    const Gym__V1__Space *space = batch->made->make->observation_space;
    size_t count;
    set->observation = make_leaves(batch, space, &count);
    set->final_observation = batch->same_step ? make_leaves(batch, space, &count) : NULL;
    return set->observation && (!batch->same_step || set->final_observation);
}

static bool give_set_memory(gym_batch *batch, struct gym_result_set *set) {
    set->rewards = own(batch, batch->count * sizeof *set->rewards);
    set->terminated = own(batch, batch->count);
    set->truncated = own(batch, batch->count);
    set->episode_returns = own(batch, batch->count * sizeof *set->episode_returns);
    set->episode_lengths = own(batch, batch->count * sizeof *set->episode_lengths);
    return set->rewards && set->terminated && set->truncated && set->episode_returns && set->episode_lengths &&
           give_memory(batch, set->observation, batch->n_observation) &&
           (!batch->same_step || give_memory(batch, set->final_observation, batch->n_observation));
}

static void show(gym_batch *batch, const struct gym_result_set *set) {
    batch->results.observation = set->observation;
    batch->results.final_observation = set->final_observation;
    batch->results.rewards = set->rewards;
    batch->results.terminated = set->terminated;
    batch->results.truncated = set->truncated;
    batch->results.episode_returns = set->episode_returns;
    batch->results.episode_lengths = set->episode_lengths;
}

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

static gym_status set_up(gym_batch *batch, int descriptor, gym_error *error) {
    const Gym__V1__MakeResponse *made = batch->made->make;
    batch->handle = made->handle;
    batch->count = made->num_envs;
    batch->same_step = made->autoreset == GYM__V1__AUTORESET_MODE__SAME_STEP;
    if (batch->handle == 0 || batch->count == 0 || !made->action_space || !made->observation_space)
        return gym_lose(batch->client, error, GYM_PROTOCOL, "the answer to make lacks a part");
    if (leaf_count(made->action_space) == 0 || leaf_count(made->observation_space) == 0)
        return gym_fail(
            error, GYM_ARGUMENT, "members of the environment's spaces differ in size; gym_request is for them");
    batch->actions = make_leaves(batch, made->action_space, &batch->n_actions);
    batch->n_observation = leaf_count(made->observation_space);
    batch->results.n_observation = batch->n_observation;
    batch->fault_rows = own(batch, batch->count * sizeof *batch->fault_rows);
    batch->effective_seeds = own(batch, batch->count * sizeof *batch->effective_seeds);
    batch->results.fault_rows = batch->fault_rows;
    batch->results.effective_seeds = batch->effective_seeds;
    bool is_shared = made->transport == GYM__V1__TRANSPORT__SHARED_MEMORY;
    // With shared memory, resets have a set of their own: what the server's sets hold stays as it is (S8).
    struct gym_result_set *own_set = &batch->sets[is_shared ? 2 : 0];
    bool done = batch->actions && batch->fault_rows && batch->effective_seeds && make_set(batch, own_set) &&
                give_set_memory(batch, own_set);
    if (is_shared)
        done = done && make_set(batch, &batch->sets[0]) && make_set(batch, &batch->sets[1]);
    else
        done = done && give_memory(batch, batch->actions, batch->n_actions);
    if (!done) return gym_fail(error, GYM_MEMORY, "no memory for %zu environments", batch->count);
    show(batch, own_set);
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
    // What the server says of the number of environments decides how much memory is taken: it has to be the caller's own.
    const Gym__V1__MakeResponse *made =
        batch->made->message_case == GYM__V1__RESPONSE__MESSAGE_MAKE ? batch->made->make : NULL;
    uint32_t count = options->num_envs > 0 ? options->num_envs : 1;
    gym_status status =
        !made ? gym_lose(client, error, GYM_PROTOCOL, "the server's answer to make is of another kind")
        : made->num_envs != count
            ? gym_lose(client, error, GYM_PROTOCOL, "the server made %u environments of %u", made->num_envs, count)
            : set_up(batch, descriptor, error);
    if (descriptor >= 0) close(descriptor);
    if (status != GYM_OK) {
        if (client->loss.status == GYM_OK) close_handle(client, batch->handle, NULL);
        free_batch(batch);
        return NULL;
    }
    batch->next = client->batches;
    client->batches = batch;
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
    if (client->socket >= 0) close(client->socket);
    if (client->descriptor >= 0) close(client->descriptor);
    gym_response_free(client->hello);
    free(client->received);
    free(client->sending);
    free(client);
}

const Gym__V1__MakeResponse *gym_made(const gym_batch *batch) { return batch->made->make; }
const gym_tensor *gym_actions(const gym_batch *batch) { return batch->actions; }
size_t gym_action_leaves(const gym_batch *batch) { return batch->n_actions; }
const gym_results *gym_results_of(const gym_batch *batch) { return &batch->results; }

// ---------------------------------------------------------------------------------------------- taking results

// Whether leaves fit the tensors (X6); rows: how many of the rows they have.
static bool leaves_fit(
    size_t n_leaves, Gym__V1__Leaf **leaves, size_t n_tensors, const gym_tensor *tensors, size_t rows, size_t count) {
    if (n_leaves != n_tensors) return false;
    for (size_t i = 0; i < n_leaves; i++) {
        if (leaves[i]->leaf_case != GYM__V1__LEAF__LEAF_TENSOR || !leaves[i]->tensor) return false;
        const Gym__V1__Tensor *tensor = leaves[i]->tensor;
        if (tensor->dtype != tensors[i].dtype || tensor->data.len != tensors[i].size / count * rows) return false;
    }
    return true;
}

// Copies bytes, of which there may be none.
static void copy(void *to, const void *from, size_t count) {
    if (count > 0) memcpy(to, from, count);
}

static void note_faults(gym_batch *batch, size_t n_faults, Gym__V1__Fault **faults) {
    batch->results.n_faults = 0;
    for (size_t i = 0; i < n_faults && i < batch->count; i++)
        batch->fault_rows[batch->results.n_faults++] = faults[i]->environment_index;
    if (n_faults > 0)
        gym_fail(
            &batch->outcome, GYM_FAULT, "%zu environments failed; environment %u: %s", n_faults,
            faults[0]->environment_index, faults[0]->message);
}

static bool take_step(gym_batch *batch, const Gym__V1__StepResponse *step) {
    struct gym_result_set *set = &batch->sets[0];
    size_t n = batch->count, k = step->n_final_index;
    if (!leaves_fit(step->n_observation, step->observation, batch->n_observation, set->observation, n, n) ||
        step->rewards.len != n * sizeof(double) || step->terminated.len != n || step->truncated.len != n ||
        step->episode_returns.len != k * sizeof(double) || step->episode_lengths.len != k * sizeof(int64_t))
        return false;
    if (batch->same_step && k > 0 &&
        !leaves_fit(
            step->n_final_observation, step->final_observation, batch->n_observation, set->final_observation, k, n))
        return false;
    for (size_t i = 0; i < k; i++)
        if (step->final_index[i] >= n) return false;
    for (size_t leaf = 0; leaf < batch->n_observation; leaf++)
        copy(set->observation[leaf].data, step->observation[leaf]->tensor->data.data, set->observation[leaf].size);
    memcpy(set->rewards, step->rewards.data, step->rewards.len);
    memcpy(set->terminated, step->terminated.data, n);
    memcpy(set->truncated, step->truncated.data, n);
    for (size_t i = 0; i < k; i++) {
        size_t row = step->final_index[i];
        memcpy(&set->episode_returns[row], step->episode_returns.data + i * sizeof(double), sizeof(double));
        memcpy(&set->episode_lengths[row], step->episode_lengths.data + i * sizeof(int64_t), sizeof(int64_t));
        for (size_t leaf = 0; batch->same_step && leaf < batch->n_observation; leaf++) {
            size_t size = set->final_observation[leaf].size / n;
            copy(
                (uint8_t *)set->final_observation[leaf].data + row * size,
                step->final_observation[leaf]->tensor->data.data + i * size, size);
        }
    }
    show(batch, set);
    return true;
}

bool gym_deliver(gym_client *client, Gym__V1__Response *response) {
    for (gym_batch *batch = client->batches; batch; batch = batch->next) {
        bool is_its = batch->awaits_frame ? response->id == 0 && response->handle == batch->handle
                                          : batch->awaits_step && !batch->memory && response->id == batch->step_id;
        if (!is_its) continue;
        batch->awaits_step = batch->awaits_frame = false;
        batch->outcome.status = GYM_OK;
        batch->results.n_faults = 0;
        if (response->message_case == GYM__V1__RESPONSE__MESSAGE_ERROR)
            gym_refused(client, response->error, &batch->outcome);
        else if (
            response->message_case != GYM__V1__RESPONSE__MESSAGE_STEP ||
            (!batch->memory && !take_step(batch, response->step)))
            gym_lose(client, &batch->outcome, GYM_PROTOCOL, "the answer to a step does not fit the batch");
        else
            note_faults(batch, response->step->n_faults, response->step->faults);
        gym_response_free(response);
        return true;
    }
    return false;
}

// ---------------------------------------------------------------------------------------------- resetting

static gym_status take_reset(gym_batch *batch, const Gym__V1__ResetResponse *reset, gym_error *error) {
    struct gym_result_set *set = &batch->sets[batch->memory ? 2 : 0];
    size_t n = batch->count;
    if (!leaves_fit(reset->n_observation, reset->observation, batch->n_observation, set->observation, n, n) ||
        reset->n_effective_seeds != n)
        return gym_lose(batch->client, error, GYM_PROTOCOL, "the answer to a reset does not fit the batch");
    for (size_t leaf = 0; leaf < batch->n_observation; leaf++)
        copy(set->observation[leaf].data, reset->observation[leaf]->tensor->data.data, set->observation[leaf].size);
    memcpy(batch->effective_seeds, reset->effective_seeds, n * sizeof *batch->effective_seeds);
    memset(set->rewards, 0, n * sizeof *set->rewards);
    memset(set->terminated, 0, n);
    memset(set->truncated, 0, n);
    show(batch, set);
    batch->outcome.status = GYM_OK;
    note_faults(batch, reset->n_faults, reset->faults);
    if (batch->outcome.status != GYM_OK && error) *error = batch->outcome;
    return batch->outcome.status;
}

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
                 ? take_reset(batch, response->reset, error)
                 : gym_lose(batch->client, error, GYM_PROTOCOL, "the answer to a reset is of another kind");
    gym_response_free(response);
    return status;
}

// ---------------------------------------------------------------------------------------------- stepping

static gym_status send_step(gym_batch *batch, gym_error *error) {
    // Made anew for each step, with as many leaves as the space has: a handful.
    Gym__V1__Leaf leaves[batch->n_actions];
    Gym__V1__Tensor tensors[batch->n_actions];
    Gym__V1__Leaf *pointers[batch->n_actions];
    for (size_t i = 0; i < batch->n_actions; i++) {
        gym__v1__tensor__init(&tensors[i]);
        tensors[i].dtype = batch->actions[i].dtype;
        tensors[i].n_shape = batch->actions[i].n_shape;
        tensors[i].shape = (uint32_t *)batch->actions[i].shape;
        tensors[i].data = (ProtobufCBinaryData){.len = batch->actions[i].size, .data = batch->actions[i].data};
        gym__v1__leaf__init(&leaves[i]);
        leaves[i].leaf_case = GYM__V1__LEAF__LEAF_TENSOR;
        leaves[i].tensor = &tensors[i];
        pointers[i] = &leaves[i];
    }
    Gym__V1__StepRequest step = GYM__V1__STEP_REQUEST__INIT;
    step.n_action = batch->n_actions;
    step.action = pointers;
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
    if (ending != 2) show(batch, &batch->sets[(batch->sequence - 1) & 1]);
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
