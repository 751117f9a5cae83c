/* client/barrier.h - making a peer process what is on its way, before its answers are believed.
 *
 *      drain    the loop reads what the socket holds now
 *      barrier  a PING on the tracked lane: the server sends every invalidation of a write that it
 *               had acknowledged before the PING ahead of the PONG, on the same stream.  Where the
 *               peer may have lost its say meanwhile, something that tells is asked instead:
 *               EXISTS of the keys (a cluster: a slot that is being migrated has lost some of
 *               them), ROLE (a primary with replicas)
 *
 * Threads  [any]; what waits: but the loop's own. */
#ifndef NKVI_CLIENT_BARRIER_H
#define NKVI_CLIENT_BARRIER_H

#include "client/client_int.h"

/* A barrier (or what a connector has instead), and reading what the socket holds.  Both wake the
 * waiter once, perhaps before they return: NKV_OK · NKV_ECONN (the tracked lane is not armed, or
 * was lost, or the peer has no say about the keys any more) · NKV_ETIMEDOUT (a barrier) · NKV_EBUSY
 * · NKV_ENOMEM · NKV_ECLOSED.  [any], the loop included.
 *
 *   keys   taken; begun by nkvi_barrier_keys() with the number of keys that were appended to it
 *          then, all of one hash slot; or empty, where the connector's barrier needs none; NULL: a
 *          PING, whose answer is good whatever it is */
void nkvi_barrier_send(nkv_client *client, nkvi_peer *peer, nkvi_buf *keys, int64_t deadline_ns,
                       nkvi_waiter *waiter);
void nkvi_barrier_keys(nkvi_buf *keys, size_t n);
void nkvi_drain_send(nkv_client *client, nkvi_peer *peer, nkvi_waiter *waiter);

/* Behind a write of which it cannot be told what it changed, and before its caller is told: no
 * answer from before it may be served any more to anybody who shares the cache (P2).  Where this
 * lane alone vouches, a barrier does, and an unarmed lane vouches for nothing.  Of what other lanes
 * were told we know nothing, so a cache that several share is emptied.
 * Waits.  Returns NKV_OK · NKV_ETIMEDOUT · NKV_EBUSY · NKV_ENOMEM · NKV_ECLOSED. */
nkv_status nkvi_write_settle(nkv_client *client, nkvi_peer *peer, int64_t deadline_ns,
                             nkv_error *error);
/* The same without waiting: true if it is done, else a barrier must follow.  [any] */
bool nkvi_write_settle_at_once(nkv_client *client);

/* Behind a write of that kind, or a flush, which failed with `status`, or could not be settled
 * (NKV_OK): it may have been done all the same, so the cache is emptied, unless it was never sent.
 * [any] */
void nkvi_write_unsure(nkv_client *client, nkv_status status);

#endif
