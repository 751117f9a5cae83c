/* unit/core/test_create.c - options of a cache, and caches that are tables of one's own. */

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "support/core_kit.h"
#include "support/toy_cache.h"

/* ---- Options --------------------------------------------------------------------------------- */

static void refuses(const nkv_cache_options *options, const char *name)
{
    nkv_cache *cache = (nkv_cache *)&cache;
    nkv_error error = {.status = NKV_OK};
    cr_assert_eq(nkv_cache_create(options, &cache, &error), NKV_EINVAL, "%s", name);
    cr_assert_null(cache);
    cr_assert_not_null(strstr(error.text, name), "'%s' does not name %s", error.text, name);
}

/* Case 106 (core part): a wrong option is named, and says what is allowed. */
Test(core_create, case_106_options_are_checked)
{
    nkv_cache_options options;
    nkv_cache_options_init(&options);
    options.confidence = 100.5;
    refuses(&options, "confidence");
    options.confidence = -0.1;
    refuses(&options, "confidence");
    options.confidence = (double)NAN;
    refuses(&options, "confidence");
    options.confidence = 0;
    options.entry_bytes_max = -1;
    refuses(&options, "entry_bytes_max");
    options.entry_bytes_max = 0;
    options.policy = (nkv_policy)7;
    refuses(&options, "policy");
    options.policy = NKV_POLICY_S3FIFO;
    options.index = (nkv_index_kind)7;
    refuses(&options, "index");
    options.index = NKV_INDEX_UTHASH;
    options.strict = 2;
    refuses(&options, "strict");
    options.strict = 1;
    options.dynamic_confidence = -1;
    refuses(&options, "dynamic_confidence");
    options.dynamic_confidence = 1;
    options.key_counters = SIZE_MAX;
    refuses(&options, "key_counters");
    options.key_counters = 1;
    options.keys_max = INT64_MAX;
    options.bytes_max = INT64_MIN;
    nkv_cache *cache;
    cr_assert_eq(nkv_cache_create(&options, &cache, NULL), NKV_OK);
    nkv_cache_release(cache);
    options.struct_size = 0;
    refuses(&options, "nkv_cache_options_init");
}

Test(core_create, defaults_are_those_of_the_header)
{
    nkv_cache *cache;
    cr_assert_eq(nkv_cache_create(NULL, &cache, NULL), NKV_OK);
    cr_assert_float_eq(nkv_cache_confidence(cache), 100.0, 1e-12);
    nkv_cache *again = nkv_cache_retain(cache);
    cr_assert_eq(again, cache);
    nkv_cache_release(again);
    t_kit kit;
    t_kit_share(&kit, cache, "test");
    char key[16];
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        cr_assert(t_kit_put(&kit, key, "", "v"));
    }
    cr_assert_eq(t_kit_stats(&kit).keys, 4096);
    t_kit_close(&kit);
    nkv_cache_release(NULL);
}

/* A caller that was built against a shorter struct gets the defaults for the rest. */
Test(core_create, a_shorter_struct_of_an_older_caller_will_do)
{
    nkv_cache_options options;
    memset(&options, 0xff, sizeof options);
    nkv_cache_options_init_sized(&options, offsetof(nkv_cache_options, policy));
    options.keys_max = 1;
    nkv_cache *cache;
    cr_assert_eq(nkv_cache_create(&options, &cache, NULL), NKV_OK);
    cr_assert_float_eq(nkv_cache_confidence(cache), 100.0, 1e-12);
    nkv_cache_release(cache);
}

Test(core_create, an_entry_limit_of_its_own)
{
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, -1, -1);
    options.entry_bytes_max = 1000;
    t_kit kit;
    t_kit_open(&kit, &options);
    static char text[2000];
    cr_assert(
        t_kit_put_bytes(&kit, nkv_cstr("k"), nkv_cstr(""), nkv_str_make(text, 900), NKVI_NEVER));
    cr_assert(
        !t_kit_put_bytes(&kit, nkv_cstr("l"), nkv_cstr(""), nkv_str_make(text, 1100), NKVI_NEVER));
    t_kit_close(&kit);
}

/* ---- Owners and spaces ----------------------------------------------------------------------- */

Test(core_owners, numbers_are_used_again_but_not_their_stamps)
{
    t_kit kit;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, 1 << 20);
    t_kit_open(&kit, &options);
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    uint32_t id = kit.owner->id;
    nkvi_cache_owner_close(kit.cache, kit.owner);
    kit.owner = nkvi_cache_owner_open(kit.cache, NULL);
    cr_assert_eq(kit.owner->id, id);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_LAPSED);
    kit.generation = nkvi_cache_owner_begin(kit.cache, kit.owner, INT64_MAX);
    cr_assert_eq(kit.generation % 2, 1);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_LAPSED);
    t_kit_close(&kit);
}

