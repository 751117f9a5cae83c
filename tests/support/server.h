/* support/server.h - real servers for live tests: redis and valkey, private and short-lived.
 *
 * A server listens on a unix socket in a directory of its own, if wanted on a port of 127.0.0.1
 * too, keeps nothing on disk, and ends with the process that started it, however that ends: even
 * after SIGKILL nothing is left, neither process nor directory (keeper.c).
 *
 *      t_server *server = t_server_start(&(t_server_options){.tcp = true});
 *      ... t_server_path(server) ... t_server_port(server) ...
 *      t_server_stop(server);
 *
 * What is found  NEARKV_REDIS_SERVER, NEARKV_VALKEY_SERVER (a path each), else deps/bin of the
 *             checkout, else PATH; redis-check-rdb will do as well: it is the same program.
 *             The newer ones are only looked for in NEARKV_REDIS8_SERVER,
 *             NEARKV_VALKEY81_SERVER and deps/bin.
 * Failure     What should not fail on a sane machine ends the process with a message that has the
 *             end of the server's log in it.
 * Threads     One thread at a time per server.                                                   */

#ifndef T_SUPPORT_SERVER_H
#define T_SUPPORT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- Kinds ----------------------------------------------------------------------------------- */

typedef struct t_server_kind {
    const char *name;   /* "redis", "valkey", "redis8", "valkey81"                                */
    const char *binary; /* absolute path; NULL: not on this machine                               */
    const char *why;    /* then: what was looked for, to be shown with the skip                   */
    bool required;      /* it must be there: its tests fail instead of being skipped              */
} t_server_kind;

/* All kinds, those missing included; the array ends with a NULL name and lives as long as the
 * process. NEARKV_SERVERS="redis,valkey81" limits the list to these and makes them required; with
 * CI=true redis and valkey are required.                                                         */
const t_server_kind *t_server_kinds(void);

/* The kind of that name, also if NEARKV_SERVERS leaves it out (then its binary is NULL). NULL as
 * name: the first kind that is there. Ends the process if there is no such name.                 */
const t_server_kind *t_server_kind_find(const char *name);

/* ---- A private server ------------------------------------------------------------------------ */

typedef struct t_server t_server;

typedef struct t_server_options {
    const char *kind;        /* NULL: the first that is there                                     */
    bool tcp;                /* listen on 127.0.0.1 too, on a port that was free                  */
    const char *password;    /* of the default user; NULL: none                                   */
    const char *const *args; /* further arguments, NULL-terminated; later ones win, word by word as
                              * in {"--maxmemory", "10mb", "--user", "ann", "on", ">pw", NULL}    */
    const char *sentinel;    /* be a sentinel with this as its configuration file, which it will
                              * write to; the file outlives a restart. NULL: be a server          */
} t_server_options;

/* Starts a server and returns when it has answered a PING. `options` may be NULL. */
t_server *t_server_start(const t_server_options *options);

/* The same in two steps, so that several servers start at the same time. */
t_server *t_server_launch(const t_server_options *options);
void t_server_wait_ready(t_server *server);

/* Ends the server at once (SIGKILL: it has nothing to save, and takes up to 100 ms to notice a
 * SIGTERM), removes its directory and frees the handle. NULL is allowed.                         */
void t_server_stop(t_server *server);

/* ---- Where it is ----------------------------------------------------------------------------- */

const char *t_server_path(const t_server *server);     /* of the unix socket                      */
int t_server_port(const t_server *server);             /* 0: no TCP                               */
const char *t_server_unix_url(const t_server *server); /* "unix:///tmp/…/sock", with the password */
const char *t_server_tcp_url(const t_server *server); /* "redis://127.0.0.1:…"; NULL: no TCP     */
const char *t_server_password(const t_server *server); /* NULL: none                              */
const char *t_server_dir(const t_server *server);
const char *t_server_kind_name(const t_server *server);

/* ---- What it is ------------------------------------------------------------------------------ */

typedef struct t_server_version {
    bool valkey; /* else redis                                                                    */
    int major;   /* of the program itself: valkey 8.0.1 is 8, though it calls itself redis 7.2    */
    int minor;
    int patch;
} t_server_version;

/* To ask for a single feature, t_ctl_has_command() is often better. */
t_server_version t_server_get_version(const t_server *server);

/* ---- What happens to it ---------------------------------------------------------------------- */

/* These are for private servers only. All return when it has happened. */
void t_server_pause(t_server *server);    /* SIGSTOP: connections stay open, nothing is answered  */
void t_server_resume(t_server *server);   /* SIGCONT                                              */
void t_server_kill(t_server *server);     /* SIGKILL; the handle and the address stay             */
void t_server_shutdown(t_server *server); /* SIGTERM, and SIGKILL after 5 s; as above             */

/* Starts it again after kill or shutdown (or kills it first) on the same socket and port, with
 * nothing in it. `args` as in the options, or NULL for those of the last start.                  */
void t_server_restart(t_server *server, const char *const *args);

/* True while the process lives (a paused one does). */
bool t_server_alive(t_server *server);

/* For reading /proc; to signal it, use the functions above. */
pid_t t_server_pid(const t_server *server);

/* Its log so far; the caller frees. */
char *t_server_log(const t_server *server);

/* ---- Servers shared by the tests of a run ---------------------------------------------------- */

/* Starts `count` servers of every kind that is there and tells the processes started from now on
 * by environment; for the hook that runs before all tests (live.c).                              */
void t_server_share_start(int count);

/* Stops them. */
void t_server_share_stop(void);

/* Borrows one of the shared servers of a kind, waiting until one is free: nobody else uses it until
 * t_server_stop(), or the end of the process, gives it back. It is as after its start: no data,
 * configuration, users as they were, statistics zero, other clients gone. Ends the process if none
 * is shared. What kills, pauses or restarts a server needs a private one.                        */
t_server *t_server_borrow(const char *kind);

#endif
