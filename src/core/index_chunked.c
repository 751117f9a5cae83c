/* core/index_chunked.c - a table of 64-byte chunks that readers search without a lock.
 *
 *      chunk, one cache line                            slots, two lines each
 *      +-----------------+----------+-----------+
 *      | 12 tags of 1 B  | overflow | 12 x slot | ---> [ meta hash … | name ]
 *      +-----------------+----------+-----------+
 *        0 free, else      how many cells went past this chunk because it was full
 *        0x80 | 7 bits of the hash
 *
 * A hash begins at one chunk; where that is full the cell goes to the next one of the hash's own
 * walk (an odd step, so it comes by every chunk), and the chunks that were passed count it.  A
 * lookup compares 12 tags at once, tries the slots whose tag matches, and is done at the first
 * chunk that nobody had to pass: nearly always the first.  Cells never move, so a reader cannot
 * miss one that is there all the time; a removal just frees its cell and takes its counts back.
 *
 *      insert      slot, then tag               a reader that sees the tag sees the slot
 *      replace     one store over the old slot  a reader sees one or the other
 *      remove      tag to 0, then the counts    a reader that still has the slot finds it dropped
 *      grow        a table of twice the size is filled, then published; the old ones stay until
 *                  the end, with what they had: a slot found in one is tried like any other
 *
 * What is found is only a guess: nkvi_slot_try() decides (slot.h).  A reader that finds its slot
 * dropped looks again, because a put may just have replaced it.
 *
 * Several queries go in stages of 16: fetch the chunks, fetch the slots that the tags point to,
 * then answer in order; the memory is waited for once per stage and not once per query.
 *
 * Threads   find is [any], lock-free; everything else @locks the cache's. */
#include "core/index.h"

#include <assert.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define CELLS      12u
#define CELLS_MASK 0xfffu
#define LOAD_MAX   10u /* cells of a chunk that are used before the table grows, on average */
#define LOAD_FIRST 7u  /* the same for a table that is made for a known number of keys */
#define AGAIN      4   /* times that a lookup is repeated because its slot was being replaced */
#define HEAD_CELL  (1u << 31) /* the cell is under the hash of the key, not the slot's own */
#define TAGS_UPPER UINT64_C(0xffffffff)
#define OVERFLOWED (UINT64_C(1) << 32)
#define CHUNKS_MAX (UINT64_C(1) << 28)

typedef struct chunk {
    _Alignas(64) _Atomic uint64_t lower; /* tags 0 to 7 */
    _Atomic uint64_t upper;              /* tags 8 to 11, overflow above */
    _Atomic uint32_t slots[CELLS];
} chunk;

_Static_assert(sizeof(chunk) == 64, "one cache line");

typedef struct table {
    chunk *chunks;
    uint64_t mask; /* chunks - 1 */
    struct table *old;
} table;

typedef struct chunked_index {
    nkvi_index base;
    _Atomic(table *) table; /* NULL: nothing was inserted yet */
    uint64_t used;          /* cells */
    uint64_t keys;          /* expected; 0: not known */
} chunked_index;

/* ---- Chunks ---------------------------------------------------------------------------------- */

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(0x80u | (hash >> 57));
}

static uint64_t step_of(uint8_t tag)
{
    return 2 * (uint64_t)tag + 1;
}

/* The cells whose tag is this one, a bit each. */
static unsigned match(uint64_t lower, uint64_t upper, uint8_t tag)
{
#if defined(__SSE2__)
    __m128i tags = _mm_set_epi64x((long long)upper, (long long)lower);
    __m128i same = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));
    return (unsigned)_mm_movemask_epi8(same) & CELLS_MASK;
#else
    unsigned bits = 0;
    for (unsigned i = 0; i < CELLS; i++) {
        uint64_t word = i < 8 ? lower >> (8 * i) : upper >> (8 * (i - 8));
        bits |= (unsigned)((uint8_t)word == tag) << i;
    }
    return bits;
#endif
}

static unsigned tags_of(const chunk *at, uint8_t tag, bool *overflowed)
{
    uint64_t lower = atomic_load_explicit(&at->lower, memory_order_acquire);
    uint64_t upper = atomic_load_explicit(&at->upper, memory_order_acquire);
    *overflowed = upper >= OVERFLOWED;
    return match(lower, upper, tag);
}

static void set_tag(chunk *at, unsigned cell, uint8_t tag)
{
    _Atomic uint64_t *word = cell < 8 ? &at->lower : &at->upper;
    unsigned shift = 8 * (cell % 8);
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);
    now = (now & ~(UINT64_C(0xff) << shift)) | (uint64_t)tag << shift;
    atomic_store_explicit(word, now, memory_order_release);
}

