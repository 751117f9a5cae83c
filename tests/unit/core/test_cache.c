/* unit/core/test_cache.c - the built-in cache: what is found, what is not, what has to go.
 *
 * Each test runs on both indexes. */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "base/clock.h"
#include "support/core_kit.h"

static nkv_index_kind kinds[] = {NKV_INDEX_UTHASH, NKV_INDEX_CHUNKED};

/* Defines a test that is run with both indexes; `kind` is the one. */
#define BOTH(suite, name)                                                                  \
    ParameterizedTestParameters(suite, name)                                               \
    {                                                                                      \
        return cr_make_param_array(nkv_index_kind, kinds, sizeof kinds / sizeof kinds[0]); \
    }                                                                                      \
    ParameterizedTest(nkv_index_kind *kind, suite, name)

static void open_kit(t_kit *kit, nkv_index_kind kind, int64_t keys_max, int64_t bytes_max)
{
    nkv_cache_options options = t_kit_options(kind, keys_max, bytes_max);
    t_kit_open(kit, &options);
}

/* ---- Hits and misses ------------------------------------------------------------------------- */

BOTH(core_cache, what_was_put_is_found)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    cr_assert(t_kit_put(&kit, "k", "", "one"));
    cr_assert(t_kit_has(&kit, "k", "", "one"));
    cr_assert(t_kit_put(&kit, "k", "", "two"));
    cr_assert(t_kit_has(&kit, "k", "", "two"));
    cr_assert(!t_kit_hit(&kit, "K", ""));
    cr_assert_eq(t_kit_stats(&kit).keys, 1);
    t_kit_close(&kit);
}

/* Case 16: HGET f1 and f2 of one key are two answers. */
BOTH(core_cache, case_16_commands_of_a_key_are_distinct)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    cr_assert(t_kit_put(&kit, "h", "HGET f1", "1"));
    cr_assert(t_kit_put(&kit, "h", "HGET f2", "2"));
    cr_assert(t_kit_has(&kit, "h", "HGET f1", "1"));
    cr_assert(t_kit_has(&kit, "h", "HGET f2", "2"));
    cr_assert(!t_kit_hit(&kit, "h", ""));
    cr_assert_eq(t_kit_stats(&kit).keys, 1);
    cr_assert_eq(nkvi_cache_invalidate(kit.cache, kit.space, nkv_cstr("h")), 2);
    cr_assert(!t_kit_hit(&kit, "h", "HGET f1"));
    cr_assert(!t_kit_hit(&kit, "h", "HGET f2"));
    cr_assert_eq(t_kit_stats(&kit).keys, 0);
    t_kit_close(&kit);
}

/* Case 17 (store part): where key and command end is part of the name: "a"+"bc" is not "ab"+"c". */
BOTH(core_cache, case_17_lengths_are_part_of_the_name)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    cr_assert(t_kit_put(&kit, "a", "bc", "1"));
    cr_assert(!t_kit_hit(&kit, "ab", "c"));
    cr_assert(t_kit_put(&kit, "ab", "c", "2"));
    cr_assert(t_kit_put(&kit, "abc", "", "3"));
    cr_assert(t_kit_has(&kit, "a", "bc", "1"));
    cr_assert(t_kit_has(&kit, "ab", "c", "2"));
    cr_assert(t_kit_has(&kit, "abc", "", "3"));
    t_kit_close(&kit);
}

/* Case 18: any bytes make a key. */
BOTH(core_cache, case_18_binary_keys)
{
    static const char raw[] = "a\0b\r\n\xff";
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    nkv_str key = nkv_str_make(raw, 6);
    nkv_str shorter = nkv_str_make(raw, 2);
    cr_assert(t_kit_put_bytes(&kit, key, nkv_cstr(""), key, NKVI_NEVER));
    nkv_value *value = t_kit_get(&kit, key, nkv_cstr(""));
    cr_assert_not_null(value);
    cr_assert_eq(nkv_value_str(value).len, 6);
    cr_assert_arr_eq(nkv_value_str(value).data, raw, 6);
    nkv_value_release(value);
    cr_assert_null(t_kit_get(&kit, shorter, nkv_cstr("")));
    t_kit_close(&kit);
}

