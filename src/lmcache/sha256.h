/* lmcache/sha256.h - SHA-256 in pieces, by OpenSSL.
 *
 * What is put is gathered in a small buffer, because it comes a few bytes at a time and each call
 * of OpenSSL has its price.  A failure is remembered until the end.
 * Threads  One at a time. */
#ifndef NKVI_LMCACHE_SHA256_H
#define NKVI_LMCACHE_SHA256_H

#include <stdbool.h>
#include <stdint.h>

#include <nearkv/status.h>

#define NKVI_SHA256_BYTES 32

typedef struct nkvi_sha256 nkvi_sha256;

/* To be given back with nkvi_sha256_destroy().
 * NKV_OK · NKV_ENOMEM · NKV_ENOTSUP; *out is NULL then. */
nkv_status nkvi_sha256_create(nkvi_sha256 **out, nkv_error *error);
void nkvi_sha256_destroy(nkvi_sha256 *sha); /* NULL is allowed */

/* Begins anew, whatever was put before. */
void nkvi_sha256_begin(nkvi_sha256 *sha);
void nkvi_sha256_put(nkvi_sha256 *sha, const void *data, size_t len);

/* False: OpenSSL failed somewhere, which with a digest that it has can only be memory. */
bool nkvi_sha256_end(nkvi_sha256 *sha, uint8_t digest[NKVI_SHA256_BYTES]);

#endif
