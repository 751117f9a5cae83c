/* tests/unit/cli/replies.h - answers of a server, made by hand. */
#ifndef T_CLI_REPLIES_H
#define T_CLI_REPLIES_H

#include <string.h>

#include <nearkv/value.h>

static inline nkv_reply r_bytes(const char *data, size_t len)
{
    return (nkv_reply){.type = NKV_TYPE_STRING, .str = data, .len = len};
}

static inline nkv_reply r_text(nkv_type type, const char *text)
{
    return (nkv_reply){.type = type, .str = text, .len = strlen(text)};
}

static inline nkv_reply r_str(const char *text)
{
    return r_text(NKV_TYPE_STRING, text);
}

static inline nkv_reply r_status(const char *text)
{
    return r_text(NKV_TYPE_STATUS, text);
}

static inline nkv_reply r_error(const char *text)
{
    return r_text(NKV_TYPE_ERROR, text);
}

static inline nkv_reply r_big(const char *text)
{
    return r_text(NKV_TYPE_BIGNUM, text);
}

static inline nkv_reply r_verbatim(const char *format, const char *text)
{
    nkv_reply reply = r_text(NKV_TYPE_VERBATIM, text);

    memcpy(reply.vtype, format, sizeof reply.vtype - 1);
    return reply;
}

static inline nkv_reply r_int(int64_t integer)
{
    return (nkv_reply){.type = NKV_TYPE_INTEGER, .integer = integer};
}

static inline nkv_reply r_bool(int truth)
{
    return (nkv_reply){.type = NKV_TYPE_BOOL, .integer = truth};
}

static inline nkv_reply r_double(double number)
{
    return (nkv_reply){.type = NKV_TYPE_DOUBLE, .dval = number};
}

static inline nkv_reply r_nil(void)
{
    return (nkv_reply){.type = NKV_TYPE_NIL};
}

static inline nkv_reply r_children(nkv_type type, const nkv_reply *element, size_t n)
{
    return (nkv_reply){.type = type, .element = element, .elements = n};
}

static inline nkv_reply r_array(const nkv_reply *element, size_t n)
{
    return r_children(NKV_TYPE_ARRAY, element, n);
}

static inline nkv_reply r_set(const nkv_reply *element, size_t n)
{
    return r_children(NKV_TYPE_SET, element, n);
}

static inline nkv_reply r_map(const nkv_reply *element, size_t n)
{
    return r_children(NKV_TYPE_MAP, element, n);
}

#endif