/* Puts k into hash slot 7 and l into hash slot 8. */
static void put_in_slots(t_kit *kit, nkvi_moves *moves)
{
    static const struct {
        const char *key;
        uint16_t hash_slot;
    } keys[] = {{"k", 7}, {"l", 8}};
    for (size_t i = 0; i < 2; i++) {
        nkvi_query query = t_kit_query(kit, nkv_cstr(keys[i].key), nkv_cstr(""));
        nkvi_stamp stamp = {.owner = kit->owner,
                            .generation = kit->generation,
                            .deadline_ns = NKVI_NEVER,
                            .moves = atomic_load(&moves->of[keys[i].hash_slot]),
                            .hash_slot = keys[i].hash_slot};
        nkvi_draft draft;
        bool stored = false;
        cr_assert(nkvi_draft_string(&draft, NKV_TYPE_STRING, "v", 1));
        nkv_value_release(nkvi_cache_put(kit->cache, &query, &draft, &stamp, 1, &stored));
        cr_assert(stored);
    }
}

static void reopen_owner(t_kit *kit, const nkvi_moves *moves)
{
    nkvi_cache_owner_close(kit->cache, kit->owner);
    kit->owner = nkvi_cache_owner_open(kit->cache, moves);
    kit->generation = nkvi_cache_owner_begin(kit->cache, kit->owner, INT64_MAX);
}

Test(core_moves, a_slot_that_moves_takes_its_answers_along)
{
    t_kit kit;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, 1 << 20);
    t_kit_open(&kit, &options);
    nkvi_moves *moves = nkvi_cache_moves_open(kit.cache);
    reopen_owner(&kit, moves);
    put_in_slots(&kit, moves);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_HIT);
    nkvi_cache_slot_moved(kit.cache, moves, 7);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_LAPSED);
    cr_assert_eq(t_kit_outcome(&kit, "l", 1), NKVI_HIT);
    while (nkvi_cache_tidy(kit.cache, 1, 64)) {}
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_ABSENT, "its memory has followed");
    put_in_slots(&kit, moves);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_HIT);
    nkvi_cache_owner_end(kit.cache, kit.owner);
    cr_assert_eq(t_kit_outcome(&kit, "l", 1), NKVI_LAPSED, "a lost lane takes all");
    nkvi_cache_owner_close(kit.cache, kit.owner);
    nkvi_cache_moves_close(kit.cache, moves);
    nkv_cache_release(kit.cache);
}

Test(core_moves, an_answer_asked_for_before_the_move_is_not_stored)
{
    t_kit kit;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, 1 << 20);
    t_kit_open(&kit, &options);
    nkvi_moves *moves = nkvi_cache_moves_open(kit.cache);
    reopen_owner(&kit, moves);
    nkvi_query query = t_kit_query(&kit, nkv_cstr("k"), nkv_cstr(""));
    nkvi_stamp stamp = {.owner = kit.owner,
                        .generation = kit.generation,
                        .deadline_ns = NKVI_NEVER,
                        .moves = atomic_load(&moves->of[7]),
                        .hash_slot = 7};
    nkvi_draft draft;
    bool stored = true;
    nkvi_cache_slot_moved(kit.cache, moves, 7);
    cr_assert(nkvi_draft_string(&draft, NKV_TYPE_STRING, "v", 1));
    nkv_value_release(nkvi_cache_put(kit.cache, &query, &draft, &stamp, 1, &stored));
    cr_assert(!stored);
    nkvi_cache_owner_close(kit.cache, kit.owner);
    nkvi_cache_moves_close(kit.cache, moves);
    nkv_cache_release(kit.cache);
}

/* Generation and moves are added up in a stamp, so whoever gets the owner next, with other moves or
 * none, must not come to the same sum. */
Test(core_moves, stamps_match_no_later_user_of_the_owner)
{
    t_kit kit;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, 1 << 20);
    t_kit_open(&kit, &options);
    nkvi_moves *moves = nkvi_cache_moves_open(kit.cache);
    nkvi_moves *others = nkvi_cache_moves_open(kit.cache);
    for (int moved = 0; moved < 9; moved++) {
        reopen_owner(&kit, moves);
        nkvi_cache_slot_moved(kit.cache, moves, 7);
        put_in_slots(&kit, moves);
        cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_HIT);
        for (int later = 0; later < 20; later++) {
            reopen_owner(&kit, later % 2 == 0 ? NULL : others);
            cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_LAPSED, "%d moves, user %d", moved,
                         later);
            cr_assert_eq(t_kit_outcome(&kit, "l", 1), NKVI_LAPSED);
            cr_assert_eq(kit.generation % 2, 1);
        }
    }
    nkvi_cache_owner_close(kit.cache, kit.owner);
    nkvi_cache_moves_close(kit.cache, moves);
    nkvi_cache_moves_close(kit.cache, others);
    cr_assert_eq(nkvi_cache_moves_open(kit.cache), others, "used again");
    nkv_cache_release(kit.cache);
}

