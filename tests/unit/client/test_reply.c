/* What a reply tells without its command. */
#include <criterion/criterion.h>

#include "client/reply.h"
#include "core/value.h"

static nkv_reply string(const char *text)
{
    return (nkv_reply){.type = NKV_TYPE_STRING, .str = text, .len = strlen(text)};
}

Test(client_reply, equality_looks_at_type_bytes_numbers_and_children)
{
    nkv_reply a = string("x"), b = string("x"), c = string("y");
    nkv_reply status = {.type = NKV_TYPE_STATUS, .str = "x", .len = 1};
    cr_assert(nkvi_reply_same(&a, &b));
    cr_assert_not(nkvi_reply_same(&a, &c));
    cr_assert_not(nkvi_reply_same(&a, &status));
    nkv_reply one = {.type = NKV_TYPE_INTEGER, .integer = 1}, two = one;
    two.integer = 2;
    cr_assert_not(nkvi_reply_same(&one, &two));
    nkv_reply ab[2] = {a, c}, ba[2] = {c, a};
    nkv_reply left = {.type = NKV_TYPE_ARRAY, .elements = 2, .element = ab}, right = left;
    cr_assert(nkvi_reply_same(&left, &right));
    right.element = ba;
    cr_assert_not(nkvi_reply_same(&left, &right));
    right.element = ab;
    right.elements = 1;
    cr_assert_not(nkvi_reply_same(&left, &right));
}

Test(client_reply, strings_with_zero_bytes_are_compared_whole)
{
    nkv_reply a = {.type = NKV_TYPE_STRING, .str = "x\0a", .len = 3};
    nkv_reply b = {.type = NKV_TYPE_STRING, .str = "x\0b", .len = 3};
    cr_assert_not(nkvi_reply_same(&a, &b));
}

Test(client_reply, codes_are_whole_words)
{
    nkv_reply wrong = {.type = NKV_TYPE_ERROR, .str = "WRONGTYPE Operation", .len = 19};
    nkv_reply longer = {.type = NKV_TYPE_ERROR, .str = "WRONGTYPES x", .len = 12};
    nkv_reply bare = {.type = NKV_TYPE_ERROR, .str = "WRONGTYPE", .len = 9};
    nkv_reply value = string("WRONGTYPE x");
    cr_assert(nkvi_reply_has_code(&wrong, "WRONGTYPE"));
    cr_assert(nkvi_reply_has_code(&bare, "WRONGTYPE"));
    cr_assert_not(nkvi_reply_has_code(&longer, "WRONGTYPE"));
    cr_assert_not(nkvi_reply_has_code(&value, "WRONGTYPE"));
}

Test(client_reply, an_error_text_is_cut_not_overrun)
{
    char text[600];
    memset(text, 'e', sizeof text);
    nkv_reply reply = {.type = NKV_TYPE_ERROR, .str = text, .len = sizeof text};
    nkv_error error;
    cr_assert_eq(nkvi_reply_fail(&error, &reply), NKV_EREPLY);
    cr_assert_eq(strlen(error.text), sizeof error.text - 1);
}
