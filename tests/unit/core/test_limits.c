/* unit/core/test_limits.c - the byte budget against what is really allocated; hits against nothing.
 *
 * A watcher of base/mem.h keeps the size of every block that is out. What the cache says it uses
 * must be the sum of those that came after it was made, at any moment at which no call is under
 * way. */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/pool.h"
#include "support/core_kit.h"

static nkv_index_kind kinds[] = {NKV_INDEX_UTHASH, NKV_INDEX_CHUNKED};

#define BOTH(suite, name)                                                                  \
    ParameterizedTestParameters(suite, name)                                               \
    {                                                                                      \
        return cr_make_param_array(nkv_index_kind, kinds, sizeof kinds / sizeof kinds[0]); \
    }                                                                                      \
    ParameterizedTest(nkv_index_kind *kind, suite, name)

/* ---- The books ------------------------------------------------------------------------------- */

enum { PLACES = 1 << 18 };

typedef struct books {
    struct {
        void *block;
        size_t cost;
    } places[PLACES];
    uint64_t live; /* cost of all blocks that are out */
    uint64_t most; /* highest since it was last reset */
    uint64_t allocations;
} books;

static books book;

static size_t place_of(const void *block)
{
    size_t at = ((uintptr_t)block >> 4) * 0x9E3779B97F4A7C15u >> 40;
    at %= PLACES;
    while (book.places[at].block != NULL && book.places[at].block != block) {
        at = (at + 1) % PLACES;
    }
    return at;
}

/* Takes a block out, and moves up those behind it that it kept from their place. */
static void take_out(size_t at)
{
    size_t hole = at;
    book.places[hole].block = NULL;
    for (size_t next = (hole + 1) % PLACES; book.places[next].block != NULL;
         next = (next + 1) % PLACES) {
        void *block = book.places[next].block;
        size_t cost = book.places[next].cost;
        book.places[next].block = NULL;
        size_t better = place_of(block);
        book.places[better].block = block;
        book.places[better].cost = cost;
    }
}

static void watch(void *block, size_t size, void *ud)
{
    (void)ud;
    size_t at = place_of(block);
    if (size > 0) {
        cr_assert_null(book.places[at].block);
        book.places[at].block = block;
        book.places[at].cost = nkvi_mem_cost(size);
        book.live += book.places[at].cost;
        book.most = book.live > book.most ? book.live : book.most;
        book.allocations++;
    } else if (book.places[at].block != NULL) {
        book.live -= book.places[at].cost;
        take_out(at);
    }
}

static void start(void)
{
    memset(&book, 0, sizeof book);
    nkvi_mem_set_watch(watch, NULL);
}

static void stop(void)
{
    nkvi_mem_set_watch(NULL, NULL);
}

TestSuite(core_limits, .init = start, .fini = stop);

/* ---- Bytes ----------------------------------------------------------------------------------- */

static bool put_random(t_kit *kit, t_rng *rng, unsigned keys, size_t longest)
{
    static char text[200000];
    char name[300];
    unsigned key = (unsigned)t_rng_below(rng, keys);
    int wide = key % 5 == 0 ? 200 : 6;
    int len = snprintf(name, sizeof name, "k%0*u", wide, key);
    nkv_str command = nkv_cstr(t_rng_below(rng, 4) == 0 ? "STRLEN" : "");
    if (t_rng_below(rng, 3) == 0) {
        return t_kit_put_integer(kit, nkv_str_make(name, (size_t)len), command, 5);
    }
    size_t bytes = (size_t)t_rng_below(rng, longest);
    return t_kit_put_bytes(kit, nkv_str_make(name, (size_t)len), command, nkv_str_make(text, bytes),
                           NKVI_NEVER);
}

