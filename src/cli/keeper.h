/* cli/keeper.h - the process between the command and its private server. */
#ifndef NKVI_CLI_KEEPER_H
#define NKVI_CLI_KEEPER_H

#include <limits.h>

typedef struct nkvi_server {
    char program[PATH_MAX];
    char directory[80]; /* short enough that the socket's path fits into an address */
    char socket[100];
    char log[100];
} nkvi_server;

/* What the keeper does; called in the child of a fork, with all signals blocked.  `fd` is its
 * end of the pair: a byte is sent through it if the server dies, and when it closes all is
 * cleaned up.                                                                                    */
_Noreturn void nkvi_keeper_run(const nkvi_server *server, int fd);

#endif
