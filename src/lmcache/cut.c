/* lmcache/cut.c - see cut.h. */
#include "lmcache/cut.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "lmcache/text.h"

nkv_str nkvi_lmcache_cut_at(nkv_str *text, char c)
{
    const char *at = (const char *)memchr(text->data, c, text->len);
    assert(at != NULL);
    nkv_str before = nkv_str_make(text->data, (size_t)(at - text->data));
    *text = nkv_str_make(at + 1, text->len - before.len - 1);
    return before;
}

bool nkvi_lmcache_cut_next(nkvi_lmcache_cut *cut, nkv_str *part)
{
    if (!cut->more) {
        return false;
    }
    if (nkvi_lmcache_has(cut->rest, '@')) {
        *part = nkvi_lmcache_cut_at(&cut->rest, '@');
    } else {
        *part = cut->rest;
        cut->more = false;
    }
    return true;
}

nkv_status nkvi_lmcache_cut_number(nkv_str part, const char *name, uint32_t *out, nkv_error *error)
{
    uint64_t number;

    if (!nkvi_lmcache_is_decimal(part) || !nkvi_lmcache_is_shortest(part) ||
        !nkvi_lmcache_read(part, 10, &number) || number > UINT32_MAX) {
        return nkvi_fail(error, NKV_EINVAL,
                         "%s: allowed is 0 to %" PRIu32 " in decimal, without zeros in front", name,
                         UINT32_MAX);
    }
    *out = (uint32_t)number;
    return NKV_OK;
}
