/* nearkv/lmcache.h - LMCache's chunks in Redis, byte for byte as its connectors keep them.
 *
 *      tokens --chain--> hash --key--> K (opaque bytes) --name--> the key or keys in Redis
 *                                                                 value: metadata, payload
 *
 * This header is all of it; the parts can be included alone.  Only nearkv/lmcache_store.h, the
 * operations on chunks, does I/O.
 *
 * Ownership  Texts and bytes are borrowed for the call; what a parser hands out points into the
 *            text it was given.  Results go into memory of the caller; only a chain is a
 *            handle.
 * Buffers    `buf`, `cap`, `*len`: *len is set to the bytes needed on NKV_OK, and on NKV_ENOMEM,
 *            when `cap` is smaller and what was written is of no use (buf may be NULL if cap is 0);
 *            after other failures it is 0.  No NUL is added.  buf must not overlap an argument.
 * Errors     `error` may be NULL.  Its text names the field and what is allowed, and repeats no
 *            key.  After a failure *out is zeroed.
 * Threads    [any] everywhere; one chain by one thread at a time.
 * Units      Sizes are bytes. */
#ifndef NEARKV_LMCACHE_H
#define NEARKV_LMCACHE_H

#include <nearkv/lmcache_chain.h>
#include <nearkv/lmcache_key.h>
#include <nearkv/lmcache_meta.h>
#include <nearkv/lmcache_store.h>

#endif
