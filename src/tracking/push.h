/* tracking/push.h - what a push of the server means.
 *
 *      >2 $10 invalidate *2 $1 a $1 b      the keys a and b changed
 *      >2 $10 invalidate _                 everything changed (FLUSHALL, FLUSHDB, a replica's
 *      resync);
 *                                          the null may be _ or $-1 or *-1, in either protocol
 *      >2 $21 tracking-redir-broken :7     the listener that invalidations were sent to is gone
 *      >3 $7 message $20 __redis__:invalidate *1 $1 a      the same as the first, for a RESP2
 *      listener
 *
 * Anything else is unknown, to be counted and ignored.  An invalidation that cannot be
 * understood names keys that we cannot know, so it means everything.
 * Threads  [any]: pure. */
#ifndef NKVI_TRACKING_PUSH_H
#define NKVI_TRACKING_PUSH_H

#include <stdbool.h>
#include <stddef.h>

#include <nearkv/value.h>

typedef enum nkvi_push_kind {
    NKVI_PUSH_UNKNOWN = 0,
    NKVI_PUSH_KEYS,        /* `n` keys changed; see nkvi_push_key */
    NKVI_PUSH_FLUSH,       /* everything changed */
    NKVI_PUSH_REDIR_BROKEN /* invalidations were lost, and more will be: drop everything */
} nkvi_push_kind;

typedef struct nkvi_push {
    nkvi_push_kind kind;
    bool malformed;        /* FLUSH: because the invalidation could not be understood */
    size_t n;              /* KEYS */
    const nkv_reply *keys; /* KEYS; lead into the view that was decoded */
} nkvi_push;

nkvi_push nkvi_push_decode(const nkv_reply *push);

static inline nkv_str nkvi_push_key(const nkvi_push *push, size_t i)
{
    return nkv_str_make(push->keys[i].str, push->keys[i].len);
}

#endif