/* Case 19: the empty key and the empty value are as good as any. */
BOTH(core_cache, case_19_empty_key_and_value)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    nkv_str none = {NULL, 0};
    cr_assert(t_kit_put_bytes(&kit, none, none, none, NKVI_NEVER));
    cr_assert(t_kit_has(&kit, "", "", ""));
    cr_assert_eq(nkvi_cache_invalidate(kit.cache, kit.space, none), 1);
    cr_assert(!t_kit_hit(&kit, "", ""));
    t_kit_close(&kit);
}

/* Case 20 (store part): nil, "", 0 and an empty array are answers, and hits. */
BOTH(core_cache, case_20_nothing_is_an_answer)
{
    static const nkv_type types[] = {NKV_TYPE_NIL, NKV_TYPE_STRING, NKV_TYPE_INTEGER,
                                     NKV_TYPE_ARRAY};
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        nkvi_draft draft;
        nkv_reply root = {.type = types[i], .str = types[i] == NKV_TYPE_STRING ? "" : NULL};
        cr_assert(nkvi_draft_copy(&draft, &root));
        cr_assert(t_kit_put_draft(&kit, nkv_cstr(key), nkv_cstr(""), &draft, NKVI_NEVER));
        nkv_value *value = t_kit_get(&kit, nkv_cstr(key), nkv_cstr(""));
        cr_assert_not_null(value);
        nkv_reply reply = nkv_value_reply(value);
        cr_assert_eq(reply.type, types[i]);
        cr_assert_eq(reply.len + reply.elements, 0);
        nkv_value_release(value);
    }
    t_kit_close(&kit);
}

BOTH(core_cache, long_names_are_compared_whole)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    char key[301];
    memset(key, 'x', 300);
    key[300] = '\0';
    cr_assert(t_kit_put(&kit, key, "STRLEN", "1"));
    cr_assert(t_kit_put(&kit, key, "", "2"));
    cr_assert(t_kit_has(&kit, key, "STRLEN", "1"));
    cr_assert(t_kit_has(&kit, key, "", "2"));
    key[299] = 'y';
    cr_assert(!t_kit_hit(&kit, key, ""));
    key[299] = 'x';
    cr_assert_eq(nkvi_cache_invalidate(kit.cache, kit.space, nkv_cstr(key)), 2);
    t_kit_close(&kit);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* Case 3: with room for one key the second throws the first out. */
BOTH(core_cache, case_3_eviction_with_one_key)
{
    t_kit kit;
    open_kit(&kit, *kind, 1, 1 << 20);
    for (int i = 0; i < 10; i++) {
        cr_assert(t_kit_put(&kit, i % 2 == 0 ? "a" : "b", "", "v"));
        cr_assert(t_kit_has(&kit, i % 2 == 0 ? "a" : "b", "", "v"));
        cr_assert(!t_kit_hit(&kit, i % 2 == 0 ? "b" : "a", ""));
        cr_assert_eq(t_kit_stats(&kit).keys, 1);
    }
    cr_assert_eq(t_kit_stats(&kit).evictions, 9);
    t_kit_close(&kit);
}

/* Case 21 (store part): keys are counted, not answers: GET and STRLEN of one key fit into one. */
BOTH(core_cache, case_21_two_commands_of_one_key_with_keys_max_1)
{
    t_kit kit;
    open_kit(&kit, *kind, 1, 1 << 20);
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    cr_assert(t_kit_put(&kit, "k", "STRLEN", "1"));
    for (int i = 0; i < 3; i++) {
        cr_assert(t_kit_has(&kit, "k", "", "v"));
        cr_assert(t_kit_has(&kit, "k", "STRLEN", "1"));
    }
    cr_assert_eq(t_kit_stats(&kit).evictions, 0);
    t_kit_close(&kit);
}

/* Case 22: a negative limit is none. */
BOTH(core_cache, case_22_unbounded_holds_100000_keys)
{
    t_kit kit;
    open_kit(&kit, *kind, -1, -1);
    char key[16];
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        cr_assert(t_kit_put(&kit, key, "", key));
    }
    cr_assert_eq(t_kit_stats(&kit).keys, 100000);
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        cr_assert(t_kit_has(&kit, key, "", key), "%s", key);
    }
    t_kit_close(&kit);
}

