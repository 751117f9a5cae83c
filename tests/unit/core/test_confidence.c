/* unit/core/test_confidence.c - which hits are trusted, and how that moves. */

#include <criterion/criterion.h>

#include "core/confidence.h"
#include "support/core_kit.h"

/* Case 5: at 100 nothing is ever validated, at 0 everything is. */
Test(core_confidence, case_5_all_or_nothing)
{
    t_rng rng;
    t_rng_init(&rng, 5);
    for (int i = 0; i < 100000; i++) {
        uint64_t dice = i == 0 ? 0 : i == 1 ? UINT64_MAX : t_rng_next(&rng);
        cr_assert(!nkvi_confidence_doubts(100.0, dice));
        cr_assert(nkvi_confidence_doubts(0.0, dice));
    }
}

/* Case 4 (core part): the share of validations is what is left to 100. */
Test(core_confidence, case_4_shares)
{
    static const double percent[] = {10, 50, 90};
    t_rng rng;
    t_rng_init(&rng, 4);
    for (int i = 0; i < 3; i++) {
        int doubts = 0;
        for (int j = 0; j < 100000; j++) {
            doubts += nkvi_confidence_doubts(percent[i], t_rng_next(&rng));
        }
        cr_assert_float_eq(doubts / 1000.0, 100 - percent[i], 1.0);
    }
}

/* Case 7: × 0.999 and × 1.0001, exact to 1e-9 over a script, clamped to 100. */
Test(core_confidence, case_7_dynamic_is_exact)
{
    nkvi_confidence confidence;
    nkvi_confidence_init(&confidence, 50, true);
    double want = 50;
    t_rng rng;
    t_rng_init(&rng, 7);
    for (int i = 0; i < 10000; i++) {
        bool match = t_rng_below(&rng, 11) != 0;
        nkvi_confidence_feedback(&confidence, match);
        want *= match ? 1.0001 : 0.999;
        want = want > 100 ? 100 : want;
        cr_assert_float_eq(nkvi_confidence_now(&confidence), want, 1e-9);
    }
    for (int i = 0; i < 20000; i++) {
        nkvi_confidence_feedback(&confidence, true);
    }
    cr_assert_float_eq(nkvi_confidence_now(&confidence), 100.0, 1e-12);
    nkvi_confidence_init(&confidence, 50, false);
    nkvi_confidence_feedback(&confidence, false);
    cr_assert_float_eq(nkvi_confidence_now(&confidence), 50.0, 1e-12, "not dynamic");
    nkvi_confidence_init(&confidence, 0, true);
    nkvi_confidence_feedback(&confidence, true);
    cr_assert_float_eq(nkvi_confidence_now(&confidence), 0.0, 1e-12);
}

/* Case 8 (core part): reset restores what was configured; feedback counts and drops. */
Test(core_confidence, case_8_feedback_and_reset_of_a_cache)
{
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, 1 << 20);
    options.confidence = 50;
    options.dynamic_confidence = 1;
    t_kit kit;
    t_kit_open(&kit, &options);
    cr_assert(t_kit_put(&kit, "k", "", "v"));
    nkv_cache_feedback(kit.cache, kit.space, nkv_cstr("k"), 1);
    cr_assert_float_eq(nkv_cache_confidence(kit.cache), 50 * 1.0001, 1e-9);
    cr_assert(t_kit_hit(&kit, "k", ""));
    nkv_cache_feedback(kit.cache, kit.space, nkv_cstr("k"), 0);
    cr_assert_float_eq(nkv_cache_confidence(kit.cache), 50 * 1.0001 * 0.999, 1e-9);
    cr_assert(!t_kit_hit(&kit, "k", ""), "what was wrong is dropped");
    cr_assert_eq(t_kit_stats(&kit).dirty, 1);
    cr_assert_eq(t_kit_stats(&kit).invalidations, 1);
    nkv_cache_reset(kit.cache);
    cr_assert_float_eq(nkv_cache_confidence(kit.cache), 50.0, 1e-12);
    t_kit_close(&kit);
}

Test(core_confidence, a_cache_asks_for_validation_by_its_confidence)
{
    nkv_cache_options options = t_kit_options(NKV_INDEX_CHUNKED, 100, 1 << 20);
    options.confidence = 25;
    t_kit kit;
    t_kit_open(&kit, &options);
    cr_assert(!nkvi_cache_must_validate(kit.cache, UINT64_MAX / 8));
    cr_assert(nkvi_cache_must_validate(kit.cache, UINT64_MAX / 2));
    t_kit_close(&kit);
}
