/* core/pool.c - see pool.h.
 *
 *      class 0: 64 KiB, 1: 80, 2: 96, 3: 112, 4: 128, 5: 160 …      at most a fifth is wasted
 *
 *      [ nkvi_buffer, 64 bytes | the bytes …                 ]
 *
 * Invariant   the meter holds the cost of every metered buffer, whoever has it. */
#include "core/pool.h"

#include <assert.h>

#include "base/mem.h"
#include "core/store.h"

#define SPARE_MAX ((uint64_t)64 << 20)

struct nkvi_buffer {
    _Alignas(64) nkvi_store *store;
    nkvi_buffer *next; /* among the spares */
    uint64_t cost;     /* in the meter; 0: outside the budget */
    size_t room;
    unsigned size_class;
};

_Static_assert(sizeof(nkvi_buffer) == 64, "the bytes behind it stay aligned");

static nkvi_buffer *head_of(const void *buffer)
{
    return (nkvi_buffer *)(uintptr_t)buffer - 1;
}

/* The smallest class that holds `size`, and its bytes. */
static unsigned class_of(size_t size, size_t *room)
{
    unsigned size_class = 0;
    size_t base = NKVI_POOL_LEAST;
    size_t at = base;
    while (at < size && size_class < NKVI_POOL_CLASSES - 1) {
        size_class++;
        base = NKVI_POOL_LEAST << (size_class / 4);
        at = base + base / 4 * (size_class % 4);
    }
    *room = at < size ? size : at;
    return size_class;
}

bool nkvi_pool_init(nkvi_pool *pool, uint64_t bytes_max)
{
    pool->spare_max = bytes_max / 4 < SPARE_MAX ? bytes_max / 4 : SPARE_MAX;
    return pthread_mutex_init(&pool->mu, NULL) == 0;
}

void nkvi_pool_clear(nkvi_pool *pool)
{
    assert(pool->spare_bytes == 0);
    pthread_mutex_destroy(&pool->mu);
}

/* Takes a spare of this class out, or any (class NKVI_POOL_CLASSES), or returns NULL. */
static nkvi_buffer *pop(nkvi_pool *pool, unsigned size_class, size_t room)
{
    pthread_mutex_lock(&pool->mu);
    nkvi_buffer *found = NULL;
    for (unsigned i = 0; i < NKVI_POOL_CLASSES && found == NULL; i++) {
        nkvi_buffer *first = pool->spares[i];
        if (first != NULL &&
            (size_class == NKVI_POOL_CLASSES || (i == size_class && first->room >= room))) {
            found = first;
            pool->spares[i] = first->next;
            pool->spare_bytes -= first->cost;
        }
    }
    pthread_mutex_unlock(&pool->mu);
    return found;
}

static void *make(nkvi_store *store, size_t size, bool metered)
{
    size_t room;
    unsigned size_class = class_of(size, &room);
    if (room > SIZE_MAX / 2) {
        return NULL;
    }
    size_t bytes = sizeof(nkvi_buffer) + room;
    uint64_t cost = metered ? nkvi_mem_cost(bytes) : 0;
    if (!nkvi_meter_add(&store->meter, cost)) {
        return NULL;
    }
    nkvi_buffer *head = nkvi_alloc_huge(bytes);
    if (head == NULL) {
        nkvi_meter_sub(&store->meter, cost);
        return NULL;
    }
    *head = (nkvi_buffer){.store = store, .cost = cost, .room = room, .size_class = size_class};
    nkvi_store_hold(store);
    return head + 1;
}

void *nkvi_pool_take(nkvi_store *store, size_t size)
{
    size_t room;
    unsigned size_class = class_of(size, &room);
    nkvi_buffer *spare = pop(&store->pool, size_class, room);
    if (spare != NULL) {
        nkvi_store_hold(store);
        return spare + 1;
    }
    return make(store, size, true);
}

void *nkvi_pool_take_unmetered(nkvi_store *store, size_t size)
{
    return make(store, size, false);
}

static void discard(nkvi_buffer *head)
{
    nkvi_store *store = head->store;
    uint64_t cost = head->cost;
    nkvi_free(head);
    nkvi_meter_sub(&store->meter, cost);
}

/* Keeps it as a spare if there may be one more. */
static bool keep(nkvi_pool *pool, nkvi_buffer *head)
{
    pthread_mutex_lock(&pool->mu);
    bool kept =
        !pool->closed && head->cost > 0 && head->cost <= pool->spare_max - pool->spare_bytes;
    if (kept) {
        head->next = pool->spares[head->size_class];
        pool->spares[head->size_class] = head;
        pool->spare_bytes += head->cost;
    }
    pthread_mutex_unlock(&pool->mu);
    return kept;
}

void nkvi_pool_give(void *buffer, void *ud)
{
    (void)ud;
    nkvi_buffer *head = head_of(buffer);
    nkvi_store *store = head->store;
    if (!keep(&store->pool, head)) {
        discard(head);
    }
    nkvi_store_unhold(store);
}

uint64_t nkvi_pool_cost(const nkvi_store *store, const void *buffer)
{
    const nkvi_buffer *head = head_of(buffer);
    return head->store == store ? head->cost : 0;
}

size_t nkvi_pool_room(const void *buffer)
{
    return head_of(buffer)->room;
}

bool nkvi_pool_shrink(nkvi_store *store, uint64_t bytes)
{
    uint64_t freed = 0;
    while (freed < bytes) {
        nkvi_buffer *spare = pop(&store->pool, NKVI_POOL_CLASSES, 0);
        if (spare == NULL) {
            break;
        }
        freed += spare->cost;
        discard(spare);
    }
    return freed > 0;
}

void nkvi_pool_close(nkvi_pool *pool)
{
    pthread_mutex_lock(&pool->mu);
    pool->closed = true;
    pthread_mutex_unlock(&pool->mu);
    for (nkvi_buffer *spare; (spare = pop(pool, NKVI_POOL_CLASSES, 0)) != NULL;) {
        discard(spare);
    }
}
