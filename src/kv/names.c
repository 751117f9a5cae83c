/* kv/names.c - see names.h. */
#include "kv/names.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

static char *put(char *at, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(at, data, len);
    }
    return at + len;
}

bool nkvi_name_make(const nkv_kv *kv, const char *infix, nkv_str key, nkvi_name *out)
{
    const nkv_str prefix = kv->options.prefix;
    const size_t infix_len = strlen(infix), before = prefix.len + infix_len;
    out->many = NULL;
    if (before == 0) {
        out->str = key;
        return true;
    }
    if (key.len > SIZE_MAX - before) {
        return false;
    }
    char *name = out->few;
    if (before + key.len > sizeof out->few) {
        name = out->many = nkvi_alloc(before + key.len);
        if (name == NULL) {
            return false;
        }
    }
    (void)put(put(put(name, prefix.data, prefix.len), infix, infix_len), key.data, key.len);
    out->str = nkv_str_make(name, before + key.len);
    return true;
}

void nkvi_name_clear(nkvi_name *name)
{
    nkvi_free(name->many);
    name->many = NULL;
}

nkv_str *nkvi_names_make(const nkv_kv *kv, const char *infix, const nkv_str *keys, size_t n)
{
    const nkv_str prefix = kv->options.prefix;
    const size_t infix_len = strlen(infix), before = prefix.len + infix_len;
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].len > SIZE_MAX / 4 - bytes || before > SIZE_MAX / 4 - bytes - keys[i].len) {
            return NULL;
        }
        bytes += before + keys[i].len;
    }
    if (n > (SIZE_MAX / 2 - bytes) / sizeof(nkv_str)) {
        return NULL;
    }
    nkv_str *names = nkvi_alloc(n * sizeof *names + bytes);
    if (names == NULL) {
        return NULL;
    }
    char *at = (char *)&names[n];
    for (size_t i = 0; i < n; i++) {
        char *begin = at;
        at = put(put(at, prefix.data, prefix.len), infix, infix_len);
        at = put(at, keys[i].data, keys[i].len);
        names[i] = nkv_str_make(begin, (size_t)(at - begin));
    }
    return names;
}

nkv_status nkvi_names_check(const nkv_str *keys, size_t n, nkv_error *error)
{
    const nkv_str tag = nkv_cstr(NKVI_KV_TAG), fresh = nkv_cstr(NKVI_KV_FRESH);
    for (size_t i = 0; i < n; i++) {
        if (nkvi_begins(keys[i], tag) || nkvi_begins(keys[i], fresh)) {
            return nkvi_fail(error, NKV_EINVAL,
                             "a key may not begin with %s or %s, which are the library's own",
                             NKVI_KV_TAG, NKVI_KV_FRESH);
        }
    }
    return NKV_OK;
}

void nkvi_name_pattern(nkvi_buf *out, nkv_str beginning)
{
    for (size_t i = 0; i < beginning.len; i++) {
        if (beginning.data[i] != '\0' && strchr("*?[]\\", beginning.data[i]) != NULL) {
            nkvi_buf_append(out, "\\", 1);
        }
        nkvi_buf_append(out, &beginning.data[i], 1);
    }
    nkvi_buf_append(out, "*", 1);
}

nkv_status nkvi_name_open(const nkv_kv *kv, nkv_str key, nkvi_name *out, nkv_error *error)
{
    nkv_status status = nkvi_names_check(&key, 1, error);
    if (status == NKV_OK && !nkvi_name_make(kv, "", key, out)) {
        status = nkvi_fail(error, NKV_ENOMEM, "no memory for a key");
    }
    return status;
}
