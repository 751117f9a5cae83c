/* support/fake.h - a server that is played: it says what the test's script tells it to say.
 *
 *      static const t_step race[] = {
 *          T_EXPECT("GET", "k"),
 *          T_SYNC("asked"),                                the test goes on, and says when
 *          T_SEND(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"),
 *          T_SEND("$3\r\nold\r\n"),
 *      };
 *      t_fake *fake = t_fake_start(NULL);
 *      t_fake_script(fake, 1, race, T_STEPS(race));
 *      ... connect to t_fake_path(fake), ask for k ...
 *      t_fake_wait_sync(fake, 1, "asked", 5000);
 *      ... whatever shall happen while the server thinks ...
 *      t_fake_go(fake, 1, "asked");
 *      t_fake_wait_script(fake, 1, 5000);
 *
 * A thread reads commands, writes all of them down and treats those of a connection in order. A
 * command that the script's next step expects belongs to the script. Any other is answered by the
 * rules: those of t_fake_on(), then the built-in ones, which greet like a RESP3 server: HELLO AUTH
 * CLIENT PING SELECT SUBSCRIBE UNSUBSCRIBE QUIT. What no rule knows ends a script with an error;
 * without a script it is left unanswered, for t_fake_send(). While a script stands at a T_SYNC,
 * commands wait, as they do in a server that is busy.
 *
 * Connections count from 1 in the order in which they are accepted; T_EVERY: those to come too.
 * Threads     Any thread may call; the fake's own is joined by t_fake_stop().
 * Bounds      T_FAKE_CONNS connections, 4 MiB per command, 256 MiB of commands in all.           */

#ifndef T_SUPPORT_FAKE_H
#define T_SUPPORT_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/net.h"

typedef struct t_fake t_fake;
struct t_resp;

enum { T_FAKE_CONNS = 256, T_FAKE_WORDS = 12 };

/* One command. The words end with a NUL that is not counted, and live until t_fake_stop(). */
typedef struct t_fake_command {
    int conn;
    size_t argc;
    const char *const *argv;
    const size_t *lens;
} t_fake_command;

/* ---- Life ------------------------------------------------------------------------------------ */

typedef struct t_fake_options {
    bool tcp;      /* a port of 127.0.0.1 instead of a unix socket                               */
    bool resp2;    /* HELLO 3 is refused with NOPROTO                                            */
    bool no_rules; /* the built-in rules are off                                                 */
    bool no_script_error; /* what a script does not expect and no rule knows is left unanswered   */
} t_fake_options;

/* `options` may be NULL. */
t_fake *t_fake_start(const t_fake_options *options);

/* Closes all connections and frees everything. NULL is allowed. */
void t_fake_stop(t_fake *fake);

const char *t_fake_path(const t_fake *fake); /* NULL: TCP                                         */
int t_fake_port(const t_fake *fake);         /* 0: unix socket                                    */
const char *t_fake_url(const t_fake *fake);

/* A socket pair: one end is the fake's next connection, the other the caller's.                  */
int t_fake_pair(t_fake *fake);

/* ---- Scripts --------------------------------------------------------------------------------- */

typedef struct t_step {
    enum { T_STEP_EXPECT, T_STEP_SEND, T_STEP_SYNC, T_STEP_CLOSE } kind;
    const char *words[T_FAKE_WORDS + 1]; /* EXPECT                                                */
    const char *bytes;                   /* SEND; SYNC: its name                                  */
    size_t len;
} t_step;

/* The next command is this one. "*" stands for any word, "..." at the end for any number of words.
 * Case does not matter in the first word.                                                        */
#define T_EXPECT(...)                                   \
    {                                                   \
        .kind = T_STEP_EXPECT, .words = { __VA_ARGS__ } \
    }

/* Sends a string literal (NULs in it count), or any bytes. */
#define T_SEND(literal)                                                      \
    {                                                                        \
        .kind = T_STEP_SEND, .bytes = "" literal, .len = sizeof(literal) - 1 \
    }
#define T_SEND_BYTES(start, count)                            \
    {                                                         \
        .kind = T_STEP_SEND, .bytes = (start), .len = (count) \
    }

/* Stops until t_fake_go() of that name. */
#define T_SYNC(name)                         \
    {                                        \
        .kind = T_STEP_SYNC, .bytes = (name) \
    }

