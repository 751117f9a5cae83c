/* client/reply.c - see reply.h.  Recursion is as deep as the reply, which the parser bounds. */
#include "client/reply.h"

#include <string.h>

#include "base/status.h"

bool nkvi_reply_is_absent(const nkv_reply *reply)
{
    switch (reply->type) {
    case NKV_TYPE_NIL:
        return true;
    case NKV_TYPE_INTEGER:
        return reply->integer == 0 || reply->integer == -1 || reply->integer == -2;
    case NKV_TYPE_BOOL:
        return reply->integer == 0;
    case NKV_TYPE_STRING:
        return reply->len == 0;
    case NKV_TYPE_STATUS:
        return reply->len == 4 && memcmp(reply->str, "none", 4) == 0;
    case NKV_TYPE_ARRAY:
    case NKV_TYPE_SET:
    case NKV_TYPE_MAP:
        for (size_t i = 0; i < reply->elements; i++) { /* HMGET, SMISMEMBER: a row of «not there» */
            if (!nkvi_reply_is_absent(&reply->element[i])) {
                return false;
            }
        }
        return true;
    default:
        return false;
    }
}

nkv_status nkvi_reply_fail(nkv_error *error, const nkv_reply *reply)
{
    int len = reply->len < sizeof error->text ? (int)reply->len : (int)sizeof error->text - 1;
    return nkvi_fail(error, NKV_EREPLY, "%.*s", len, reply->str);
}

bool nkvi_reply_has_code(const nkv_reply *reply, const char *code)
{
    size_t len = strlen(code);
    return reply->type == NKV_TYPE_ERROR && reply->len >= len &&
           memcmp(reply->str, code, len) == 0 && (reply->len == len || reply->str[len] == ' ');
}
