/* support/lane_rig.h - one lane with a loop of its own, and a diary of all it tells.
 *
 *      t_rig *rig = t_rig_start(&(t_rig_options){.path = …});
 *      t_rig_wait_state(rig, NKVI_LANE_ARMED);
 *      t_ask *ask = t_ask_get(rig, "k");           GET k
 *      t_ask_wait(ask);                            ask->status, ask->replies
 *      cr_assert_str_eq(t_rig_diary(rig), "up(armed) …");
 *
 * The diary has one word for each callback, in their order, separated by blanks:
 *
 *      up(armed) up(untracked) down(CAUSE) unhealthy healthy       on_change
 *      push(a,b) flush broken unknown                              on_push, decoded
 *      #1.0=$v  #1.1=:7  #1=done  #1=ECONN                         replies and end of the first ask
 *
 * Replies in the diary: $text +status -error :integer _ (nil) ,double #t #f and *[…] for the rest.
 * Threads    One test thread drives the rig; asks may be made by several.                        */

#ifndef T_SUPPORT_LANE_RIG_H
#define T_SUPPORT_LANE_RIG_H

#include <stdatomic.h>

#include "io/lane.h"

typedef struct t_rig t_rig;

typedef struct t_rig_options {
    const char *path; /* of a unix socket; NULL: */
    const char *host;
    int port;
    const char *username, *password;
    int db;
    bool untracked;
    int64_t max_idle_ms;        /* 0: 60000: no watchdog in the way */
    int64_t connect_timeout_ms; /* 0: 5000 */
    int64_t backoff_ms;         /* 0: 1; least and greatest wait */
    int64_t inflight_max, inflight_bytes_max, reply_bytes_max; /* 0: 1000, 64 MiB, 64 MiB */
    /* Called on the loop's thread behind the diary's own entry; NULL: not. */
    void (*on_push)(t_rig *rig, const nkv_reply *push);
    void (*on_change)(t_rig *rig, const nkvi_lane_info *info);
    bool no_diary; /* for stress: nothing is written down */
} t_rig_options;

t_rig *t_rig_start(const t_rig_options *options);

/* Destroys lane and loop; asks that are still open end with NKV_ECLOSED. The diary stays readable
 * until t_rig_free().                                                                            */
void t_rig_stop(t_rig *rig);

/* Stops if need be and frees everything, asks included. */
void t_rig_free(t_rig *rig);

nkvi_lane *t_rig_lane(t_rig *rig);
nkvi_loop *t_rig_loop(t_rig *rig);
nkvi_owner *t_rig_owner(t_rig *rig);
nkvi_lane_info t_rig_info(t_rig *rig);

/* Reads and dispatches what the socket holds, on the loop's thread. */
void t_rig_drain(t_rig *rig);

/* What the diary says so far; valid until the next call. */
const char *t_rig_diary(t_rig *rig);
void t_rig_diary_clear(t_rig *rig);

/* These end the process when ten seconds were not enough. */
void t_rig_wait_state(t_rig *rig, nkvi_lane_state state);
void t_rig_wait_diary(t_rig *rig, const char *part);

/* ---- Requests -------------------------------------------------------------------------------- */

typedef struct t_ask {
    nkvi_request request; /* first: the callbacks cast */
    t_rig *rig;
    struct t_ask *next;
    unsigned number; /* 1, 2, 3 … in the order of asking */
    bool done;
    nkv_status status;
    nkv_error error;
    nkv_status submitted; /* what nkvi_lane_submit said */
    nkv_error submit_error;
    nkv_value *value; /* see t_ask_value */
    /* Called on the loop's thread behind the diary's entry; NULL: not. */
    void (*_Atomic on_done)(struct t_ask *ask);
} t_ask;

/* Submits `bytes`, which `replies` replies answer, with a deadline that far away (0: 10 s). */
t_ask *t_ask_bytes(t_rig *rig, const void *bytes, size_t len, unsigned replies,
                   nkvi_submit_when when, int64_t timeout_ms);

/* One command of up to 8 words, NULL-terminated; waits for a connection; 10 s. */
t_ask *t_ask_argv(t_rig *rig, const char *const *argv);
#define t_ask_cmd(rig, ...) t_ask_argv((rig), (const char *const[]){__VA_ARGS__, NULL})

/* The last reply of a request that is done; lives as long as the rig. NULL: there was none.      */
nkv_value *t_ask_value(t_ask *ask);

/* Waits until it is done; ends the process after 20 s. Returns its status. */
nkv_status t_ask_wait(t_ask *ask);

#endif
