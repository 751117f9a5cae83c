/* tracking/push.c - see push.h. */
#include "tracking/push.h"

#include <string.h>

static bool is_text(const nkv_reply *reply)
{
    return reply->type == NKV_TYPE_STRING || reply->type == NKV_TYPE_STATUS ||
           reply->type == NKV_TYPE_VERBATIM;
}

static bool text_is(const nkv_reply *reply, const char *text)
{
    return is_text(reply) && reply->len == strlen(text) &&
           memcmp(reply->str, text, reply->len) == 0;
}

/* The part behind "invalidate": an array of keys, or null. */
static nkvi_push decode_keys(const nkv_reply *keys)
{
    const nkvi_push everything = {.kind = NKVI_PUSH_FLUSH, .malformed = true};

    if (keys->type == NKV_TYPE_NIL) {
        return (nkvi_push){.kind = NKVI_PUSH_FLUSH};
    }
    if (keys->type != NKV_TYPE_ARRAY && keys->type != NKV_TYPE_SET) {
        return everything;
    }
    for (size_t i = 0; i < keys->elements; i++) {
        if (!is_text(&keys->element[i])) {
            return everything;
        }
    }
    return (nkvi_push){.kind = NKVI_PUSH_KEYS, .n = keys->elements, .keys = keys->element};
}

nkvi_push nkvi_push_decode(const nkv_reply *push)
{
    const nkvi_push unknown = {.kind = NKVI_PUSH_UNKNOWN};

    if ((push->type != NKV_TYPE_PUSH && push->type != NKV_TYPE_ARRAY) || push->elements == 0) {
        return unknown;
    }
    const nkv_reply *part = push->element;
    if (text_is(&part[0], "invalidate")) {
        return push->elements == 2 ? decode_keys(&part[1])
                                   : (nkvi_push){.kind = NKVI_PUSH_FLUSH, .malformed = true};
    }
    if (text_is(&part[0], "tracking-redir-broken")) {
        return (nkvi_push){.kind = NKVI_PUSH_REDIR_BROKEN};
    }
    if (push->elements == 3 && text_is(&part[0], "message") &&
        text_is(&part[1], "__redis__:invalidate")) {
        return decode_keys(&part[2]);
    }
    return unknown;
}
