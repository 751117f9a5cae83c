/* conn/redirect.h - errors that say «not here» or «not now».
 *
 *      MOVED 3999 10.0.0.7:6381      the slot is that server's: learn it, ask there
 *      ASK 3999 10.0.0.7:6381        it is on its way there: ask there, this once, behind ASKING
 *      TRYAGAIN CLUSTERDOWN LOADING MASTERDOWN       ask again, a little later
 *      READONLY                      a write came to a replica: the roles have changed
 *
 * Threads  [any]: pure. */
#ifndef NKVI_CONN_REDIRECT_H
#define NKVI_CONN_REDIRECT_H

#include <nearkv/value.h>

typedef enum nkvi_redirect_kind {
    NKVI_REDIRECT_NONE = 0, /* no error, another one, or one that cannot be understood */
    NKVI_REDIRECT_MOVED,
    NKVI_REDIRECT_ASK,
    NKVI_REDIRECT_TRYAGAIN,    /* some keys of the command have moved already, others not yet */
    NKVI_REDIRECT_CLUSTERDOWN, /* the slot is nobody's, or too many are missing */
    NKVI_REDIRECT_LOADING,     /* the server has just started */
    NKVI_REDIRECT_MASTERDOWN,  /* a replica has lost its primary, and would serve old data */
    NKVI_REDIRECT_READONLY
} nkvi_redirect_kind;

typedef struct nkvi_redirect {
    nkvi_redirect_kind kind;
    uint16_t hash_slot; /* MOVED ASK */
    nkv_str host;       /* MOVED ASK; a view into the reply; empty: the host that was asked */
    int port;           /* MOVED ASK */
} nkvi_redirect;

/* What an error reply means; NULL and replies that are no errors: NONE. */
nkvi_redirect nkvi_redirect_of(const nkv_reply *error);

#endif
