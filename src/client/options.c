/* client/options.c - one row per option; defaults, checks and the manual come from it. */
#include "client/options.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/status.h"
#include "base/url.h"

#define AT(field) offsetof(nkv_options, field)
#define MS_MAX    9.2e12 /* 292 years in ms: a deadline in ns still fits 64 bits with room */
#define BIG       9.0e18

const nkvi_option nkvi_options_table[] = {
    {"url", NKVI_OPTION_TEXT, AT(url), 0, 0, 0, "",
     "one server: `redis://[[user][:password]@]host[:port][/db]` or "
     "`unix://[[user][:password]@]/path[?db=N]`; a cluster: "
     "`redis-cluster://[[user][:password]@]host:port,host:port,…` or the same list behind "
     "`redis://`; sentinels: `redis-sentinel://[[user][:password]@]host:port,…[/service[/db]]`; "
     "NULL is `redis://localhost:6379/0`"},
    {"username", NKVI_OPTION_TEXT, AT(username), 0, 0, 0, "",
     "ACL user; wins over the URL's; without a password it is one that needs none"},
    {"password", NKVI_OPTION_TEXT, AT(password), 0, 0, 0, "", "password; wins over the URL's"},
    {"client_name", NKVI_OPTION_TEXT, AT(client_name), 0, 0, 0, "",
     "name of the connections at the server (CLIENT SETNAME); NULL is `nearkv`"},
    {"db", NKVI_OPTION_INT, AT(db), -1, 2147483647, -1, "", "database; -1: the URL's, else 0"},
    {"service_name", NKVI_OPTION_TEXT, AT(service_name), 0, 0, 0, "",
     "sentinels: what they call the servers, 1 to 255 visible ASCII characters; NULL is the URL's, "
     "else the environment's `REDIS_SERVICE_NAME`, else `redismaster`"},
    {"sentinel_username", NKVI_OPTION_TEXT, AT(sentinel_username), 0, 0, 0, "",
     "ACL user at the sentinels, which is not that of the servers"},
    {"sentinel_password", NKVI_OPTION_TEXT, AT(sentinel_password), 0, 0, 0, "",
     "password at the sentinels; NULL: none"},
    {"address_map", NKVI_OPTION_TEXT, AT(address_map), 0, 0, 0, "",
     "clusters and sentinels: `announced=reachable,…`, where nodes are if not where they say, as "
     "in containers: `host:port=host:port`, `host=host` (the port stays) or `*=host`; NULL is the "
     "URL's, else where they say"},
    {"read_from", NKVI_OPTION_ENUM, AT(read_from), 0, NKV_READ_NEAREST, NKV_READ_DEFAULT, "",
     "which server of a sentinel's service answers reads (of a cluster: 1 only): 0 the URL's, else "
     "1; 1 the primary, 2 a replica or, without one, the primary, 3 a replica alone, 4 the "
     "nearest; a replica's answer is as fresh as the replica"},
    {"timeout_ms", NKVI_OPTION_INT64, AT(timeout_ms), 1, MS_MAX, 5000, "ms",
     "deadline of every call"},
    {"connect_timeout_ms", NKVI_OPTION_INT64, AT(connect_timeout_ms), 1, MS_MAX, 2000, "ms",
     "one attempt to connect, handshake included"},
    {"sentinel_timeout_ms", NKVI_OPTION_INT64, AT(sentinel_timeout_ms), 0, MS_MAX, 0, "ms",
     "one question to a sentinel, connecting included; 0: the URL's, else the environment's "
     "`REDIS_TIMEOUT` (seconds), else 1000"},
    {"max_idle_ms", NKVI_OPTION_INT64, AT(max_idle_ms), 10, MS_MAX, 5000, "ms",
     "a node silent for so long vouches for nothing; a PING is sent after half of it, and the "
     "connection is given up after twice of it"},
    {"topology_max_age_ms", NKVI_OPTION_INT64, AT(topology_max_age_ms), 100, MS_MAX, 10000, "ms",
     "clusters and sentinels: how old a node's own word on its hash slots or its role may become "
     "before nothing that it vouched for is served"},
    {"max_ttl_ms", NKVI_OPTION_INT64, AT(max_ttl_ms), -1, MS_MAX, 600000, "ms",
     "bound on the age of any cached answer, whatever the key's own expiry; -1: none; 0: nothing "
     "is "
     "cached"},
    {"negative_ttl_ms", NKVI_OPTION_INT64, AT(negative_ttl_ms), -1, MS_MAX, -1, "ms",
     "the same for «does not exist»; -1: as max_ttl_ms; 0: not cached"},
    {"replica_max_ttl_ms", NKVI_OPTION_INT64, AT(replica_max_ttl_ms), -1, MS_MAX, -1, "ms",
     "bound on the age of cached answers that a replica gave; -1: as max_ttl_ms; 0: not cached"},
    {"backoff_min_ms", NKVI_OPTION_INT64, AT(backoff_min_ms), 1, MS_MAX, 50, "ms",
     "first pause before connecting again"},
    {"backoff_max_ms", NKVI_OPTION_INT64, AT(backoff_max_ms), 1, MS_MAX, 2000, "ms",
     "longest pause before connecting again"},
    {"resend_writes", NKVI_OPTION_INT, AT(resend_writes), 0, 1, 0, "",
     "clusters and sentinels; 1: a plain `SET`, `SETEX`, `MSET`, `DEL` or `UNLINK`, or a "
     "transaction of these, whose connection was lost before its answer is sent again within its "
     "deadline; it may then be executed twice"},
    {"audit_ms", NKVI_OPTION_INT64, AT(audit_ms), 0, MS_MAX, 5000, "ms",
     "how often the server is asked (`CLIENT TRACKINGINFO`) whether it still tracks the "
     "connection; if not, all that it vouched for is dropped and tracking is turned on anew; 0: "
     "never"},
    {"level", NKVI_OPTION_ENUM, AT(level), 0, NKV_BARRIER, NKV_EVENTUAL, "",
     "freshness of reads that do not say: 1 EVENTUAL, 2 DRAIN, 3 BARRIER"},
    {"inflight_max", NKVI_OPTION_INT64, AT(inflight_max), 1, 16777216, 65536, "requests",
     "requests queued or under way per connection; beyond it calls return NKV_EBUSY"},
    {"inflight_bytes_max", NKVI_OPTION_INT64, AT(inflight_bytes_max), 1024, BIG, 67108864, "bytes",
     "bytes of requests not yet sent per connection; beyond it calls return NKV_EBUSY, and one "
     "request that alone is larger NKV_EINVAL"},
    {"reply_bytes_max", NKVI_OPTION_INT64, AT(reply_bytes_max), 1024, BIG, 536870912, "bytes",
     "a larger bulk in a reply closes the connection"},
    {"bulk_connections", NKVI_OPTION_INT64, AT(bulk_connections), 1, 150, 4, "connections",
     "bulk lanes per node: large values and batches"},
    {"bulk_window_bytes", NKVI_OPTION_INT64, AT(bulk_window_bytes), 65536, BIG, 4194304, "bytes",
     "requests and expected replies in flight per bulk lane; two operations may be more"},
    {"bulk_at_once", NKVI_OPTION_INT64, AT(bulk_at_once), 0, 150, 0, "connections",
     "bulk lanes at work at the same time, but for those that hardly move; 0: all of them, but of "
     "a "
     "server on this machine (a unix socket, a loopback address) one less than the process has "
     "processors"},
    {"chunk_size", NKVI_OPTION_INT64, AT(chunk_size), 1, 65536, 256, "keys",
     "keys that a lookup of many asks for in one round trip"},
    {"no_cache", NKVI_OPTION_INT, AT(no_cache), 0, 1, 0, "", "1: never cache, never track"},
    {"cache_scripts", NKVI_OPTION_INT, AT(cache_scripts), 0, 1, 0, "",
     "1: `EVAL_RO`, `EVALSHA_RO` and `FCALL_RO` with one key are cached; you vouch that they read "
     "nothing but that key, no clock and no random numbers"},
    {"cache", NKVI_OPTION_OTHER, AT(cache), 0, 0, 0, "",
     "share this cache; NULL: one of its own, made from cache_options"},
    {"cache_options.keys_max", NKVI_OPTION_INT64, AT(cache_options.keys_max), -BIG, 4294967295.0,
     4096, "keys", "distinct keys; negative: unbounded; 0: nothing is cached"},
    {"cache_options.bytes_max", NKVI_OPTION_INT64, AT(cache_options.bytes_max), -BIG, BIG, 67108864,
     "bytes", "keys, answers, index and spare buffers; negative: unbounded; 0: nothing is cached"},
    {"cache_options.entry_bytes_max", NKVI_OPTION_INT64, AT(cache_options.entry_bytes_max), 0, BIG,
     0, "bytes", "a larger answer is not cached; 0: half of bytes_max"},
    {"cache_options.policy", NKVI_OPTION_ENUM, AT(cache_options.policy), 0, NKV_POLICY_S3FIFO,
     NKV_POLICY_LRU, "", "what leaves when full: 0 LRU (second chance), 1 S3-FIFO"},
    {"cache_options.strict", NKVI_OPTION_INT, AT(cache_options.strict), 0, 1, 0, "",
     "1: exact LRU order, for a lock on every hit"},
    {"cache_options.index", NKVI_OPTION_ENUM, AT(cache_options.index), 0, NKV_INDEX_UTHASH,
     NKV_INDEX_CHUNKED, "", "0 chunked table, read without a lock; 1 uthash under a mutex"},
    {"cache_options.confidence", NKVI_OPTION_DOUBLE, AT(cache_options.confidence), 0, 100, 100, "%",
     "share of hits that are trusted without asking the server"},
    {"cache_options.dynamic_confidence", NKVI_OPTION_INT, AT(cache_options.dynamic_confidence), 0,
     1, 0, "", "1: confidence × 0.999 after a dirty answer, × 1.0001 after a confirmed one"},
    {"cache_options.key_counters", NKVI_OPTION_SIZE, AT(cache_options.key_counters), 0, 16777216,
     1024, "keys", "keys with hit, miss, invalidation and dirty counters of their own"},
    {"prefixes", NKVI_OPTION_OTHER, AT(prefixes), 0, 0, 0, "",
     "array of prefixes_len strings: only keys that begin with one of them are cached"},
    {"prefixes_len", NKVI_OPTION_SIZE, AT(prefixes_len), 0, 65536, 0, "", "0: all keys"},
    {"cacheable", NKVI_OPTION_OTHER, AT(cacheable), 0, 0, 0, "",
     "function that allows or forbids caching per key and command; cacheable_ud is handed to it"},
    {"on_event", NKVI_OPTION_OTHER, AT(on_event), 0, 0, 0, "",
     "function that is told of invalidations, flushes, health; on_event_ud is handed to it"},
    {"loop", NKVI_OPTION_OTHER, AT(loop), 0, 0, 0, "",
     "libev loop of the caller's to run on; NULL: a thread of its own"},
};