/* Case 23: a limit of 0 switches the cache off; answers come back all the same. */
BOTH(core_cache, case_23_a_limit_of_0_disables)
{
    for (int which = 0; which < 2; which++) {
        t_kit kit;
        open_kit(&kit, *kind, which == 0 ? 0 : 10, which == 0 ? 1 << 20 : 0);
        cr_assert(!t_kit_put(&kit, "k", "", "v"));
        cr_assert(!t_kit_hit(&kit, "k", ""));
        cr_assert_eq(t_kit_stats(&kit).bytes, 0);
        cr_assert_eq(t_kit_stats(&kit).puts_refused, 1);
        t_kit_close(&kit);
    }
}

/* Case 2: with one byte nothing fits, and nothing breaks. */
BOTH(core_cache, case_2_one_byte)
{
    t_kit kit;
    open_kit(&kit, *kind, -1, 1);
    nkvi_query query = t_kit_query(&kit, nkv_cstr("k"), nkv_cstr(""));
    nkvi_stamp stamp = {
        .owner = kit.owner, .generation = kit.generation, .deadline_ns = NKVI_NEVER, .token = NULL};
    nkvi_draft draft;
    cr_assert(nkvi_draft_string(&draft, NKV_TYPE_STRING, "value", 5));
    bool stored = true;
    nkv_value *value = nkvi_cache_put(kit.cache, &query, &draft, &stamp, 1, &stored);
    cr_assert(!stored);
    cr_assert_str_eq(nkv_value_str(value).data, "value");
    nkv_value_release(value);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    cr_assert_leq(t_kit_stats(&kit).bytes, 1);
    t_kit_close(&kit);
}

/* Case 25: what is too large is handed back, not stored, and throws nothing out. */
BOTH(core_cache, case_25_oversized_is_returned_not_stored)
{
    t_kit kit;
    open_kit(&kit, *kind, -1, 64 << 10);
    static char large[40 << 10];
    memset(large, 'x', sizeof large);
    cr_assert(t_kit_put(&kit, "small", "", "v"));
    cr_assert(!t_kit_put_bytes(&kit, nkv_cstr("large"), nkv_cstr(""),
                               nkv_str_make(large, sizeof large), NKVI_NEVER));
    cr_assert(!t_kit_hit(&kit, "large", ""));
    cr_assert(t_kit_has(&kit, "small", "", "v"));
    t_kit_close(&kit);
}

/* ---- Invalidation, flush, owners ------------------------------------------------------------- */

/* Case 29: an answer in hand survives everything that happens to its key, and the cache itself. */
BOTH(core_cache, case_29_a_value_in_hand_stays_valid)
{
    t_kit kit;
    open_kit(&kit, *kind, 1, 1 << 20);
    nkv_value *held[5];
    for (int i = 0; i < 5; i++) {
        char text[] = {'v', (char)('0' + i), '\0'};
        cr_assert(t_kit_put(&kit, "k", "", text));
        held[i] = t_kit_get(&kit, nkv_cstr("k"), nkv_cstr(""));
        if (i == 0) {
            cr_assert_eq(nkvi_cache_invalidate(kit.cache, kit.space, nkv_cstr("k")), 1);
        } else if (i == 1) {
            nkvi_cache_flush(kit.cache, kit.space);
        } else if (i == 2) {
            cr_assert(t_kit_put(&kit, "other", "", "x"));
        }
    }
    cr_assert_gt(t_kit_stats(&kit).pinned_bytes, 0);
    t_kit_close(&kit);
    for (int i = 0; i < 5; i++) {
        char text[] = {'v', (char)('0' + i), '\0'};
        cr_assert_str_eq(nkv_value_str(held[i]).data, text);
        nkv_value_release(held[i]);
    }
}

