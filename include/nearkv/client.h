/* nearkv/client.h - a client that answers repeated reads from memory while the server vouches.
 *
 *      your threads --nkv_get()--> cache --hit--> a reference to the cached answer
 *                                    | miss
 *                                    v
 *                      tracked lane (CLIENT TRACKING ON)  <--- one connection per node: carries
 *                                    |                         reads and the server's invalidations
 *                                    v
 *                              Redis / Valkey  <--- data lane: writes and everything not cached
 *
 * Ownership  Keys, values and options are borrowed for the call.  Values come back as references.
 * Threads    [any] unless a comment says otherwise; a client may be used by any number of threads.
 * Deadlines  Every call ends within its timeout (nkv_call.timeout_ms, else the client's).
 * Units      Times are milliseconds, sizes bytes. */
#ifndef NEARKV_CLIENT_H
#define NEARKV_CLIENT_H

#include <nearkv/cache.h>
#include <nearkv/event.h>
#include <nearkv/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nkv_client nkv_client;
struct ev_loop;

/* How fresh a read must be. */
typedef enum nkv_level {
    NKV_LEVEL_DEFAULT = 0, /* the client's */
    NKV_EVENTUAL = 1,      /* a table lookup: as fresh as the invalidations processed so far */
    NKV_DRAIN = 2,         /* first process what the socket already holds */
    NKV_BARRIER = 3        /* first a PING on the tracked connection: every write that anybody had
                              acknowledged before the call began is seen */
} nkv_level;

/* Which server answers a read behind sentinels; of a cluster, the primary.  A replica's answer is
 * as fresh as the replica, but never from before a write of this client's. */
typedef enum nkv_read_from {
    NKV_READ_DEFAULT = 0,        /* the URL's, else the primary */
    NKV_READ_PRIMARY = 1,        /* the primary */
    NKV_READ_PREFER_REPLICA = 2, /* a replica; while there is none, the primary */
    NKV_READ_REPLICA = 3,        /* a replica or nobody */
    NKV_READ_NEAREST = 4         /* whichever answers fastest */
} nkv_read_from;

/* Where an answer came from. */
typedef enum nkv_from {
    NKV_FROM_SERVER = 0, /* asked for by this call */
    NKV_FROM_CACHE = 1,  /* from memory */
    NKV_FROM_JOINED = 2, /* another caller had already asked; this call shared the answer */
    NKV_FROM_LOCAL = 3   /* answered by the client itself, without server or cache */
} nkv_from;

/* What goes first when several operations wait for a bulk lane (batch.h); LMCache's numbers. */
typedef enum nkv_priority {
    NKV_PRIORITY_DEFAULT = 0, /* the operation's own */
    NKV_PRIORITY_PEEK = 1,    /* lookups */
    NKV_PRIORITY_PREFETCH = 2,
    NKV_PRIORITY_GET = 3,
    NKV_PRIORITY_PUT = 4
} nkv_priority;

/* Which reads may be cached, besides the list of cacheable commands.  Called from the reading
 * thread; must not block or call into the client.  Returns non-zero to allow. */
typedef int (*nkv_cacheable_fn)(nkv_str key, int argc, const nkv_str *argv, void *ud);

/* Settings of a client; each is a row of docs/OPTIONS.md. Strings are copied; NULL: not
 * given. */