/* Closes the connection when all is sent. */
#define T_HANG_UP()          \
    {                        \
        .kind = T_STEP_CLOSE \
    }

#define T_STEPS(array) (sizeof(array) / sizeof(array)[0])

/* Gives a connection a script, in place of the one it has; it begins with the next command that is
 * not treated yet. The steps must live until the fake is stopped.                                */
void t_fake_script(t_fake *fake, int conn, const t_step *steps, size_t count);

/* Waits until the script stands at that T_SYNC, or is beyond it. */
bool t_fake_wait_sync(t_fake *fake, int conn, const char *name, int64_t timeout_ms);

/* Lets it go on from there, also if it has not come there yet. */
void t_fake_go(t_fake *fake, int conn, const char *name);

/* Waits until all steps are done. False if that takes too long or the script has failed. */
bool t_fake_wait_script(t_fake *fake, int conn, int64_t timeout_ms);

/* What has gone wrong first, on any connection; NULL if nothing has. Lives until t_fake_stop(). */
const char *t_fake_error(t_fake *fake);

/* ---- Rules ----------------------------------------------------------------------------------- */

/* Answers every such command (words as in T_EXPECT, NULL-terminated) with these bytes, copied; the
 * latest rule wins. No bytes: it is taken without an answer.                                     */
void t_fake_on_argv(t_fake *fake, const void *reply, size_t len, const char *const *words);
#define t_fake_on(fake, literal, ...)                       \
    t_fake_on_argv((fake), "" literal, sizeof(literal) - 1, \
                   (const char *const[]){__VA_ARGS__, NULL})

/* Answers what no rule of t_fake_on() does, ahead of the built-in ones: appends the reply to `out`,
 * nothing if there is to be none. False: it does not know the command. Called by the fake's thread,
 * under its lock: no function of this header may be called in it, T_DIE() may.                   */
typedef bool (*t_fake_answer_fn)(void *ud, const t_fake_command *command, struct t_resp *out);
void t_fake_answer_by(t_fake *fake, t_fake_answer_fn answer, void *ud);

/* ---- By hand --------------------------------------------------------------------------------- */

/* Sends bytes now. T_EVERY: on all that are open. */
void t_fake_send(t_fake *fake, int conn, const void *bytes, size_t len);
#define t_fake_say(fake, conn, literal) t_fake_send((fake), (conn), "" literal, sizeof(literal) - 1)

/* The same, if it is open; returns whether it was. */
bool t_fake_try_send(t_fake *fake, int conn, const void *bytes, size_t len);

/* Closes when all is sent; with a reset (TCP) and at once if `reset`. */
void t_fake_close(t_fake *fake, int conn, bool reset);

/* New connections are refused, or accepted again. */
void t_fake_refuse(t_fake *fake, bool on);

/* ---- What it was told ------------------------------------------------------------------------ */

size_t t_fake_count(t_fake *fake);
t_fake_command t_fake_command_at(t_fake *fake, size_t index);

/* The first command from `from` on that fits the words (as in T_EXPECT); -1 if there is none. */
long t_fake_find_argv(t_fake *fake, size_t from, const char *const *words);
#define t_fake_find(fake, from, ...) \
    t_fake_find_argv((fake), (from), (const char *const[]){__VA_ARGS__, NULL})

/* How many there are. */
size_t t_fake_hits_argv(t_fake *fake, const char *const *words);
#define t_fake_hits(fake, ...) t_fake_hits_argv((fake), (const char *const[]){__VA_ARGS__, NULL})

/* Waits until there are `count` of them. */
bool t_fake_wait_hits_argv(t_fake *fake, size_t count, int64_t timeout_ms,
                           const char *const *words);
#define t_fake_wait_hits(fake, count, timeout_ms, ...) \
    t_fake_wait_hits_argv((fake), (count), (timeout_ms), (const char *const[]){__VA_ARGS__, NULL})

/* Connections so far. */
int t_fake_accepted(t_fake *fake);
bool t_fake_wait_accepted(t_fake *fake, int count, int64_t timeout_ms);

/* Waits until the connection is closed, by either end. */
bool t_fake_wait_closed(t_fake *fake, int conn, int64_t timeout_ms);

/* Writes all commands to standard error, for a test that is about to fail. */
void t_fake_print(t_fake *fake);

#endif
