/* client/again.h - asking again: how often, when, and whom.
 *
 *      answer --nkvi_again_judge--> NOT      it is the caller's
 *                                   NOW      route() and ask
 *                                   ASKING   ask that peer, this once
 *                                   LATER    nkvi_pause_send, then route() and ask
 *
 * Where a topology can change, an answer may only say that somebody else is to be asked, or that
 * nobody can answer yet (connector.h).  Such an answer is the caller's only when its deadline has
 * passed, or after NKVI_AGAIN_MAX tries.
 * Threads  [any], unless said otherwise. */
#ifndef NKVI_CLIENT_AGAIN_H
#define NKVI_CLIENT_AGAIN_H

#include "client/client_int.h"

#define NKVI_AGAIN_AT_ONCE 5u    /* more redirections are followed only after a pause each */
#define NKVI_AGAIN_MAX     4096u /* more than three minutes of pauses */
#define NKVI_PAUSE_NS      (NKVI_TICK_MS * NKVI_NS_PER_MS * 3 / 2) /* with the answer behind it */

/* A request that was not executed, or may be executed twice. */
typedef struct nkvi_tried {
    nkvi_peer *peer;    /* who was asked */
    uint16_t hash_slot; /* for a key of this one */
    nkv_status status;
    const nkv_reply *reply; /* with NKV_EREPLY; else NULL */
    int64_t deadline_ns;
    unsigned *tries; /* so far; counted here */
} nkvi_tried;

/* *there: with ASKING. */
nkvi_again nkvi_again_judge(nkv_client *client, const nkvi_tried *tried, nkvi_peer **there);

/* Wakes the waiter once: NKV_OK when the loop ticks next · NKV_ECLOSED, perhaps before it
 * returns. */
void nkvi_pause_send(nkv_client *client, nkvi_waiter *waiter);

/* Wakes all of them.  [loop] */
void nkvi_pauses_wake(nkv_client *client, nkv_status status);

/* Tells the topology what a peer has answered with.  [loop] */
void nkvi_again_hear(nkv_client *client, nkvi_peer *peer, const nkv_reply *error);

#endif
