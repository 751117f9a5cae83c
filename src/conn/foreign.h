/* conn/foreign.h - a connector of the user's own (<nearkv/connector.h>) as a peer.
 *
 *      submit --> [ PEEK | PREFETCH | GET | PUT ]     one queue
 *                    |   a batch of one kind
 *                  worker: items[] --table.get()--> the user's store           at most calls_max
 *                    |
 *                    '--> done(), once, for each operation
 *                 keeper: ends what is too late, wherever it is
 *      voucher: begin, end, heard --> owner;  invalidate, flush --> on_told()
 *
 * The user's functions may block for as long as they like, so an operation and what works on it are
 * two things: the worker has copies of its key and value, and memory of its own for an answer.  An
 * operation ends when it is answered, at its deadline, when it is cancelled or the pool stops,
 * whichever is first; what the table still does then is nobody's business but the pool's.  Only
 * where the table is punctual is the memory of the operation itself lent to it, and the end waits.
 *
 * Writes    PUT and REMOVE are bracketed here (core/cache.h): from before they are queued until the
 *           table's function has returned, also where the operation ended before.
 * Order     As io/bulk.h: by priority, and within one in the order of submission.
 * Threads   One keeper and up to calls_max workers, made when they are first needed.  create, stop,
 *           join, destroy: one thread.  The rest is [any]; done() and room() are called under no
 *           lock, from any thread (done() also inside submit, cancel and stop), must not block, and
 *           may submit.
 * Locks     foreign->mu: queue, operations, and seats; a leaf.  voucher.mu: a leaf. */
#ifndef NKVI_CONN_FOREIGN_H
#define NKVI_CONN_FOREIGN_H

#include <nearkv/connector.h>

#include "base/list.h"
#include "conn/connector.h"

typedef struct nkvi_foreign nkvi_foreign;

typedef enum nkvi_foreign_kind {
    NKVI_FOREIGN_GET,
    NKVI_FOREIGN_EXISTS,
    NKVI_FOREIGN_PUT,
    NKVI_FOREIGN_REMOVE,
    NKVI_FOREIGN_SCAN,
    NKVI_FOREIGN_PING,
    NKVI_FOREIGN_SETTLE
} nkvi_foreign_kind;

/* What the table said, with NKV_OK. */
typedef struct nkvi_foreign_answer {
    bool found;       /* GET, EXISTS, REMOVE */
    int64_t ttl_ms;   /* GET, EXISTS: what is left of the key; -1: not known, or for ever */
    int64_t asked_ns; /* before the table was called */
    nkv_str text;     /* GET: the value, in `draft` or where room() said */
    nkvi_draft draft; /* GET: the string, unless it is where room() said; SCAN: an array of the
                         keys.  done() may take it. */
} nkvi_foreign_answer;

/* Start from zeroes, for every submit. */
typedef struct nkvi_foreign_op {
    nkvi_foreign_kind kind;
    nkvi_priority priority;
    nkv_str key; /* SCAN: the prefix; with `value` it lives until done() */
    nkv_str value;
    int64_t ttl_ms; /* PUT: 0: none */
    size_t expect;  /* GET: bytes of the value, as far as is known */
    int64_t deadline_ns;
    bool limited; /* refused with NKV_EBUSY beyond inflight_max and inflight_bytes_max */
    /* GET: the value has `len` bytes: where it goes, or NULL: the answer has it.  NULL as a whole:
     * the same. */
    char *(*room)(struct nkvi_foreign_op *op, size_t len);
    /* Exactly once: NKV_OK with the answer · the table's failure · NKV_ENOTSUP · NKV_EBUSY ·
     * NKV_ETIMEDOUT · NKV_ECANCELED · NKV_ECLOSED · NKV_ENOMEM · NKV_ECONN (no thread). */
    void (*done)(struct nkvi_foreign_op *op, nkv_status status, nkvi_foreign_answer *answer,
                 const nkv_error *error);
    /* The pool's. */
    nkvi_node node;
    struct nkvi_foreign_seat *seat; /* of the call that has it; NULL: none */
    uint32_t spaces;                /* that nkvi_cache_write_begin bracketed */
    unsigned char state;
    nkv_status ending; /* it was to end while it could not; NKV_OK: it was not */
} nkvi_foreign_op;

typedef struct nkvi_foreign_config {
    nkvi_connector_config base;
    const nkv_connector *table; /* checked and copied, its name too */
    size_t batch_max;           /* where the table does not say */
    unsigned calls_max;         /* the same */
    size_t window_bytes;        /* of values in one call; one may be larger */
} nkvi_foreign_config;

/* A topology of one peer, peer->foreign, over the table; open() is not called yet.
 * Returns NKV_OK · NKV_EINVAL · NKV_ENOMEM.  [loop] */
nkv_status nkvi_foreign_create(const nkvi_foreign_config *config, nkvi_connector **out,
                               nkv_error *error);

/* Calls the table's open().  Not the loop's thread, unless the loop is a user's. */
nkv_status nkvi_foreign_open(nkvi_foreign *foreign, nkv_error *error);

/* Checks a table.  Returns NKV_OK · NKV_EINVAL. */
nkv_status nkvi_foreign_check(const nkv_connector *table, nkv_error *error);

void nkvi_foreign_submit(nkvi_foreign *foreign, nkvi_foreign_op *const *ops, size_t n);

/* Makes an operation end with NKV_ECANCELED, if it has not ended and its memory is not lent; one
 * that is not submitted yet ends then.  It may be ending now, so its memory must outlive this
 * call. */
void nkvi_foreign_cancel(nkvi_foreign *foreign, nkvi_foreign_op *op);

/* A snapshot in a lane's words: ARMED while it vouches, else UNTRACKED. */
void nkvi_foreign_get_info(nkvi_foreign *foreign, nkvi_lane_info *info);

/* Whether it could vouch at all. */
bool nkvi_foreign_may_vouch(const nkvi_foreign *foreign);

/* The connector's name. */
const char *nkvi_foreign_name(const nkvi_foreign *foreign);

#endif