Test(core_owners, thousands_of_them)
{
    enum { OWNERS = 3000 };
    t_kit kit;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, -1, -1);
    t_kit_open(&kit, &options);
    static nkvi_owner *owners[OWNERS];
    nkvi_owner *own = kit.owner;
    char key[16];
    for (int i = 0; i < OWNERS; i++) {
        owners[i] = nkvi_cache_owner_open(kit.cache, NULL);
        kit.owner = owners[i];
        kit.generation = nkvi_cache_owner_begin(kit.cache, owners[i], INT64_MAX);
        (void)snprintf(key, sizeof key, "k%d", i);
        cr_assert(t_kit_put(&kit, key, "", "v"));
    }
    for (int i = 0; i < OWNERS; i += 2) {
        nkvi_cache_owner_end(kit.cache, owners[i]);
    }
    for (int i = 0; i < OWNERS; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        cr_assert_eq(t_kit_outcome(&kit, key, 1), i % 2 == 0 ? NKVI_LAPSED : NKVI_HIT);
    }
    for (int i = 0; i < OWNERS; i++) {
        nkvi_cache_owner_close(kit.cache, owners[i]);
    }
    kit.owner = own;
    t_kit_close(&kit);
}

Test(core_spaces, names_are_told_apart_by_all_their_bytes)
{
    t_kit kit;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, -1);
    t_kit_open(&kit, &options);
    uint32_t numbers[4];
    static const nkv_str names[4] = {{"a", 1}, {"a\0b", 3}, {"", 0}, {"a", 1}};
    for (int i = 0; i < 4; i++) {
        nkvi_fence *fence = NULL;
        cr_assert(nkvi_cache_space_open(kit.cache, names[i], &numbers[i], &fence));
        cr_assert_eq(fence, nkvi_cache_space_fence(kit.cache, numbers[i]));
    }
    cr_assert_eq(numbers[0], numbers[3]);
    cr_assert_neq(numbers[0], numbers[1]);
    cr_assert_neq(numbers[0], numbers[2]);
    cr_assert_eq(nkvi_cache_space_count(kit.cache), 4);
    cr_assert_eq(nkvi_cache_invalidate(kit.cache, 99, nkv_cstr("k")), 0,
                 "a space that is not there");
    nkvi_cache_flush(kit.cache, 99);
    t_kit_close(&kit);
}

/* An own write forgets the key in every space. */
Test(core_spaces, a_write_reaches_all)
{
    t_kit one;
    t_kit two;
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, -1);
    t_kit_open(&one, &options);
    t_kit_share(&two, one.cache, "by another address");
    cr_assert(t_kit_put(&one, "k", "", "v"));
    cr_assert(t_kit_put(&two, "k", "STRLEN", "1"));
    uint32_t spaces = nkvi_cache_write_begin(one.cache, nkv_cstr("k"));
    cr_assert_eq(spaces, 2);
    cr_assert(!t_kit_hit(&one, "k", ""));
    cr_assert(!t_kit_hit(&two, "k", "STRLEN"));
    nkvi_cache_write_end(one.cache, nkv_cstr("k"), spaces);
    t_kit_unshare(&two);
    t_kit_close(&one);
}

/* ---- Tables of one's own --------------------------------------------------------------------- */

static void open_toy(t_kit *kit)
{
    nkv_cache *cache;
    cr_assert_eq(nkv_cache_wrap(&t_toy_heap_ops, t_toy_new(), &cache, NULL), NKV_OK);
    t_kit_share(kit, cache, "test");
}

