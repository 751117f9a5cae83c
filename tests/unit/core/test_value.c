/* unit/core/test_value.c - values and drafts: what goes in comes out, and everything is given back.
 * */

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "core/draft.h"
#include "core/value.h"

/* Blocks that are out, by the watcher. */
static void count_blocks(void *block, size_t size, void *ud)
{
    (void)block;
    *(long *)ud += size > 0 ? 1 : -1;
}

static long blocks;

static void watch(void)
{
    blocks = 0;
    nkvi_mem_set_watch(count_blocks, &blocks);
}

static void nothing_left(void)
{
    nkvi_mem_set_watch(NULL, NULL);
    cr_assert_eq(blocks, 0, "%ld blocks are left", blocks);
}

TestSuite(core_value, .init = watch, .fini = nothing_left);
TestSuite(core_draft, .init = watch, .fini = nothing_left);

/* ---- Values ---------------------------------------------------------------------------------- */

Test(core_value, bytes_are_copied_and_terminated)
{
    char source[] = "a\0b";
    nkv_value *value = nkv_value_from_bytes(source, 3);
    memset(source, 'x', sizeof source);
    nkv_str text = nkv_value_str(value);
    cr_assert_eq(text.len, 3);
    cr_assert_arr_eq(text.data, "a\0b", 4);
    cr_assert_eq(nkv_value_reply(value).type, NKV_TYPE_STRING);
    nkv_value_release(value);
    value = nkv_value_from_bytes(NULL, 0);
    cr_assert_eq(nkv_value_str(value).len, 0);
    cr_assert_str_eq(nkv_value_str(value).data, "");
    nkv_value_release(value);
    nkv_value_release(NULL);
    nothing_left();
}

static void note_freed(void *data, void *ud)
{
    int *freed = ud;
    (*freed)++;
    nkvi_free(data);
}

Test(core_value, adopted_bytes_are_not_copied_and_freed_once)
{
    int freed = 0;
    char *data = nkvi_alloc(6);
    memcpy(data, "hello!", 6);
    nkv_value *value = nkv_value_adopt(data, 5, note_freed, &freed);
    cr_assert_eq((const void *)nkv_value_str(value).data, (void *)data);
    cr_assert_str_eq(nkv_value_str(value).data, "hello");
    cr_assert_eq(nkv_value_retain(value), value);
    nkv_value_release(value);
    cr_assert_eq(freed, 0);
    nkv_value_release(value);
    cr_assert_eq(freed, 1);
    static char fixed[4] = "abc";
    value = nkv_value_adopt(fixed, 3, NULL, NULL);
    nkv_value_release(value);
    nothing_left();
}

Test(core_value, size_counts_header_and_bytes)
{
    nkv_value *value = nkv_value_from_bytes("12345", 5);
    cr_assert_eq(nkv_value_size(value), sizeof(struct nkv_value) + 6);
    nkv_value_release(value);
}

/* ---- Trees ----------------------------------------------------------------------------------- */

/* One of every type, nested. */
static void build(nkv_reply *root, nkv_reply *children, nkv_reply *pair)
{
    pair[0] = (nkv_reply){.type = NKV_TYPE_STATUS, .str = "OK", .len = 2};
    pair[1] = (nkv_reply){.type = NKV_TYPE_INTEGER, .integer = INT64_MIN};
    children[0] = (nkv_reply){.type = NKV_TYPE_STRING, .str = "a\0b", .len = 3};
    children[1] = (nkv_reply){.type = NKV_TYPE_NIL};
    children[2] = (nkv_reply){.type = NKV_TYPE_DOUBLE, .dval = -0.5, .str = "-5e-1", .len = 5};
    children[3] = (nkv_reply){.type = NKV_TYPE_BOOL, .integer = 1};
    children[4] = (nkv_reply){.type = NKV_TYPE_MAP, .elements = 2, .element = pair};
    children[5] = (nkv_reply){.type = NKV_TYPE_VERBATIM, .vtype = "mkd", .str = "*x*", .len = 3};
    children[6] = (nkv_reply){.type = NKV_TYPE_BIGNUM, .str = "123456789012345678901", .len = 21};
    children[7] = (nkv_reply){.type = NKV_TYPE_SET, .elements = 0};
    children[8] = (nkv_reply){.type = NKV_TYPE_ERROR, .str = "ERR no", .len = 6};
    *root = (nkv_reply){.type = NKV_TYPE_ARRAY, .elements = 9, .element = children};
}

