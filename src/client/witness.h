/* client/witness.h - keeping a value that came over a bulk lane, which nobody tracks.
 *
 *      tracked lane   GET m ----> answer, cached          push for m: drops it, and all that is
 *                                   |                                 kept beside it
 *      bulk lane                    '--> GET p --> value --[loop]--> kept beside the answer of m,
 *                                                                    if that is still in the cache
 *
 * A tracked answer stands witness for the value: it was there before the value was asked for, and
 * it must be the very same entry when the value is stored. So no push for its key, no flush, no
 * write of ours and no loss of the lane came between. The value is kept under the key of the
 * witness, with a command of its own, and whatever drops the witness drops it too.
 * For a value that is content-hashed its metadata is a fit witness; any other needs one of its own
 * key (STRLEN or EXISTS).
 * Threads  keep: [any]; kept(): [loop]. */
#ifndef NKVI_CLIENT_WITNESS_H
#define NKVI_CLIENT_WITNESS_H

#include "client/client_int.h"

typedef struct nkvi_witnessed {
    nkv_client *client;
    nkvi_query witness; /* strings live until kept() */
    nkv_value *answer;  /* the witness's; a reference of the caller's */
    nkv_str command;    /* the value is kept as this, under the witness's key */
    nkvi_draft draft;   /* the value; taken */
    nkv_value *value;   /* out: a reference, or NULL: memory ran out */
    void (*kept)(struct nkvi_witnessed *self); /* it was stored, or not */
    nkvi_task task;
} nkvi_witnessed;

void nkvi_witness_keep(nkvi_witnessed *self);

#endif