BOTH(core_cache, a_flush_takes_its_space_only)
{
    t_kit one;
    t_kit two;
    open_kit(&one, *kind, 100, 1 << 20);
    t_kit_share(&two, one.cache, "another");
    cr_assert_neq(one.space, two.space);
    cr_assert(t_kit_put(&one, "k", "", "1"));
    cr_assert(t_kit_put(&two, "k", "", "2"));
    cr_assert(t_kit_has(&one, "k", "", "1"));
    cr_assert_eq(t_kit_stats(&one).keys, 2);
    nkvi_cache_flush(one.cache, one.space);
    cr_assert(!t_kit_hit(&one, "k", ""));
    cr_assert(t_kit_has(&two, "k", "", "2"));
    cr_assert_eq(t_kit_stats(&one).keys, 1);
    cr_assert(!nkvi_cache_tidy(one.cache, 1, SIZE_MAX));
    cr_assert(t_kit_has(&two, "k", "", "2"));
    t_kit_unshare(&two);
    t_kit_close(&one);
}

/* Case 101 (store part): what one client's lane vouched for goes with it; the other's stays. */
BOTH(core_cache, case_101_a_lost_owner_takes_its_own_answers)
{
    t_kit one;
    t_kit two;
    open_kit(&one, *kind, 100, 1 << 20);
    t_kit_share(&two, one.cache, "test");
    cr_assert_eq(one.space, two.space);
    cr_assert(t_kit_put(&one, "a", "", "1"));
    cr_assert(t_kit_put(&two, "b", "", "2"));
    cr_assert(t_kit_has(&two, "a", "", "1"), "clients of one space share");
    t_kit_lose_owner(&one);
    cr_assert_eq(t_kit_outcome(&one, "a", 1), NKVI_LAPSED);
    cr_assert(t_kit_has(&one, "b", "", "2"));
    cr_assert(!nkvi_cache_tidy(one.cache, 1, SIZE_MAX));
    cr_assert_eq(t_kit_outcome(&one, "a", 1), NKVI_ABSENT);
    cr_assert_eq(t_kit_stats(&one).keys, 1);
    t_kit_unshare(&two);
    cr_assert_eq(t_kit_outcome(&one, "b", 1), NKVI_LAPSED);
    t_kit_close(&one);
}

BOTH(core_cache, a_silent_owner_vouches_for_nothing)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    atomic_store(&kit.owner->fresh_until_ns, 50);
    cr_assert_eq(t_kit_outcome(&kit, "k", 49), NKVI_HIT);
    cr_assert_eq(t_kit_outcome(&kit, "k", 50), NKVI_LAPSED);
    atomic_store(&kit.owner->fresh_until_ns, 60);
    cr_assert_eq(t_kit_outcome(&kit, "k", 50), NKVI_HIT);
    t_kit_close(&kit);
}

BOTH(core_cache, an_entry_ends_at_its_deadline)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    cr_assert(t_kit_put_bytes(&kit, nkv_cstr("k"), nkv_cstr(""), nkv_cstr("v"), 100));
    cr_assert_eq(t_kit_outcome(&kit, "k", 99), NKVI_HIT);
    cr_assert_eq(t_kit_outcome(&kit, "k", 100), NKVI_EXPIRED);
    cr_assert(!t_kit_put_bytes(&kit, nkv_cstr("late"), nkv_cstr(""), nkv_cstr("v"), 1),
              "a deadline that has passed already is not stored");
    (void)nkvi_cache_tidy(kit.cache, 100, SIZE_MAX);
    cr_assert_eq(t_kit_outcome(&kit, "k", 1), NKVI_ABSENT);
    cr_assert_eq(t_kit_stats(&kit).expirations, 1);
    t_kit_close(&kit);
}

BOTH(core_cache, a_stamp_of_an_earlier_generation_is_refused)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    uint64_t before = kit.generation;
    t_kit_lose_owner(&kit);
    uint64_t now = kit.generation;
    kit.generation = before;
    cr_assert(!t_kit_put(&kit, "k", "", "v"));
    kit.generation = now;
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    nkvi_cache_owner_end(kit.cache, kit.owner);
    cr_assert(!t_kit_put(&kit, "k", "", "w"));
    kit.generation = now + 1;
    cr_assert(!t_kit_put(&kit, "k", "", "w"), "an even generation vouches for nothing");
    t_kit_close(&kit);
}

