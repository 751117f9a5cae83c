/* io/reader.h - RESP2 and RESP3 from bytes: bytes in, drafts out.
 *
 *      socket --> nkvi_reader_space / _fed --> [ buffer ] --nkvi_reader_next--> draft
 *                                    \
 *                                     `--> a large string's own block: received in place, adopted,
 *                                          or memory lent by who asked: received there, not owned
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

/* Where the large string under way is received. */
typedef enum nkvi_reader_home {
    NKVI_HOME_NONE = 0, /* there is no such string */
    NKVI_HOME_OWN,      /* a block of ours */
    NKVI_HOME_POOL,     /* a buffer of the cache, to which it is given back */
    NKVI_HOME_LENT,     /* memory that was lent, without room for the line break */
    NKVI_HOME_LOST      /* it was taken back, or dropped: what comes is thrown away */
} nkvi_reader_home;

/* Asked when a string that is a reply of its own begins: where its `len` bytes go, or NULL: as
 * usual, or NKVI_READER_DROP: nowhere, its draft is nil.  Called inside nkvi_reader_next(). */
typedef char *(*nkvi_reader_lend_fn)(void *ud, size_t len);

extern char nkvi_reader_dropped;
#define NKVI_READER_DROP (&nkvi_reader_dropped)

/* A buffer that nobody uses: readers of one thread that are empty leave theirs there. */
typedef struct nkvi_reader_spare {
    char *data; /* NULL: there is none */
    size_t cap;
} nkvi_reader_spare;

typedef struct nkvi_reader {
    char *data; /* data[start..end) is not yet handed out */
    size_t start, end, cap;
    size_t bytes_max;
    nkv_cache *cache;
    nkvi_reader_spare *spare; /* NULL: its buffer is its own */
    nkvi_reader_scan scan;
    nkvi_reader_home home;
    char *bulk; /* the large string under way; NULL: none, or LOST */
    size_t bulk_len, bulk_have;
    char bulk_end[2]; /* LENT: its line break */
    nkvi_reader_lend_fn lend;
    void *lend_ud;
    uint64_t copied; /* bytes of strings that went through the buffer; anybody may set it to 0 */
    bool broken;     /* a protocol error: nothing can follow */
} nkvi_reader;

/* bytes_max <= 0: no limit of ours.  cache: whose buffers large strings are received into, so that
 * they count against its limit from the start and are used again; NULL: none. */
void nkvi_reader_init(nkvi_reader *reader, int64_t bytes_max, nkv_cache *cache);
/* From now on strings of any size are received where `lend` wants them; their drafts have the text
 * and no block. */
void nkvi_reader_lend(nkvi_reader *reader, nkvi_reader_lend_fn lend, void *ud);
/* From now on a buffer is taken from `spare`, where there is one, and left there by
 * nkvi_reader_rest(): of many readers on one thread few hold bytes at the same time. */
void nkvi_reader_share(nkvi_reader *reader, nkvi_reader_spare *spare);
/* Nothing more is read for now: an empty buffer is left to other readers. */
void nkvi_reader_rest(nkvi_reader *reader);
void nkvi_reader_spare_clear(nkvi_reader_spare *spare);
/* Takes lent memory back: it is not touched any more, the rest of the string is read and thrown
 * away, and its draft is nil.  Returns whether a string was being received there. */
bool nkvi_reader_take_back(nkvi_reader *reader);
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
