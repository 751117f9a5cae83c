/* conn/member.h - a server of a topology that has several: a peer that comes and goes.
 *
 *      wake --> the tracked lane is kept connected; the others connect when they are needed
 *      rest --> no connection; the peer, and pointers to it, stay good
 *
 * What the peer's lanes tell goes to the topology first, then to whom it would have told.
 * Threads  [loop]; shown: [any]. */
#ifndef NKVI_CONN_MEMBER_H
#define NKVI_CONN_MEMBER_H

#include "conn/address.h"
#include "conn/connector.h"

typedef struct nkvi_member {
    nkvi_peer peer;
    nkvi_connector_config config; /* of its peer */
    nkvi_peer_handler outer;      /* whom to tell then */
    /* The lane over which it is asked questions is up, or not any more. */
    void (*changed)(struct nkvi_member *member, bool up);
    bool awake;         /* it is kept connected */
    bool up;            /* as far as is known */
    _Atomic bool shown; /* as awake, for those who ask which peers there are */
} nkvi_member;

/* Opens the peer of the server at host:port, which live as long as the member; it rests.  config's
 * handler is told what `changed` was told before.  Returns as nkvi_peer_open; on failure nothing is
 * left. */
nkv_status nkvi_member_open(nkvi_member *member, const nkvi_connector_config *config,
                            const char *host, int port, nkv_error *error);
void nkvi_member_close(nkvi_member *member);

void nkvi_member_wake(nkvi_member *member);
/* Not inside a callback of its lanes. */
void nkvi_member_rest(nkvi_member *member);

/* Looks whether the lane came up or went, where nobody tells: a client that does not cache has no
 * tracked lane. */
void nkvi_member_look(nkvi_member *member);

/* Whether an answer may be on its way.  What waits for a connection can go elsewhere. */
bool nkvi_member_busy(nkvi_member *member);

/* Over which questions go: in order with what the tracked lane carries. */
static inline nkvi_lane *nkvi_member_lane(const nkvi_member *member)
{
    return member->peer.tracked != NULL ? member->peer.tracked : member->peer.data;
}

static inline nkvi_member *nkvi_member_of(nkvi_peer *peer)
{
    return (nkvi_member *)(void *)peer;
}

#endif
