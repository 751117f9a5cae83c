/* cli/view_text.c - the shell's output for people: as redis-cli prints, and a tag behind it.
 *
 *      "bar" (cache, 0.4 µs)
 *      1) "a"
 *      2) (nil) (1 cache, 1 server, 38 µs)
 *
 * Within nested answers every level is set in by the width of the number before it:
 *
 *      1) 1) "x"
 *         2) (integer) 7
 *      2) (nil)                                                                                  */
#include "cli/view.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define INDENT_MAX 512 /* deeper levels are not set in further */

const char *nkvi_from_name(nkv_from from)
{
    switch (from) {
    case NKV_FROM_SERVER:
        return "server";
    case NKV_FROM_CACHE:
        return "cache";
    case NKV_FROM_JOINED:
        return "joined";
    case NKV_FROM_LOCAL:
        return "local";
    }
    return "server";
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void add_indented(nkvi_out *out, const nkv_reply *reply, size_t indent);

static size_t digits(size_t number)
{
    size_t n = 1;

    while (number >= 10) {
        number /= 10;
        n++;
    }
    return n;
}

/* The elements of an array, set or map, one a line; `mark` stands behind their numbers. */
static void add_elements(nkvi_out *out, const nkv_reply *reply, size_t indent, char mark)
{
    bool map = reply->type == NKV_TYPE_MAP;
    size_t n = map ? reply->elements / 2 : reply->elements;
    size_t width = digits(n);
    size_t deeper = indent + width + 2 > INDENT_MAX ? INDENT_MAX : indent + width + 2;

    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            nkvi_out_printf(out, "\n%*s", (int)indent, "");
        }
        nkvi_out_printf(out, "%*zu%c ", (int)width, i + 1, mark);
        if (map) {
            add_indented(out, &reply->element[2 * i], deeper);
            nkvi_out_text(out, " => ");
            add_indented(out, &reply->element[2 * i + 1], deeper);
        } else {
            add_indented(out, &reply->element[i], deeper);
        }
    }
}

static void add_aggregate(nkvi_out *out, const nkv_reply *reply, size_t indent)
{
    if (reply->type == NKV_TYPE_MAP) {
        if (reply->elements < 2) {
            nkvi_out_text(out, "(empty hash)");
        } else {
            add_elements(out, reply, indent, '#');
        }
    } else if (reply->elements == 0) {
        nkvi_out_text(out, reply->type == NKV_TYPE_SET ? "(empty set)" : "(empty array)");
    } else {
        add_elements(out, reply, indent, reply->type == NKV_TYPE_SET ? '~' : ')');
    }
}

static void add_indented(nkvi_out *out, const nkv_reply *reply, size_t indent)
{
    switch (reply->type) {
    case NKV_TYPE_STRING:
        nkvi_out_quoted(out, nkv_str_make(reply->str, reply->len));
        return;
    case NKV_TYPE_STATUS:
    case NKV_TYPE_BIGNUM:
    case NKV_TYPE_VERBATIM:
        nkvi_out_add(out, reply->str, reply->len);
        return;
    case NKV_TYPE_ERROR:
        nkvi_out_text(out, "(error) ");
        nkvi_out_add(out, reply->str, reply->len);
        return;
    case NKV_TYPE_INTEGER:
        nkvi_out_printf(out, "(integer) %" PRId64, reply->integer);
        return;
    case NKV_TYPE_DOUBLE:
        nkvi_out_text(out, "(double) ");
        nkvi_out_double(out, reply->dval);
        return;
    case NKV_TYPE_BOOL:
        nkvi_out_text(out, reply->integer != 0 ? "(true)" : "(false)");
        return;
    case NKV_TYPE_NIL:
        nkvi_out_text(out, "(nil)");
        return;
    case NKV_TYPE_ARRAY:
    case NKV_TYPE_MAP:
    case NKV_TYPE_SET:
    case NKV_TYPE_PUSH:
        add_aggregate(out, reply, indent);
        return;
    }
    nkvi_out_text(out, "(unknown)"); /* a type of a library newer than this command */
}

void nkvi_text_out_reply(nkvi_out *out, const nkv_reply *reply)
{
    add_indented(out, reply, 0);
}

/* ---- The tag --------------------------------------------------------------------------------- */

void nkvi_text_out_us(nkvi_out *out, double us)
{
    const char *unit = us < 1e3 ? "µs" : us < 1e6 ? "ms" : "s";
    double number = us < 1e3 ? us : us < 1e6 ? us / 1e3 : us / 1e6;

    nkvi_out_printf(out, number < 9.95 ? "%.1f %s" : "%.0f %s", number, unit);
}

/* "cache", or "2 cache, 1 server" where the keys of one command differ. */
static void add_sources(nkvi_out *out, const nkvi_answer *answer)
{
    static const nkv_from order[] = {NKV_FROM_CACHE, NKV_FROM_JOINED, NKV_FROM_SERVER,
                                     NKV_FROM_LOCAL};
    const char *comma = "";

    for (size_t o = 0; o < sizeof order / sizeof order[0]; o++) {
        size_t count = 0;
        for (size_t i = 0; i < answer->from_n; i++) {
            count += answer->from[i] == order[o];
        }
        if (count > 0 && count == answer->from_n) {
            nkvi_out_text(out, nkvi_from_name(order[o]));
        } else if (count > 0) {
            nkvi_out_printf(out, "%s%zu %s", comma, count, nkvi_from_name(order[o]));
            comma = ", ";
        }
    }
}

