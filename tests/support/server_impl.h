/* support/server_impl.h - what server.c and server_share.c both see of a server.
 *
 * Internal to the test kit.                                                                      */

#ifndef T_SUPPORT_SERVER_IMPL_H
#define T_SUPPORT_SERVER_IMPL_H

#include "support/check.h"
#include "support/keeper.h"
#include "support/server.h"

struct t_server {
    t_keeper keeper; /* pid 0: borrowed                                                           */
    const t_server_kind *kind;
    char dir[T_PATH_MAX];
    char *path;
    char *sentinel; /* path of the configuration file; NULL: not a sentinel                       */
    int port;
    bool port_fixed; /* it has been in use: others know it                                        */
    int lease_fd;    /* borrowed: locked as long as it is open; else -1                           */
    char *password;
    char *unix_url;
    char *tcp_url;
    char **args;
    size_t arg_count;
};

/* Fills in unix_url and tcp_url from path, port and password. */
void t_server_make_urls(t_server *server);

#endif
