/* cli/connect.h - a client as the settings want it, connected. */
#ifndef NKVI_CLI_CONNECT_H
#define NKVI_CLI_CONNECT_H

#include <nearkv/client.h>

#include "cli/options.h"

/* Exit statuses of the command. */
#define NKVI_EXIT_OK      0
#define NKVI_EXIT_FAILURE 1
#define NKVI_EXIT_USAGE   2

/* Makes the client and waits until the server has answered; no_cache: this client caches nothing. A
 * server that refuses tracking is no failure: that is told on stderr, and reads go to the server.
 * Returns NKVI_EXIT_OK; or another status: a line is on stderr and *out is NULL.                 */
int nkvi_connect(const nkvi_settings *settings, bool no_cache, nkv_client **out);

/* The same; what is to be said goes to `said`, a line without "nearkv: " in front and without its
 * end.                                                                                           */
int nkvi_connect_silently(const nkvi_settings *settings, bool no_cache, nkv_client **out,
                          nkvi_out *said);

#endif
