/* client/flight_impl.h - what flights and batches are made of; for flight*.c only.
 *
 * flight.c asks lanes, flight_foreign.c a connector of the user's own; how a flight ends and fills
 * the cache is the same. */
#ifndef NKVI_CLIENT_FLIGHT_IMPL_H
#define NKVI_CLIENT_FLIGHT_IMPL_H

#include "client/client_int.h"
#include "client/ttl.h"

typedef struct nkvi_flight {
    nkvi_node bucket; /* guarded by flights->mu, as are waiters */
    nkvi_list waiters;
    nkvi_query query; /* strings lie behind the batch */
    nkvi_token token;
    nkvi_draft answer;
    nkv_value *validate; /* a reference, or NULL */
    _Atomic bool dirty;  /* a push named the key between answer and PTTL */
    bool done;
    bool presence;    /* EXISTS, asked as PTTL */
    unsigned parts;   /* replies that belong to it: the answer, PTTL, HPTTL */
    nkvi_ttl ttl;     /* what PTTL and HPTTL said */
    int64_t until_ns; /* it is answered by then, or given up: who is more patient does not join */
    const nkvi_peer *peer; /* who answers; as in the batch */
    uint32_t moves;        /* of the hash slot, when it was routed */
    uint16_t hash_slot;
    const nkvi_owner *owner; /* of a connector, which vouched at `generation`; else NULL */
    uint64_t generation;
} nkvi_flight;

typedef struct nkvi_batch {
    nkvi_request request;
    nkv_client *client;
    nkvi_peer *peer;
    nkvi_ask_mode mode;
    int64_t sent_ns;  /* before the first byte went out: expiries count from here */
    int64_t until_ns; /* of its flights */
    size_t n;
    size_t at;                      /* whose replies are coming in */
    unsigned part;                  /* which of its replies is next */
    struct nkvi_inquiry *inquiries; /* of a foreign peer, one for each flight; else NULL */
    nkvi_flight flights[];          /* n, then the bytes of their keys and commands */
} nkvi_batch;

/* Ends a flight: out of the table, everybody woken.  `value` is borrowed.  [loop], or the submitter
 * if the batch was never sent. */
void nkvi_flight_end(nkvi_batch *b, nkvi_flight *flight, nkv_status status, nkv_value *value,
                     const nkv_error *error);

/* Ends a flight whose answer is complete, and stores it if it may be.  [loop] */
void nkvi_flight_settle(nkvi_batch *b, nkvi_flight *flight);

void nkvi_batch_free(nkvi_batch *b);

/* Wakes each ask's waiter, of which no flight has heard. */
void nkvi_wake_all(nkvi_ask **asks, size_t n, nkv_status status, const nkv_error *error);

/* Whether a request ended so because of the answer to one of its commands; those behind it have
 * lost the connection. */
static inline bool nkvi_stream_broke(nkv_status status)
{
    return status == NKV_EPROTO || status == NKV_ENOMEM;
}

/* What those are told; error: of the request, or NULL. */
static inline void nkvi_bystander(const nkv_error *error, nkv_error *lost)
{
    *lost = error != NULL ? *error : (nkv_error){.status = NKV_OK};
    lost->status = NKV_ECONN;
}

/* Asks a data lane.  As nkvi_ask_all. */
void nkvi_ask_plain(nkv_client *client, nkvi_peer *peer, nkvi_ask **asks, size_t n,
                    const nkvi_ask_mode *mode);

/* How long a foreign peer is given: longer than who asks waits, so that others can join. */
int64_t nkvi_batch_patience(const nkvi_batch *b);

/* Submits a batch to its foreign peer.  Ends the flights if it cannot; the batch is not the
 * caller's any more in either case. */
void nkvi_batch_inquire(nkvi_batch *b);

#endif