/* Case 14 (core part): a table of one's own is asked, and what it may serve is judged as ever. */
Test(core_wrap, case_14_hits_misses_and_what_ends_them)
{
    t_kit kit;
    open_toy(&kit);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    cr_assert(t_kit_has(&kit, "k", "", "v"));
    cr_assert_eq(nkvi_cache_invalidate(kit.cache, kit.space, nkv_cstr("k")), 0);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    cr_assert(t_kit_put_bytes(&kit, nkv_cstr("k"), nkv_cstr(""), nkv_cstr("v"), 100));
    cr_assert_eq(t_kit_outcome(&kit, "k", 99), NKVI_HIT);
    cr_assert_eq(t_kit_outcome(&kit, "k", 100), NKVI_EXPIRED);
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    atomic_store(&kit.owner->fresh_until_ns, 50);
    cr_assert_eq(t_kit_outcome(&kit, "k", 50), NKVI_LAPSED);
    atomic_store(&kit.owner->fresh_until_ns, INT64_MAX);
    t_kit_lose_owner(&kit);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    cr_assert(t_kit_put(&kit, "k", "", "w"));
    nkvi_cache_flush(kit.cache, kit.space);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    t_kit_close(&kit);
}

/* A table that forgets nothing it is told to forget cannot make a stale hit of a flush or a lost
 * connection. */
static nkv_value *kept;

static nkv_value *stubborn_get(void *self, uint32_t space, nkv_str key, nkv_str command)
{
    (void)self;
    (void)space;
    (void)key;
    (void)command;
    return kept != NULL ? nkv_value_retain(kept) : NULL;
}

static void stubborn_put(void *self, uint32_t space, nkv_str key, nkv_str command, nkv_value *value,
                         int64_t deadline_ns)
{
    (void)self;
    (void)space;
    (void)key;
    (void)command;
    (void)deadline_ns;
    nkv_value_release(kept);
    kept = nkv_value_retain(value);
}

static void stubborn_invalidate(void *self, uint32_t space, nkv_str key)
{
    (void)self;
    (void)space;
    (void)key;
}

static void stubborn_reset(void *self, uint32_t space)
{
    (void)self;
    (void)space;
}

Test(core_wrap, a_table_that_does_not_reset_serves_nothing_old)
{
    const nkv_cache_ops ops = {.struct_size = sizeof ops,
                               .get = stubborn_get,
                               .put = stubborn_put,
                               .invalidate = stubborn_invalidate,
                               .reset = stubborn_reset};
    nkv_cache *cache;
    cr_assert_eq(nkv_cache_wrap(&ops, NULL, &cache, NULL), NKV_OK);
    t_kit kit;
    t_kit_share(&kit, cache, "test");
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    cr_assert(t_kit_has(&kit, "k", "", "v"));
    cr_assert_eq(t_kit_outcome(&kit, "another", 1), NKVI_LAPSED, "the answer to another question");
    nkvi_cache_flush(kit.cache, kit.space);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_LAPSED);
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    nkvi_cache_owner_end(kit.cache, kit.owner);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_LAPSED);
    nkv_value_release(kept);
    kept = nkv_value_from_bytes("made up", 7);
    kit.generation = nkvi_cache_owner_begin(kit.cache, kit.owner, INT64_MAX);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_LAPSED, "nobody vouches for it");
    nkv_value_release(kept);
    kept = NULL;
    t_kit_close(&kit);
}

Test(core_wrap, a_fill_that_a_write_overtook_does_not_reach_the_table)
{
    t_kit kit;
    open_toy(&kit);
    nkvi_query query = t_kit_query(&kit, nkv_cstr("k"), nkv_cstr(""));
    nkvi_token token = nkvi_fence_token(kit.fence, query.key_hash);
    uint32_t spaces = nkvi_cache_write_begin(kit.cache, query.key);
    nkvi_cache_write_end(kit.cache, query.key, spaces);
    nkvi_draft draft;
    cr_assert(nkvi_draft_string(&draft, NKV_TYPE_STRING, "old", 3));
    nkvi_stamp stamp = {.owner = kit.owner,
                        .generation = kit.generation,
                        .deadline_ns = NKVI_NEVER,
                        .token = &token};
    bool stored = true;
    nkv_value *value = nkvi_cache_put(kit.cache, &query, &draft, &stamp, 1, &stored);
    cr_assert(!stored);
    cr_assert_str_eq(nkv_value_str(value).data, "old");
    nkv_value_release(value);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    t_kit_close(&kit);
}

Test(core_wrap, a_table_without_its_functions_is_refused)
{
    nkv_cache_ops ops = t_toy_heap_ops;
    ops.reset = NULL;
    nkv_cache *cache;
    nkv_error error;
    cr_assert_eq(nkv_cache_wrap(&ops, NULL, &cache, &error), NKV_EINVAL);
    ops = t_toy_heap_ops;
    ops.struct_size = offsetof(nkv_cache_ops, put);
    cr_assert_eq(nkv_cache_wrap(&ops, NULL, &cache, &error), NKV_EINVAL);
}
