/* nearkv/event.h - what happened, for those who want to know.
 *
 * Events are delivered on the loop's thread, after the cache is in the state they tell of, under no
 * lock, in the order in which they happened, and never after nkv_client_destroy() returned.
 * A handler may call non-blocking functions of the client; it must not destroy it. */
#ifndef NEARKV_EVENT_H
#define NEARKV_EVENT_H

#include <nearkv/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nkv_event_type {
    NKV_EVENT_INVALIDATE = 1, /* the server named a key */
    NKV_EVENT_FLUSH = 2,      /* everything a node vouched for is void; see cause */
    NKV_EVENT_HEALTH = 3,     /* healthy changed; see healthy */
    NKV_EVENT_ARMED = 4,      /* tracking is on: reads are cached from now on */
    NKV_EVENT_DISARMED = 5,   /* tracking is refused or lost: reads go to the server; see text */
    NKV_EVENT_PRESSURE = 6    /* the server invalidates keys right after they are read: its table
                                 (tracking-table-max-keys) is too small */
} nkv_event_type;

typedef enum nkv_flush_cause {
    NKV_FLUSH_NONE = 0,
    NKV_FLUSH_SERVER = 1,     /* FLUSHALL, FLUSHDB, or a replica's full resynchronisation */
    NKV_FLUSH_CONNECTION = 2, /* the tracked connection was lost */
    NKV_FLUSH_IDLE = 3,       /* the node was silent for max_idle */
    NKV_FLUSH_OWN = 4,        /* this client flushed or swapped a database */
    NKV_FLUSH_RESET = 5       /* nkv_client_reset() or nkv_cache_reset() */
} nkv_flush_cause;

typedef struct nkv_event {
    nkv_event_type type;
    nkv_flush_cause cause; /* FLUSH */
    nkv_str key;           /* INVALIDATE; valid during the call */
    int healthy;           /* HEALTH */
    const char *node;      /* address, without secrets; valid during the call */
    const char *text;      /* why, in words; "" if there is nothing to say */
} nkv_event;

typedef void (*nkv_event_fn)(const nkv_event *event, void *ud);

#ifdef __cplusplus
}
#endif
#endif