const size_t nkvi_options_count = sizeof nkvi_options_table / sizeof nkvi_options_table[0];

double nkvi_option_value(const nkvi_option *option, const void *options)
{
    const char *at = (const char *)options + option->offset;
    int64_t wide;
    int narrow;
    size_t size;
    double real;
    switch (option->kind) {
    case NKVI_OPTION_INT64:
        memcpy(&wide, at, sizeof wide);
        return (double)wide;
    case NKVI_OPTION_INT:
    case NKVI_OPTION_ENUM:
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    case NKVI_OPTION_SIZE:
        memcpy(&size, at, sizeof size);
        return (double)size;
    case NKVI_OPTION_DOUBLE:
        memcpy(&real, at, sizeof real);
        return real;
    case NKVI_OPTION_TEXT:
    case NKVI_OPTION_OTHER:
        break;
    }
    return 0;
}

_Static_assert(sizeof(nkv_policy) == sizeof(int) && sizeof(nkv_level) == sizeof(int) &&
                   sizeof(nkv_read_from) == sizeof(int),
               "enum options are read as int");

static void set_initial(const nkvi_option *option, void *options)
{
    char *at = (char *)options + option->offset;
    int64_t wide = (int64_t)option->initial;
    int narrow = (int)option->initial;
    size_t size = (size_t)option->initial;
    switch (option->kind) {
    case NKVI_OPTION_INT64:
        memcpy(at, &wide, sizeof wide);
        break;
    case NKVI_OPTION_INT:
    case NKVI_OPTION_ENUM:
        memcpy(at, &narrow, sizeof narrow);
        break;
    case NKVI_OPTION_SIZE:
        memcpy(at, &size, sizeof size);
        break;
    case NKVI_OPTION_DOUBLE:
        memcpy(at, &option->initial, sizeof option->initial);
        break;
    case NKVI_OPTION_TEXT:
    case NKVI_OPTION_OTHER:
        break; /* NULL already */
    }
}

