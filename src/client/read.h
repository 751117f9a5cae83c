/* client/read.h - cached reads of one or many keys.
 *
 *      classify: cache --hit--> done                       (confidence: some hits are asked again)
 *                  | miss             tracked lane vouches? --no--> data lane, counted by reason
 *                  v                         | yes
 *               flights: join or ask --------+
 *                  |  answer, or the lane was lost: ask the data lane instead
 *                  v
 *               results, in the caller's order
 *
 * Threads  [any]. */
#ifndef NKVI_CLIENT_READ_H
#define NKVI_CLIENT_READ_H

#include "client/client_int.h"

#define NKVI_READ_PASS 64u /* lookups in one pass of the cache; bounds what lies on the stack */

/* One read: the query (hashed), and the whole command. */
typedef struct nkvi_read {
    nkvi_query query;
    size_t argc;
    const nkv_str *argv;
    size_t fields_at; /* see nkvi_ask */
} nkvi_read;

/* A command with one key that is cached key by key. */
typedef struct nkvi_verb {
    nkv_str name;
    nkv_str command; /* canonical; empty: GET */
} nkvi_verb;

extern const nkvi_verb nkvi_verb_get, nkvi_verb_exists, nkvi_verb_strlen;

/* 1, 0, or -1 for an answer that EXISTS cannot give. */
int nkvi_exists_of(const nkv_value *value);

/* The query of a verb and a key, hashed. */
nkvi_query nkvi_verb_query(const nkv_client *client, const nkvi_verb *verb, nkv_str key);

/* Why this key and command may not be cached, or NKV_BYPASS_COUNT if it may. */
nkv_bypass nkvi_read_filter(const nkv_client *client, const nkv_call *call, nkv_str key,
                            size_t argc, const nkv_str *argv);

/* Whether the peer's tracked lane vouches now (NKV_BYPASS_COUNT); else the reason for a bypass. */
nkv_bypass nkvi_peer_vouching(const nkvi_peer *peer, int64_t now_ns);

/* Whether a call may take hits straight from the cache. */
static inline bool nkvi_read_hits_allowed(const nkv_client *client, const nkv_call *call)
{
    return client->caching && nkvi_call_level(client, call) == NKV_EVENTUAL &&
           (call == NULL || !call->no_cache) && nkvi_cache_healthy(client->cache);
}

/* Whether this key may be answered by the cache: it is not left out by the options or the call. */
bool nkvi_key_fits(const nkv_client *client, const nkvi_verb *verb, const nkv_call *call,
                   nkv_str key);

/* Looks one query up at once; on a hit that may be served without asking, *value is a reference.
 * The hot path: no lock, no allocation, no system call. Counts the read if it is a hit. */
bool nkvi_read_hit(nkv_client *client, const nkvi_query *query, nkv_value **value);

/* n <= NKVI_READ_PASS reads in one pass; values[i] is a reference or NULL.  Returns how many hits
 * there were. */
size_t nkvi_read_hits(nkv_client *client, const nkvi_query *queries, size_t n, nkv_value **values);

/* The same for leading hits: stops behind the first hit for which go_on() is false, and before the
 * first read that is no hit. Returns how many values there are (only those are set and counted). */
size_t nkvi_read_hits_while(nkv_client *client, const nkvi_query *queries, size_t n,
                            nkv_value **values, bool (*go_on)(const nkv_value *value));

/* Answers n reads, waiting for the server where needed. results[i].value is a reference or NULL; a
 * nil answer is NKV_OK with a value of type NIL here. The reads' strings are borrowed for the
 * call. *error is set if any failed. Returns the first failure or NKV_OK. */
nkv_status nkvi_read_many(nkv_client *client, nkvi_read *reads, size_t n, const nkv_call *call,
                          nkv_result *results, nkv_error *error);

/* The same reads without waiting: done() is called once, when every read has its result: perhaps
 * inside of nkvi_reads_start() or nkvi_reads_cancel(), else on the thread that had the last answer,
 * as a rule the loop's.  It may start more; one done() does not run inside of another, so their
 * ends do not pile up on the stack, but wait for their turn.  Everything that is pointed to lives
 * until then.  Memory is only allocated, and the client's lock only taken, where not all are hits.
 *
 * n reads fail as nkvi_read_many's would, and in two more ways: NKV_ECLOSED if the client is being
 * destroyed, NKV_ECANCELED. */
typedef struct nkvi_reads {
    nkvi_read *reads;
    size_t n;
    const nkv_call *call; /* level, no_cache, ttl_ms, static_ttl; NULL: the client's */
    int64_t deadline_ns;  /* kept by the loop's tick */
    nkv_result *results;
    /* The first failure or NKV_OK, and its text.  Under no lock; must not block; *reads may go. */
    void (*done)(struct nkvi_reads *reads, nkv_status first, const nkv_error *error);
    /* Its own; zero before the first start. */
    void *state;    /* what waits; guarded by flights.mu, as is: */
    bool cancelled; /* for good */
    nkv_client *client;
    nkv_status first;
    nkv_error error;
    struct nkvi_reads *next; /* whose done() is due on this thread */
} nkvi_reads;

/* [any] Counts as a call inside the client until done() has returned. */
void nkvi_reads_start(nkv_client *client, nkvi_reads *reads);

/* Ends what is open soon, with NKV_ECANCELED; if they have not been started yet, when they are.  It
 * may be ending now, so *reads must outlive this call.  [any] */
void nkvi_reads_cancel(nkv_client *client, nkvi_reads *reads);

/* Ends the reads whose deadline has passed.  [loop] */
void nkvi_reads_expire(nkv_client *client, int64_t now_ns);

#endif