static void check_books(const t_kit *kit, uint64_t fixed, uint64_t bytes_max, int step)
{
    uint64_t bytes = t_kit_stats(kit).bytes;
    cr_assert_eq(book.live - fixed, bytes, "step %d: %llu are out, %llu are counted", step,
                 (unsigned long long)(book.live - fixed), (unsigned long long)bytes);
    cr_assert_leq(bytes, bytes_max);
}

/* Case 24: the budget holds at any instant, and what is counted is what is allocated. */
BOTH(core_limits, case_24_bytes_are_exact_and_bounded)
{
    static const struct {
        int64_t keys, bytes;
        size_t longest;
    } limits[] = {
        {-1, 1 << 20, 2000}, {200, 1 << 20, 20000}, {-1, 3000, 400},
        {-1, 40000, 100},    {1, 100000, 50000},    {-1, 1500, 20},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (int policy = 0; policy < 2; policy++) {
            t_kit kit;
            nkv_cache_options options = t_kit_options(*kind, limits[i].keys, limits[i].bytes);
            options.policy = policy == 0 ? NKV_POLICY_LRU : NKV_POLICY_S3FIFO;
            t_kit_open(&kit, &options);
            uint64_t fixed = book.live;
            uint64_t slack = nkvi_mem_cost(limits[i].longest + 1) + nkvi_mem_cost(64);
            t_rng rng;
            t_rng_init(&rng, 24 + i);
            int stored = 0;
            for (int step = 0; step < 10000; step++) {
                book.most = book.live;
                stored += put_random(&kit, &rng, 1000, limits[i].longest);
                /* A draft that is on its way in, or a value on its way out, is not the cache's. */
                cr_assert_leq(book.most - fixed, (uint64_t)limits[i].bytes + slack);
                check_books(&kit, fixed, (uint64_t)limits[i].bytes, step);
                if (t_rng_below(&rng, 500) == 0) {
                    nkvi_cache_flush(kit.cache, kit.space);
                } else if (t_rng_below(&rng, 200) == 0) {
                    (void)nkvi_cache_tidy(kit.cache, 1, 100);
                }
            }
            cr_assert_gt(stored, limits[i].bytes < 2000 ? 0 : 100, "limit %zu: %d stored", i,
                         stored);
            t_kit_close(&kit);
        }
    }
    cr_assert_eq(book.live, 0);
}

/* Readers that hold on to what was dropped keep it charged, and the cache goes on with the rest. */
BOTH(core_limits, pinned_answers_stay_charged)
{
    enum { BYTES = 200000, HELD = 10 };
    t_kit kit;
    nkv_cache_options options = t_kit_options(*kind, -1, BYTES);
    t_kit_open(&kit, &options);
    uint64_t fixed = book.live;
    nkv_value *held[HELD];
    t_rng rng;
    t_rng_init(&rng, 9);
    static char text[10000];
    for (int i = 0; i < HELD; i++) {
        char name[8] = {'p', (char)('0' + i), '\0'};
        cr_assert(t_kit_put_bytes(&kit, nkv_cstr(name), nkv_cstr(""),
                                  nkv_str_make(text, sizeof text), NKVI_NEVER));
        held[i] = t_kit_get(&kit, nkv_cstr(name), nkv_cstr(""));
    }
    nkvi_cache_flush(kit.cache, kit.space);
    cr_assert(!nkvi_cache_tidy(kit.cache, 1, SIZE_MAX));
    uint64_t pinned = t_kit_stats(&kit).pinned_bytes;
    cr_assert_geq(pinned, (uint64_t)HELD * sizeof text);
    for (int step = 0; step < 3000; step++) {
        (void)put_random(&kit, &rng, 500, 5000);
        check_books(&kit, fixed, BYTES, step);
    }
    cr_assert_eq(t_kit_stats(&kit).pinned_bytes, pinned);
    for (int i = 0; i < HELD; i++) {
        nkv_value_release(held[i]);
    }
    cr_assert_eq(t_kit_stats(&kit).pinned_bytes, 0);
    check_books(&kit, fixed, BYTES, -1);
    t_kit_close(&kit);
    cr_assert_eq(book.live, 0);
}

