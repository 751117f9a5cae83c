/* support/sentinel.h - a private primary with replicas, watched by sentinels.
 *
 *      t_sentinels *all = t_sentinels_start(&(t_sentinels_options){.kind = kind});
 *      const int old = t_sentinels_primary(all);
 *      t_sentinels_kill(all, old);
 *      const int new = t_sentinels_wait_takeover(all, old);
 *      t_sentinels_stop(all);
 *
 * Nodes have numbers: first the servers, 0 the one that begins as primary, then the sentinels
 * (t_sentinels_watcher). Every function that takes a node takes both, where it makes sense.
 *
 * Proxied     Each server has a proxy of its own in front, whose port it announces: clients,
 *             replicas and sentinels all come by it, because a server announces itself to all of
 *             them alike. t_proxy_accepted() after the start tells how many came before any client.
 * Faster      The sentinels are told (SENTINEL DEBUG) to ask and publish several times a second
 *             instead of every 1 to 10 s.
 * Settled     Functions that change something return when all that run agree: who is primary, that
 *             the others follow it and have its data, and that the sentinels know each other.
 * Failure     As t_server: what should not fail ends the process, with the nodes' own words.
 * Threads     One thread at a time.                                                              */

#ifndef T_SUPPORT_SENTINEL_H
#define T_SUPPORT_SENTINEL_H

#include <stdbool.h>
#include <stdint.h>

#include "support/ctl.h"
#include "support/proxy.h"
#include "support/server.h"

enum { T_SENTINELS_NODES_MAX = 16 };

typedef struct t_sentinels t_sentinels;

typedef struct t_sentinels_options {
    const char *kind;              /* NULL: the first that is there                               */
    const char *service;           /* NULL: "redismaster"                                         */
    int replicas;                  /* 0: 2                                                        */
    int sentinels;                 /* 0: 3                                                        */
    int down_after_ms;             /* silence after which a server is down; 0: 1000. Each sentinel
                                    * after the first waits 200 ms more: nobody ties              */
    int failover_timeout_ms;       /* 0: 5000                                                     */
    const char *password;          /* of the servers; NULL: none                                  */
    const char *sentinel_password; /* of the sentinels; NULL: none                                */
    bool proxied;                  /* the servers; see above                                      */
    const char *const *args;       /* further arguments of the servers, as in t_server_options    */
} t_sentinels_options;

/* ---- Life ------------------------------------------------------------------------------------ */

/* Starts all and returns when they are settled, after about a second. `options` may be NULL. */
t_sentinels *t_sentinels_start(const t_sentinels_options *options);

/* Ends them all at once. NULL is allowed. */
void t_sentinels_stop(t_sentinels *all);

/* ---- Where they are -------------------------------------------------------------------------- */

/* "redis-sentinel://127.0.0.1:p1,127.0.0.1:p2,…/service", with the servers' password; that of the
 * sentinels has no place in it.                                                                  */
const char *t_sentinels_url(const t_sentinels *all);
const char *t_sentinels_service(const t_sentinels *all);

int t_sentinels_servers(const t_sentinels *all);             /* how many servers                  */
int t_sentinels_watchers(const t_sentinels *all);            /* how many sentinels                */
int t_sentinels_watcher(const t_sentinels *all, int number); /* the node that is sentinel 0, 1, … */

t_server *t_sentinels_server(const t_sentinels *all, int node);
int t_sentinels_port(const t_sentinels *all, int node);       /* announced: the proxy's, if any   */
t_proxy *t_sentinels_proxy(const t_sentinels *all, int node); /* NULL: none                       */
bool t_sentinels_up(const t_sentinels *all, int node);        /* not killed or paused             */

/* A connection to a node, not by its proxy; to be asked for anew each time: a server that is given
 * another role has all its clients cut.                                                          */
t_ctl *t_sentinels_ctl(t_sentinels *all, int node);

/* ---- What they are now ----------------------------------------------------------------------- */

/* The server that the first sentinel that runs names. */
int t_sentinels_primary(t_sentinels *all);

/* Does the server say itself that it is a primary? */
bool t_sentinels_is_primary(t_sentinels *all, int node);

void t_sentinels_settle(t_sentinels *all, int64_t timeout_ms);

/* Waits until the replicas that run have all that the primary has. */
void t_sentinels_wait_replicated(t_sentinels *all, int64_t timeout_ms);

/* ---- What happens to them -------------------------------------------------------------------- */

/* SENTINEL FAILOVER: a replica becomes the primary, the old one follows it. Returns the new one. */
int t_sentinels_failover(t_sentinels *all);

/* SIGKILL; returns when the process is gone. */
void t_sentinels_kill(t_sentinels *all, int node);

/* Waits until the sentinels have made another server than that one the primary: the new one. */
int t_sentinels_wait_takeover(t_sentinels *all, int node);

/* Starts a node again that was killed, empty, on the same port. A server begins as what it was when
 * it was killed, so that an old primary is one until the sentinels tell it otherwise.            */
void t_sentinels_restart(t_sentinels *all, int node);

/* SIGSTOP, and SIGCONT with or without waiting until all is settled. */
void t_sentinels_pause(t_sentinels *all, int node);
void t_sentinels_resume(t_sentinels *all, int node);
void t_sentinels_continue(t_sentinels *all, int node);

#endif
