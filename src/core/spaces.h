/* core/spaces.h - spaces: numbers for what must never mix, with their fences and flush counts.
 *
 * An entry carries its realm: the number of its space and how often that had been flushed.  A flush
 * adds one, so every entry of the space is of another realm than what lookups ask for.
 *
 *      realm   | space, 16 bits | flushes, 48 bits |
 *
 * Threads  open takes a lock of its own; the rest is [any], lock-free. */
#ifndef NKVI_CORE_SPACES_H
#define NKVI_CORE_SPACES_H

#include <pthread.h>

#include "core/fence.h"
#include "core/parray.h"

#include <nearkv/status.h>

#define NKVI_FLUSH_BITS 48u
#define NKVI_SPACES_MAX (1u << (64 - NKVI_FLUSH_BITS))

typedef struct nkvi_space {
    _Atomic uint64_t realm;
    _Atomic uint64_t keys; /* of the present realm; changed under the cache's lock */
    char *name;
    size_t name_len;
    nkvi_fence fence;
} nkvi_space;

typedef struct nkvi_spaces {
    pthread_mutex_t mu;
    nkvi_parray all;
} nkvi_spaces;

bool nkvi_spaces_init(nkvi_spaces *spaces);
void nkvi_spaces_clear(nkvi_spaces *spaces);

/* The number of the space of that name, made if need be.  false: memory, or too many. */
bool nkvi_spaces_open(nkvi_spaces *spaces, nkv_str name, uint32_t *number);

static inline nkvi_space *nkvi_space_at(const nkvi_spaces *spaces, uint32_t number)
{
    return nkvi_parray_at(&spaces->all, number);
}

static inline uint64_t nkvi_realm_of(const nkvi_spaces *spaces, uint32_t number)
{
    return atomic_load_explicit(&nkvi_space_at(spaces, number)->realm, memory_order_acquire);
}

static inline uint32_t nkvi_realm_space(uint64_t realm)
{
    return (uint32_t)(realm >> NKVI_FLUSH_BITS);
}

/* Whether the realm is its space's present one. */
static inline bool nkvi_realm_stands(const nkvi_spaces *spaces, uint64_t realm)
{
    return nkvi_realm_of(spaces, nkvi_realm_space(realm)) == realm;
}

#endif
