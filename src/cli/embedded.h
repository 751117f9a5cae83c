/* cli/embedded.h - a private server that ends with us, however we end.
 *
 *      nearkv ---- socket pair ---- keeper ---- server
 *                                      |           dies with the keeper (PR_SET_PDEATHSIG)
 *                                      +-- sees the pair close: kills server, removes directory
 *
 * The keeper is a process of its own, in a session of its own, with nothing open but its end of the
 * pair; the kernel closes ours even if we are killed with SIGKILL.  The server listens on a unix
 * socket only, in a directory that only its owner may enter, and writes nothing to disk.
 *
 * What is started: $NEARKV_REDIS_SERVER, else redis-server or valkey-server from ../../deps/bin
 * beside the executable (a checkout), else from PATH.
 * Threads  Start before any other thread exists.  One server per process.                        */
#ifndef NKVI_CLI_EMBEDDED_H
#define NKVI_CLI_EMBEDDED_H

#include <stdbool.h>

#include "cli/out.h"

/* Starts it and waits until it has answered a PING.  *url is the caller's, freed with free().
 * Returns false: `error` has a line, nothing is left behind.  An atexit() handler stops the
 * server.                                                                                        */
bool nkvi_embedded_start(char **url, nkvi_out *error);

/* Stops it and waits until server and directory are gone.  Again, or without a server: does
 * nothing. May be called in a signal handler.                                                    */
void nkvi_embedded_stop(void);

#endif