/* A budget that small answers have filled is given to large ones all the same, and the other way.
 * */
BOTH(core_limits, the_budget_follows_what_is_put)
{
    enum { BYTES = 1 << 20 };
    t_kit kit;
    nkv_cache_options options = t_kit_options(*kind, -1, BYTES);
    t_kit_open(&kit, &options);
    for (uint64_t i = 0; i < 50000; i++) {
        (void)t_kit_put_integer(&kit, nkv_str_make(&i, sizeof i), nkv_cstr(""), 1);
    }
    uint64_t small = t_kit_stats(&kit).keys;
    cr_assert_gt(small, 1000);
    static char text[20000];
    for (int i = 0; i < 100; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "large%d", i);
        cr_assert(t_kit_put_bytes(&kit, nkv_cstr(name), nkv_cstr(""),
                                  nkv_str_make(text, sizeof text), NKVI_NEVER),
                  "large answer %d", i);
        cr_assert(t_kit_hit(&kit, name, ""));
    }
    t_kit_close(&kit);
}

/* Case 26: churn leaves nothing behind: no node, no slot, no growing table. */
BOTH(core_limits, case_26_churn_leaves_nothing)
{
    enum { KEYS = 100, TURNS = 1000000, EARLY = 20000 };
    t_kit kit;
    nkv_cache_options options = t_kit_options(*kind, KEYS, -1);
    t_kit_open(&kit, &options);
    uint64_t early = 0;
    for (uint64_t i = 0; i < TURNS; i++) {
        cr_assert(t_kit_put_integer(&kit, nkv_str_make(&i, sizeof i),
                                    nkv_cstr(i % 3 == 0 ? "STRLEN" : ""), 1));
        if (i % 3 == 1) {
            (void)t_kit_put_integer(&kit, nkv_str_make(&i, sizeof i), nkv_cstr("EXISTS"), 1);
        }
        early = i == EARLY ? t_kit_stats(&kit).bytes : early;
    }
    cr_assert_eq(t_kit_stats(&kit).keys, KEYS);
    cr_assert_leq(t_kit_stats(&kit).bytes, early + early / 4, "%llu bytes early, %llu at the end",
                  (unsigned long long)early, (unsigned long long)t_kit_stats(&kit).bytes);
    for (uint64_t i = TURNS - KEYS; i < TURNS; i++) {
        cr_assert_geq(nkvi_cache_invalidate(kit.cache, kit.space, nkv_str_make(&i, sizeof i)), 1);
    }
    cr_assert_eq(t_kit_stats(&kit).keys, 0);
    t_kit_close(&kit);
    cr_assert_eq(book.live, 0);
}

/* ---- Hits ------------------------------------------------------------------------------------ */

/* Case 31 (the hook): hits, single and in batches, and misses allocate nothing. */
BOTH(core_limits, case_31_a_hit_allocates_nothing)
{
    enum { KEYS = 2000, BATCH = 100 };
    t_kit kit;
    nkv_cache_options options = t_kit_options(*kind, KEYS, -1);
    t_kit_open(&kit, &options);
    nkvi_query queries[BATCH];
    nkvi_found found[BATCH];
    uint64_t numbers[BATCH];
    for (uint64_t i = 0; i < KEYS; i++) {
        cr_assert(t_kit_put_integer(&kit, nkv_str_make(&i, sizeof i), nkv_cstr(""), 1));
    }
    uint64_t before = book.allocations;
    uint64_t hits = 0;
    for (uint64_t round = 0; round < 1000; round++) {
        for (uint64_t i = 0; i < BATCH; i++) {
            numbers[i] = (round * 13 + i) % (KEYS + 10);
            queries[i] =
                t_kit_query(&kit, nkv_str_make(&numbers[i], sizeof numbers[i]), nkv_cstr(""));
        }
        nkvi_cache_find(kit.cache, queries, round % 2 == 0 ? BATCH : 1, 1, found);
        for (uint64_t i = 0; i < (round % 2 == 0 ? BATCH : 1); i++) {
            nkvi_cache_count(kit.cache, &queries[i],
                             found[i].value != NULL ? NKVI_COUNT_HIT : NKVI_COUNT_MISS);
            hits += found[i].value != NULL;
            nkv_value_release(found[i].value);
        }
    }
    cr_assert_gt(hits, 40000);
    cr_assert_eq(book.allocations, before);
    t_kit_close(&kit);
}

