// The leaves of spaces: how many, of which dtype and shape, and memory for them.
#include <stdlib.h>

#include "batch.h"

// What a member may take: 256 MiB a leaf, and as many leaves as a frame can name. A space says nothing of its size but
// these numbers, which are a few bytes.
static const size_t most_leaf_bytes = (size_t)1 << 28;
enum { most_axes = 32 };

size_t gym_element_size(Gym__V1__DType dtype) {
    static const size_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8};
    return (size_t)dtype < sizeof sizes / sizeof *sizes ? sizes[dtype] : 0;
}

void *gym_own(gym_batch *batch, size_t count, size_t size) {
    // Twice as many places when they are used up, so that many leaves do not take the square of their number.
    if ((batch->n_owned & (batch->n_owned - 1)) == 0) {
        void **owned = realloc(batch->owned, (batch->n_owned > 0 ? 2 * batch->n_owned : 1) * sizeof *owned);
        if (!owned) return NULL;
        batch->owned = owned;
    }
    // calloc looks after the product.
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory) batch->owned[batch->n_owned++] = memory;
    return memory;
}

bool gym_count_leaves(const Gym__V1__Space *space, size_t *count) {
    switch (space->space_case) {
    case GYM__V1__SPACE__SPACE_BOX:
    case GYM__V1__SPACE__SPACE_DISCRETE:
    case GYM__V1__SPACE__SPACE_MULTI_DISCRETE:
    case GYM__V1__SPACE__SPACE_MULTI_BINARY: ++*count; return true;
    case GYM__V1__SPACE__SPACE_DICT:
        for (size_t i = 0; i < space->dict->n_entries; i++)
            if (!gym_count_leaves(space->dict->entries[i]->space, count)) return false;
        return true;
    case GYM__V1__SPACE__SPACE_TUPLE:
        for (size_t i = 0; i < space->tuple->n_spaces; i++)
            if (!gym_count_leaves(space->tuple->spaces[i], count)) return false;
        return true;
    default: return false;
    }
}

// The bytes of a member's leaf; false when there are too many.
static bool leaf_bytes(Gym__V1__DType dtype, size_t n_shape, const uint32_t *shape, size_t *bytes) {
    *bytes = gym_element_size(dtype);
    if (*bytes == 0 || n_shape > most_axes) return false;
    for (size_t axis = 0; axis < n_shape; axis++)
        if (__builtin_mul_overflow(*bytes, (size_t)shape[axis], bytes)) return false;
    return *bytes <= most_leaf_bytes;
}

// Dtype and shape of a space that is one leaf.
static void leaf_of(const Gym__V1__Space *space, Gym__V1__DType *dtype, size_t *n_shape, const uint32_t **shape) {
    *dtype = GYM__V1__DTYPE__INT64;
    *n_shape = 0;
    *shape = NULL;
    switch (space->space_case) {
    case GYM__V1__SPACE__SPACE_BOX:
        *dtype = space->box->low ? space->box->low->dtype : GYM__V1__DTYPE__DTYPE_UNSPECIFIED;
        *n_shape = space->box->n_shape;
        *shape = space->box->shape;
        break;
    case GYM__V1__SPACE__SPACE_MULTI_DISCRETE:
        *n_shape = space->multi_discrete->n_shape;
        *shape = space->multi_discrete->shape;
        break;
    case GYM__V1__SPACE__SPACE_MULTI_BINARY:
        *dtype = GYM__V1__DTYPE__INT8;
        *n_shape = space->multi_binary->n_shape;
        *shape = space->multi_binary->shape;
        break;
    default: break;
    }
}

bool gym_is_sound(const Gym__V1__Space *space) {
    if (!space) return false;
    Gym__V1__DType dtype;
    size_t n_shape, bytes;
    const uint32_t *shape;
    switch (space->space_case) {
    case GYM__V1__SPACE__SPACE__NOT_SET: return false;
    case GYM__V1__SPACE__SPACE_BOX:
    case GYM__V1__SPACE__SPACE_DISCRETE:
    case GYM__V1__SPACE__SPACE_MULTI_DISCRETE:
    case GYM__V1__SPACE__SPACE_MULTI_BINARY:
        leaf_of(space, &dtype, &n_shape, &shape);
        return leaf_bytes(dtype, n_shape, shape, &bytes);
    case GYM__V1__SPACE__SPACE_DICT:
        for (size_t i = 0; i < space->dict->n_entries; i++)
            if (!gym_is_sound(space->dict->entries[i]->space)) return false;
        return true;
    case GYM__V1__SPACE__SPACE_TUPLE:
        for (size_t i = 0; i < space->tuple->n_spaces; i++)
            if (!gym_is_sound(space->tuple->spaces[i])) return false;
        return true;
    // Ragged ones have no place in a batch, whatever they are.
    default: return true;
    }
}

// Describes the leaves from *next on, each with a first axis of the environments.
static bool describe(gym_batch *batch, const Gym__V1__Space *space, gym_tensor **next) {
    if (space->space_case == GYM__V1__SPACE__SPACE_DICT) {
        for (size_t i = 0; i < space->dict->n_entries; i++)
            if (!describe(batch, space->dict->entries[i]->space, next)) return false;
        return true;
    }
    if (space->space_case == GYM__V1__SPACE__SPACE_TUPLE) {
        for (size_t i = 0; i < space->tuple->n_spaces; i++)
            if (!describe(batch, space->tuple->spaces[i], next)) return false;
        return true;
    }
    gym_tensor *tensor = (*next)++;
    size_t n_shape, bytes;
    const uint32_t *extents;
    leaf_of(space, &tensor->dtype, &n_shape, &extents);
    uint32_t *shape = gym_own(batch, n_shape + 1, sizeof *shape);
    if (!shape || !leaf_bytes(tensor->dtype, n_shape, extents, &bytes)) return false;
    shape[0] = (uint32_t)batch->count;
    for (size_t axis = 0; axis < n_shape; axis++) shape[axis + 1] = extents[axis];
    tensor->n_shape = n_shape + 1;
    tensor->shape = shape;
    return !__builtin_mul_overflow(batch->count, bytes, &tensor->size) && tensor->size <= SIZE_MAX / 2;
}

gym_tensor *gym_make_leaves(gym_batch *batch, const Gym__V1__Space *space, size_t count) {
    gym_tensor *leaves = gym_own(batch, count, sizeof *leaves);
    gym_tensor *next = leaves;
    return leaves && describe(batch, space, &next) ? leaves : NULL;
}

bool gym_give_memory(gym_batch *batch, gym_tensor *leaves, size_t count) {
    for (size_t i = 0; i < count; i++) {
        leaves[i].data = gym_own(batch, leaves[i].size, 1);
        if (!leaves[i].data) return false;
    }
    return true;
}
