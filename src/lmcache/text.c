/* lmcache/text.c - see text.h. */
#include "lmcache/text.h"

#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "base/status.h"

/* ---- Writing --------------------------------------------------------------------------------- */

void nkvi_lmcache_put(nkvi_lmcache_out *out, const void *data, size_t len)
{
    if (len > 0 && out->len <= out->cap && len <= out->cap - out->len) {
        memcpy(out->data + out->len, data, len);
    }
    if (__builtin_add_overflow(out->len, len, &out->len)) {
        out->len = SIZE_MAX;
    }
}

void nkvi_lmcache_put_str(nkvi_lmcache_out *out, nkv_str text)
{
    nkvi_lmcache_put(out, text.data, text.len);
}

void nkvi_lmcache_put_char(nkvi_lmcache_out *out, char c)
{
    nkvi_lmcache_put(out, &c, 1);
}

void nkvi_lmcache_put_number(nkvi_lmcache_out *out, uint64_t number, unsigned base, unsigned width)
{
    char digits[20];
    size_t at = sizeof digits;

    assert((base == 10 || base == 16) && width <= sizeof digits);
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0 || sizeof digits - at < width);
    nkvi_lmcache_put(out, digits + at, sizeof digits - at);
}

nkv_status nkvi_lmcache_out_end(const nkvi_lmcache_out *out, const char *what, size_t *len,
                                nkv_error *error)
{
    *len = 0;
    if (out->len > NKVI_LMCACHE_NAME_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "%s: longer than the 512 MiB that a key may have",
                         what);
    }
    *len = out->len;
    if (out->len > out->cap) {
        return nkvi_fail(error, NKV_ENOMEM, "%s: the buffer has %zu bytes, %zu are needed", what,
                         out->cap, out->len);
    }
    return NKV_OK;
}

/* ---- Looking --------------------------------------------------------------------------------- */

bool nkvi_lmcache_is(nkv_str text, const char *word)
{
    size_t len = strlen(word);
    return text.len == len && memcmp(text.data, word, len) == 0;
}

bool nkvi_lmcache_has(nkv_str text, char c)
{
    return text.len > 0 && memchr(text.data, c, text.len) != NULL;
}

/* The value of a digit; 16 if it is none. */
static unsigned digit_of(char c)
{
    if (nkvi_ascii_digit(c)) {
        return (unsigned)(c - '0');
    }
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static bool all_digits(nkv_str text, unsigned base)
{
    for (size_t i = 0; i < text.len; i++) {
        if (digit_of(text.data[i]) >= base) {
            return false;
        }
    }
    return text.len > 0;
}

bool nkvi_lmcache_is_decimal(nkv_str text)
{
    return all_digits(text, 10);
}

bool nkvi_lmcache_is_hex(nkv_str text)
{
    return all_digits(text, 16);
}

bool nkvi_lmcache_is_shortest(nkv_str text)
{
    return text.len == 1 || (text.len > 1 && text.data[0] != '0');
}

bool nkvi_lmcache_read(nkv_str digits, unsigned base, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        assert(digit_of(digits.data[i]) < base);
        if (__builtin_mul_overflow(*out, base, out) ||
            __builtin_add_overflow(*out, digit_of(digits.data[i]), out)) {
            *out = 0;
            return false;
        }
    }
    return true;
}
