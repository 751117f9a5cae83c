/* tests/unit/tracking/test_audit.c - what the answer to CLIENT TRACKINGINFO means. */
#include <criterion/criterion.h>
#include <string.h>

#include "tracking/audit.h"

static nkv_reply text(nkv_type type, const char *str)
{
    return (nkv_reply){.type = type, .str = str, .len = strlen(str)};
}

/* flags, and what else stands beside them; RESP3 or RESP2. */
static nkvi_audit judge(nkv_type outer, nkv_type inner, const char *one, const char *two)
{
    const nkv_reply flags[] = {text(NKV_TYPE_STRING, one), text(NKV_TYPE_STRING, two)};
    const nkv_reply row = {.type = inner, .elements = 2, .element = flags};
    const nkv_reply all[] = {text(NKV_TYPE_STRING, "redirect"),
                             {.type = NKV_TYPE_INTEGER},
                             text(NKV_TYPE_STRING, "flags"),
                             row};
    const nkv_reply reply = {.type = outer, .elements = 4, .element = all};
    return nkvi_audit_reply(&reply);
}

Test(tracking_audit, on_and_off)
{
    cr_assert_eq(judge(NKV_TYPE_MAP, NKV_TYPE_SET, "noloop", "on"), NKVI_AUDIT_ON);
    cr_assert_eq(judge(NKV_TYPE_ARRAY, NKV_TYPE_ARRAY, "on", "bcast"), NKVI_AUDIT_ON);
    cr_assert_eq(judge(NKV_TYPE_MAP, NKV_TYPE_SET, "off", ""), NKVI_AUDIT_OFF);
    cr_assert_eq(judge(NKV_TYPE_MAP, NKV_TYPE_SET, "onn", "o"), NKVI_AUDIT_OFF);
    cr_assert_eq(judge(NKV_TYPE_MAP, NKV_TYPE_SET, "on", "broken_redirect"), NKVI_AUDIT_OFF);
}

Test(tracking_audit, a_refusal_of_the_moment_is_no_answer)
{
    const nkv_reply busy = text(NKV_TYPE_ERROR, "BUSY Redis is busy running a script.");
    const nkv_reply loading = text(NKV_TYPE_ERROR, "LOADING Redis is loading the dataset");
    const nkv_reply other = text(NKV_TYPE_ERROR, "BUSYGROUP Consumer Group name already exists");
    cr_assert_eq(nkvi_audit_reply(&busy), NKVI_AUDIT_LATER);
    cr_assert_eq(nkvi_audit_reply(&loading), NKVI_AUDIT_LATER);
    cr_assert_eq(nkvi_audit_reply(&other), NKVI_AUDIT_UNKNOWN);
}

Test(tracking_audit, what_is_not_understood_judges_nothing)
{
    const nkv_reply error = text(NKV_TYPE_ERROR, "NOPERM this user has no permissions");
    const nkv_reply nil = {.type = NKV_TYPE_NIL};
    const nkv_reply empty = {.type = NKV_TYPE_MAP};
    cr_assert_eq(nkvi_audit_reply(&error), NKVI_AUDIT_UNKNOWN);
    cr_assert_eq(nkvi_audit_reply(&nil), NKVI_AUDIT_UNKNOWN);
    cr_assert_eq(nkvi_audit_reply(&empty), NKVI_AUDIT_UNKNOWN);
    cr_assert_eq(judge(NKV_TYPE_MAP, NKV_TYPE_INTEGER, "on", "on"), NKVI_AUDIT_UNKNOWN);
}
