/* tests/unit/base/test_hash.c - seeded hashing. */

#include "base/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(base_hash, the_seed_changes_every_hash)
{
    int same = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        same += nkvi_hash("key", 3, seed) == nkvi_hash("key", 3, seed - 1);
    }
    cr_assert_eq(same, 0);
    cr_assert_eq(nkvi_hash("key", 3, 7), nkvi_hash("key", 3, 7));
    cr_assert_neq(nkvi_hash("key", 3, 7), nkvi_hash("kez", 3, 7));
    cr_assert_neq(nkvi_hash("key", 3, 7), nkvi_hash("key\0", 4, 7), "the length counts");
}

Test(base_hash, two_seeds_of_the_system_differ)
{
    cr_assert_neq(nkvi_random_seed(), nkvi_random_seed());
}

/* Argument order matters, small numbers do not cluster, and no low bit is lost. */
Test(base_hash, mix_spreads_small_numbers_over_low_and_high_bits)
{
    enum { CELLS = 256, ROUNDS = 256 * 64 };
    unsigned low[CELLS] = {0}, high[CELLS] = {0};

    cr_assert_neq(nkvi_hash_mix(1, 2), nkvi_hash_mix(2, 1));
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t mixed = nkvi_hash_mix(UINT64_C(0x123456789abcdef), i);
        low[mixed & (CELLS - 1)]++;
        high[mixed >> 56]++;
    }
    for (int i = 0; i < CELLS; i++) {
        cr_assert(low[i] > 16 && low[i] < 256, "low cell %d: %u of 64", i, low[i]);
        cr_assert(high[i] > 16 && high[i] < 256, "high cell %d: %u of 64", i, high[i]);
    }
}
