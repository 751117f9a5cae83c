/* support/sentinel_impl.h - what sentinel.c (life) and sentinel_view.c (what they say) share.
 *
 * Internal to the test kit.                                                                      */

#ifndef T_SUPPORT_SENTINEL_IMPL_H
#define T_SUPPORT_SENTINEL_IMPL_H

#include "support/check.h"
#include "support/sentinel.h"

enum { T_SENTINELS_SETTLE_MS = 40000 };

typedef struct t_sentinels_node {
    t_server *server;
    t_proxy *proxy; /* NULL: none                                                                 */
    t_ctl *ctl;     /* NULL: not open                                                             */
    bool up;
    bool was_primary; /* when it went                                                             */
    int port;
} t_sentinels_node;

struct t_sentinels {
    t_sentinels_node nodes[T_SENTINELS_NODES_MAX];
    int servers;
    int watchers;
    char *kind;
    char *service;
    char *password;
    char *url;
    char **more_args; /* of the servers, NULL-terminated                                          */
    bool proxied;
};

/* The number of the server that a sentinel names; -1: none of ours. */
int t_sentinels_named_by(t_sentinels *all, int watcher);

bool t_sentinels_settled(t_sentinels *all);

/* Ends the process with what everybody says. */
_Noreturn void t_sentinels_die(t_sentinels *all, const char *what);

#endif
