/* unit/core/test_policy_order.c - the whole order in which keys leave, seen from outside by what is
 * still there.  Single steps of it are in test_policy.c. */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#include "support/core_kit.h"

static nkv_index_kind kinds[] = {NKV_INDEX_UTHASH, NKV_INDEX_CHUNKED};

#define BOTH(suite, name)                                                                  \
    ParameterizedTestParameters(suite, name)                                               \
    {                                                                                      \
        return cr_make_param_array(nkv_index_kind, kinds, sizeof kinds / sizeof kinds[0]); \
    }                                                                                      \
    ParameterizedTest(nkv_index_kind *kind, suite, name)

enum { FEW = 8, MANY = 2000 };

static void open_kit(t_kit *kit, nkv_index_kind kind, nkv_policy policy, int strict, int64_t keys)
{
    nkv_cache_options options = t_kit_options(kind, keys, -1);
    options.policy = policy;
    options.strict = strict;
    options.key_counters = 0;
    t_kit_open(kit, &options);
}

static bool number(t_kit *kit, int key, bool put)
{
    char text[16];
    (void)snprintf(text, sizeof text, "k%d", key);
    return put ? t_kit_put(kit, text, "", "v") : t_kit_hit(kit, text, "");
}

/* Whether a key is there, without reading it: looked up when its owner is silent, which is no use
 * of it. */
static bool there(t_kit *kit, int key)
{
    char text[16];
    (void)snprintf(text, sizeof text, "k%d", key);
    atomic_store(&kit->owner->fresh_until_ns, 0);
    nkvi_outcome outcome = t_kit_outcome(kit, text, 1);
    atomic_store(&kit->owner->fresh_until_ns, INT64_MAX);
    return outcome != NKVI_ABSENT;
}

BOTH(core_policy_order, strict_lru_throws_out_in_exact_order)
{
    t_kit kit;
    open_kit(&kit, *kind, NKV_POLICY_LRU, 1, MANY);
    int order[MANY]; /* oldest first */
    t_rng rng;
    t_rng_init(&rng, 9);
    for (int i = 0; i < MANY; i++) {
        cr_assert(number(&kit, i, true));
        order[i] = i;
    }
    for (int i = 0; i < 3 * MANY; i++) { /* reads and rewrites of any move it to the end */
        int at = (int)t_rng_below(&rng, MANY), key = order[at];
        cr_assert(number(&kit, key, i % 5 == 0));
        memmove(order + at, order + at + 1, (size_t)(MANY - 1 - at) * sizeof order[0]);
        order[MANY - 1] = key;
    }
    for (int i = 0; i < MANY; i++) {
        cr_assert(there(&kit, order[i]), "key %d of the order went too early", i);
        cr_assert(number(&kit, MANY + i, true));
        cr_assert(!there(&kit, order[i]), "key %d of the order was to go", i);
    }
    cr_assert_eq(t_kit_stats(&kit).evictions, MANY);
    t_kit_close(&kit);
}

BOTH(core_policy_order, second_chance_spares_what_was_read)
{
    t_kit kit;
    open_kit(&kit, *kind, NKV_POLICY_LRU, 0, MANY);
    for (int i = 0; i < MANY; i++) {
        cr_assert(number(&kit, i, true));
    }
    for (int i = 0; i < MANY; i += 2) {
        cr_assert(number(&kit, i, false));
    }
    for (int i = 0; i < MANY / 2; i++) { /* takes the place of those that were not read */
        cr_assert(number(&kit, MANY + i, true));
    }
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(there(&kit, i), i % 2 == 0, "key %d", i);
    }
    t_kit_close(&kit);
}

/* Up to 1024 keys the order is exact without `strict`. */
BOTH(core_policy_order, a_small_cache_is_exact)
{
    t_kit kit;
    open_kit(&kit, *kind, NKV_POLICY_LRU, 0, FEW);
    for (int i = 0; i < FEW; i++) {
        cr_assert(number(&kit, i, true));
    }
    for (int i = FEW - 1; i >= 0; i--) { /* reading backwards turns the order round */
        cr_assert(number(&kit, i, false));
    }
    for (int i = 0; i < FEW; i++) {
        cr_assert(number(&kit, FEW + i, true));
        cr_assert(!there(&kit, FEW - 1 - i));
        cr_assert(i == FEW - 1 || there(&kit, FEW - 2 - i));
    }
    t_kit_close(&kit);
}

/* How many of 1000 hot keys (each read a few times) are there after a pass of 1e6 cold ones. */
static int survivors(nkv_index_kind kind, nkv_policy policy)
{
    enum { HOT = 1000, ROOM = 4096, COLD = 1000000 };
    t_kit kit;
    open_kit(&kit, kind, policy, 0, ROOM);
    int left = 0;
    for (int i = 0; i < ROOM; i++) { /* a cache that is in use */
        cr_assert(number(&kit, i, true));
    }
    for (int i = 0; i < 3 * HOT; i++) {
        (void)(number(&kit, i % HOT, false) || number(&kit, i % HOT, true));
    }
    for (int i = 0; i < COLD; i++) {
        (void)(number(&kit, ROOM + i, false) || number(&kit, ROOM + i, true));
    }
    for (int i = 0; i < HOT; i++) {
        left += there(&kit, i);
    }
    t_kit_close(&kit);
    return left;
}

/* Case 28: one pass of 1e6 cold keys leaves 80 % of a hot set under s3fifo.  LRU, which is the
 * default, keeps nothing of it: that is what the other policy is for. */
Test(core_policy_order, case_28_s3fifo_resists_a_scan_that_nothing_else_interrupts)
{
    cr_assert_geq(survivors(NKV_INDEX_CHUNKED, NKV_POLICY_S3FIFO), 800);
    cr_assert_eq(survivors(NKV_INDEX_CHUNKED, NKV_POLICY_LRU), 0);
}
