/* cli/view_json.c - the shell's output for programs: one JSON object a line.
 *
 *      a server command   {"cmd":"GET","from":"cache","value":"bar","us":0.412}
 *                         {"cmd":"MGET","from":["cache","server"],"value":["a",null],"us":38.104}
 *                         {"cmd":"INCR","error":"WRONGTYPE …"}
 *      :stats             {"stats":{…}}
 *      :health            {"healthy":true,"confidence":100,"nodes":[{"addr":…,"state":…, …}]}
 *      :prefix            {"prefix":3,"from_cache":3}
 *      a malformed line   {"error":"…"}                                                          */
#include "cli/view.h"

#include <inttypes.h>

#include "cli/json_out.h"

static void json_answer(nkvi_out *out, const nkvi_answer *answer)
{
    nkvi_out_text(out, "{\"cmd\":");
    nkvi_json_out_text(out, answer->command);
    if (answer->reply == NULL) {
        nkvi_out_text(out, ",\"error\":");
        nkvi_json_out_text(out, answer->error);
        nkvi_out_text(out, "}\n");
        return;
    }
    nkvi_out_text(out, answer->by_key ? ",\"from\":[" : ",\"from\":");
    for (size_t i = 0; i < answer->from_n; i++) {
        nkvi_out_printf(out, i > 0 ? ",\"%s\"" : "\"%s\"", nkvi_from_name(answer->from[i]));
    }
    nkvi_out_text(out, answer->by_key ? "],\"value\":" : ",\"value\":");
    nkvi_json_out_reply(out, answer->reply);
    nkvi_out_printf(out, ",\"us\":%.3f}\n", answer->us);
}

static void number(nkvi_out *out, const char *name, uint64_t value)
{
    nkvi_out_printf(out, "\"%s\":%" PRIu64 ",", name, value);
}

static void json_stats(nkvi_out *out, const nkv_stats *stats)
{
    nkvi_out_text(out, "{\"stats\":{");
    number(out, "reads", stats->reads);
    number(out, "hits", stats->hits);
    number(out, "validations", stats->validations);
    number(out, "misses", stats->misses);
    number(out, "coalesced", stats->coalesced);
    nkvi_out_text(out, "\"bypass\":{");
    for (int i = 0; i < NKV_BYPASS_COUNT; i++) {
        nkvi_out_printf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", nkv_bypass_name((nkv_bypass)i),
                        stats->bypass[i]);
    }
    nkvi_out_text(out, "},");
    number(out, "failures", stats->failures);
    number(out, "writes", stats->writes);
    number(out, "invalidations", stats->invalidations);
    number(out, "dirty", stats->cache.dirty);
    number(out, "spurious", stats->spurious);
    number(out, "raced", stats->raced);
    number(out, "flushes", stats->flushes);
    number(out, "evictions", stats->cache.evictions);
    number(out, "expirations", stats->cache.expirations);
    number(out, "puts", stats->cache.puts);
    number(out, "puts_refused", stats->cache.puts_refused);
    number(out, "keys", stats->cache.keys);
    number(out, "bytes", stats->cache.bytes);
    number(out, "pinned_bytes", stats->cache.pinned_bytes);
    number(out, "unknown_pushes", stats->unknown_pushes);
    number(out, "reconnects", stats->reconnects);
    number(out, "round_trips", stats->round_trips);
    number(out, "barriers", stats->barriers);
    number(out, "retries", stats->retries);
    number(out, "inflight", stats->inflight);
    number(out, "bulk_connections", stats->bulk_connections);
    number(out, "bulk_waiting", stats->bulk_waiting);
    number(out, "bulk_copied", stats->bulk_copied);
    nkvi_out_text(out, "\"confidence\":");
    nkvi_json_out_double(out, stats->confidence);
    nkvi_out_text(out, "}}\n");
}

static void json_health(nkvi_out *out, const nkvi_health *health)
{
    nkvi_out_printf(out, "{\"healthy\":%s,\"confidence\":", health->healthy ? "true" : "false");
    nkvi_json_out_double(out, health->confidence);
    nkvi_out_text(out, ",\"nodes\":[");
    for (size_t i = 0; i < health->n; i++) {
        const nkv_node_health *node = &health->nodes[i];
        nkvi_out_text(out, i > 0 ? ",{\"addr\":" : "{\"addr\":");
        nkvi_json_out_text(out, node->address);
        nkvi_out_text(out, ",\"state\":");
        nkvi_json_out_text(out, node->state);
        nkvi_out_printf(out, ",\"generation\":%" PRIu64 ",\"tracking\":%s", node->generation,
                        node->tracking ? "true" : "false");
        nkvi_out_printf(out, ",\"idle_ms\":%" PRId64 ",\"client_id\":%" PRId64 "}", node->idle_ms,
                        node->client_id);
    }
    nkvi_out_text(out, "]}\n");
}

static void json_prefix(nkvi_out *out, size_t prefix, size_t from_cache, double us)
{
    (void)us;
    nkvi_out_printf(out, "{\"prefix\":%zu,\"from_cache\":%zu}\n", prefix, from_cache);
}

static void json_note(nkvi_out *out, const nkvi_note *note)
{
    switch (note->kind) {
    case NKVI_NOTE_LEVEL:
        nkvi_out_printf(out, "{\"level\":\"%s\"}\n", note->text);
        return;
    case NKVI_NOTE_INVALIDATED:
        nkvi_out_printf(out, "{\"invalidated\":%.0f}\n", note->number);
        return;
    case NKVI_NOTE_RESET:
        nkvi_out_text(out, "{\"reset\":true}\n");
        return;
    case NKVI_NOTE_SLEPT:
        nkvi_out_text(out, "{\"slept_ms\":");
        nkvi_json_out_double(out, note->number);
        nkvi_out_text(out, "}\n");
        return;
    }
}

static void json_help(nkvi_out *out, const nkvi_local_help *rows, size_t n)
{
    nkvi_out_text(out, "{\"help\":[");
    for (size_t i = 0; i < n; i++) {
        nkvi_out_text(out, i > 0 ? ",{\"usage\":" : "{\"usage\":");
        nkvi_json_out_text(out, rows[i].usage);
        nkvi_out_text(out, ",\"text\":");
        nkvi_json_out_text(out, rows[i].text);
        nkvi_out_char(out, '}');
    }
    nkvi_out_text(out, "]}\n");
}

static void json_error(nkvi_out *out, const char *command, const char *text)
{
    nkvi_out_char(out, '{');
    if (command != NULL) {
        nkvi_out_text(out, "\"cmd\":");
        nkvi_json_out_text(out, command);
        nkvi_out_char(out, ',');
    }
    nkvi_out_text(out, "\"error\":");
    nkvi_json_out_text(out, text);
    nkvi_out_text(out, "}\n");
}

const nkvi_view nkvi_view_json = {json_answer, json_stats, json_health, json_prefix,
                                  json_note,   json_help,  json_error};
