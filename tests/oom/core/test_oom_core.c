/* tests/oom/core/test_oom_core.c - the cache when memory runs out: in every scenario each
 * allocation fails once, and then all from that one on.
 *
 * What must hold: nothing crashes, limits are kept, what is found is right, everything that was
 * given out is taken back (watched block by block), and with memory the same cache works again. The
 * allocations are counted in a first run, so the code may change. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/pool.h"
#include "support/core_kit.h"
#include "support/toy_cache.h"

typedef struct gate {
    long calls, fail_at;
    bool for_good; /* all from fail_at on */
    long blocks;   /* given out and not taken back */
} gate;

static bool fail_some(size_t size, void *ud)
{
    gate *g = ud;
    (void)size;
    long call = g->calls++;
    return g->fail_at < 0 || (g->for_good ? call < g->fail_at : call != g->fail_at);
}

static void watch(void *block, size_t size, void *ud)
{
    gate *g = ud;
    (void)block;
    g->blocks += size > 0 ? 1 : -1;
}

/* A scenario goes as far as memory allows, calls allow_all() and checks that all is well. */
typedef void (*scenario)(nkv_index_kind kind);

static gate *now;

static void allow_all(void)
{
    now->fail_at = -1;
}

static long once(scenario play, nkv_index_kind kind, long fail_at, bool for_good)
{
    gate g = {0, fail_at, for_good, 0};
    now = &g;
    nkvi_mem_set_gate(fail_some, &g);
    nkvi_mem_set_watch(watch, &g);
    play(kind);
    nkvi_mem_set_gate(NULL, NULL);
    nkvi_mem_set_watch(NULL, NULL);
    cr_assert_eq(g.blocks, 0, "allocation %ld fails: %ld blocks are left", fail_at, g.blocks);
    return g.calls;
}

static void every(scenario play)
{
    for (int kind = NKV_INDEX_CHUNKED; kind <= NKV_INDEX_UTHASH; kind++) {
        long calls = once(play, (nkv_index_kind)kind, -1, false);
        cr_assert_gt(calls, 0);
        for (long i = 0; i < calls; i++) {
            (void)once(play, (nkv_index_kind)kind, i, false);
            (void)once(play, (nkv_index_kind)kind, i, true);
        }
    }
}

/* ---- What may fail --------------------------------------------------------------------------- */

static bool open_cache(t_kit *kit, nkv_index_kind kind, int64_t keys, int64_t bytes)
{
    nkv_cache_options options = t_kit_options(kind, keys, bytes);
    nkv_error error;
    memset(kit, 0, sizeof *kit);
    nkv_status status = nkv_cache_create(&options, &kit->cache, &error);
    if (status != NKV_OK) {
        cr_assert_eq(status, NKV_ENOMEM);
        cr_assert_eq(error.status, NKV_ENOMEM);
    }
    return status == NKV_OK;
}

static bool open_parts(t_kit *kit)
{
    kit->owner = kit->owner != NULL ? kit->owner : nkvi_cache_owner_open(kit->cache, NULL);
    if (kit->owner == NULL) {
        return false;
    }
    if (kit->generation == 0) {
        kit->generation = nkvi_cache_owner_begin(kit->cache, kit->owner, INT64_MAX);
    }
    return nkvi_cache_space_open(kit->cache, nkv_cstr("test"), &kit->space, &kit->fence);
}

static void check(const t_kit *kit, int64_t keys, int64_t bytes)
{
    nkv_cache_stats stats = t_kit_stats(kit);
    cr_assert(keys < 0 || stats.keys <= (uint64_t)keys);
    cr_assert(bytes < 0 || stats.bytes <= (uint64_t)bytes);
}

/* With memory: whatever happened, the cache stores and finds. */
static void finish(t_kit *kit)
{
    allow_all();
    if (kit->cache == NULL) {
        return;
    }
    cr_assert(open_parts(kit));
    for (int i = 0; i < 20; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "after%d", i % 4);
        cr_assert(t_kit_put(kit, key, "", "v"), "memory is back");
        cr_assert(t_kit_has(kit, key, "", "v"));
    }
    t_kit_close(kit);
}