static void add_overflow(chunk *at, uint64_t one)
{
    uint64_t now = atomic_load_explicit(&at->upper, memory_order_relaxed);
    atomic_store_explicit(&at->upper, now + one * OVERFLOWED, memory_order_release);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

static table *table_of(const chunked_index *own)
{
    return atomic_load_explicit(&own->table, memory_order_acquire);
}

/* There is a free cell. */
static void cell_add(table *in, uint64_t hash, uint32_t content)
{
    uint8_t tag = tag_of(hash);
    uint64_t at = hash & in->mask;
    bool overflowed;
    unsigned free_cells = tags_of(&in->chunks[at], 0, &overflowed);
    while (free_cells == 0) {
        add_overflow(&in->chunks[at], 1);
        at = (at + step_of(tag)) & in->mask;
        free_cells = tags_of(&in->chunks[at], 0, &overflowed);
    }
    unsigned cell = (unsigned)__builtin_ctz(free_cells);
    atomic_store_explicit(&in->chunks[at].slots[cell], content, memory_order_release);
    set_tag(&in->chunks[at], cell, tag);
}

/* The cell that holds this under the hash; with `one` != 0 the chunks passed on the way get that
 * added to their overflow.  It must be there. */
static chunk *cell_find(table *in, uint64_t hash, uint32_t content, uint64_t one, unsigned *cell)
{
    uint8_t tag = tag_of(hash);
    uint64_t at = hash & in->mask;
    for (;;) {
        chunk *here = &in->chunks[at];
        bool overflowed;
        for (unsigned bits = tags_of(here, tag, &overflowed); bits != 0; bits &= bits - 1) {
            *cell = (unsigned)__builtin_ctz(bits);
            if (atomic_load_explicit(&here->slots[*cell], memory_order_relaxed) == content) {
                return here;
            }
        }
        assert(overflowed);
        if (one != 0) {
            add_overflow(here, one);
        }
        at = (at + step_of(tag)) & in->mask;
    }
}

/* What the cell of a slot under this hash holds: whether that is its own hash or its key's. */
static uint32_t content_of(const chunked_index *own, uint64_t hash, uint32_t slot)
{
    const nkvi_slot *at = nkvi_slot_at(own->base.store, slot);
    uint64_t its = atomic_load_explicit(&at->value.of.slot.hash, memory_order_relaxed);
    return its == hash ? slot : slot | HEAD_CELL;
}

static uint64_t hash_of(const chunked_index *own, uint32_t content)
{
    uint32_t slot = content & ~HEAD_CELL;
    if (slot != content) {
        return nkvi_cold_at(own->base.store, slot)->key_hash;
    }
    const nkvi_slot *at = nkvi_slot_at(own->base.store, slot);
    return atomic_load_explicit(&at->value.of.slot.hash, memory_order_relaxed);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static uint64_t table_cost(uint64_t chunks)
{
    return nkvi_mem_cost(sizeof(table)) + nkvi_mem_cost(chunks * sizeof(chunk));
}

static table *table_make(nkvi_store *store, uint64_t chunks)
{
    if (chunks > CHUNKS_MAX || !nkvi_meter_add(&store->meter, table_cost(chunks))) {
        return NULL;
    }
    table *made = nkvi_alloc(sizeof *made);
    chunk *memory = made != NULL ? nkvi_alloc_huge(chunks * sizeof *memory) : NULL;
    if (memory == NULL) {
        nkvi_free(made);
        nkvi_meter_sub(&store->meter, table_cost(chunks));
        return NULL;
    }
    memset(memory, 0, chunks * sizeof *memory);
    made->chunks = memory;
    made->mask = chunks - 1;
    made->old = NULL;
    return made;
}

/* Chunks of the first table: for all keys that are expected, if that is a small part of the budget.
 * */
static uint64_t chunks_first(const chunked_index *own)
{
    uint64_t chunks = 1;
    while (chunks < CHUNKS_MAX && chunks * LOAD_FIRST < own->keys) {
        chunks *= 2;
    }
    return table_cost(chunks) <= own->base.store->meter.max / 16 ? chunks : 1;
}

static bool grow(chunked_index *own)
{
    table *old = table_of(own);
    uint64_t chunks = old == NULL ? chunks_first(own) : 2 * (old->mask + 1);
    table *larger = table_make(own->base.store, chunks);
    if (larger == NULL) {
        return false;
    }
    larger->old = old;
    for (uint64_t i = 0; old != NULL && i <= old->mask; i++) {
        bool overflowed;
        unsigned bits = CELLS_MASK & ~tags_of(&old->chunks[i], 0, &overflowed);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t content = atomic_load_explicit(&old->chunks[i].slots[__builtin_ctz(bits)],
                                                    memory_order_relaxed);
            cell_add(larger, hash_of(own, content), content);
        }
    }
    atomic_store_explicit(&own->table, larger, memory_order_release);
    return true;
}

/* ---- Changes --------------------------------------------------------------------------------- */

static bool insert(nkvi_index *index, uint64_t hash, uint32_t slot)
{
    chunked_index *own = (chunked_index *)index;
    const table *now = table_of(own);
    if ((now == NULL || own->used >= (now->mask + 1) * LOAD_MAX) && !grow(own)) {
        return false;
    }
    cell_add(table_of(own), hash, content_of(own, hash, slot));
    own->used++;
    return true;
}

static void replace(nkvi_index *index, uint64_t hash, uint32_t from, uint32_t to)
{
    chunked_index *own = (chunked_index *)index;
    unsigned cell;
    chunk *at = cell_find(table_of(own), hash, content_of(own, hash, from), 0, &cell);
    atomic_store_explicit(&at->slots[cell], content_of(own, hash, to), memory_order_release);
}

static void remove_cell(nkvi_index *index, uint64_t hash, uint32_t slot)
{
    chunked_index *own = (chunked_index *)index;
    unsigned cell;
    chunk *at = cell_find(table_of(own), hash, content_of(own, hash, slot), (uint64_t)-1, &cell);
    set_tag(at, cell, 0);
    own->used--;
}

/* ---- Walks under the lock -------------------------------------------------------------------- */

/* probe: rest = the matching cells of the chunk not yet given out, step = the number of the chunk,
 * its upper half counts chunks. */
static uint32_t next(const nkvi_index *index, uint64_t hash, nkvi_probe *probe)
{
    const table *in = table_of((const chunked_index *)index);
    uint8_t tag = tag_of(hash);
    for (;;) {
        const chunk *at = probe->at;
        if (at == NULL) {
            return 0;
        }
        if (probe->rest != 0) {
            unsigned cell = (unsigned)__builtin_ctzll(probe->rest);
            probe->rest &= probe->rest - 1;
            return atomic_load_explicit(&at->slots[cell], memory_order_relaxed) & ~HEAD_CELL;
        }
        bool overflowed;
        (void)tags_of(at, tag, &overflowed);
        probe->step++;
        if (!overflowed || probe->step > in->mask) {
            probe->at = NULL;
            return 0;
        }
        probe->at = &in->chunks[(hash + probe->step * step_of(tag)) & in->mask];
        probe->rest = tags_of(probe->at, tag, &overflowed);
    }
}

static uint32_t first(const nkvi_index *index, uint64_t hash, nkvi_probe *probe)
{
    const table *in = table_of((const chunked_index *)index);
    bool overflowed;
    probe->at = NULL;
    probe->step = 0;
    if (in == NULL) {
        return 0;
    }
    const chunk *home = &in->chunks[hash & in->mask];
    probe->rest = tags_of(home, tag_of(hash), &overflowed);
    probe->at = home;
    return next(index, hash, probe);
}

/* ---- Readers --------------------------------------------------------------------------------- */

/* Tries the slots of some cells of a chunk. */
static nkvi_taken try_cells(const chunk *here, unsigned bits, const nkvi_view *view,
                            const nkvi_query *query, int64_t now_ns, nkvi_found *found)
{
    uint64_t realm = nkvi_realm_of(view->spaces, query->space);
    nkvi_taken result = NKVI_TAKEN_NOT;
    for (; bits != 0; bits &= bits - 1) {
        uint32_t content =
            atomic_load_explicit(&here->slots[__builtin_ctz(bits)], memory_order_acquire);
        if ((content & HEAD_CELL) != 0) {
            continue;
        }
        nkvi_slot *slot = nkvi_slot_at(view->store, content);
        nkvi_slot_fetch(slot);
        nkvi_taken taken = nkvi_slot_try(view, slot, query, realm, now_ns, found);
        if (__builtin_expect(taken == NKVI_TAKEN_JUDGED, 1)) {
            return taken;
        }
        result = taken == NKVI_TAKEN_GONE ? taken : result;
    }
    return result;
}

/* One walk over all chunks of a hash. */
static nkvi_taken walk(const table *in, const nkvi_view *view, const nkvi_query *query,
                       int64_t now_ns, nkvi_found *found)
{
    uint8_t tag = tag_of(query->hash);
    uint64_t at = query->hash & in->mask;
    nkvi_taken result = NKVI_TAKEN_NOT;
    bool overflowed = true;
    for (uint64_t passed = 0; passed <= in->mask && overflowed; passed++) {
        const chunk *here = &in->chunks[at];
        unsigned bits = tags_of(here, tag, &overflowed);
        nkvi_taken taken = try_cells(here, bits, view, query, now_ns, found);
        if (taken == NKVI_TAKEN_JUDGED) {
            return taken;
        }
        result = taken == NKVI_TAKEN_GONE ? taken : result;
        at = (at + step_of(tag)) & in->mask;
    }
    return result;
}

/* The lookup from its beginning, for those that the first chunk did not settle. */
static __attribute__((noinline)) void find_further(const chunked_index *own, const nkvi_view *view,
                                                   const nkvi_query *query, int64_t now_ns,
                                                   nkvi_found *found)
{
    nkvi_taken taken = NKVI_TAKEN_GONE;
    for (int i = 0; i < AGAIN && taken == NKVI_TAKEN_GONE; i++) {
        taken = walk(table_of(own), view, query, now_ns, found);
    }
    if (taken != NKVI_TAKEN_JUDGED) {
        nkvi_found_none(found);
    }
}

/* Nearly every lookup is settled by the first slot whose tag matches in the first chunk. */
static void find(nkvi_index *index, const nkvi_view *view, const nkvi_query *query, int64_t now_ns,
                 nkvi_found *found)
{
    const chunked_index *own = (const chunked_index *)index;
    const table *in = table_of(own);
    if (__builtin_expect(in == NULL, 0)) {
        nkvi_found_none(found);
        return;
    }
    const chunk *home = &in->chunks[query->hash & in->mask];
    bool overflowed;
    unsigned bits = tags_of(home, tag_of(query->hash), &overflowed);
    if (__builtin_expect(bits == 0 && !overflowed, 0)) {
        nkvi_found_none(found);
        return;
    }
    if (__builtin_expect(bits != 0, 1)) {
        uint32_t content =
            atomic_load_explicit(&home->slots[__builtin_ctz(bits)], memory_order_acquire);
        nkvi_slot *slot = nkvi_slot_at(view->store, content & ~HEAD_CELL);
        nkvi_slot_fetch(slot);
        uint64_t realm = nkvi_realm_of(view->spaces, query->space);
        nkvi_taken taken = nkvi_slot_try(view, slot, query, realm, now_ns, found);
        if (__builtin_expect(taken == NKVI_TAKEN_JUDGED, 1)) {
            return;
        }
    }
    find_further(own, view, query, now_ns, found);
}

static void fetch(const nkvi_index *index, const nkvi_view *view, const nkvi_query *queries,
                  size_t n)
{
    const table *in = table_of((const chunked_index *)index);
    if (in == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        __builtin_prefetch(&in->chunks[queries[i].hash & in->mask]);
    }
    for (size_t i = 0; i < n; i++) {
        const chunk *home = &in->chunks[queries[i].hash & in->mask];
        bool overflowed;
        unsigned bits = tags_of(home, tag_of(queries[i].hash), &overflowed);
        if (bits != 0) {
            uint32_t content =
                atomic_load_explicit(&home->slots[__builtin_ctz(bits)], memory_order_acquire);
            nkvi_slot_fetch(nkvi_slot_at(view->store, content & ~HEAD_CELL));
        }
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void destroy(nkvi_index *index)
{
    chunked_index *own = (chunked_index *)index;
    table *now = table_of(own);
    while (now != NULL) {
        table *old = now->old;
        nkvi_free(now->chunks);
        nkvi_meter_sub(&index->store->meter, table_cost(now->mask + 1));
        nkvi_free(now);
        now = old;
    }
    nkvi_free(own);
}

static const nkvi_index_ops ops = {
    .lock_free = true,
    .entry_bytes = 0,
    .insert = insert,
    .replace = replace,
    .remove = remove_cell,
    .first = first,
    .next = next,
    .find = find,
    .fetch = fetch,
    .destroy = destroy,
};

nkvi_index *nkvi_index_chunked_create(nkvi_store *store, uint64_t keys)
{
    chunked_index *own = nkvi_calloc(1, sizeof *own);
    if (own == NULL) {
        return NULL;
    }
    own->base.ops = &ops;
    own->base.store = store;
    own->keys = keys;
    return &own->base;
}
