/* cli/json_out.c - answers as JSON.
 *
 * Written by hand rather than through a tree: an answer may be large, times want three decimals and
 * not seventeen, and doubles the shortest text that reads back as the same number.
 *
 * Callers  view_json.c, replay_report.c.                                                         */
#include "cli/json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"

/* ---- Strings --------------------------------------------------------------------------------- */

/* One byte of a JSON string; bytes of longer UTF-8 sequences go through as they are. */
static void add_escaped(nkvi_out *out, char c)
{
    switch (c) {
    case '"':
        nkvi_out_text(out, "\\\"");
        return;
    case '\\':
        nkvi_out_text(out, "\\\\");
        return;
    case '\n':
        nkvi_out_text(out, "\\n");
        return;
    case '\r':
        nkvi_out_text(out, "\\r");
        return;
    case '\t':
        nkvi_out_text(out, "\\t");
        return;
    default:
        break;
    }
    if ((unsigned char)c < 0x20 || c == 0x7f) {
        nkvi_out_printf(out, "\\u%04x", (unsigned)c);
    } else {
        nkvi_out_char(out, c);
    }
}

static void add_utf8(nkvi_out *out, nkv_str str)
{
    nkvi_out_char(out, '"');
    for (size_t i = 0; i < str.len; i++) {
        add_escaped(out, str.data[i]);
    }
    nkvi_out_char(out, '"');
}

static void add_base64(nkvi_out *out, nkv_str str)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < str.len; i += 3) {
        size_t left = str.len - i;
        uint32_t bits = (uint32_t)(unsigned char)str.data[i] << 16;
        bits |= left > 1 ? (uint32_t)(unsigned char)str.data[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)(unsigned char)str.data[i + 2] : 0;
        char quad[4] = {digits[bits >> 18], digits[bits >> 12 & 63], '=', '='};
        if (left > 1) {
            quad[2] = digits[bits >> 6 & 63];
        }
        if (left > 2) {
            quad[3] = digits[bits & 63];
        }
        nkvi_out_add(out, quad, sizeof quad);
    }
}

void nkvi_json_out_str(nkvi_out *out, nkv_str str)
{
    if (nkv_utf8_valid(str)) {
        add_utf8(out, str);
        return;
    }
    nkvi_out_text(out, "{\"b64\":\"");
    add_base64(out, str);
    nkvi_out_text(out, "\"}");
}

/* The length of the character that is at `at`; 0: there is none. */
static size_t character_len(const char *at, size_t len)
{
    for (size_t n = 1; n <= 4 && n <= len; n++) {
        if (nkv_utf8_valid(nkv_str_make(at, n))) {
            return n;
        }
    }
    return 0;
}

void nkvi_json_out_text(nkvi_out *out, const char *text)
{
    size_t len = strlen(text);

    nkvi_out_char(out, '"');
    for (size_t i = 0; i < len;) {
        size_t step = character_len(text + i, len - i);
        if (step == 0) {
            nkvi_out_char(out, '?');
            i++;
        } else if (step == 1) {
            add_escaped(out, text[i++]);
        } else {
            nkvi_out_add(out, text + i, step);
            i += step;
        }
    }
    nkvi_out_char(out, '"');
}

