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

extern const nkvi_verb nkvi_verb_get, nkvi_verb_exists;

/* The query of a verb and a key, hashed. */
nkvi_query nkvi_verb_query(const nkv_client *client, const nkvi_verb *verb, nkv_str key);

/* Why this key and command may not be cached, or NKV_BYPASS_COUNT if it may. */
nkv_bypass nkvi_read_filter(const nkv_client *client, const nkv_call *call, nkv_str key,
                            size_t argc, const nkv_str *argv);

/* Whether the peer's tracked lane vouches now (NKV_BYPASS_COUNT); else the reason for a bypass. */
nkv_bypass nkvi_peer_vouching(const nkvi_peer *peer, int64_t now_ns);

/* Looks one query up at once; on a hit that may be served without asking, *value is a reference.
 * The hot path: no lock, no allocation, no system call. Counts the read if it is a hit. */
bool nkvi_read_hit(nkv_client *client, const nkvi_query *query, nkv_value **value);

/* n hits in one pass; values[i] is a reference or NULL.  Returns how many there were.  n <= 64. */
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

#endif
