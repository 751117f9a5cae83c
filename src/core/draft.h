/* core/draft.h - an answer on its way from the wire into a value.
 *
 * io parses a reply and builds a draft; the draft becomes either a value of its own
 * (nkvi_draft_seal) or the content of a cache entry (nkvi_cache_put), without another copy.  A
 * draft is the root view plus at most one block that holds the children and their bytes.
 *
 *      root {type, str | element …} ---> block: [ nkv_reply children … | bytes … ]
 *
 * Scalars (nil, integers, doubles, booleans) need no block.  A large string may be a buffer that
 * the reader filled and hands over: it is adopted, not copied.
 * Threads  A draft belongs to one thread. */
#ifndef NKVI_CORE_DRAFT_H
#define NKVI_CORE_DRAFT_H

#include <stdbool.h>

#include <nearkv/value.h>

typedef struct nkvi_draft {
    nkv_reply root;     /* pointers lead into block */
    void *block;        /* NULL for scalars; given back with free_fn(block, free_ud) */
    size_t block_bytes; /* what the block counts against a byte limit */
    void (*free_fn)(void *block, void *ud); /* NULL: nkvi_free */
    void *free_ud;
} nkvi_draft;

/* An empty draft: nil. */
void nkvi_draft_init(nkvi_draft *draft);

/* Frees what the draft still owns; nil afterwards. */
void nkvi_draft_clear(nkvi_draft *draft);

/* Copies a whole tree of views (any source) into one block.  false: memory ran out, the draft is
 * nil. */
bool nkvi_draft_copy(nkvi_draft *draft, const nkv_reply *reply);

/* A string-like draft (STRING, STATUS, ERROR, BIGNUM) from bytes, copied.  false: memory
 * ran out. */
bool nkvi_draft_string(nkvi_draft *draft, nkv_type type, const void *data, size_t len);

/* Turns the draft into a value with one reference; the draft is nil afterwards.  NULL: memory ran
 * out, the draft still owns what it owned. */
nkv_value *nkvi_draft_seal(nkvi_draft *draft);

#endif
