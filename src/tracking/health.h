/* tracking/health.h - is the peer still there?
 *
 *      heard        max_idle/2           max_idle            PING + 3/2 max_idle (about 2 max_idle)
 *        |--- healthy ---|---- healthy ------|---- unhealthy ----|
 *                        PING                nothing is served   the connection is closed
 *
 * Every byte that comes is a sign of life.  The connection is closed only when a PING went
 * unanswered for long enough, so a process that was itself stopped for a while first asks before
 * it judges.
 *
 * Threads  One thread at a time; the time is an argument, monotonic. */
#ifndef NKVI_TRACKING_HEALTH_H
#define NKVI_TRACKING_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

typedef enum nkvi_health_action {
    NKVI_HEALTH_NOTHING = 0,
    NKVI_HEALTH_PING,      /* send a PING now */
    NKVI_HEALTH_UNHEALTHY, /* `healthy` just became false */
    NKVI_HEALTH_CLOSE      /* give the connection up */
} nkvi_health_action;

typedef struct nkvi_health {
    int64_t idle_ns;  /* max_idle */
    int64_t heard_ns; /* the last sign of life */
    int64_t ping_ns;  /* when the PING that is still unanswered was sent; INT64_MIN: none */
    bool healthy;
} nkvi_health;

/* A connection that has just been made: healthy.  max_idle_ms <= 0: never asks, never judges. */
void nkvi_health_init(nkvi_health *health, int64_t max_idle_ms, int64_t now_ns);

/* Something was received.  True: it became healthy again by that. */
bool nkvi_health_heard(nkvi_health *health, int64_t now_ns);

/* What to do now.  At most one action a call; *next_ns: when to ask again at the latest (it may
 * be now). */
nkvi_health_action nkvi_health_check(nkvi_health *health, int64_t now_ns, int64_t *next_ns);

#endif