typedef struct nkv_options {
    size_t struct_size; /* filled by nkv_options_init() */
    /* one server  redis://[[user][:password]@]host[:port][/db] · unix://[…@]/path[?db=N]
     * a cluster   redis-cluster://[…@]host:port,host:port,… · redis://, with such a list
     * sentinels   redis-sentinel://[…@]host:port,host:port,…[/service[/db]]
     * With rediss for redis: the same, over TLS. */
    const char *url;
    const char *username, *password; /* win over those of the URL */
    const char *client_name;         /* CLIENT SETNAME; default "nearkv" */
    int db;                          /* wins over the URL's; default -1: the URL's */
    int64_t timeout_ms;              /* deadline of a call; default 5000; > 0 */
    int64_t connect_timeout_ms;      /* default 2000; > 0 */
    int64_t max_idle_ms;             /* silence after which nothing is served; default 5000 */
    int64_t max_ttl_ms;              /* bound on the age of any answer; default 600000; < 0 none */
    int64_t negative_ttl_ms;         /* the same for «does not exist»; default -1: max_ttl_ms */
    int64_t backoff_min_ms, backoff_max_ms; /* between reconnects; defaults 50 and 2000 */
    int64_t audit_ms;     /* between two questions whether tracking is on; default 5000; 0 never */
    nkv_level level;      /* default NKV_EVENTUAL */
    int64_t inflight_max; /* commands queued or under way per lane; default 65536 */
    int64_t inflight_bytes_max; /* their bytes; default 64 MiB */
    int64_t reply_bytes_max;    /* a larger bulk reply is a protocol error; default 512 MiB */
    int no_cache;               /* 1: never cache; default 0 */
    int cache_scripts; /* 1: EVAL_RO, EVALSHA_RO, FCALL_RO with one key are cached; default 0 */
    nkv_cache *cache;  /* share this one (retained); NULL: a cache of its own */
    nkv_cache_options cache_options; /* for the cache of its own */
    const char *const *prefixes;     /* only keys with one of these prefixes are cached */
    size_t prefixes_len;             /* 0: all keys */
    nkv_cacheable_fn cacheable;      /* NULL: all */
    void *cacheable_ud;
    nkv_event_fn on_event; /* NULL: none; see event.h */
    void *on_event_ud;
    struct ev_loop *loop; /* run on this loop, from the thread that runs it; NULL: a thread and a
                             loop of the client's own */
    int64_t bulk_connections;  /* bulk lanes per node; default 4; 1 to 150 */
    int64_t chunk_size;        /* keys of one round trip of a lookup; default 256 */
    int64_t bulk_window_bytes; /* requests and replies in flight per bulk lane; default 4 MiB */
    int64_t bulk_at_once; /* bulk lanes at work at the same time; default 0: all of them, but of a
                                * server on this machine (a unix socket, a loopback address) one
                                * less than the process has processors */
    const char *service_name; /* sentinel; NULL: the URL's, else REDIS_SERVICE_NAME of the
                               * environment, else "redismaster" */
    const char *sentinel_username, *sentinel_password; /* of the sentinels; NULL: none */
    int64_t sentinel_timeout_ms; /* of a question to a sentinel; 0: the URL's, else REDIS_TIMEOUT
                                  * of the environment, in seconds, else 1000 */
    int64_t topology_max_age_ms; /* how old a node's own word on its hash slots or its role may be
                                  * before nothing that it vouched for is served; default 10000;
                                  * at least 100 */
    const char *address_map; /* "announced=reachable,…": where the nodes of a cluster or the servers
                              * of sentinels are, if not where they say, as in containers:
                              * host:port=host:port, host=host (the port stays), *=host; NULL: the
                              * URL's, else where they say */
    nkv_read_from read_from;    /* which server answers reads; default NKV_READ_DEFAULT */
    int64_t replica_max_ttl_ms; /* bound on the age of answers that a replica gave; default -1:
                                 * max_ttl_ms */
    int resend_writes; /* clusters and sentinels; 1: a plain SET, SETEX, MSET, DEL or UNLINK, or a
                        * transaction of these, whose connection was lost before its answer is sent
                        * again within its deadline; it may then be executed twice; default 0 */
    /* since 0.2: new fields only below this line */
} nkv_options;

NKV_API void nkv_options_init_sized(nkv_options *options, size_t size);
#define nkv_options_init(options) nkv_options_init_sized((options), sizeof *(options))

/* Per-call choices, and what a call reports.  NULL wherever it is taken means the client's
 * defaults. */