/* ---- Large buffers --------------------------------------------------------------------------- */

static bool put_buffer(t_kit *kit, const char *key, void *buffer, size_t len)
{
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    memset(buffer, 'x', len);
    ((char *)buffer)[len] = '\0';
    draft.root = (nkv_reply){.type = NKV_TYPE_STRING, .str = buffer, .len = len};
    draft.block = buffer;
    draft.block_bytes = len + 1;
    draft.free_fn = nkvi_pool_give;
    return t_kit_put_draft(kit, nkv_cstr(key), nkv_cstr(""), &draft, NKVI_NEVER);
}

BOTH(core_limits, large_buffers_are_used_again_within_the_budget)
{
    enum { BYTES = 8 << 20, ONE = 1 << 20 };
    t_kit kit;
    nkv_cache_options options = t_kit_options(*kind, -1, BYTES);
    t_kit_open(&kit, &options);
    uint64_t fixed = book.live;
    uint64_t made = 0;
    for (int i = 0; i < 100; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "large%d", i);
        uint64_t before = book.allocations;
        void *buffer = nkvi_cache_buffer(kit.cache, ONE + 1);
        cr_assert_not_null(buffer);
        cr_assert_geq(nkvi_pool_room(buffer), ONE + 1);
        made += book.allocations - before;
        cr_assert_leq(book.live - fixed, BYTES);
        cr_assert(put_buffer(&kit, name, buffer, ONE));
        check_books(&kit, fixed, BYTES, i);
        cr_assert(t_kit_hit(&kit, name, ""));
    }
    cr_assert_leq(made, 10, "%llu buffers were allocated for 100 answers",
                  (unsigned long long)made);
    cr_assert_geq(t_kit_stats(&kit).keys, 5);
    void *outside = nkvi_cache_buffer(kit.cache, 4 * BYTES);
    cr_assert_not_null(outside, "what does not fit comes from outside");
    cr_assert_eq(t_kit_stats(&kit).bytes, book.live - fixed - nkvi_mem_cost(4 * BYTES + 64));
    nkvi_pool_give(outside, NULL);
    nkv_value *held = t_kit_get(&kit, nkv_cstr("large99"), nkv_cstr(""));
    cr_assert_not_null(held);
    t_kit_close(&kit);
    cr_assert_eq(nkv_value_str(held).data[ONE - 1], 'x');
    nkv_value_release(held);
    cr_assert_eq(book.live, 0);
}

BOTH(core_limits, a_buffer_may_outlive_its_cache_or_go_to_another)
{
    t_kit one;
    t_kit two;
    nkv_cache_options options = t_kit_options(*kind, -1, 8 << 20);
    t_kit_open(&one, &options);
    t_kit_open(&two, &options);
    uint64_t fixed = book.live;
    void *strange = nkvi_cache_buffer(one.cache, 1 << 20);
    void *late = nkvi_cache_buffer(one.cache, 1 << 20);
    cr_assert(put_buffer(&two, "k", strange, 1000));
    cr_assert_gt(t_kit_stats(&one).bytes, 2 << 20);
    cr_assert_gt(t_kit_stats(&two).bytes, 1000);
    t_kit_close(&two);
    t_kit_close(&one);
    nkvi_pool_give(late, NULL);
    cr_assert_eq(book.live, 0);
    (void)fixed;
}