/* I2: a read that a write of ours overlaps is not stored. */
BOTH(core_cache, a_broken_token_is_refused)
{
    t_kit kit;
    open_kit(&kit, *kind, 100, 1 << 20);
    nkvi_query query = t_kit_query(&kit, nkv_cstr("k"), nkv_cstr(""));
    nkvi_token token = nkvi_fence_token(kit.fence, query.key_hash);
    nkvi_stamp stamp = {.owner = kit.owner,
                        .generation = kit.generation,
                        .deadline_ns = NKVI_NEVER,
                        .token = &token};
    for (int i = 0; i < 3; i++) {
        uint32_t spaces = 0;
        if (i == 1) {
            spaces = nkvi_cache_write_begin(kit.cache, query.key);
            nkvi_cache_write_end(kit.cache, query.key, spaces);
        } else if (i == 2) {
            token = nkvi_fence_token(kit.fence, query.key_hash);
            nkvi_cache_flush_own(kit.cache);
        }
        nkvi_draft draft;
        cr_assert(nkvi_draft_string(&draft, NKV_TYPE_STRING, "v", 1));
        bool stored;
        nkv_value_release(nkvi_cache_put(kit.cache, &query, &draft, &stamp, 1, &stored));
        cr_assert_eq(stored, i == 0);
        cr_assert_eq(t_kit_hit(&kit, "k", ""), i == 0);
    }
    t_kit_close(&kit);
}

BOTH(core_cache, reset_drops_everything_and_restores_confidence)
{
    t_kit kit;
    nkv_cache_options options = t_kit_options(*kind, 100, 1 << 20);
    options.confidence = 50;
    options.dynamic_confidence = 1;
    t_kit_open(&kit, &options);
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    nkv_cache_feedback(kit.cache, kit.space, nkv_cstr("other"), 0);
    cr_assert_lt(nkv_cache_confidence(kit.cache), 50.0);
    nkv_cache_reset(kit.cache);
    cr_assert_float_eq(nkv_cache_confidence(kit.cache), 50.0, 1e-12);
    cr_assert(!t_kit_hit(&kit, "k", ""));
    cr_assert_eq(t_kit_stats(&kit).keys, 0);
    t_kit_close(&kit);
}

BOTH(core_cache, a_batch_is_answered_in_order)
{
    t_kit kit;
    open_kit(&kit, *kind, 1000, 1 << 20);
    nkvi_query queries[200];
    nkvi_found found[200];
    char names[200][16];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        queries[i] = t_kit_query(&kit, nkv_cstr(names[i]), nkv_cstr(""));
        if (i % 3 != 2) {
            cr_assert(t_kit_put(&kit, names[i], "", names[i]));
        }
    }
    nkvi_cache_find(kit.cache, queries, 200, 1, found);
    for (int i = 0; i < 200; i++) {
        cr_assert_eq(found[i].outcome, i % 3 != 2 ? NKVI_HIT : NKVI_ABSENT);
        if (found[i].value != NULL) {
            cr_assert_str_eq(nkv_value_str(found[i].value).data, names[i]);
            nkv_value_release(found[i].value);
        }
    }
    t_kit_close(&kit);
}

static bool not_stop(const nkv_value *value)
{
    return strcmp(nkv_value_str(value).data, "stop") != 0;
}

BOTH(core_cache, find_while_stops_where_it_is_told)
{
    t_kit kit;
    open_kit(&kit, *kind, 1000, 1 << 20);
    nkvi_query queries[100];
    nkvi_found found[100];
    char names[100][16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        queries[i] = t_kit_query(&kit, nkv_cstr(names[i]), nkv_cstr(""));
        if (i != 70) {
            cr_assert(t_kit_put(&kit, names[i], "", i == 40 ? "stop" : "go"));
        }
    }
    size_t looked = nkvi_cache_find_while(kit.cache, queries, 100, 1, found, not_stop);
    cr_assert_eq(looked, 41);
    for (size_t i = 0; i < looked; i++) {
        nkv_value_release(found[i].value);
    }
    looked = nkvi_cache_find_while(kit.cache, queries + 41, 59, 1, found, not_stop);
    cr_assert_eq(looked, 30);
    cr_assert_eq(found[29].outcome, NKVI_ABSENT);
    for (size_t i = 0; i < looked; i++) {
        nkv_value_release(found[i].value);
    }
    cr_assert_eq(t_kit_stats(&kit).pinned_bytes, 0);
    t_kit_close(&kit);
}
