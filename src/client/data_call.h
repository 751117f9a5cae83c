/* client/data_call.h - one or more commands on a data lane: writes, and whatever is not cached.
 *
 * If keys are named as written, or everything is (flush), the write is bracketed: forgotten and
 * fenced before the bytes go out, and again when the answer is there or given up, before the
 * waiter is woken.
 * Threads  send: [any]; the rest happens on the loop's thread. */
#ifndef NKVI_CLIENT_DATA_CALL_H
#define NKVI_CLIENT_DATA_CALL_H

#include "client/flight.h"

typedef struct nkvi_data_call {
    nkvi_buf *bytes;     /* complete commands; taken; nothing for a foreign peer, which gets: */
    const nkv_str *argv; /* one command, borrowed for the call */
    size_t argc;
    unsigned replies;    /* the last is the answer; if it is an error, the first error is */
    const nkv_str *keys; /* written */
    size_t keys_len;
    bool flush;       /* writes everything */
    bool opaque;      /* a script: an error of its own may look like a server's that did nothing */
    bool resend;      /* may be executed twice: it is sent again if its answer was lost */
    nkv_str route_by; /* a key of it; empty: it has none */
    nkvi_peer *to;    /* this one and no other; NULL: by the key */
    nkvi_intent intent;
    int64_t deadline_ns;
} nkvi_data_call;

/* Sends, again where the topology says so (again.h), and wakes the waiter once, perhaps before this
 * returns: NKV_OK with the answer (nil included) · NKV_EREPLY with the error reply · as
 * nkvi_lane_submit and nkvi_request.on_done. */
void nkvi_data_call_send(struct nkv_client *client, const nkvi_data_call *call,
                         nkvi_waiter *waiter);

#endif