static void add_answer(nkvi_out *out, const nkvi_answer *answer, const char *dim, const char *plain)
{
    if (answer->reply == NULL) {
        nkvi_out_printf(out, "(error) %s", answer->error);
    } else {
        nkvi_text_out_reply(out, answer->reply);
    }
    if (answer->from_n > 0) {
        nkvi_out_printf(out, " %s(", dim);
        add_sources(out, answer);
        nkvi_out_text(out, ", ");
        nkvi_text_out_us(out, answer->us);
        nkvi_out_printf(out, ")%s", plain);
    }
    nkvi_out_char(out, '\n');
}

static void text_answer(nkvi_out *out, const nkvi_answer *answer)
{
    add_answer(out, answer, "", "");
}

static void color_answer(nkvi_out *out, const nkvi_answer *answer)
{
    add_answer(out, answer, "\033[2m", "\033[0m");
}

/* ---- The shell's own commands ---------------------------------------------------------------- */

static void row(nkvi_out *out, const char *name, uint64_t value)
{
    nkvi_out_printf(out, "%-16s %" PRIu64 "\n", name, value);
}

static void text_stats(nkvi_out *out, const nkv_stats *stats)
{
    row(out, "reads", stats->reads);
    row(out, "hits", stats->hits);
    row(out, "validations", stats->validations);
    row(out, "misses", stats->misses);
    row(out, "coalesced", stats->coalesced);
    for (int i = 0; i < NKV_BYPASS_COUNT; i++) {
        if (stats->bypass[i] > 0) {
            nkvi_out_printf(out, "%-16s %" PRIu64 " (%s)\n", "bypass", stats->bypass[i],
                            nkv_bypass_name((nkv_bypass)i));
        }
    }
    row(out, "failures", stats->failures);
    row(out, "writes", stats->writes);
    row(out, "invalidations", stats->invalidations);
    row(out, "dirty", stats->cache.dirty);
    row(out, "raced", stats->raced);
    row(out, "flushes", stats->flushes);
    row(out, "evictions", stats->cache.evictions);
    row(out, "expirations", stats->cache.expirations);
    row(out, "keys", stats->cache.keys);
    row(out, "bytes", stats->cache.bytes);
    row(out, "round trips", stats->round_trips);
    row(out, "retries", stats->retries);
    row(out, "reconnects", stats->reconnects);
    if (stats->bulk_connections > 0) {
        row(out, "bulk connections", stats->bulk_connections);
        row(out, "bulk waiting", stats->bulk_waiting);
        row(out, "bulk copied", stats->bulk_copied);
    }
    nkvi_out_printf(out, "%-16s %.3f %%\n", "confidence", stats->confidence);
}

static void text_health(nkvi_out *out, const nkvi_health *health)
{
    nkvi_out_printf(out, "%s, confidence %.3f %%\n", health->healthy ? "healthy" : "not healthy",
                    health->confidence);
    for (size_t i = 0; i < health->n; i++) {
        const nkv_node_health *node = &health->nodes[i];
        nkvi_out_printf(out, "%s  %s, generation %" PRIu64 ", tracking %s", node->address,
                        node->state, node->generation, node->tracking ? "on" : "off");
        if (node->idle_ms >= 0) {
            nkvi_out_printf(out, ", heard %" PRId64 " ms ago", node->idle_ms);
        }
        nkvi_out_printf(out, ", client %" PRId64 "\n", node->client_id);
    }
}

static void text_prefix(nkvi_out *out, size_t prefix, size_t from_cache, double us)
{
    nkvi_out_printf(out, "%zu leading keys exist (%zu from the cache, ", prefix, from_cache);
    nkvi_text_out_us(out, us);
    nkvi_out_text(out, ")\n");
}

static void text_note(nkvi_out *out, const nkvi_note *note)
{
    switch (note->kind) {
    case NKVI_NOTE_LEVEL:
        nkvi_out_printf(out, "reads are %s\n", note->text);
        return;
    case NKVI_NOTE_INVALIDATED:
        nkvi_out_printf(out, "forgot %.0f\n", note->number);
        return;
    case NKVI_NOTE_RESET:
        nkvi_out_text(out, "forgot everything\n");
        return;
    case NKVI_NOTE_SLEPT:
        nkvi_out_printf(out, "slept %g ms\n", note->number);
        return;
    }
}

static void text_help(nkvi_out *out, const nkvi_local_help *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        nkvi_out_printf(out, "%-34s %s\n", rows[i].usage, rows[i].text);
    }
}

static void text_error(nkvi_out *out, const char *command, const char *text)
{
    nkvi_out_printf(out, command != NULL ? "(error) %s: " : "(error) ", command);
    nkvi_out_printf(out, "%s\n", text);
}

const nkvi_view nkvi_view_text = {text_answer, text_stats, text_health, text_prefix,
                                  text_note,   text_help,  text_error};
const nkvi_view nkvi_view_text_color = {color_answer, text_stats, text_health, text_prefix,
                                        text_note,    text_help,  text_error};
