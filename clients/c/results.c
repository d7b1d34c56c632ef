// Where results lie, and how they get there from a response.
#include <string.h>

#include "batch.h"

bool gym_make_set(gym_batch *batch, struct gym_result_set *set) {
    const Gym__V1__Space *space = batch->made->make->observation_space;
    set->observation = gym_make_leaves(batch, space, batch->n_observation);
    set->final_observation = batch->same_step ? gym_make_leaves(batch, space, batch->n_observation) : NULL;
    return set->observation && (!batch->same_step || set->final_observation);
}

bool gym_give_set_memory(gym_batch *batch, struct gym_result_set *set) {
    set->rewards = gym_own(batch, batch->count, sizeof *set->rewards);
    set->terminated = gym_own(batch, batch->count, 1);
    set->truncated = gym_own(batch, batch->count, 1);
    set->episode_returns = gym_own(batch, batch->count, sizeof *set->episode_returns);
    set->episode_lengths = gym_own(batch, batch->count, sizeof *set->episode_lengths);
    return set->rewards && set->terminated && set->truncated && set->episode_returns && set->episode_lengths &&
           gym_give_memory(batch, set->observation, batch->n_observation) &&
           (!batch->same_step || gym_give_memory(batch, set->final_observation, batch->n_observation));
}

void gym_show(gym_batch *batch, const struct gym_result_set *set) {
    batch->results.observation = set->observation;
    batch->results.final_observation = set->final_observation;
    batch->results.rewards = set->rewards;
    batch->results.terminated = set->terminated;
    batch->results.truncated = set->truncated;
    batch->results.episode_returns = set->episode_returns;
    batch->results.episode_lengths = set->episode_lengths;
}

// ---------------------------------------------------------------------------------------------- taking results

// Whether leaves fit the tensors (X6); rows: how many of the rows they have.
static bool leaves_fit(
    size_t n_leaves, Gym__V1__Leaf **leaves, size_t n_tensors, const gym_tensor *tensors, size_t rows, size_t count) {
    if (n_leaves != n_tensors) return false;
    for (size_t i = 0; i < n_leaves; i++) {
        if (leaves[i]->leaf_case != GYM__V1__LEAF__LEAF_TENSOR || !leaves[i]->tensor) return false;
        const Gym__V1__Tensor *tensor = leaves[i]->tensor;
        if (tensor->dtype != tensors[i].dtype || tensor->data.len != tensors[i].size / count * rows ||
            tensor->n_shape != tensors[i].n_shape || tensor->shape[0] != rows)
            return false;
        for (size_t axis = 1; axis < tensor->n_shape; axis++)
            if (tensor->shape[axis] != tensors[i].shape[axis]) return false;
    }
    return true;
}

// Copies bytes, of which there may be none.
static void copy(void *to, const void *from, size_t count) {
    if (count > 0) memcpy(to, from, count);
}

// Whether each fault is of an environment that there is, and there are no more than these.
static bool faults_fit(const gym_batch *batch, size_t n_faults, Gym__V1__Fault **faults) {
    if (n_faults > batch->count) return false;
    for (size_t i = 0; i < n_faults; i++)
        if (faults[i]->environment_index >= batch->count) return false;
    return true;
}

static void note_faults(gym_batch *batch, size_t n_faults, Gym__V1__Fault **faults) {
    batch->results.n_faults = n_faults;
    for (size_t i = 0; i < n_faults; i++) batch->fault_rows[i] = faults[i]->environment_index;
    if (n_faults > 0)
        gym_fail(
            &batch->outcome, GYM_FAULT, "%zu environments failed; environment %u: %s", n_faults,
            faults[0]->environment_index, faults[0]->message);
}

static bool take_step(gym_batch *batch, const Gym__V1__StepResponse *step) {
    struct gym_result_set *set = &batch->sets[0];
    size_t n = batch->count, k = step->n_final_index;
    if (!leaves_fit(step->n_observation, step->observation, batch->n_observation, set->observation, n, n) ||
        step->rewards.len != n * sizeof(double) || step->terminated.len != n || step->truncated.len != n || k > n ||
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
    // One byte, 0 or 1, whatever the server writes for true.
    for (size_t row = 0; row < n; row++) {
        set->terminated[row] = step->terminated.data[row] != 0;
        set->truncated[row] = step->truncated.data[row] != 0;
    }
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
    gym_show(batch, set);
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
            !faults_fit(batch, response->step->n_faults, response->step->faults) ||
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

gym_status gym_take_reset(gym_batch *batch, const Gym__V1__ResetResponse *reset, gym_error *error) {
    struct gym_result_set *set = &batch->sets[batch->memory ? 2 : 0];
    size_t n = batch->count;
    if (!leaves_fit(reset->n_observation, reset->observation, batch->n_observation, set->observation, n, n) ||
        reset->n_effective_seeds != n || !faults_fit(batch, reset->n_faults, reset->faults))
        return gym_lose(batch->client, error, GYM_PROTOCOL, "the answer to a reset does not fit the batch");
    for (size_t leaf = 0; leaf < batch->n_observation; leaf++)
        copy(set->observation[leaf].data, reset->observation[leaf]->tensor->data.data, set->observation[leaf].size);
    memcpy(batch->effective_seeds, reset->effective_seeds, n * sizeof *batch->effective_seeds);
    memset(set->rewards, 0, n * sizeof *set->rewards);
    memset(set->terminated, 0, n);
    memset(set->truncated, 0, n);
    gym_show(batch, set);
    batch->outcome.status = GYM_OK;
    note_faults(batch, reset->n_faults, reset->faults);
    if (batch->outcome.status != GYM_OK && error) *error = batch->outcome;
    return batch->outcome.status;
}
