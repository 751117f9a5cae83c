/* support/monitor.h - what reaches a server, in order: MONITOR, written down by a thread.
 *
 *      t_monitor *monitor = t_monitor_start(server);
 *      ... the client under test does something ...
 *      t_monitor_sync(monitor);
 *      T_REQUIRE(t_monitor_find(monitor, 0, "GET", "k") > t_monitor_find(monitor, 0, "CLIENT", …));
 *
 * MONITOR hides AUTH and what HELLO carries of it, and shows commands as they are run, not as they
 * are queued in a transaction. Valkey 8.1 forgets to escape quotes and backslashes: there an
 * argument that holds one cannot be told from two.
 *
 * Threads    Any thread may ask while it runs; start and stop belong together in one thread.     */

#ifndef T_SUPPORT_MONITOR_H
#define T_SUPPORT_MONITOR_H

#include <stddef.h>

#include "support/server.h"

typedef struct t_monitor t_monitor;

/* One command. The strings live until t_monitor_stop(). */
typedef struct t_monitor_entry {
    const char *client; /* "127.0.0.1:53412", "unix:/tmp/…/sock", "lua"                           */
    int db;
    size_t argc;
    const char *const *argv; /* decoded; NUL bytes inside end the string early                    */
} t_monitor_entry;

/* Returns when the server has begun to report. */
t_monitor *t_monitor_start(const t_server *server);

void t_monitor_stop(t_monitor *monitor);

/* Returns when everything that the server ran before this call has been written down. */
void t_monitor_sync(t_monitor *monitor);

/* Commands so far; those of t_monitor_sync() are left out. */
size_t t_monitor_count(t_monitor *monitor);

t_monitor_entry t_monitor_entry_at(t_monitor *monitor, size_t index);

/* The first command from `from` on that begins with these arguments (case does not matter in the
 * first), -1 if there is none. `argv` ends with NULL.                                            */
long t_monitor_find_argv(t_monitor *monitor, size_t from, const char *const *argv);
#define t_monitor_find(monitor, from, ...) \
    t_monitor_find_argv((monitor), (from), (const char *const[]){__VA_ARGS__, NULL})

/* How many there are. */
size_t t_monitor_hits_argv(t_monitor *monitor, const char *const *argv);
#define t_monitor_hits(monitor, ...) \
    t_monitor_hits_argv((monitor), (const char *const[]){__VA_ARGS__, NULL})

/* Writes the list to standard error, for a test that is about to fail. */
void t_monitor_print(t_monitor *monitor);

#endif