typedef struct nkv_call {
    size_t struct_size; /* filled by nkv_call_init() */
    nkv_level level;    /* in */
    int64_t timeout_ms; /* in: 0 the client's */
    int64_t ttl_ms;     /* in: bound on the age of the answers this call caches; 0 the client's */
    int no_cache;       /* in: 1: ask the server and cache nothing */
    int static_ttl;     /* in: 1: PTTL is not asked for: ttl_ms alone bounds the entry */
    nkv_priority priority; /* in: of a batch */
    nkv_from from;         /* out */
    nkv_error error;       /* out: detail if the call failed */
    /* since 0.2: new fields only below this line */
} nkv_call;

NKV_API void nkv_call_init_sized(nkv_call *call, size_t size);
#define nkv_call_init(call) nkv_call_init_sized((call), sizeof *(call))

/* One answer of a batch. */
typedef struct nkv_result {
    nkv_status status;
    nkv_from from;
    nkv_value *value; /* a reference for the caller, or NULL; with NKV_EREPLY the error reply */
} nkv_result;

/* Makes a client and starts connecting; does not wait for the server.  options: copied; NULL: all
 * defaults (redis://localhost:6379/0).  With sentinels the environment is read (REDIS_SERVICE_NAME,
 * REDIS_TIMEOUT) where neither options nor URL say: nobody may change it meanwhile.
 * Returns NKV_OK · NKV_EINVAL (error names option, variable or part of the URL) · NKV_ENOTSUP (TLS;
 * replicas of a cluster) · NKV_ENOMEM · NKV_ECONN (no thread, no descriptor).
 * Thread  [any]; with options.loop: the thread that runs the loop.  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_client_create(const nkv_options *options, nkv_client **out,
                                                   nkv_error *error);

/* A second client with the same options on the same cache, with connections of its own
 * («share»). */
NKV_API NKV_NODISCARD nkv_status nkv_client_share(nkv_client *client, nkv_client **out,
                                                  nkv_error *error);

/* Ends the client: calls under way return NKV_ECLOSED, connections close, what this client vouched
 * for is served no more.  No thread, descriptor or memory is left when it returns; values still
 * held stay valid.  No other call may start or be under way in another thread that could touch
 * `client` after this returns.  NULL is allowed.
 * Thread  [any] but a callback; with options.loop: the loop's thread.  Since 0.1 */
NKV_API void nkv_client_destroy(nkv_client *client);

/* Waits until the tracked connection is armed.  Returns NKV_OK · NKV_ETIMEDOUT · NKV_ENOTSUP (the
 * server refuses tracking: everything works, uncached) · NKV_EREPLY (AUTH, SELECT … refused) ·
 * NKV_ECONN · NKV_EDEADLK.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_client_wait_ready(nkv_client *client, int64_t timeout_ms,
                                                       nkv_error *error);

/* ---- reads ----------------------------------------------------------------------------------- */

/* GET.  Returns NKV_OK (*out is a reference) · NKV_NOT_FOUND (*out NULL) · NKV_EREPLY (WRONGTYPE …)
 * · NKV_ETIMEDOUT · NKV_ECONN · NKV_EBUSY · NKV_ENOMEM · NKV_EINVAL · NKV_ECLOSED · NKV_EDEADLK;
 * after any failure *out is NULL.  A hit: no allocation, no system call, no copy.  [any]
 * Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_get(nkv_client *client, nkv_str key, nkv_call *call,
                                         nkv_value **out);

/* GET of n keys: one pass over the cache, then at most one round trip.  results keep the order;
 * holes and duplicates are fine.  Each result has its own status (as nkv_get's); the caller
 * releases every value.  Returns NKV_OK when every result is NKV_OK or NKV_NOT_FOUND, else the
 * first failure.  call->from is NKV_FROM_CACHE only if all were.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_mget(nkv_client *client, const nkv_str *keys, size_t n,
                                          nkv_call *call, nkv_result *results);

/* EXISTS key by key: status NKV_OK (exists) or NKV_NOT_FOUND; values are NULL.  Otherwise as
 * nkv_mget. */
NKV_API NKV_NODISCARD nkv_status nkv_exists(nkv_client *client, const nkv_str *keys, size_t n,
                                            nkv_call *call, nkv_result *results);

