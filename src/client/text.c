/* client/text.c - the numbers as JSON, and in the text format that Prometheus reads (exposition
 * format 0.0.4: one HELP and TYPE per name, counters end in _total). */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "client/client_int.h"

typedef struct metric {
    const char *json; /* name in JSON */
    const char *name; /* name for Prometheus, without "nearkv_" */
    const char *help;
    bool counter;
    size_t offset; /* of a uint64_t in nkv_stats */
} metric;

#define COUNTER(field, help_)                                            \
    {                                                                    \
#field, #field "_total", help_, true, offsetof(nkv_stats, field) \
    }
#define CACHE_COUNTER(field, help_)                                                     \
    {                                                                                   \
#field, "cache_" #field "_total", help_, true, offsetof(nkv_stats, cache.field) \
    }
#define CACHE_GAUGE(field, help_)                                               \
    {                                                                           \
#field, "cache_" #field, help_, false, offsetof(nkv_stats, cache.field) \
    }

static const metric client_metrics[] = {
    COUNTER(reads, "keys asked for by reading calls"),
    COUNTER(hits, "answers found in memory"),
    COUNTER(validations, "hits that were checked against the server"),
    COUNTER(misses, "answers asked for on the tracked connection"),
    COUNTER(coalesced, "answers shared with another caller's question"),
    COUNTER(failures, "reads that failed"),
    COUNTER(writes, "writing commands sent"),
    COUNTER(invalidations, "keys named by the server"),
    COUNTER(spurious, "invalidations of a key right after it was read"),
    COUNTER(flushes, "times that everything was void"),
    COUNTER(raced, "answers not cached because a write or push overtook them"),
    COUNTER(unknown_pushes, "pushes that were not understood"),
    COUNTER(reconnects, "connections made again"),
    COUNTER(round_trips, "writes to a socket that carried commands of callers"),
    COUNTER(barriers, "PINGs sent for barriers"),
    COUNTER(retries, "requests sent again, as a rule to another server"),
    COUNTER(bulk_connections, "connections made for bulk lanes"),
    COUNTER(bulk_copied, "bytes of values on bulk lanes that went through a buffer"),
    {"inflight", "inflight", "requests queued or under way", false, offsetof(nkv_stats, inflight)},
    {"bulk_waiting", "bulk_waiting", "operations that no bulk lane has taken up", false,
     offsetof(nkv_stats, bulk_waiting)},
};

static const metric cache_metrics[] = {
    CACHE_COUNTER(dirty, "validations that found another answer at the server"),
    CACHE_COUNTER(puts, "answers stored"),
    CACHE_COUNTER(puts_refused, "answers not stored"),
    CACHE_COUNTER(evictions, "keys thrown out for room"),
    CACHE_COUNTER(expirations, "answers dropped at their deadline"),
    CACHE_GAUGE(keys, "keys in the cache"),
    CACHE_GAUGE(bytes, "bytes of the cache"),
    CACHE_GAUGE(pinned_bytes, "bytes dropped from the cache but still held by readers"),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t metric_value(const metric *m, const nkv_stats *stats)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + m->offset, sizeof value);
    return value;
}

static void json_numbers(nkvi_buf *buf, const metric *metrics, size_t n, const nkv_stats *stats)
{
    for (size_t i = 0; i < n; i++) {
        nkvi_buf_printf(buf, "\"%s\":%llu,", metrics[i].json,
                        (unsigned long long)metric_value(&metrics[i], stats));
    }
}

static void json_stats(nkvi_buf *buf, const nkv_stats *stats)
{
    nkvi_buf_text(buf, "{");
    json_numbers(buf, client_metrics, COUNT(client_metrics), stats);
    json_numbers(buf, cache_metrics, COUNT(cache_metrics), stats);
    nkvi_buf_text(buf, "\"bypass\":{");
    for (unsigned i = 0; i < NKV_BYPASS_COUNT; i++) {
        nkvi_buf_printf(buf, "%s\"%s\":%llu", i > 0 ? "," : "", nkv_bypass_name((nkv_bypass)i),
                        (unsigned long long)stats->bypass[i]);
    }
    nkvi_buf_printf(buf, "},\"confidence\":%.9g}", stats->confidence);
}

static void prometheus_head(nkvi_buf *buf, const char *name, const char *help, bool counter)
{
    nkvi_buf_printf(buf, "# HELP nearkv_%s %s\n# TYPE nearkv_%s %s\n", name, help, name,
                    counter ? "counter" : "gauge");
}

static void prometheus_numbers(nkvi_buf *buf, const metric *metrics, size_t n,
                               const nkv_stats *stats)
{
    for (size_t i = 0; i < n; i++) {
        prometheus_head(buf, metrics[i].name, metrics[i].help, metrics[i].counter);
        nkvi_buf_printf(buf, "nearkv_%s %llu\n", metrics[i].name,
                        (unsigned long long)metric_value(&metrics[i], stats));
    }
}

static void prometheus_stats(nkvi_buf *buf, const nkv_stats *stats)
{
    prometheus_numbers(buf, client_metrics, COUNT(client_metrics), stats);
    prometheus_numbers(buf, cache_metrics, COUNT(cache_metrics), stats);
    prometheus_head(buf, "bypass_total", "reads that went past the cache, by reason", true);
    for (unsigned i = 0; i < NKV_BYPASS_COUNT; i++) {
        nkvi_buf_printf(buf, "nearkv_bypass_total{reason=\"%s\"} %llu\n",
                        nkv_bypass_name((nkv_bypass)i), (unsigned long long)stats->bypass[i]);
    }
    prometheus_head(buf, "confidence_percent", "share of hits trusted without asking", false);
    nkvi_buf_printf(buf, "nearkv_confidence_percent %.9g\n", stats->confidence);
}

