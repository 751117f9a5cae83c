/* support/toy_store.h - a connector of one's own over a list in memory: it does what a test says,
 * when the test says it, and can be wrong in ways that the conformance suite must see.
 *
 *      t_store_hold(store, T_STORE_GET);             // a get that has read does not return
 *      t_pending *read = t_near_begin(client, "GET", "k");
 *      t_store_await(store, T_STORE_GET, 1);
 *      t_store_change(store, "k", "new");
 *      t_store_tell(store, "k");
 *      t_store_go(store);
 *
 * Threads    Any, but one test thread gives the orders.                                          */

#ifndef T_SUPPORT_TOY_STORE_H
#define T_SUPPORT_TOY_STORE_H

#include <nearkv/connector.h>
#include <stdbool.h>

typedef struct t_store t_store;

typedef enum t_store_kind {
    T_STORE_GET,
    T_STORE_EXISTS,
    T_STORE_PUT,
    T_STORE_REMOVE,
    T_STORE_SCAN,
    T_STORE_PING,
    T_STORE_SETTLE,
    T_STORE_KINDS
} t_store_kind;

typedef enum t_store_fault {
    T_STORE_RIGHT = 0,
    T_STORE_TEXT_KEYS,    /* keys end at a NUL                                                  */
    T_STORE_ANY_CASE,     /* upper and lower case of keys are one                               */
    T_STORE_CUTS,         /* values end after 4096 bytes                                        */
    T_STORE_NO_EMPTY,     /* an empty value is «not found»                                      */
    T_STORE_KEEPS_FIRST,  /* put does not replace                                               */
    T_STORE_REMOVES_NONE, /* remove says «done», and the key stays                              */
    T_STORE_REMOVED_ALWAYS, /* remove never says «not found»                                      */
    T_STORE_FIRST_ONLY,     /* only the first item of a call is answered                          */
    T_STORE_SHUFFLES,       /* the first two items of a call are mixed up                         */
    T_STORE_FOREVER,        /* a ttl is taken and not kept                                        */
    T_STORE_SCANS_ALL,      /* scan does not look at the prefix                                   */
    T_STORE_SCANS_ONE, /* … or stops after one                                               */
    T_STORE_TELLS_NOTHING, /* vouches, but tells no change                                       */
    T_STORE_TELLS_OTHERS, /* … or tells another key                                             */
    T_STORE_SETTLES_EARLY, /* settle says yes before all is told                                 */
    T_STORE_NOT_THREADED,  /* loses puts that come at once                                       */
    T_STORE_LEAVES_THREAD, /* a thread outlives close()                                          */
    T_STORE_FAULTS
} t_store_fault;

/* An empty one that vouches as soon as it is opened. */
t_store *t_store_new(void);
/* After the client is gone. */
void t_store_free(t_store *store);

/* Its table: everything is there; the test may take functions out. */
nkv_connector t_store_table(t_store *store);

void t_store_set_fault(t_store *store, t_store_fault fault);
/* From the next open on: does not begin to vouch by itself. */
void t_store_be_silent(t_store *store);
/* NULL before it was opened and after it was closed. */
nkv_voucher *t_store_voucher(t_store *store);

/* ---- Behind the client's back ---------------------------------------------------------------- */

/* Sets or (NULL) removes a key, and tells nobody. */
void t_store_change(t_store *store, const char *key, const char *value);
void t_store_change_bytes(t_store *store, nkv_str key, const nkv_str *value);
/* What is left of the key from now on, in ms; < 0: not known. */
void t_store_expire(t_store *store, const char *key, int64_t ttl_ms);
void t_store_tell(t_store *store, const char *key);
/* Changes and tells, as the store does for the suite: by a thread of its own, soon. */
void t_store_change_and_tell(t_store *store, nkv_str key, const nkv_str *value);
/* The value that is there; false: none. */
bool t_store_has(t_store *store, const char *key, const char *value);

/* ---- Orders ---------------------------------------------------------------------------------- */

/* Calls of that kind stop when they have done their work and before they return. */
void t_store_hold(t_store *store, t_store_kind kind);
/* The same before they do anything. */
void t_store_hold_first(t_store *store, t_store_kind kind);
/* Waits until n calls of the kind stand still. */
void t_store_await(t_store *store, t_store_kind kind, int n);
/* Lets all go, and holds none any more. */
void t_store_go(t_store *store);
/* Whatever concerns the key fails so; NKV_OK: it does not. */
void t_store_fail(t_store *store, const char *key, nkv_status status, const char *text);
/* Calls of the kind fail as a whole; open() counts as PING.  NKV_OK: they do not. */
void t_store_fail_calls(t_store *store, t_store_kind kind, nkv_status status, const char *text);

/* How often a function was called; how many items its last call had. */
int t_store_calls(t_store *store, t_store_kind kind);
int t_store_items(t_store *store, t_store_kind kind);
/* The most calls there were at once. */
int t_store_at_once(t_store *store);
/* open() minus close(). */
int t_store_opened(t_store *store);
/* The last deadline that a call was given, and the pointer that get was given for a value. */
int64_t t_store_deadline_ns(t_store *store);
void *t_store_room(t_store *store);

#endif