/* Case 30 (value part): every type of RESP3, nested, comes out as it went in. */
Test(core_draft, case_30_every_type_round_trips)
{
    nkv_reply root;
    nkv_reply children[9];
    nkv_reply pair[2];
    build(&root, children, pair);
    nkvi_draft draft;
    cr_assert(nkvi_draft_copy(&draft, &root));
    nkv_value *value = nkvi_draft_seal(&draft);
    cr_assert_eq(draft.root.type, NKV_TYPE_NIL);
    nkv_reply got = nkv_value_reply(value);
    cr_assert(nkvi_reply_same(&got, &root));
    cr_assert_neq((const void *)got.element, (void *)children);
    cr_assert_str_eq(got.element[5].str, "*x*", "texts are terminated");
    nkv_value_release(value);
    for (size_t i = 0; i < 9; i++) {
        cr_assert(nkvi_draft_copy(&draft, &children[i]));
        value = nkvi_draft_seal(&draft);
        got = nkv_value_reply(value);
        cr_assert(nkvi_reply_same(&got, &children[i]), "child %zu as a root", i);
        nkv_value_release(value);
    }
    nothing_left();
}

Test(core_value, equal_looks_at_everything)
{
    nkv_reply root[2];
    nkv_reply children[2][9];
    nkv_reply pair[2][2];
    for (int i = 0; i < 12; i++) {
        build(&root[0], children[0], pair[0]);
        build(&root[1], children[1], pair[1]);
        switch (i) {
        case 1:
            children[1][0].len = 2;
            break;
        case 2:
            children[1][0].str = "a\0c";
            break;
        case 3:
            children[1][1].type = NKV_TYPE_BOOL;
            break;
        case 4:
            children[1][2].dval = 0.5;
            break;
        case 5:
            children[1][3].integer = 0;
            break;
        case 6:
            pair[1][1].integer = 7;
            break;
        case 7:
            children[1][5].vtype[0] = 't';
            break;
        case 8:
            root[1].elements = 8;
            break;
        case 9:
            children[1][7].type = NKV_TYPE_ARRAY;
            break;
        case 10:
            root[1].type = NKV_TYPE_PUSH;
            break;
        case 11:
            pair[1][0].str = "KO";
            break;
        default:
            break;
        }
        nkvi_draft draft;
        nkv_value *value[2];
        for (int j = 0; j < 2; j++) {
            cr_assert(nkvi_draft_copy(&draft, &root[j]));
            value[j] = nkvi_draft_seal(&draft);
        }
        cr_assert_eq(nkv_value_equal(value[0], value[1]), i == 0, "change %d", i);
        nkv_value_release(value[0]);
        nkv_value_release(value[1]);
    }
}

Test(core_value, text_of_a_type_without_one_is_null)
{
    nkvi_draft draft;
    nkv_reply integer = {.type = NKV_TYPE_INTEGER, .integer = 5};
    cr_assert(nkvi_draft_copy(&draft, &integer));
    nkv_value *value = nkvi_draft_seal(&draft);
    cr_assert_null(nkv_value_str(value).data);
    cr_assert_eq(nkv_value_reply(value).integer, 5);
    nkv_value_release(value);
    nkv_reply number = {.type = NKV_TYPE_DOUBLE, .dval = NAN, .str = "nan", .len = 3};
    cr_assert(nkvi_draft_copy(&draft, &number));
    value = nkvi_draft_seal(&draft);
    cr_assert_str_eq(nkv_value_str(value).data, "nan");
    cr_assert(isnan(nkv_value_reply(value).dval));
    nkv_value_release(value);
}

/* ---- Drafts ---------------------------------------------------------------------------------- */

Test(core_draft, clear_gives_back_what_it_holds)
{
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    nkvi_draft_clear(&draft);
    cr_assert(nkvi_draft_string(&draft, NKV_TYPE_ERROR, "ERR", 3));
    cr_assert_eq(draft.block_bytes, 4);
    nkvi_draft_clear(&draft);
    cr_assert_eq(draft.root.type, NKV_TYPE_NIL);
    int freed = 0;
    draft.block = nkvi_alloc(8);
    draft.free_fn = note_freed;
    draft.free_ud = &freed;
    nkvi_draft_clear(&draft);
    cr_assert_eq(freed, 1);
    nothing_left();
}

Test(core_draft, a_sealed_block_keeps_its_free_fn)
{
    int freed = 0;
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    draft.block = nkvi_alloc(8);
    draft.block_bytes = 8;
    draft.free_fn = note_freed;
    draft.free_ud = &freed;
    draft.root = (nkv_reply){.type = NKV_TYPE_STRING, .str = draft.block, .len = 7};
    const void *block = draft.block;
    nkv_value *value = nkvi_draft_seal(&draft);
    cr_assert_null(draft.block);
    cr_assert_eq((const void *)nkv_value_str(value).data, block);
    nkv_value_release(value);
    cr_assert_eq(freed, 1);
    nothing_left();
}
