/* client/ttl.h - how long an answer may be kept: PTTL, and the bounds of options and call.
 *
 * The server's clock is never compared with ours: PTTL is a remaining time, counted from the moment
 * before the command was sent, so an entry can only end too early.
 * Threads  [any]: pure functions. */
#ifndef NKVI_CLIENT_TTL_H
#define NKVI_CLIENT_TTL_H

#include <nearkv/client.h>

#include "client/flight.h"

/* What the server said of the remaining times.  ms, or one of: */
#define NKVI_TTL_UNASKED (-3)
#define NKVI_TTL_NO_KEY  (-2)
#define NKVI_TTL_NONE    (-1)

typedef struct nkvi_ttl {
    int64_t key_ms;    /* PTTL */
    int64_t fields_ms; /* HPTTL: the earliest of the fields; NKVI_TTL_NONE */
    bool failed;       /* one of them was refused: nothing is known */
} nkvi_ttl;

void nkvi_ttl_init(nkvi_ttl *ttl);

/* Takes the reply to PTTL. */
void nkvi_ttl_of_key(nkvi_ttl *ttl, const nkv_reply *reply);

/* Takes the reply to HPTTL. false: the server does not know the command, so there is no field
 * expiry. */
bool nkvi_ttl_of_fields(nkvi_ttl *ttl, const nkv_reply *reply);

/* Whether the answer (not an error) may be stored, and until when.  Not stored: the key vanished or
 * appeared between the answer and PTTL, a time was refused, or a bound is 0. */
bool nkvi_ttl_deadline(const nkv_options *options, const nkvi_ask_mode *mode, int64_t sent_ns,
                       const nkv_reply *answer, const nkvi_ttl *ttl, int64_t *deadline_ns);

#endif
