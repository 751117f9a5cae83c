/* tests/unit/tracking/test_push.c - what a push means; the views are written down by hand. */
#include <criterion/criterion.h>
#include <string.h>

#include "tracking/push.h"

static nkv_reply text(const char *bytes)
{
    return (nkv_reply){.type = NKV_TYPE_STRING, .str = bytes, .len = strlen(bytes)};
}

static nkv_reply list(nkv_type type, const nkv_reply *element, size_t n)
{
    return (nkv_reply){.type = type, .element = element, .elements = n};
}

static const nkv_reply nil = {.type = NKV_TYPE_NIL};

/* What a push of `type` with these parts means. */
static nkvi_push decode(nkv_type type, const nkv_reply *parts, size_t n)
{
    nkv_reply push = list(type, parts, n);
    return nkvi_push_decode(&push);
}

Test(tracking_push, names_every_key)
{
    nkv_reply keys[] = {text("a"), {.type = NKV_TYPE_STRING, .str = "b\0\r\nc", .len = 5}};
    nkv_reply parts[] = {text("invalidate"), list(NKV_TYPE_ARRAY, keys, 2)};
    nkvi_push push = decode(NKV_TYPE_PUSH, parts, 2);
    cr_assert_eq(push.kind, NKVI_PUSH_KEYS);
    cr_assert_eq(push.n, 2);
    cr_assert_eq(nkvi_push_key(&push, 0).len, 1);
    cr_assert_eq(memcmp(nkvi_push_key(&push, 1).data, "b\0\r\nc", 5), 0);
}

/* Case 71: after parsing, every null encoding is the same nil; here as push and as RESP2
 * message. */
Test(tracking_push, case_71_null_is_a_flush)
{
    nkv_reply parts[] = {text("invalidate"), nil};
    nkvi_push push = decode(NKV_TYPE_PUSH, parts, 2);
    cr_assert_eq(push.kind, NKVI_PUSH_FLUSH);
    cr_assert_not(push.malformed);
    nkv_reply message[] = {text("message"), text("__redis__:invalidate"), nil};
    push = decode(NKV_TYPE_ARRAY, message, 3);
    cr_assert_eq(push.kind, NKVI_PUSH_FLUSH);
    cr_assert_not(push.malformed);
}

Test(tracking_push, listener_of_resp2_names_keys)
{
    nkv_reply keys[] = {text("k")};
    nkv_reply parts[] = {text("message"), text("__redis__:invalidate"),
                         list(NKV_TYPE_ARRAY, keys, 1)};
    nkvi_push push = decode(NKV_TYPE_ARRAY, parts, 3);
    cr_assert_eq(push.kind, NKVI_PUSH_KEYS);
    cr_assert_eq(push.n, 1);
}

Test(tracking_push, broken_redirection_is_told)
{
    nkv_reply parts[] = {text("tracking-redir-broken"), {.type = NKV_TYPE_INTEGER, .integer = 7}};
    cr_assert_eq(decode(NKV_TYPE_PUSH, parts, 2).kind, NKVI_PUSH_REDIR_BROKEN);
}

Test(tracking_push, others_are_unknown)
{
    nkv_reply message[] = {text("message"), text("news"), text("x")};
    nkv_reply prefix[] = {text("invalidat"), nil};
    nkv_reply longer[] = {text("invalidated"), nil};
    nkv_reply number[] = {{.type = NKV_TYPE_INTEGER, .integer = 1}, nil};
    cr_assert_eq(decode(NKV_TYPE_PUSH, message, 3).kind, NKVI_PUSH_UNKNOWN);
    cr_assert_eq(decode(NKV_TYPE_PUSH, prefix, 2).kind, NKVI_PUSH_UNKNOWN);
    cr_assert_eq(decode(NKV_TYPE_PUSH, longer, 2).kind, NKVI_PUSH_UNKNOWN);
    cr_assert_eq(decode(NKV_TYPE_PUSH, number, 2).kind, NKVI_PUSH_UNKNOWN);
    cr_assert_eq(decode(NKV_TYPE_PUSH, NULL, 0).kind, NKVI_PUSH_UNKNOWN);
    cr_assert_eq(nkvi_push_decode(&nil).kind, NKVI_PUSH_UNKNOWN);
}

/* Keys that we cannot read may be any key. */
Test(tracking_push, an_invalidation_that_cannot_be_read_means_everything)
{
    nkv_reply mixed[] = {text("a"), {.type = NKV_TYPE_INTEGER, .integer = 1}};
    nkv_reply parts[3] = {text("invalidate"), list(NKV_TYPE_ARRAY, mixed, 2), nil};
    nkvi_push push = decode(NKV_TYPE_PUSH, parts, 2);
    cr_assert(push.kind == NKVI_PUSH_FLUSH && push.malformed);
    parts[1] = text("a");
    push = decode(NKV_TYPE_PUSH, parts, 2);
    cr_assert(push.kind == NKVI_PUSH_FLUSH && push.malformed);
    push = decode(NKV_TYPE_PUSH, parts, 1);
    cr_assert(push.kind == NKVI_PUSH_FLUSH && push.malformed);
    push = decode(NKV_TYPE_PUSH, parts, 3);
    cr_assert(push.kind == NKVI_PUSH_FLUSH && push.malformed);
}
