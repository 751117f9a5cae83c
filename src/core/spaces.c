/* core/spaces.c - see spaces.h.  Spaces are few and made at start-up: names are looked up one by
 * one. */
#include "core/spaces.h"

bool nkvi_spaces_init(nkvi_spaces *spaces)
{
    nkvi_parray_init(&spaces->all);
    return pthread_mutex_init(&spaces->mu, NULL) == 0;
}

static void space_free(nkvi_space *space)
{
    if (space != NULL) {
        nkvi_free(space->name);
        nkvi_free(space);
    }
}

void nkvi_spaces_clear(nkvi_spaces *spaces)
{
    for (uint32_t i = 0; i < nkvi_parray_count(&spaces->all); i++) {
        space_free(nkvi_space_at(spaces, i));
    }
    nkvi_parray_clear(&spaces->all);
    pthread_mutex_destroy(&spaces->mu);
}

static bool add(nkvi_spaces *spaces, nkv_str name, uint32_t number)
{
    nkvi_space *space = number < NKVI_SPACES_MAX ? nkvi_calloc(1, sizeof *space) : NULL;
    if (space == NULL) {
        return false;
    }
    nkvi_fence_init(&space->fence);
    atomic_init(&space->realm, (uint64_t)number << NKVI_FLUSH_BITS);
    space->name = nkvi_strndup(name.data, name.len);
    space->name_len = name.len;
    if (space->name == NULL || !nkvi_parray_push(&spaces->all, space)) {
        space_free(space);
        return false;
    }
    return true;
}

bool nkvi_spaces_open(nkvi_spaces *spaces, nkv_str name, uint32_t *number)
{
    pthread_mutex_lock(&spaces->mu);
    uint32_t count = nkvi_parray_count(&spaces->all);
    uint32_t i = 0;
    while (i < count) {
        const nkvi_space *space = nkvi_space_at(spaces, i);
        if (space->name_len == name.len && memcmp(space->name, name.data, name.len) == 0) {
            break;
        }
        i++;
    }
    bool found = i < count || add(spaces, name, i);
    pthread_mutex_unlock(&spaces->mu);
    *number = i;
    return found;
}