void nkv_options_init_sized(nkv_options *options, size_t size)
{
    nkv_options all;
    memset(&all, 0, sizeof all);
    for (size_t i = 0; i < nkvi_options_count; i++) {
        set_initial(&nkvi_options_table[i], &all);
    }
    all.cache_options.struct_size = sizeof all.cache_options;
    /* A caller compiled against an older header has a shorter struct: fill what it has. */
    memcpy(options, &all, size < sizeof all ? size : sizeof all);
    options->struct_size = size;
}

void nkv_call_init_sized(nkv_call *call, size_t size)
{
    memset(call, 0, size);
    call->struct_size = size;
}

/* The rules that no single row can tell. */
static nkv_status check_together(const nkv_options *options, nkv_error *error)
{
    if (options->backoff_min_ms > options->backoff_max_ms) {
        return nkvi_fail(error, NKV_EINVAL,
                         "option backoff_min_ms (%lld) is above backoff_max_ms (%lld)",
                         (long long)options->backoff_min_ms, (long long)options->backoff_max_ms);
    }
    if (options->service_name != NULL && !nkvi_url_is_service(options->service_name)) {
        return nkvi_fail(error, NKV_EINVAL,
                         "option service_name: 1 to 255 visible ASCII characters are allowed, no "
                         "blanks");
    }
    if (options->prefixes_len > 0 && options->prefixes == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "option prefixes is NULL but prefixes_len is %zu",
                         options->prefixes_len);
    }
    for (size_t i = 0; i < options->prefixes_len; i++) {
        if (options->prefixes[i] == NULL) {
            return nkvi_fail(error, NKV_EINVAL, "option prefixes[%zu] is NULL", i);
        }
    }
    return NKV_OK;
}

nkv_status nkvi_options_check(const nkv_options *options, nkv_error *error)
{
    for (size_t i = 0; i < nkvi_options_count; i++) {
        const nkvi_option *row = &nkvi_options_table[i];
        if (row->kind == NKVI_OPTION_TEXT || row->kind == NKVI_OPTION_OTHER) {
            continue;
        }
        double value = nkvi_option_value(row, options);
        if (isnan(value) || value < row->min || value > row->max) {
            return nkvi_fail(error, NKV_EINVAL, "option %s is %.17g; allowed is %.17g to %.17g%s%s",
                             row->name, value, row->min, row->max, row->unit[0] != '\0' ? " " : "",
                             row->unit);
        }
    }
    return check_together(options, error);
}
