/* io/reader.h - RESP2 and RESP3 from bytes: bytes in, drafts out.
 *
 *      socket --> nkvi_reader_space / _fed --> [ buffer ] --nkvi_reader_next--> draft
 *                                    \
 *                                     `--> a large string's own block: received in place, adopted
 *
 * A reply is first only looked through, incrementally, so that a reply that comes in pieces is
 * looked through once; when all of it is there, it is built with one allocation and one copy.
 * Nothing is allocated for what a peer merely announces: limits are checked on the announcement.
 *
 * hiredis's reader would do most of this, but cannot limit the length of a bulk string, gives up at
 * attributes, and copies twice; it is the reference of the differential tests instead.
 *
 * Limits   NKVI_READER_DEPTH_MAX levels; bytes_max for one reply (as the draft will count it,
 *          and as it comes over the wire); a line 1 MiB.
 * Threads  A reader belongs to one thread at a time. */
#ifndef NKVI_IO_READER_H
#define NKVI_IO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearkv/status.h>

#include "core/cache.h"
#include "core/draft.h"

#define NKVI_READER_DEPTH_MAX  32
#define NKVI_READER_IN_PLACE   (64u * 1024u) /* strings from this size on are received in place */
#define NKVI_READER_BUFFER_MIN (64u * 1024u)
#define NKVI_READER_BUFFER_KEEP \
    (64u * 1024u) /* a buffer grown beyond this is given back when empty */

/* What the look-through knows of the reply under way. */
typedef struct nkvi_reader_scan {
    size_t at;                   /* offset of the first byte not yet looked through */
    size_t seek;                 /* where to go on looking for the end of the line */
    size_t children, text_bytes; /* of the draft to be built */
    size_t cost;                 /* what counts against bytes_max */
    uint32_t attributes;         /* bit d: level d is an attribute, whose content is dropped */
    unsigned depth;              /* open levels */
    bool whole;                  /* the reply is there up to `at` */
    uint64_t left[NKVI_READER_DEPTH_MAX]; /* elements still to come, by level */
} nkvi_reader_scan;

typedef struct nkvi_reader {
    char *data; /* data[start..end) is not yet handed out */
    size_t start, end, cap;
    size_t bytes_max;
    nkv_cache *cache;
    nkvi_reader_scan scan;
    char *bulk; /* a large string under way, or NULL */
    size_t bulk_len, bulk_have;
    bool bulk_pooled; /* it came from the cache, to which it is given back */
    bool broken;      /* a protocol error: nothing can follow */
} nkvi_reader;

/* bytes_max <= 0: no limit of ours.  cache: whose buffers large strings are received into, so that
 * they count against its limit from the start and are used again; NULL: none. */
void nkvi_reader_init(nkvi_reader *reader, int64_t bytes_max, nkv_cache *cache);
/* Frees everything; usable again after init. */
void nkvi_reader_clear(nkvi_reader *reader);

/* Where the next bytes go: *len >= 1 of them.  false: memory ran out. */
bool nkvi_reader_space(nkvi_reader *reader, char **data, size_t *len);
/* `len` bytes were put there. */
void nkvi_reader_fed(nkvi_reader *reader, size_t len);

/* The next whole reply.
 * Returns NKV_OK: *draft is the caller's · NKV_MISS: more bytes are needed, *draft is nil ·
 * NKV_EPROTO: the peer does not speak RESP, or beyond the limits; so does every later call ·
 * NKV_ENOMEM: the reply is still there, the call may be repeated. */
nkv_status nkvi_reader_next(nkvi_reader *reader, nkvi_draft *draft, nkv_error *error);

/* Bytes received and not yet handed out. */
size_t nkvi_reader_pending(const nkvi_reader *reader);

#endif
