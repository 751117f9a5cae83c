/* tracking/audit.c - see audit.h. */
#include "tracking/audit.h"

#include <string.h>

static bool is_text(const nkv_reply *reply, const char *text)
{
    return (reply->type == NKV_TYPE_STRING || reply->type == NKV_TYPE_STATUS) &&
           reply->len == strlen(text) && memcmp(reply->str, text, reply->len) == 0;
}

static bool is_row(const nkv_reply *reply)
{
    return reply->type == NKV_TYPE_SET || reply->type == NKV_TYPE_ARRAY;
}

static bool has(const nkv_reply *flags, const char *flag)
{
    for (size_t i = 0; i < flags->elements; i++) {
        if (is_text(&flags->element[i], flag)) {
            return true;
        }
    }
    return false;
}

bool nkvi_refusal_passes(const nkv_reply *reply)
{
    static const char *const codes[] = {"BUSY ", "LOADING ", "MASTERDOWN "};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        size_t len = strlen(codes[i]);
        if (reply->type == NKV_TYPE_ERROR && reply->len >= len &&
            memcmp(reply->str, codes[i], len) == 0) {
            return true;
        }
    }
    return false;
}

nkvi_audit nkvi_audit_reply(const nkv_reply *reply)
{
    if (nkvi_refusal_passes(reply)) {
        return NKVI_AUDIT_LATER;
    }
    if (reply->type != NKV_TYPE_MAP && reply->type != NKV_TYPE_ARRAY) {
        return NKVI_AUDIT_UNKNOWN;
    }
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const nkv_reply *flags = &reply->element[i + 1];
        if (is_text(&reply->element[i], "flags") && is_row(flags)) {
            return has(flags, "on") && !has(flags, "broken_redirect") ? NKVI_AUDIT_ON
                                                                      : NKVI_AUDIT_OFF;
        }
    }
    return NKVI_AUDIT_UNKNOWN;
}
