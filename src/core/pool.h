/* core/pool.h - large buffers that are used again: receiving into fresh memory costs a page fault
 * for every 4 KiB, four times what the copy itself does.
 *
 * Buffers come in size classes from 64 KiB, four to a doubling, and count against the byte budget
 * of their cache from the moment they are taken: under way, as a cached answer, and as a spare.  A
 * buffer is handed to the cache as the block of a draft, with nkvi_pool_give as its free_fn.
 *
 *      take --> (received into) --> draft --> cached answer --> give --> spare --> take …
 *
 * Threads  [any]; one short lock of its own. */
#ifndef NKVI_CORE_POOL_H
#define NKVI_CORE_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NKVI_POOL_LEAST   ((size_t)64 << 10)
#define NKVI_POOL_CLASSES 64u

struct nkvi_store;
typedef struct nkvi_buffer nkvi_buffer; /* lies in front of the bytes */

typedef struct nkvi_pool {
    pthread_mutex_t mu;
    nkvi_buffer *spares[NKVI_POOL_CLASSES];
    uint64_t spare_bytes, spare_max;
    bool closed; /* the cache is gone: keep no spares */
} nkvi_pool;

bool nkvi_pool_init(nkvi_pool *pool, uint64_t bytes_max);
void nkvi_pool_close(nkvi_pool *pool);
void nkvi_pool_clear(nkvi_pool *pool);

/* A buffer of at least `size` bytes (>= NKVI_POOL_LEAST), 64-byte aligned, or NULL: memory or the
 * budget ran out.  See nkvi_cache_buffer for one that makes room. */
void *nkvi_pool_take(struct nkvi_store *store, size_t size);

/* One outside the budget: it is given back with nkvi_pool_give as well, and never kept. */
void *nkvi_pool_take_unmetered(struct nkvi_store *store, size_t size);

/* Gives a buffer back; `ud` is not used.  Fits nkvi_draft.free_fn. */
void nkvi_pool_give(void *buffer, void *ud);

/* What the buffer counts against the budget of `store`; 0: nothing, it is outside or another's. */
uint64_t nkvi_pool_cost(const struct nkvi_store *store, const void *buffer);

/* Bytes that fit into it. */
size_t nkvi_pool_room(const void *buffer);

/* Frees spares until at least `bytes` are freed or none is left; returns whether any was. */
bool nkvi_pool_shrink(struct nkvi_store *store, uint64_t bytes);

#endif