/* Puts and looks; what is there afterwards is the new answer or nothing. */
static void put(t_kit *kit, const char *key, const char *command, const char *value)
{
    bool stored = t_kit_put(kit, key, command, value);
    nkv_value *got = t_kit_get(kit, nkv_cstr(key), nkv_cstr(command));
    cr_assert(!stored || got != NULL);
    if (got != NULL && stored) {
        cr_assert_str_eq(nkv_value_str(got).data, value);
    }
    nkv_value_release(got);
}

/* ---- Scenarios ------------------------------------------------------------------------------- */

static void small_answers(nkv_index_kind kind)
{
    enum { ROOM = 10, BYTES = 64 << 10 };
    t_kit kit;
    if (open_cache(&kit, kind, ROOM, BYTES) && open_parts(&kit)) {
        for (int i = 0; i < 25; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%d", i);
            put(&kit, key, "", "value");
            check(&kit, ROOM, BYTES);
        }
    }
    finish(&kit);
}

/* The group of a key with several commands, names that do not fit into a slot, replacing. */
static void names_and_groups(nkv_index_kind kind)
{
    char key[300];
    memset(key, 'n', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    t_kit kit;
    if (open_cache(&kit, kind, 100, 1 << 20) && open_parts(&kit)) {
        for (int i = 0; i < 4; i++) {
            put(&kit, "k", i % 2 == 0 ? "" : "STRLEN", "1");
            put(&kit, "k", "HGET a", "2");
            put(&kit, key, i % 2 == 0 ? "STRLEN" : "", "3");
            put(&kit, key + i, "", "4");
            check(&kit, 100, 1 << 20);
            if (i == 2) {
                (void)nkvi_cache_invalidate(kit.cache, kit.space, nkv_cstr("k"));
                cr_assert(!t_kit_hit(&kit, "k", "") && !t_kit_hit(&kit, "k", "HGET a"));
            }
        }
    }
    finish(&kit);
}

static void nested_and_large(nkv_index_kind kind)
{
    static char text[70000];
    nkv_reply leaves[3] = {{.type = NKV_TYPE_STRING, .str = text, .len = 500},
                           {.type = NKV_TYPE_INTEGER, .integer = 7},
                           {.type = NKV_TYPE_NIL}};
    nkv_reply root = {.type = NKV_TYPE_ARRAY, .elements = 3, .element = leaves};
    t_kit kit;
    if (open_cache(&kit, kind, 100, 1 << 20) && open_parts(&kit)) {
        for (int i = 0; i < 3; i++) {
            nkvi_draft draft;
            if (nkvi_draft_copy(&draft, &root)) {
                (void)t_kit_put_draft(&kit, nkv_cstr("nested"), nkv_cstr(""), &draft, NKVI_NEVER);
            } else {
                cr_assert(draft.block == NULL && draft.root.type == NKV_TYPE_NIL);
            }
            char *buffer = nkvi_cache_buffer(kit.cache, sizeof text);
            if (buffer != NULL) {
                memcpy(buffer, text, sizeof text);
                nkvi_draft_init(&draft);
                draft.root =
                    (nkv_reply){.type = NKV_TYPE_STRING, .str = buffer, .len = sizeof text - 1};
                draft.block = buffer;
                draft.block_bytes = sizeof text;
                draft.free_fn = nkvi_pool_give;
                (void)t_kit_put_draft(&kit, nkv_cstr("large"), nkv_cstr(""), &draft, NKVI_NEVER);
            }
            check(&kit, 100, 1 << 20);
        }
        nkv_value *got = t_kit_get(&kit, nkv_cstr("nested"), nkv_cstr(""));
        cr_assert(got == NULL || nkv_value_reply(got).element[1].integer == 7);
        nkv_value_release(got);
    }
    finish(&kit);
}

/* Without a limit the tables grow, several times. */
static void growth(nkv_index_kind kind)
{
    enum { KEYS = 1500 };
    t_kit kit;
    int stored = 0;
    if (open_cache(&kit, kind, -1, -1) && open_parts(&kit)) {
        char key[16];
        for (int i = 0; i < KEYS; i++) {
            (void)snprintf(key, sizeof key, "k%d", i);
            stored += t_kit_put_integer(&kit, nkv_cstr(key), nkv_cstr(""), i);
        }
        int found = 0;
        for (int i = 0; i < KEYS; i++) {
            (void)snprintf(key, sizeof key, "k%d", i);
            nkv_value *got = t_kit_get(&kit, nkv_cstr(key), nkv_cstr(""));
            found += got != NULL;
            cr_assert(got == NULL || nkv_value_reply(got).integer == i);
            nkv_value_release(got);
        }
        cr_assert_leq(found, stored);
        cr_assert_eq(t_kit_stats(&kit).keys, (uint64_t)found);
    }
    finish(&kit);
}

static void spaces_and_owners(nkv_index_kind kind)
{
    t_kit kit;
    if (open_cache(&kit, kind, 10, 1 << 20)) {
        nkvi_owner *owners[5];
        char name[24];
        for (int i = 0; i < 5; i++) {
            uint32_t space, again;
            nkvi_fence *fence;
            (void)snprintf(name, sizeof name, "space %d", i);
            if (nkvi_cache_space_open(kit.cache, nkv_cstr(name), &space, &fence)) {
                cr_assert(nkvi_cache_space_open(kit.cache, nkv_cstr(name), &again, &fence));
                cr_assert_eq(space, again);
            }
            owners[i] = nkvi_cache_owner_open(kit.cache, NULL);
        }
        for (int i = 0; i < 5; i++) {
            if (owners[i] != NULL) {
                nkvi_cache_owner_close(kit.cache, owners[i]);
            }
        }
    }
    finish(&kit);
}

/* A cache of one's own: what it does with a value is its matter, ours is to make one or say no. */
static void wrapped(nkv_index_kind kind)
{
    (void)kind;
    t_toy toy;
    t_toy_init(&toy);
    t_kit kit;
    memset(&kit, 0, sizeof kit);
    nkv_error error;
    nkv_status status = nkv_cache_wrap(&t_toy_ops, &toy, &kit.cache, &error);
    cr_assert(status == NKV_OK || status == NKV_ENOMEM);
    if (status != NKV_OK) {
        cr_assert_eq(toy.destroyed, 0);
        return;
    }
    if (open_parts(&kit)) {
        put(&kit, "k", "", "1");
        put(&kit, "k", "STRLEN", "2");
        (void)nkvi_cache_invalidate(kit.cache, kit.space, nkv_cstr("k"));
        put(&kit, "k", "", "3");
    }
    finish(&kit);
    cr_assert_eq(toy.destroyed, 1);
}

static void count_free(void *data, void *ud)
{
    ++*(int *)ud;
    free(data);
}

static void values(nkv_index_kind kind)
{
    (void)kind;
    int freed = 0;
    char *data = malloc(4);
    cr_assert_not_null(data);
    memcpy(data, "abc", 3);
    nkv_value *adopted = nkv_value_adopt(data, 3, count_free, &freed);
    nkv_value *copied = nkv_value_from_bytes("abc", 3);
    cr_assert(adopted == NULL || copied == NULL || nkv_value_equal(adopted, copied));
    if (adopted == NULL) {
        cr_assert_eq(freed, 0, "it stays the caller's");
        free(data);
    }
    nkv_value_release(copied);
    nkv_value_release(adopted);
    cr_assert_eq(freed, adopted != NULL);

    nkvi_draft draft;
    if (nkvi_draft_string(&draft, NKV_TYPE_STATUS, "OK", 2)) {
        nkv_value *value = nkvi_draft_seal(&draft);
        cr_assert(value != NULL || draft.root.len == 2, "a draft that is not sealed is whole");
        nkv_value_release(value);
    }
    nkvi_draft_clear(&draft);
}

Test(core_oom, case_107_small_answers)
{
    every(small_answers);
}

Test(core_oom, case_107_names_and_groups)
{
    every(names_and_groups);
}

Test(core_oom, case_107_nested_and_large)
{
    every(nested_and_large);
}

Test(core_oom, case_107_growth)
{
    /* Many allocations are alike: the first 60 one by one, then every 23rd. */
    for (int kind = NKV_INDEX_CHUNKED; kind <= NKV_INDEX_UTHASH; kind++) {
        long calls = once(growth, (nkv_index_kind)kind, -1, false);
        for (long i = 0; i < calls; i += i < 60 ? 1 : 23) {
            (void)once(growth, (nkv_index_kind)kind, i, i % 2 == 0);
        }
    }
}

Test(core_oom, case_107_spaces_and_owners)
{
    every(spaces_and_owners);
}

Test(core_oom, case_107_wrapped)
{
    every(wrapped);
}

Test(core_oom, case_107_values_and_drafts)
{
    every(values);
}
