/* base/url_query.c - the query of a URL: "db=2&timeout=1.5".
 *
 * One row of the table below is one name; url.h says what its value may be.                      */
#include "base/url_part.h"

#include <string.h>

#include "base/ascii.h"
#include "base/parse.h"
#include "base/status.h"

#define NAME_SHOWN    32 /* longer names are not repeated in an error */
#define TIME_LIMIT_MS (INT64_C(365) * 24 * 3600 * 1000)

typedef enum option_kind { OPTION_DB, OPTION_TIME, OPTION_NAME, OPTION_PROTOCOL } option_kind;

typedef struct option {
    const char *name;
    option_kind kind;
    size_t offset; /* TIME: where it goes in nkvi_url */
} option;

static const option options[] = {
    {"db", OPTION_DB, 0},
    {"timeout", OPTION_TIME, offsetof(nkvi_url, timeout_ms)},
    {"socket_timeout", OPTION_TIME, offsetof(nkvi_url, timeout_ms)},
    {"socket_connect_timeout", OPTION_TIME, offsetof(nkvi_url, connect_timeout_ms)},
    {"max_idle", OPTION_TIME, offsetof(nkvi_url, max_idle_ms)},
    {"client_name", OPTION_NAME, 0},
    {"protocol", OPTION_PROTOCOL, 0},
};

#define KNOWN_OPTIONS                                                                        \
    "known are db, timeout, socket_timeout, socket_connect_timeout, max_idle, client_name, " \
    "protocol"

static nkv_status set_time(nkvi_url_parser *p, const option *o, nkv_str text)
{
    static const nkvi_bound bound = {"time", 1, TIME_LIMIT_MS};
    int64_t *slot = (int64_t *)(void *)((char *)p->url + o->offset);

    if (*slot < 0 && nkvi_parse_ms(text, 1000, &bound, slot, NULL) != NKV_OK) {
        return nkvi_url_bad(
            p, o->name, "expected are seconds (2.5), or 250ms, 5s, 1m; above 0, at most 365 days");
    }
    return NKV_OK;
}

/* The server allows no other characters in a name either. */
static nkv_status set_client_name(nkvi_url_parser *p, char **value)
{
    nkv_str text = nkv_cstr(*value);

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '!' || text.data[i] > '~') {
            return nkvi_url_bad(p, "client_name",
                                "visible ASCII characters are allowed, no blanks");
        }
    }
    if (p->url->client_name == NULL) {
        p->url->client_name = *value;
        *value = NULL;
    }
    return NKV_OK;
}

static nkv_status check_protocol(nkvi_url_parser *p, nkv_str text)
{
    if (nkvi_ascii_is(text, "3")) {
        return NKV_OK;
    }
    if (nkvi_ascii_is(text, "2")) {
        return nkvi_url_bad(p, "protocol",
                            "must be 3: over 2 the server cannot say on the connection that "
                            "reads what has changed");
    }
    return nkvi_url_bad(p, "protocol", "must be 3");
}

/* One option with a value that is not empty; *value may be taken over (then it is NULL). */
static nkv_status set_option(nkvi_url_parser *p, const option *o, char **value)
{
    nkv_str text = nkv_cstr(*value);

    switch (o->kind) {
    case OPTION_DB:
        if (p->db_given) {
            return NKV_OK;
        }
        p->db_given = true;
        return nkvi_url_set_db(p, text);
    case OPTION_TIME:
        return set_time(p, o, text);
    case OPTION_NAME:
        return set_client_name(p, value);
    case OPTION_PROTOCOL:
        return check_protocol(p, text);
    }
    return NKV_OK;
}

/* Does it look like a name, so that it may be repeated? */
static bool is_name(nkv_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = nkvi_ascii_upper(text.data[i]);
        if (!(c >= 'A' && c <= 'Z') && !nkvi_ascii_digit(c) && c != '_' && c != '-') {
            return false;
        }
    }
    return text.len > 0 && text.len <= NAME_SHOWN;
}

static nkv_status unknown_option(const nkvi_url_parser *p, nkv_str name)
{
    char shown[NAME_SHOWN + 3] = "unknown name";

    if (nkvi_ascii_is(name, "username") || nkvi_ascii_is(name, "password")) {
        return nkvi_url_bad(
            p, "query",
            "user and password stand before the host (user:password@host), not here, "
            "where logs would show them");
    }
    if (is_name(name) && (p->last_at == NULL || name.data > p->last_at)) {
        shown[0] = '\'';
        memcpy(shown + 1, name.data, name.len);
        memcpy(shown + 1 + name.len, "'", 2);
    }
    return nkvi_fail(p->error, NKV_EINVAL, "URL: query: %s; " KNOWN_OPTIONS, shown);
}

static nkv_status parse_pair(nkvi_url_parser *p, nkv_str pair)
{
    const char *equals = nkvi_url_find(pair, '=');
    nkv_str name = equals != NULL ? nkvi_url_before(pair, equals) : pair;
    const option *found = NULL;

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strlen(options[i].name) == name.len &&
            memcmp(options[i].name, name.data, name.len) == 0) {
            found = &options[i];
        }
    }
    if (found == NULL) {
        return unknown_option(p, name);
    }
    if (equals == NULL) {
        return nkvi_url_bad(p, found->name, "name=value is expected");
    }
    char *value = NULL;
    nkv_status status =
        nkvi_url_decode(p, nkvi_url_behind(pair, equals), found->name, true, &value);
    if (status == NKV_OK && value[0] != '\0') {
        status = set_option(p, found, &value);
    }
    nkvi_url_wipe_free(value);
    return status;
}

nkv_status nkvi_url_parse_query(nkvi_url_parser *p)
{
    nkv_str rest = p->query;

    while (rest.len > 0) {
        const char *end = nkvi_url_find(rest, '&');
        nkv_str pair = end != NULL ? nkvi_url_before(rest, end) : rest;
        rest = end != NULL ? nkvi_url_behind(rest, end) : nkv_str_make(NULL, 0);
        if (pair.len > 0) {
            nkv_status status = parse_pair(p, pair);
            if (status != NKV_OK) {
                return status;
            }
        }
    }
    return NKV_OK;
}
