/* tracking/handshake.h - the first words on a connection, and what the answers mean.
 *
 *      one pipeline:  HELLO 3 [AUTH user password] [SETNAME name]   SELECT db   CLIENT TRACKING ON
 *
 *      HELLO refused as unknown, forbidden, or RESP3 not spoken:    a second one, in RESP2:
 *                     AUTH [user] password   SELECT db                              -> UNTRACKED
 *      TRACKING refused (ACL, proxy), or a server before 7, whose invalidations can stand in the
 *      middle of other replies (there it is turned OFF again):                      -> UNTRACKED
 *      anything else refused (password, database, -LOADING, -BUSY …):               -> REFUSED
 *      all fine:                                                                    -> ARMED
 *
 * Nothing of a caller may be sent before the end, so tracking is on before the first read (I5).
 *
 * Secrets  The password is in the bytes to be sent and nowhere else: what a server says about it
 *          (an unknown command is quoted back with its arguments) is cut before it gets into a
 *          text.
 * Threads  One thread at a time; no socket, no clock. */
#ifndef NKVI_TRACKING_HANDSHAKE_H
#define NKVI_TRACKING_HANDSHAKE_H

#include <stdbool.h>

#include <nearkv/value.h>

#include "base/buf.h"

/* Borrowed for as long as the handshake lasts. */
typedef struct nkvi_handshake_config {
    const char *username;    /* NULL: "default"; alone: a user without password */
    const char *password;    /* NULL: none */
    const char *client_name; /* NULL or "": none */
    int db;
    bool tracked; /* CLIENT TRACKING ON */
} nkvi_handshake_config;

typedef enum nkvi_handshake_result {
    NKVI_HANDSHAKE_MORE =
        0,                /* not over: give it the next reply (after sending `out`, if not empty) */
    NKVI_HANDSHAKE_ARMED, /* tracking is on */
    NKVI_HANDSHAKE_UNTRACKED, /* usable; `error` says why, if tracking was asked for */
    NKVI_HANDSHAKE_REFUSED    /* not usable; `error` holds the server's text */
} nkvi_handshake_result;

typedef struct nkvi_handshake {
    nkvi_handshake_config config;
    unsigned pending;  /* bit s: the reply to step s is still to come */
    bool resp3;        /* HELLO 3 was answered */
    bool fallback;     /* in the second pipeline */
    bool on;           /* the server said OK to CLIENT TRACKING ON */
    bool untracked;    /* why: `error` */
    bool refused;      /* the same */
    int64_t client_id; /* as HELLO says; 0: unknown */
    nkv_error error;   /* status NKV_OK: nothing to say */
} nkvi_handshake;

/* Starts, and appends what is to be sent to `out`. */
void nkvi_handshake_start(nkvi_handshake *hs, const nkvi_handshake_config *config, nkvi_buf *out);

/* The next reply (no push).  May append more to be sent. */
nkvi_handshake_result nkvi_handshake_reply(nkvi_handshake *hs, const nkv_reply *reply,
                                           nkvi_buf *out);

#endif