/* How many of the leading keys exist: the question of prefix caches.  *from_cache (may be NULL):
 * for how many of the keys looked at the cache answered.  Stops at the first that does not.  A
 * local answer costs no system call; otherwise up to nkv_options.chunk_size keys are asked for in
 * one round trip, only the next 8 at first where the cache knew those before them.  Returns as
 * nkv_exists, for the keys up to the first missing one.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_prefix(nkv_client *client, const nkv_str *keys, size_t n,
                                            nkv_call *call, size_t *prefix, size_t *from_cache);

/* Any command.  Read-only ones with one key are cached by command and arguments; EXISTS and MGET of
 * several keys by key.  Others pass through; what they write is forgotten locally before and after.
 * Commands that change the connection, block, or subscribe are refused (NKV_EREFUSED, text says
 * why).  *out: a reference; a nil reply is NKV_NOT_FOUND *and* a value of type NIL; an error reply
 * is NKV_EREPLY with its value.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_command(nkv_client *client, int argc, const nkv_str *argv,
                                             nkv_call *call, nkv_value **out);

/* The same without waiting.  done() is called exactly once, on the loop's thread, never from inside
 * this call (from another thread than the loop's: it may run while this is returning); if this
 * returns < 0 it is never called.  `value` is a reference that done() owns, or NULL.
 * Inside done() non-blocking calls of this library are allowed, blocking ones return NKV_EDEADLK,
 * nkv_client_destroy() is not allowed.  [any]  Since 0.1 */
typedef void (*nkv_done_fn)(nkv_status status, nkv_value *value, const nkv_call *call, void *ud);
NKV_API NKV_NODISCARD nkv_status nkv_command_async(nkv_client *client, int argc,
                                                   const nkv_str *argv, const nkv_call *call,
                                                   nkv_done_fn done, void *ud);

/* ---- writes ---------------------------------------------------------------------------------- */

/* SET; ttl_ms > 0: with PX, 0: no expiry of the key.  When it returns, no read through this client
 * or one that shares its cache returns the value from before.  NKV_ECONN and NKV_ETIMEDOUT leave
 * open whether the server executed it.  Returns NKV_OK · as nkv_get.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_set(nkv_client *client, nkv_str key, nkv_str value,
                                         int64_t ttl_ms, nkv_call *call);

/* DEL of n keys; *removed (may be NULL): how many there were.  Otherwise as nkv_set. */
NKV_API NKV_NODISCARD nkv_status nkv_del(nkv_client *client, const nkv_str *keys, size_t n,
                                         nkv_call *call, int64_t *removed);

/* One command of a transaction. */
typedef struct nkv_argv {
    int argc;
    const nkv_str *argv;
} nkv_argv;

/* MULTI, the n commands, EXEC, in one write.  *out: the array of answers, or NULL.  Returns as
 * nkv_command; NKV_EREPLY if the server refused the transaction.  A server that refuses MULTI
 * itself (an ACL without it) has executed the commands one by one, because they are on their way
 * by then: give a user that runs transactions the right to MULTI.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_transaction(nkv_client *client, const nkv_argv *commands,
                                                 size_t n, nkv_call *call, nkv_value **out);

/* ---- the local side -------------------------------------------------------------------------- */

/* Forgets a key locally, in this client's space / everything that the cache holds, for all who
 * share it, and restores the confidence.  Nothing is sent to the server.  [any]  Since 0.1 */
NKV_API void nkv_client_invalidate(nkv_client *client, nkv_str key);
NKV_API void nkv_client_reset(nkv_client *client);

/* The cache of this client, with a reference for the caller: for nkv_options.cache of another.
 * NULL if the client was made with no_cache.  [any]  Since 0.1 */
NKV_API nkv_cache *nkv_client_cache(nkv_client *client);

/* The number under which a cache of one's own sees this client's server, database and user. */
NKV_API uint32_t nkv_client_space(const nkv_client *client);

#ifdef __cplusplus
}
#endif
#endif
