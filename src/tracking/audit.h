/* tracking/audit.h - does the server still track this connection's reads?
 *
 *      CLIENT TRACKINGINFO (Redis 6.2)   flags: on · off · bcast · … · broken_redirect
 *
 * Nobody but ourselves can turn tracking off on a connection, unless something stands in between
 * that shares connections (a proxy), or the server is at fault.  Then no push comes any more, and
 * silence looks like health.
 * Threads  [any]: pure. */
#ifndef NKVI_TRACKING_AUDIT_H
#define NKVI_TRACKING_AUDIT_H

#include <stdbool.h>

#include <nearkv/value.h>

typedef enum nkvi_audit {
    NKVI_AUDIT_UNKNOWN = 0, /* refused or not understood: the server cannot be asked */
    NKVI_AUDIT_ON,
    NKVI_AUDIT_LATER, /* the server cannot say it just now */
    NKVI_AUDIT_OFF    /* off, or its pushes go nowhere */
} nkvi_audit;

/* Whether it is a refusal of the moment: a script runs too long, data are being loaded. The same
 * question may be answered later. */
bool nkvi_refusal_passes(const nkv_reply *reply);

/* What the answer to CLIENT TRACKINGINFO says. */
nkvi_audit nkvi_audit_reply(const nkv_reply *reply);

#endif
