/* support/ctl.h - a control client: what a test does to a server behind nearkv's back.
 *
 * A blocking connection on hiredis' simple API, without formats: arguments are given one by one.
 *
 *      t_ctl *ctl = t_ctl_open(server);
 *      t_ctl_ok(ctl, "SET", "k", "v");
 *      T_REQUIRE(t_ctl_int(ctl, "STRLEN", "k") == 1);
 *      t_ctl_close(ctl);
 *
 * Failure     The short forms (t_ctl_ok, t_ctl_int, t_ctl_text) end the process with the command
 *             and the answer when the answer is not what they promise; t_ctl_cmd and t_ctl_try
 *             hand out whatever came, error replies included, and NULL when the connection is lost.
 *             No answer for 10 s counts as lost.
 * Threads     One thread at a time per t_ctl.                                                    */

#ifndef T_SUPPORT_CTL_H
#define T_SUPPORT_CTL_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#include "support/server.h"

typedef struct t_ctl t_ctl;

/* Connects to the server's unix socket, with its password if it has one. */
t_ctl *t_ctl_open(const t_server *server);

/* Connects to a unix socket or a port of 127.0.0.1 (a proxy, say). `user`, `password` may be NULL.
 * NULL if nobody listens or the login is refused.                                                */
t_ctl *t_ctl_open_path(const char *path, const char *user, const char *password);
t_ctl *t_ctl_open_port(int port, const char *user, const char *password);

/* NULL is allowed. */
void t_ctl_close(t_ctl *ctl);

/* ---- Commands -------------------------------------------------------------------------------- */

/* One argument of a command: any bytes. */
typedef struct t_arg {
    const char *bytes;
    size_t len;
} t_arg;
#define T_ARG(literal)          ((t_arg){"" literal, sizeof(literal) - 1}) /* NULs in it count    */
#define T_ARG_BYTES(bytes, len) ((t_arg){(const char *)(bytes), (len)})

/* Sends a command of any bytes and returns the reply, to be given back with freeReplyObject(). */
redisReply *t_ctl_args(t_ctl *ctl, size_t argc, const t_arg *argv);

/* The same for C strings; `argv` ends with NULL. */
redisReply *t_ctl_argv(t_ctl *ctl, const char *const *argv);
#define t_ctl_cmd(ctl, ...) t_ctl_argv((ctl), (const char *const[]){__VA_ARGS__, NULL})

/* The reply may be anything but an error; it is thrown away. */
void t_ctl_ok_argv(t_ctl *ctl, const char *const *argv);
#define t_ctl_ok(ctl, ...) t_ctl_ok_argv((ctl), (const char *const[]){__VA_ARGS__, NULL})

/* The reply is an integer. */
long long t_ctl_int_argv(t_ctl *ctl, const char *const *argv);
#define t_ctl_int(ctl, ...) t_ctl_int_argv((ctl), (const char *const[]){__VA_ARGS__, NULL})

/* The reply is a string or a status, of which the caller gets a copy to be freed, or nil: NULL. */
char *t_ctl_text_argv(t_ctl *ctl, const char *const *argv);
#define t_ctl_text(ctl, ...) t_ctl_text_argv((ctl), (const char *const[]){__VA_ARGS__, NULL})

/* True unless the reply is an error or the connection is lost. */
bool t_ctl_try_argv(t_ctl *ctl, const char *const *argv);
#define t_ctl_try(ctl, ...) t_ctl_try_argv((ctl), (const char *const[]){__VA_ARGS__, NULL})

/* ---- Questions ------------------------------------------------------------------------------- */

/* A field of INFO: copied to `out` and true, or false if there is none of that name.             */
bool t_ctl_info(t_ctl *ctl, const char *section, const char *field, char *out, size_t room);

/* The same as a number; ends the process if the field is missing. */
long long t_ctl_info_int(t_ctl *ctl, const char *section, const char *field);

/* How often the server has run a command since its start or since CONFIG RESETSTAT: "get", or
 * "client|tracking" for a subcommand. Commands that it refused are not counted.                  */
long long t_ctl_calls(t_ctl *ctl, const char *command);

/* The sum over all commands but those a control client and a watchdog send: PING, HELLO, AUTH,
 * SELECT, INFO, CONFIG, CLIENT, COMMAND, MONITOR, DEBUG, ACL, FLUSHALL.                          */
long long t_ctl_data_calls(t_ctl *ctl);

/* Does the server know the command ("HPEXPIRE")? */
bool t_ctl_has_command(t_ctl *ctl, const char *command);

long long t_ctl_own_id(t_ctl *ctl);

/* ---- Clients --------------------------------------------------------------------------------- */

typedef struct t_client_info {
    long long id;
    int db;
    int resp;           /* protocol version; 0 if the server does not tell                        */
    long long redirect; /* -1: none                                                               */
    char flags[16]; /* 't' tracks, 'R' its redirection is broken, 'B' in broadcast mode, …    */
    char name[64];
    char user[64];
    char cmd[64]; /* the last command, as in "client|tracking"                                    */
} t_client_info;

/* All connections of the server but this one, oldest first; the caller frees the array (NULL if
 * there are none).                                                                               */
t_client_info *t_ctl_clients(t_ctl *ctl, size_t *count);

/* How many of them track keys. */
size_t t_ctl_tracking_clients(t_ctl *ctl);

/* Both return how many were killed; never this connection. Types: "normal", "pubsub", "replica". */
long long t_ctl_kill_id(t_ctl *ctl, long long id);
long long t_ctl_kill_type(t_ctl *ctl, const char *type);

/* ---- Settings -------------------------------------------------------------------------------- */

void t_ctl_config_set(t_ctl *ctl, const char *name, const char *value);

/* The caller frees. */
char *t_ctl_config_get(t_ctl *ctl, const char *name);

#endif
