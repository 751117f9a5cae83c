/* nearkv/stats.h - numbers and health of a client, as structs, as JSON and as Prometheus text.
 *
 * Identity that holds whenever no read is under way:
 *      reads = hits + misses + coalesced + sum(bypass[]) + failures */
#ifndef NEARKV_STATS_H
#define NEARKV_STATS_H

#include <nearkv/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a read went past the cache. */
typedef enum nkv_bypass {
    NKV_BYPASS_DISABLED = 0,  /* no_cache, of the client or of the call */
    NKV_BYPASS_NOT_CACHEABLE, /* a read that is never cached (TTL, RANDOMKEY, …), or a
                                 value on a bulk lane */
    NKV_BYPASS_FILTERED,      /* prefix or predicate said no */
    NKV_BYPASS_UNTRACKED,     /* tracking refused by the server, or not armed yet */
    NKV_BYPASS_UNHEALTHY,     /* the node was silent too long, or the cache says it is unhealthy */
    NKV_BYPASS_COUNT
} nkv_bypass;

/* Short name of a reason, as used in JSON and Prometheus labels; NULL for a number out of range. */
NKV_API const char *nkv_bypass_name(nkv_bypass reason);

typedef struct nkv_stats {
    size_t struct_size; /* set by the caller: sizeof(nkv_stats) */
    uint64_t reads;     /* keys asked for by reading calls */
    uint64_t hits;      /* answers found in memory, those included that confidence then validated */
    uint64_t validations; /* of the hits: checked against the server */
    uint64_t misses;     /* answered by the server, on the tracked connection, asked by this read */
    uint64_t coalesced;  /* shared another caller's question */
    uint64_t bypass[16]; /* by nkv_bypass; the first NKV_BYPASS_COUNT are used */
    uint64_t failures;   /* reads that ended with status < 0; in none of those four */
    uint64_t writes;     /* writing commands sent */
    uint64_t invalidations; /* keys named by the server */
    uint64_t spurious;      /* invalidations of a key right after its reply */
    uint64_t flushes;
    uint64_t raced; /* answers returned but not cached: a write or push overtook them */
    uint64_t unknown_pushes;
    uint64_t reconnects;
    uint64_t round_trips; /* writes to a socket that carried commands of callers; not of bulk
                             lanes, where one large value takes many */
    uint64_t barriers; /* PINGs sent for NKV_BARRIER reads, and for writes that do not name keys */
    uint64_t inflight; /* now; bulk lanes apart */
    uint64_t bulk_connections; /* made for bulk lanes so far, those made again included */
    uint64_t bulk_waiting;     /* operations that no bulk lane has taken up, now */
    uint64_t bulk_copied;      /* bytes of values that went through a buffer of ours on their way
                                  from a bulk lane: what came in one read with the header */
    double confidence;         /* now, percent */
    nkv_cache_stats cache;     /* of the cache, which may be shared */
    uint64_t retries; /* requests that were sent again: a cluster or sentinels named another server,
                         or the one that was asked could not answer */
} nkv_stats;

/* Fills `stats` (struct_size must be set).  Returns NKV_OK · NKV_EINVAL.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_client_stats(nkv_client *client, nkv_stats *stats);

typedef struct nkv_node_health {
    char address[120];    /* host:port or path; no secrets */
    const char *state;    /* "connecting" "armed" "untracked" "unhealthy" "down" (constant text) */
    uint64_t generation;  /* of the tracked connection; grows with every loss */
    int tracking;         /* 1: armed */
    int64_t idle_ms;      /* since the node was last heard; -1: never */
    int64_t client_id;    /* of the tracked connection; 0: none */
    uint64_t reserved[8]; /* 0; new fields take their room from here */
} nkv_node_health;

/* Health of every node; writes at most `cap` and sets *n to how many there are.  healthy (may be
 * NULL): 1 if every node is armed and heard within max_idle.  Returns NKV_OK.  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_client_health(nkv_client *client, int *healthy,
                                                   nkv_node_health *nodes, size_t cap, size_t *n);

typedef enum nkv_format { NKV_FORMAT_JSON = 0, NKV_FORMAT_PROMETHEUS = 1 } nkv_format;

/* The numbers (stats) or the health as one text: a JSON object, or the Prometheus exposition
 * format.  *text is the caller's, terminated; give it back with nkv_free().
 * Returns NKV_OK · NKV_ENOMEM · NKV_EINVAL (unknown format).  [any]  Since 0.1 */
NKV_API NKV_NODISCARD nkv_status nkv_client_stats_text(nkv_client *client, nkv_format format,
                                                       char **text, size_t *len);
NKV_API NKV_NODISCARD nkv_status nkv_client_health_text(nkv_client *client, nkv_format format,
                                                        char **text, size_t *len);

#ifdef __cplusplus
}
#endif
#endif
