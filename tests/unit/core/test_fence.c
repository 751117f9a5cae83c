/* unit/core/test_fence.c - tokens and what breaks them. */

#include <criterion/criterion.h>

#include "core/fence.h"

static nkvi_fence fence;

static void begin(void)
{
    nkvi_fence_init(&fence);
}

TestSuite(core_fence, .init = begin);

Test(core_fence, a_token_is_intact_while_nothing_happens)
{
    nkvi_token token = nkvi_fence_token(&fence, 7);
    cr_assert(nkvi_fence_intact(&token));
    nkvi_fence_write_begin(&fence, 8); /* another cell */
    cr_assert(nkvi_fence_intact(&token));
}

Test(core_fence, a_write_breaks_tokens_from_before_and_during_it)
{
    nkvi_token before = nkvi_fence_token(&fence, 7);
    nkvi_fence_write_begin(&fence, 7);
    cr_assert(!nkvi_fence_intact(&before));
    nkvi_token during = nkvi_fence_token(&fence, 7);
    cr_assert(!nkvi_fence_intact(&during));
    nkvi_fence_write_end(&fence, 7);
    cr_assert(!nkvi_fence_intact(&before));
    cr_assert(!nkvi_fence_intact(&during), "a read sent during the write may be answered after it");
    nkvi_token after = nkvi_fence_token(&fence, 7);
    cr_assert(nkvi_fence_intact(&after));
}

Test(core_fence, overlapping_writes_all_have_to_end)
{
    nkvi_fence_write_begin(&fence, 7);
    nkvi_fence_write_begin(&fence, 7 + NKVI_FENCE_CELLS); /* the same cell */
    nkvi_fence_write_end(&fence, 7);
    nkvi_token during = nkvi_fence_token(&fence, 7);
    cr_assert(!nkvi_fence_intact(&during));
    nkvi_fence_write_end(&fence, 7 + NKVI_FENCE_CELLS);
    cr_assert(!nkvi_fence_intact(&during));
    nkvi_token after = nkvi_fence_token(&fence, 7);
    cr_assert(nkvi_fence_intact(&after));
}

Test(core_fence, touches_break_one_cell_or_all)
{
    nkvi_token one = nkvi_fence_token(&fence, 1);
    nkvi_token two = nkvi_fence_token(&fence, 2);
    nkvi_fence_touch(&fence, 1);
    cr_assert(!nkvi_fence_intact(&one));
    cr_assert(nkvi_fence_intact(&two));
    nkvi_fence_touch_all(&fence);
    cr_assert(!nkvi_fence_intact(&two));
    nkvi_token none = nkvi_fence_token(NULL, 1);
    cr_assert(nkvi_fence_intact(&none), "without a fence there is nothing to break");
}
