/* support/proxy_impl.h - what proxy.c (the thread) and proxy_api.c (the test's side) both see.
 *
 * Internal to the test kit.                                                                      */

#ifndef T_SUPPORT_PROXY_IMPL_H
#define T_SUPPORT_PROXY_IMPL_H

#include <pthread.h>

#include "support/check.h"
#include "support/pipe.h"
#include "support/proxy.h"

enum { T_PROXY_TRIGGERS_ALL = 256 };

typedef struct t_proxy_conn {
    enum { T_CONN_TO_COME, T_CONN_OPEN, T_CONN_CLOSED } state;
    int client;
    int server;
    t_pipe pipes[2]; /* by t_dir                                                                  */
    bool cut_asked;
    t_cut cut;
} t_proxy_conn;

struct t_proxy {
    pthread_t thread;
    pthread_mutex_t mu; /* guards all below                                                       */
    pthread_cond_t changed;
    int wake; /* eventfd: look again                                                              */
    bool stop;
    uint64_t asked; /* changes made by the test …                                                 */
    uint64_t done; /* … and those that the thread has acted on                                   */

    char dir[T_PATH_MAX];
    char *path;
    int port;
    char *url;
    int listener; /* -1: closed                                                                   */
    t_accept accept;
    char *target_path;
    int target_port;

    t_pipe_rules fresh[2]; /* the rules of connections to come                                    */
    t_proxy_conn *conns[T_PROXY_CONNS + 1]; /* by number; made when first spoken of               */
    int accepted;
    int open;

    void *patterns[T_PROXY_TRIGGERS_ALL];
    int fired[T_PROXY_TRIGGERS_ALL];
    int trigger_count;
};

/* The connection of that number, made if it was never spoken of. @locks mu held */
t_proxy_conn *t_proxy_conn_at(t_proxy *proxy, int number);

/* Makes the thread look at everything anew. @locks mu held */
void t_proxy_wake(t_proxy *proxy);

#endif
