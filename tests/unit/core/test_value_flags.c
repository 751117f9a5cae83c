/* tests/unit/core/test_value_flags.c - the integers 0 and 1 as values: one for all who ask. */
#include <criterion/criterion.h>

#include "core/draft.h"
#include "core/value.h"
#include "support/mem_hook.h"

static nkv_value *seal(int64_t integer)
{
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    draft.root.type = NKV_TYPE_INTEGER;
    draft.root.integer = integer;
    nkv_value *value = nkvi_draft_seal(&draft);
    cr_assert_not_null(value);
    cr_assert_eq(draft.root.type, NKV_TYPE_NIL, "the draft is empty afterwards");
    return value;
}

Test(core_value_flags, they_are_what_they_say)
{
    for (int64_t integer = -1; integer <= 2; integer++) {
        nkv_value *value = seal(integer);
        const nkv_reply reply = nkv_value_reply(value);
        cr_assert_eq(reply.type, NKV_TYPE_INTEGER);
        cr_assert_eq(reply.integer, integer);
        cr_assert(reply.str == NULL && reply.elements == 0);
        cr_assert_geq(nkv_value_size(value), sizeof *value);
        nkv_value_release(value);
    }
}

Test(core_value_flags, zero_and_one_take_no_memory_and_stay)
{
    int wrong = 0;
    const t_mem before = t_mem_of_thread();
    for (int i = 0; i < 1000; i++) {
        nkvi_draft draft;
        nkvi_draft_init(&draft);
        draft.root.type = NKV_TYPE_INTEGER;
        draft.root.integer = i % 2;
        nkv_value *value = nkvi_draft_seal(&draft);
        wrong += nkv_value_retain(value) != value;
        nkv_value_release(value);
        nkv_value_release(value);
    }
    const t_mem taken = t_mem_diff(t_mem_of_thread(), before);
    cr_assert_eq(wrong, 0);
    cr_assert(!t_mem_hooked() || taken.allocs == 0);
    nkv_value *one = seal(1), *again = seal(1), *other = seal(2);
    cr_assert(one == again && one != other);
    cr_assert_eq(nkv_value_reply(one).integer, 1);
    nkv_value_release(one);
    nkv_value_release(again);
    nkv_value_release(other);
}

/* Another type with the same number is another answer. */
Test(core_value_flags, only_integers)
{
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    draft.root.type = NKV_TYPE_BOOL;
    draft.root.integer = 1;
    nkv_value *value = nkvi_draft_seal(&draft);
    cr_assert_eq(nkv_value_reply(value).type, NKV_TYPE_BOOL);
    nkv_value_release(value);
}
