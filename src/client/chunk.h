/* client/chunk.h - one value on a bulk lane: read, written or deleted where it belongs.
 *
 *      chunks --route(key)--> peer's bulk lanes       GET key      -> room(len), received in place
 *                                                     SET key v    <- sent from the caller's memory
 *                                                     DEL key
 *                                                     MSET key v other w    both, or neither;
 *                                                     with an expiry, in a transaction
 *
 * Writes are bracketed like all writes of ours: the key is forgotten and fenced before the bytes
 * may go out, and again when the answer is there or given up, before done() is called.
 * Memory   A chunk begins as zeroes; it and what it points to belong to the lanes from submit()
 *          until done(). One that was cancelled stays so: it begins as zeroes again.
 * Threads  submit, cancel: [any].  room() and done(): any thread, also from inside submit and
 *          cancel, under no lock; they must not block and may submit. */
#ifndef NKVI_CLIENT_CHUNK_H
#define NKVI_CLIENT_CHUNK_H

#include "client/client_int.h"
#include "conn/foreign.h"
#include "io/bulk.h"

typedef enum nkvi_chunk_kind {
    NKVI_CHUNK_GET,
    NKVI_CHUNK_SET,
    NKVI_CHUNK_DEL,
    NKVI_CHUNK_PAIR
} nkvi_chunk_kind;

#define NKVI_CHUNK_HEAD 128u /* bytes of a command that fit without allocating */
#define NKVI_CHUNK_TAIL 48u

typedef struct nkvi_chunk {
    nkvi_chunk_kind kind;
    nkv_priority priority;          /* DEFAULT: that of its kind */
    nkv_str key, value;             /* live until done() */
    nkv_str other_key, other_value; /* PAIR: the same */
    int64_t ttl_ms;                 /* SET, PAIR: expiry of the keys; 0: none */
    size_t expect;                  /* GET: bytes that are expected; 0: not known */
    int64_t deadline_ns;
    /* GET: the value has `len` bytes: where it goes, or NULL: done() gets a copy to look at. */
    char *(*room)(struct nkvi_chunk *chunk, size_t len);
    /* Exactly once.  NKV_OK with the reply (GET: string or nil; a string that was given room has
     * its text there; SET, PAIR: status; DEL: integer), a view during the call · NKV_EREPLY ·
     * NKV_ETIMEDOUT · NKV_ECONN · NKV_EPROTO · NKV_ENOMEM · NKV_ECLOSED · NKV_ECANCELED. */
    void (*done)(struct nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                 const nkv_error *error);
    /* Its own. */
    nkv_client *client;
    _Atomic(nkvi_peer *) peer; /* NULL: not submitted yet */
    _Atomic bool cancelled;
    bool bracketed; /* a write that nkvi_cache_write_begin has seen */
    bool asking;    /* the command is behind ASKING */
    unsigned tries; /* see again.h */
    nkvi_bulk_op op;
    nkvi_foreign_op foreign_op;    /* instead, where the peer is a connector of the user's */
    uint32_t spaces, other_spaces; /* that nkvi_cache_write_begin bracketed */
    char *head;                    /* the command up to the value: inline_head, or allocated */
    char *tail;                    /* what follows it: inline_tail, or behind the head */
    char inline_head[NKVI_CHUNK_HEAD], inline_tail[NKVI_CHUNK_TAIL];
} nkvi_chunk;

/* Whether these two keys can be written as a PAIR, as far as is known. */
nkvi_pairs nkvi_chunk_pairs(nkv_client *client, nkv_str key, nkv_str other_key);

/* A PAIR has ended so because the server does not take pairs, or not of these keys: nothing was
 * written, and the keys may be set one by one. */
bool nkvi_pair_refused(nkv_status status, const nkv_reply *reply);

/* Sends n chunks; done() is called for each, perhaps before this returns.  The client outlives this
 * call: somebody is counted in. */
void nkvi_chunks_submit(nkv_client *client, nkvi_chunk *const *chunks, size_t n);

/* Makes the chunk end soon with NKV_ECANCELED, if it has not ended; it may be ending now, or being
 * submitted, so its memory must outlive this call. */
void nkvi_chunk_cancel(nkvi_chunk *chunk);

#endif
