/* base/url_part.c - see url_part.h. */
#include "base/url_part.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/status.h"

bool nkvi_url_at_follows(const nkvi_url_parser *p)
{
    return p->authority.data != NULL && p->last_at != NULL &&
           p->last_at >= p->authority.data + p->authority.len;
}

nkv_status nkvi_url_bad(const nkvi_url_parser *p, const char *part, const char *what)
{
    char place[16] = "";

    if (p->host_no > 0) {
        (void)snprintf(place, sizeof place, " %u", p->host_no);
    }
    return nkvi_fail(p->error, NKV_EINVAL, "URL: %s%s: %s%s", part, place, what,
                     nkvi_url_at_follows(p)
                         ? "; in a password '/', '?' and '#' are written %2F, %3F and %23"
                         : "");
}

/* ---- Cutting --------------------------------------------------------------------------------- */

const char *nkvi_url_find(nkv_str text, char delimiter)
{
    return text.len > 0 ? memchr(text.data, delimiter, text.len) : NULL;
}

const char *nkvi_url_find_last(nkv_str text, char delimiter)
{
    return text.len > 0 ? memrchr(text.data, delimiter, text.len) : NULL;
}

nkv_str nkvi_url_before(nkv_str text, const char *at)
{
    return nkv_str_make(text.data, (size_t)(at - text.data));
}

nkv_str nkvi_url_behind(nkv_str text, const char *at)
{
    return nkv_str_make(at + 1, (size_t)(text.data + text.len - at - 1));
}

/* ---- Decoding -------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    char upper = nkvi_ascii_upper(c);

    if (nkvi_ascii_digit(upper)) {
        return upper - '0';
    }
    return upper >= 'A' && upper <= 'F' ? upper - 'A' + 10 : -1;
}

/* The byte at *i, decoded, and *i moved behind it.  -1: a wrong escape, or a NUL, which no string
 * of ours could hold.                                                                            */
static int decode_byte(nkv_str text, size_t *i)
{
    if (text.data[*i] != '%') {
        return (unsigned char)text.data[(*i)++];
    }
    if (text.len - *i < 3) {
        return -1;
    }
    int high = hex_value(text.data[*i + 1]);
    int low = hex_value(text.data[*i + 2]);
    *i += 3;
    return high < 0 || low < 0 || (high == 0 && low == 0) ? -1 : high * 16 + low;
}

void nkvi_url_wipe_free(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        nkvi_free(text);
    }
}

nkv_status nkvi_url_decode(const nkvi_url_parser *p, nkv_str text, const char *part, bool blanks,
                           char **out)
{
    char *copy = nkvi_alloc(text.len + 1);
    size_t len = 0;

    if (copy == NULL) {
        return nkvi_fail(p->error, NKV_ENOMEM, "URL: out of memory");
    }
    for (size_t i = 0; i < text.len;) {
        bool blank = blanks && text.data[i] == '+';
        int c = decode_byte(text, &i);
        if (c < 0) {
            copy[len] = '\0';
            nkvi_url_wipe_free(copy);
            return nkvi_url_bad(
                p, part, "two hexadecimal digits follow a '%', but not 00; %25 is the sign itself");
        }
        copy[len++] = (char)(blank ? ' ' : c);
    }
    copy[len] = '\0';
    *out = copy;
    return NKV_OK;
}

nkv_status nkvi_url_set_db(nkvi_url_parser *p, nkv_str text)
{
    static const nkvi_bound bound = {"db", 0, INT_MAX};
    int64_t db = 0;

    if (nkvi_parse_int(text, &bound, &db, NULL) != NKV_OK) {
        return nkvi_url_bad(p, "db", "a number from 0 to 2147483647 is expected");
    }
    p->url->db = (int)db;
    return NKV_OK;
}

bool nkvi_url_is_service(const char *name)
{
    size_t len = 0;

    for (; name[len] != '\0'; len++) {
        if (len == NKVI_URL_SERVICE_MAX || name[len] < '!' || name[len] > '~') {
            return false;
        }
    }
    return len > 0;
}

nkv_status nkvi_url_check_service(const nkvi_url_parser *p, const char *part, const char *name)
{
    return nkvi_url_is_service(name)
               ? NKV_OK
               : nkvi_url_bad(p, part, "1 to 255 visible ASCII characters are allowed, no blanks");
}
