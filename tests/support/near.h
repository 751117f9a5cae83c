/* support/near.h - the client under test in few words, by its public headers only.
 *
 *      nkv_client *client = t_near_open_on(server);
 *      cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_SERVER, "v"));
 *      cr_assert(t_is(t_near(client, "HGET", "h", "f"), NKV_FROM_CACHE, "_"));
 *      nkv_client_destroy(client);
 *
 * Answers become texts (t_near_write), so that one comparison sees type, bytes and nesting:
 *
 *      string   v            as it is, bytes outside of ' '..'~' as \xNN
 *      status   +OK          error -ERR no        integer :12      nil   _
 *      double   ,1.5         bool  #t #f          bignum  (123     verbatim =txt:words
 *      array    [a b [c]]    set   ~[a b]         push    >[a b]   map      {k v k v}
 *
 * Failure     t_near_open* end the process when no armed client comes of it.
 * Threads     As the client: any. A t_events may be read by any thread.                          */

#ifndef T_SUPPORT_NEAR_H
#define T_SUPPORT_NEAR_H

#include <nearkv/nearkv.h>
#include <stdbool.h>

#include "support/server.h"

/* ---- Clients --------------------------------------------------------------------------------- */

/* The defaults, with this address. The string is borrowed. */
nkv_options t_near_options(const char *url);

/* Creates a client and waits until it is armed. */
nkv_client *t_near_open(const nkv_options *options);

/* The same with the defaults, on the unix socket of a server. */
nkv_client *t_near_open_on(const t_server *server);

/* Creates a client without waiting for anything. */
nkv_client *t_near_start(const nkv_options *options);

/* ---- Calls ----------------------------------------------------------------------------------- */

/* What a call came to. */
typedef struct t_answer {
    nkv_status status;
    nkv_from from;
    int64_t took_ms;
    nkv_error error;
    char text[1024]; /* the answer in words, cut if it is long; "" without one                    */
} t_answer;

/* GET by nkv_get(). `call` may be NULL; its `from` and `error` are overwritten. */
t_answer t_near_get(nkv_client *client, const char *key);
t_answer t_near_get_at(nkv_client *client, const char *key, nkv_level level);
t_answer t_near_get_with(nkv_client *client, const char *key, nkv_call *call);

/* Any command by nkv_command(); `argv` ends with NULL. */
t_answer t_near_argv(nkv_client *client, nkv_call *call, const char *const *argv);
#define t_near(client, ...) t_near_argv((client), NULL, (const char *const[]){__VA_ARGS__, NULL})
#define t_near_with(client, call, ...) \
    t_near_argv((client), (call), (const char *const[]){__VA_ARGS__, NULL})

/* The same in a thread of its own: begin returns at once, end waits for the answer. */
typedef struct t_pending t_pending;
t_pending *t_near_begin_argv(nkv_client *client, const nkv_call *call, const char *const *argv);
#define t_near_begin(client, ...) \
    t_near_begin_argv((client), NULL, (const char *const[]){__VA_ARGS__, NULL})
#define t_near_begin_with(client, call, ...) \
    t_near_begin_argv((client), (call), (const char *const[]){__VA_ARGS__, NULL})
bool t_near_is_done(t_pending *pending);
t_answer t_near_end(t_pending *pending);

/* SET by nkv_set(); the status. */
nkv_status t_near_set(nkv_client *client, const char *key, const char *value);

/* Waits until what the server has pushed so far is in force: a BARRIER read of the key "t:sync",
 * which the client must be allowed to cache. Ends the process if that fails.                     */
void t_near_sync(nkv_client *client);

/* Writes an answer as text, always terminated. */
void t_near_write(const nkv_reply *reply, char *out, size_t room);

/* True if the call succeeded with this answer from there; else says on standard error what came. */
bool t_is(t_answer got, nkv_from from, const char *text);

/* The same wherever it came from. */
bool t_says(t_answer got, const char *text);

/* True if the call failed so and its error text has `part` in it. */
bool t_failed(t_answer got, nkv_status status, const char *part);

/* ---- Questions ------------------------------------------------------------------------------- */

nkv_stats t_near_stats(nkv_client *client);

/* reads == hits + misses + coalesced + all bypasses + failures; else the numbers go to standard
 * error.                                                                                         */
bool t_near_identity(nkv_client *client);

uint64_t t_near_bypasses(nkv_client *client); /* of all reasons                                   */

nkv_node_health t_near_node(nkv_client *client); /* of the first node                             */

bool t_near_healthy(nkv_client *client);

/* ---- Events ---------------------------------------------------------------------------------- */

typedef struct t_event {
    nkv_event_type type;
    nkv_flush_cause cause;
    int healthy;
    char key[64];
    char node[120];
    char text[160];
} t_event;

typedef struct t_events t_events;

/* A recorder; give t_events_take and the recorder as on_event and on_event_ud. */
t_events *t_events_new(void);
void t_events_free(t_events *events); /* after the client is gone */
void t_events_take(const nkv_event *event, void *events);

size_t t_events_count(t_events *events);
t_event t_events_at(t_events *events, size_t index);

/* The first event of a type from `from` on, -1 if there is none. */
long t_events_find(t_events *events, size_t from, nkv_event_type type);

/* The same, waiting for it. */
long t_events_wait(t_events *events, size_t from, nkv_event_type type, int64_t timeout_ms);

/* How many there are of a type. */
size_t t_events_of(t_events *events, nkv_event_type type);

/* All of them, on standard error. */
void t_events_print(t_events *events);

#endif