void nkvi_json_out_double(nkvi_out *out, double number)
{
    const char *quote = isfinite(number) ? "" : "\"";

    nkvi_out_text(out, quote);
    nkvi_out_double(out, number);
    nkvi_out_text(out, quote);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void add_children(nkvi_out *out, const nkv_reply *reply)
{
    nkvi_out_char(out, '[');
    for (size_t i = 0; i < reply->elements; i++) {
        if (i > 0) {
            nkvi_out_char(out, ',');
        }
        nkvi_json_out_reply(out, &reply->element[i]);
    }
    nkvi_out_char(out, ']');
}

/* The name that a key of a map gets, without quotes and not yet escaped. */
static void key_name(nkvi_out *name, const nkv_reply *key)
{
    nkv_str bytes = nkv_str_make(key->str, key->len);
    bool text = key->type == NKV_TYPE_STRING || key->type == NKV_TYPE_STATUS ||
                key->type == NKV_TYPE_VERBATIM || key->type == NKV_TYPE_BIGNUM;

    if (!text) {
        nkvi_json_out_reply(name, key);
    } else if (nkv_utf8_valid(bytes)) {
        nkvi_out_add(name, bytes.data, bytes.len);
    } else {
        nkvi_out_text(name, "b64:");
        add_base64(name, bytes);
    }
}

static int compare_names(const void *left, const void *right)
{
    const nkv_str *a = left, *b = right;
    size_t len = a->len < b->len ? a->len : b->len;
    int order = len > 0 ? memcmp(a->data, b->data, len) : 0;

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Whether no two of the names are the same; changes their order. */
static bool names_differ(nkv_str *names, size_t n)
{
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (compare_names(&names[i - 1], &names[i]) == 0) {
            return false;
        }
    }
    return true;
}

static void add_pairs(nkvi_out *out, const nkv_reply *map)
{
    nkvi_out_text(out, "{\"pairs\":[");
    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        nkvi_out_text(out, i > 0 ? ",[" : "[");
        nkvi_json_out_reply(out, &map->element[i]);
        nkvi_out_char(out, ',');
        nkvi_json_out_reply(out, &map->element[i + 1]);
        nkvi_out_char(out, ']');
    }
    nkvi_out_text(out, "]}");
}

static void add_members(nkvi_out *out, const nkv_reply *map, const nkv_str *names)
{
    nkvi_out_char(out, '{');
    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        if (i > 0) {
            nkvi_out_char(out, ',');
        }
        add_utf8(out, names[i / 2]);
        nkvi_out_char(out, ':');
        nkvi_json_out_reply(out, &map->element[i + 1]);
    }
    nkvi_out_char(out, '}');
}

static void add_map(nkvi_out *out, const nkv_reply *map)
{
    size_t n = map->elements / 2;
    nkvi_out bytes = {0};
    size_t *end = nkvi_must_alloc(n, sizeof *end);
    nkv_str *names = nkvi_must_alloc(n, sizeof *names);
    nkv_str *sorted = nkvi_must_alloc(n, sizeof *sorted);

    for (size_t i = 0; i < n; i++) {
        key_name(&bytes, &map->element[2 * i]);
        end[i] = bytes.len;
    }
    /* The block may have moved while it grew: the names are cut out of it only now. */
    for (size_t i = 0; i < n; i++) {
        size_t start = i > 0 ? end[i - 1] : 0;
        names[i] = nkv_str_make(bytes.data != NULL ? bytes.data + start : "", end[i] - start);
        sorted[i] = names[i];
    }
    if (names_differ(sorted, n)) {
        add_members(out, map, names);
    } else {
        add_pairs(out, map);
    }
    free(sorted);
    free(names);
    free(end);
    nkvi_out_clear(&bytes);
}

void nkvi_json_out_reply(nkvi_out *out, const nkv_reply *reply)
{
    switch (reply->type) {
    case NKV_TYPE_STRING:
    case NKV_TYPE_STATUS:
    case NKV_TYPE_VERBATIM:
    case NKV_TYPE_BIGNUM:
        nkvi_json_out_str(out, nkv_str_make(reply->str, reply->len));
        return;
    case NKV_TYPE_INTEGER:
        nkvi_out_printf(out, "%" PRId64, reply->integer);
        return;
    case NKV_TYPE_DOUBLE:
        nkvi_json_out_double(out, reply->dval);
        return;
    case NKV_TYPE_BOOL:
        nkvi_out_text(out, reply->integer != 0 ? "true" : "false");
        return;
    case NKV_TYPE_NIL:
        nkvi_out_text(out, "null");
        return;
    case NKV_TYPE_ERROR:
        nkvi_out_text(out, "{\"error\":");
        nkvi_json_out_str(out, nkv_str_make(reply->str, reply->len));
        nkvi_out_char(out, '}');
        return;
    case NKV_TYPE_MAP:
        add_map(out, reply);
        return;
    case NKV_TYPE_ARRAY:
    case NKV_TYPE_SET:
    case NKV_TYPE_PUSH:
        add_children(out, reply);
        return;
    }
    nkvi_out_text(out, "null"); /* a type of a library newer than this command */
}
