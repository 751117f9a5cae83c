/* lmcache/text.h - writing into a buffer of the caller's, and looking at texts.
 *
 * An `out` counts on when the buffer is full, so that one pass tells how much is needed.
 * Threads  [any]. */
#ifndef NKVI_LMCACHE_TEXT_H
#define NKVI_LMCACHE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <nearkv/status.h>

/* What a key may take in Redis and Valkey (proto-max-bulk-len as it is set by default). */
#define NKVI_LMCACHE_NAME_MAX ((size_t)512 << 20)

typedef struct nkvi_lmcache_out {
    char *data;
    size_t cap;
    size_t len; /* needed so far; SIZE_MAX: more than a size_t counts */
} nkvi_lmcache_out;

static inline nkvi_lmcache_out nkvi_lmcache_out_to(void *buf, size_t cap)
{
    nkvi_lmcache_out out = {(char *)buf, cap, 0};
    return out;
}

void nkvi_lmcache_put(nkvi_lmcache_out *out, const void *data, size_t len);
void nkvi_lmcache_put_str(nkvi_lmcache_out *out, nkv_str text);
void nkvi_lmcache_put_char(nkvi_lmcache_out *out, char c);

/* A number in base 10 or 16 (lower case), with zeros in front up to `width` digits. */
void nkvi_lmcache_put_number(nkvi_lmcache_out *out, uint64_t number, unsigned base, unsigned width);

/* Ends the writing: NKV_OK, or NKV_ENOMEM (more than cap), or NKV_EINVAL (more than NAME_MAX); *len
 * as nearkv/lmcache.h says.  `what` is the word for it in the error. */
nkv_status nkvi_lmcache_out_end(const nkvi_lmcache_out *out, const char *what, size_t *len,
                                nkv_error *error);

/* Is `text` exactly `word`? */
bool nkvi_lmcache_is(nkv_str text, const char *word);

bool nkvi_lmcache_has(nkv_str text, char c);

/* Is `text` not empty and all of decimal digits, or of hexadecimal ones in lower case? */
bool nkvi_lmcache_is_decimal(nkv_str text);
bool nkvi_lmcache_is_hex(nkv_str text);

/* Is there nothing in front that could be left out ("0" is fine, "00" and "01" are not)? */
bool nkvi_lmcache_is_shortest(nkv_str text);

/* A number of digits as above; false if it is more than a uint64_t holds. */
bool nkvi_lmcache_read(nkv_str digits, unsigned base, uint64_t *out);

#endif