static nkv_status take(nkvi_buf *buf, char **text, size_t *len)
{
    *text = nkvi_buf_take(buf, len);
    return *text != NULL ? NKV_OK : NKV_ENOMEM;
}

nkv_status nkv_client_stats_text(nkv_client *client, nkv_format format, char **text, size_t *len)
{
    nkv_stats stats = {.struct_size = sizeof stats};
    nkvi_buf buf;
    *text = NULL;
    nkv_status status = nkv_client_stats(client, &stats);
    if (status != NKV_OK || (format != NKV_FORMAT_JSON && format != NKV_FORMAT_PROMETHEUS)) {
        return NKV_EINVAL;
    }
    nkvi_buf_init(&buf);
    if (format == NKV_FORMAT_JSON) {
        json_stats(&buf, &stats);
    } else {
        prometheus_stats(&buf, &stats);
    }
    return take(&buf, text, len);
}

/* ---- health ---------------------------------------------------------------------------------- */

/* A string inside quotes: JSON and Prometheus labels escape the same three characters the same way;
 * addresses have no control characters, but a path may have any byte. */
static void quoted(nkvi_buf *buf, const char *text)
{
    nkvi_buf_text(buf, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            nkvi_buf_append(buf, "\\", 1);
            nkvi_buf_append(buf, text, 1);
        } else {
            nkvi_buf_append(buf, c < 0x20 || c == 0x7f ? "?" : text, 1);
        }
    }
    nkvi_buf_text(buf, "\"");
}

static void json_node(nkvi_buf *buf, const nkv_node_health *node)
{
    nkvi_buf_text(buf, "{\"addr\":");
    quoted(buf, node->address);
    nkvi_buf_printf(buf,
                    ",\"state\":\"%s\",\"generation\":%llu,\"tracking\":%s,\"idle_ms\":%lld,"
                    "\"client_id\":%lld}",
                    node->state, (unsigned long long)node->generation,
                    node->tracking ? "true" : "false", (long long)node->idle_ms,
                    (long long)node->client_id);
}

static void prometheus_node(nkvi_buf *buf, const char *name, const nkv_node_health *node,
                            double value)
{
    nkvi_buf_printf(buf, "nearkv_%s{node=", name);
    quoted(buf, node->address);
    nkvi_buf_printf(buf, "} %.9g\n", value);
}

static void json_health(nkvi_buf *buf, bool healthy, double confidence,
                        const nkv_node_health *nodes, size_t n)
{
    nkvi_buf_printf(buf, "{\"healthy\":%s,\"confidence\":%.9g,\"nodes\":[",
                    healthy ? "true" : "false", confidence);
    for (size_t i = 0; i < n; i++) {
        nkvi_buf_text(buf, i > 0 ? "," : "");
        json_node(buf, &nodes[i]);
    }
    nkvi_buf_text(buf, "]}");
}

static void prometheus_health(nkvi_buf *buf, bool healthy, const nkv_node_health *nodes, size_t n)
{
    prometheus_head(buf, "healthy", "1: every node is armed and heard within max_idle", false);
    nkvi_buf_printf(buf, "nearkv_healthy %d\n", healthy);
    prometheus_head(buf, "node_tracking", "1: invalidations of the node are being received", false);
    for (size_t i = 0; i < n; i++) {
        prometheus_node(buf, "node_tracking", &nodes[i], nodes[i].tracking);
    }
    prometheus_head(buf, "node_idle_seconds", "time since the node was last heard; -1: never",
                    false);
    for (size_t i = 0; i < n; i++) {
        double idle = nodes[i].idle_ms < 0 ? -1 : (double)nodes[i].idle_ms / 1000;
        prometheus_node(buf, "node_idle_seconds", &nodes[i], idle);
    }
}

nkv_status nkv_client_health_text(nkv_client *client, nkv_format format, char **text, size_t *len)
{
    int healthy = 0;
    size_t n = 0;
    *text = NULL;
    if (format != NKV_FORMAT_JSON && format != NKV_FORMAT_PROMETHEUS) {
        return NKV_EINVAL;
    }
    nkv_status status = nkv_client_health(client, &healthy, NULL, 0, &n);
    nkv_node_health *nodes = status == NKV_OK ? nkvi_calloc(n + 1, sizeof *nodes) : NULL;
    if (nodes == NULL) {
        return NKV_ENOMEM;
    }
    size_t cap = n;
    status = nkv_client_health(client, &healthy, nodes, cap, &n);
    n = status != NKV_OK ? 0 : n < cap ? n : cap; /* a node may have come in between */
    nkvi_buf buf;
    nkvi_buf_init(&buf);
    if (format == NKV_FORMAT_JSON) {
        double confidence = client->caching ? nkv_cache_confidence(client->cache) : 100;
        json_health(&buf, healthy, confidence, nodes, n);
    } else {
        prometheus_health(&buf, healthy, nodes, n);
    }
    nkvi_free(nodes);
    return take(&buf, text, len);
}
