/* lmcache/cbor.h - as much of CBOR (RFC 8949) as a chunk's hash is made of, straight into SHA-256.
 *
 * In the canonical form: every length and number as short as it can be, lengths ahead.
 *
 *      (before, tokens, extra)  -->  83  <before>  <array head> <token> <token> ...  80 or f6
 */
#ifndef NKVI_LMCACHE_CBOR_H
#define NKVI_LMCACHE_CBOR_H

#include <stdbool.h>

#include "lmcache/sha256.h"

/* Major types, in the upper three bits of the first byte. */
#define NKVI_CBOR_UINT  0x00u
#define NKVI_CBOR_NINT  0x20u /* -1 - n */
#define NKVI_CBOR_BYTES 0x40u
#define NKVI_CBOR_TEXT  0x60u
#define NKVI_CBOR_ARRAY 0x80u
#define NKVI_CBOR_NULL  0xF6u /* a whole item */

/* A head: a number, or the length of what follows. */
static inline void nkvi_cbor_head(nkvi_sha256 *sha, unsigned major, uint64_t n)
{
    unsigned char head[9];
    unsigned power = n < 24            ? 0
                     : n <= UINT8_MAX  ? 1
                     : n <= UINT16_MAX ? 2
                     : n <= UINT32_MAX ? 3
                                       : 4;
    size_t bytes = power == 0 ? 0 : (size_t)1 << (power - 1);

    head[0] = (unsigned char)(major | (power == 0 ? (unsigned)n : 23 + power));
    for (size_t i = 0; i < bytes; i++) {
        head[1 + i] = (unsigned char)(n >> (8 * (bytes - 1 - i)));
    }
    nkvi_sha256_put(sha, head, 1 + bytes);
}

/* A number with a sign; there is no -0. */
static inline void nkvi_cbor_number(nkvi_sha256 *sha, bool negative, uint64_t number)
{
    if (negative && number > 0) {
        nkvi_cbor_head(sha, NKVI_CBOR_NINT, number - 1);
    } else {
        nkvi_cbor_head(sha, NKVI_CBOR_UINT, number);
    }
}

static inline void nkvi_cbor_int(nkvi_sha256 *sha, int64_t value)
{
    if (value < 0) {
        nkvi_cbor_head(sha, NKVI_CBOR_NINT, ~(uint64_t)value); /* -1 - value */
    } else {
        nkvi_cbor_head(sha, NKVI_CBOR_UINT, (uint64_t)value);
    }
}

/* Bytes or a text. */
static inline void nkvi_cbor_string(nkvi_sha256 *sha, unsigned major, const void *data, size_t len)
{
    nkvi_cbor_head(sha, major, len);
    nkvi_sha256_put(sha, data, len);
}

#endif
