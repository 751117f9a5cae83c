/* kv/stats.c - the counters of a handle, as a struct and as Prometheus text. */
#include <string.h>

#include "base/buf.h"
#include "kv/kv.h"

static const struct {
    size_t offset;
    const char *name, *help;
} rows[NKVI_KV_COUNTERS] = {
    [NKVI_KV_HITS] = {offsetof(nkv_kv_stats, hits), "hits_total", "values handed out"},
    [NKVI_KV_LOCAL_HITS] = {offsetof(nkv_kv_stats, local_hits), "local_hits_total",
                            "values handed out without asking the server"},
    [NKVI_KV_MISSES] = {offsetof(nkv_kv_stats, misses), "misses_total", "keys that were not there"},
    [NKVI_KV_SETS] = {offsetof(nkv_kv_stats, sets), "sets_total", "values set"},
    [NKVI_KV_DELETES] = {offsetof(nkv_kv_stats, deletes), "deletes_total", "keys removed"},
    [NKVI_KV_ERRORS] = {offsetof(nkv_kv_stats, errors), "errors_total",
                        "calls or keys that failed"},
    [NKVI_KV_FAILED_OPEN] = {offsetof(nkv_kv_stats, failed_open), "failed_open_total",
                             "failures that were let pass"},
    [NKVI_KV_COMPUTED] = {offsetof(nkv_kv_stats, computed), "computed_total", "values computed"},
    [NKVI_KV_JOINED] = {offsetof(nkv_kv_stats, joined), "joined_total",
                        "callers that waited for what another one computed"},
    [NKVI_KV_STALE] = {offsetof(nkv_kv_stats, stale), "stale_total",
                       "values handed out past their time to live"},
    [NKVI_KV_BYTES_READ] = {offsetof(nkv_kv_stats, bytes_read), "read_bytes_total",
                            "bytes of values handed out"},
    [NKVI_KV_BYTES_WRITTEN] = {offsetof(nkv_kv_stats, bytes_written), "written_bytes_total",
                               "bytes of values set"},
};

static uint64_t value_of(const nkv_kv *kv, unsigned row)
{
    return atomic_load_explicit(&kv->counts[row], memory_order_relaxed);
}

void nkv_kv_stats_get_sized(const nkv_kv *kv, nkv_kv_stats *out, size_t size)
{
    nkv_kv_stats all;
    memset(&all, 0, sizeof all);
    for (unsigned i = 0; i < NKVI_KV_COUNTERS; i++) {
        uint64_t value = value_of(kv, i);
        memcpy((char *)&all + rows[i].offset, &value, sizeof value);
    }
    memcpy(out, &all, size < sizeof all ? size : sizeof all);
    out->struct_size = size;
}

void nkv_kv_stats_reset(nkv_kv *kv)
{
    for (unsigned i = 0; i < NKVI_KV_COUNTERS; i++) {
        atomic_store_explicit(&kv->counts[i], 0, memory_order_relaxed);
    }
}

/* Label values: what would end them is escaped, bytes that are no text are dots. */
static void put_label(nkvi_buf *text, nkv_str prefix)
{
    bool valid = nkv_utf8_valid(prefix);
    for (size_t i = 0; i < prefix.len; i++) {
        unsigned char c = (unsigned char)prefix.data[i];
        if (c == '"' || c == '\\') {
            nkvi_buf_printf(text, "\\%c", c);
        } else {
            nkvi_buf_printf(text, "%c", c < 0x20 || c == 0x7f || (c >= 0x80 && !valid) ? '.' : c);
        }
    }
}

char *nkv_kv_stats_text(const nkv_kv *kv)
{
    nkvi_buf text;
    size_t len;
    nkvi_buf_init(&text);
    for (unsigned i = 0; i < NKVI_KV_COUNTERS; i++) {
        nkvi_buf_printf(&text,
                        "# HELP nearkv_kv_%s %s\n# TYPE nearkv_kv_%s counter\n"
                        "nearkv_kv_%s{prefix=\"",
                        rows[i].name, rows[i].help, rows[i].name, rows[i].name);
        put_label(&text, kv->options.prefix);
        nkvi_buf_printf(&text, "\"} %llu\n", (unsigned long long)value_of(kv, i));
    }
    char *taken = nkvi_buf_take(&text, &len);
    nkvi_buf_clear(&text);
    return taken;
}
