/* conn/foreign_impl.h - what a pool over a user's connector is made of; for foreign*.c only.
 *
 *      QUEUED --take--> TAKEN --seat--> ASKED --table returns--> ENDED --> done()
 *         |               |               |  its memory is handed to the table
 *         |               |               '--------> LENT --table returns--> ENDED --> done()
 *         '--too late, cancelled, stopped: ENDED at once (TAKEN: as soon as it is to be seated)
 *
 * A seat is one item of a call that a worker makes.  While op->seat and seat->op point at each
 * other the operation is open; whoever cuts them, under mu, ends it. */
#ifndef NKVI_CONN_FOREIGN_IMPL_H
#define NKVI_CONN_FOREIGN_IMPL_H

#include <pthread.h>

#include "base/buf.h"
#include "conn/foreign.h"

typedef enum nkvi_foreign_state {
    NKVI_OP_NEW = 0, /* not submitted yet; `ending` may be set */
    NKVI_OP_QUEUED,
    NKVI_OP_TAKEN, /* a worker copies what it needs of it; `ending` may be set */
    NKVI_OP_ASKED,
    NKVI_OP_LENT, /* its memory is the table's; the end waits for that */
    NKVI_OP_ENDED
} nkvi_foreign_state;

struct nkv_voucher {
    nkvi_foreign *foreign;
    nkv_cache *cache;  /* NULL: the client does not cache, and every function does nothing */
    nkvi_owner *owner; /* the peer's */
    int64_t max_idle_ms;
    pthread_mutex_t mu;
    bool closed;
    uint64_t begins;
    int64_t heard_ns; /* INT64_MIN: never */
    nkv_error why;    /* the last end's reason */
    /* What is on its way to the loop, and what the loop has told. */
    _Atomic unsigned news;
    _Atomic bool unsaid_end;
    bool told_armed, told_healthy; /* [loop] */
};

struct nkvi_foreign {
    nkv_connector table;
    char *name;
    nkvi_connector_config config;
    unsigned calls_max;
    size_t batch_max, window_bytes;
    nkvi_peer *peer;
    nkv_voucher voucher;
    bool opened; /* close() is due */

    pthread_mutex_t mu;
    pthread_cond_t work; /* workers: something is queued */
    pthread_cond_t late; /* the keeper: an earlier deadline */
    nkvi_list queues[NKVI_PRIORITIES];
    nkvi_list asked; /* ASKED and LENT */
    unsigned streak; /* operations in a row that overtook others */
    size_t queued;
    uint64_t inflight, inflight_bytes; /* open operations that are limited */
    uint64_t open;                     /* open operations */
    int64_t due_ns;                    /* no open operation's deadline is earlier */
    bool closing, keeping;
    unsigned workers, idle;
    pthread_t keeper;
    pthread_t *threads; /* calls_max of them */
    _Atomic uint64_t calls;
};

typedef struct nkvi_foreign_seat {
    nkvi_foreign *foreign;
    nkvi_foreign_op *op; /* guarded by mu; NULL: it has ended */
    nkvi_foreign_kind kind;
    nkv_str key, value; /* copies; a punctual table's value: the operation's own */
    int64_t ttl_ms;
    uint32_t spaces;  /* as the operation's, which has handed them over */
    bool placed;      /* the operation says where the value goes */
    bool lent;        /* it goes there directly */
    nkv_str text;     /* where it is received */
    nkvi_draft draft; /* the memory, if it is ours */
    nkv_error error;  /* of the item */
} nkvi_foreign_seat;

/* A key that a scan found: where it lies in `bytes`. */
typedef struct nkvi_foreign_found {
    size_t at, len;
} nkvi_foreign_found;

struct nkv_connector_scan {
    nkvi_buf keys; /* of nkvi_foreign_found */
    nkvi_buf bytes;
    size_t bytes_max;
    bool too_many;
};

/* ---- foreign_queue.c ---- */

/* The end of an operation that was cut off its seat, or never had one; not under mu. */
void nkvi_foreign_end(nkvi_foreign *foreign, nkvi_foreign_op *op, nkv_status status,
                      nkvi_foreign_answer *answer, const nkv_error *error);

/* Ends operations that are on no seat, each with its own `ending`; the list is empty then. */
void nkvi_foreign_end_marked(nkvi_foreign *foreign, nkvi_list *ops);

/* Takes a batch: operations of one kind, now TAKEN, in `ops`.  false: the pool is closing. */
bool nkvi_foreign_take(nkvi_foreign *foreign, nkvi_list *ops, size_t *n);

/* Takes the operation off its list and its seat, and counts it out.  @locks mu held */
void nkvi_foreign_cut(nkvi_foreign *foreign, nkvi_foreign_op *op);

/* Sees to it that the keeper knows of its deadline.  @locks mu held */
void nkvi_foreign_note_due(nkvi_foreign *foreign, const nkvi_foreign_op *op);

bool nkvi_foreign_queue_init(nkvi_foreign *foreign);
void nkvi_foreign_queue_clear(nkvi_foreign *foreign);

/* Ends every operation that is not lent, and refuses new ones. */
void nkvi_foreign_stop(nkvi_foreign *foreign);
/* Waits for the threads. */
void nkvi_foreign_join(nkvi_foreign *foreign);

/* ---- foreign_call.c ---- */

/* Makes one call for a batch that was taken, and ends its operations. */
void nkvi_foreign_call(nkvi_foreign *foreign, nkvi_list *ops, size_t n);

/* Whether the table has a function for it. */
bool nkvi_foreign_can(const nkvi_foreign *foreign, nkvi_foreign_kind kind);

/* ---- foreign_voucher.c ---- */

void nkvi_voucher_init(nkvi_foreign *foreign);
void nkvi_voucher_clear(nkvi_foreign *foreign);
/* No vouching any more, whatever is called. */
void nkvi_voucher_close(nkvi_foreign *foreign);
/* Looks whether it fell silent, or spoke again.  [loop] */
void nkvi_voucher_watch(nkvi_foreign *foreign);

#endif
