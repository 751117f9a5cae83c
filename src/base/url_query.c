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

typedef enum option_kind {
    OPTION_DB,
    OPTION_TIME,
    OPTION_VISIBLE, /* a text of visible ASCII characters */
    OPTION_SERVICE,
    OPTION_READ_FROM,
    OPTION_PROTOCOL
} option_kind;

typedef enum option_use { FOR_ALL, FOR_MANY, FOR_SENTINELS } option_use;

typedef struct option {
    const char *name;
    option_kind kind;
    option_use use;
    size_t offset; /* TIME, VISIBLE: where it goes in nkvi_url */
} option;

#define AT(field) offsetof(nkvi_url, field)

static const option options[] = {
    {"db", OPTION_DB, FOR_ALL, 0},
    {"timeout", OPTION_TIME, FOR_ALL, AT(timeout_ms)},
    {"socket_timeout", OPTION_TIME, FOR_ALL, AT(timeout_ms)},
    {"socket_connect_timeout", OPTION_TIME, FOR_ALL, AT(connect_timeout_ms)},
    {"max_idle", OPTION_TIME, FOR_ALL, AT(max_idle_ms)},
    {"client_name", OPTION_VISIBLE, FOR_ALL, AT(client_name)},
    {"protocol", OPTION_PROTOCOL, FOR_ALL, 0},
    {"service_name", OPTION_SERVICE, FOR_SENTINELS, 0},
    {"sentinel_timeout", OPTION_TIME, FOR_SENTINELS, AT(sentinel_timeout_ms)},
    {"topology_max_age", OPTION_TIME, FOR_MANY, AT(topology_max_age_ms)},
    {"address_map", OPTION_VISIBLE, FOR_MANY, AT(address_map)},
    {"read_from", OPTION_READ_FROM, FOR_MANY, 0},
    {"replica_max_ttl", OPTION_TIME, FOR_MANY, AT(replica_max_ttl_ms)},
};

#define KNOWN_OPTIONS                                                                        \
    "known are db, timeout, socket_timeout, socket_connect_timeout, max_idle, client_name, " \
    "protocol, service_name, sentinel_timeout, topology_max_age, address_map, read_from, "   \
    "replica_max_ttl"

_Static_assert(sizeof "URL: query: ''; " KNOWN_OPTIONS + NAME_SHOWN <=
                   sizeof((nkv_error *)NULL)->text,
               "the list of known names must not be cut");

static nkv_status check_use(const nkvi_url_parser *p, const option *o)
{
    if (o->use == FOR_SENTINELS && p->url->topology != NKVI_SENTINEL) {
        return nkvi_url_bad(p, o->name, "it is for sentinels: redis-sentinel://");
    }
    if (o->use == FOR_MANY && p->url->topology == NKVI_STANDALONE) {
        return nkvi_url_bad(p, o->name,
                            "it is for clusters (redis-cluster://, a list of hosts) and sentinels "
                            "(redis-sentinel://)");
    }
    return NKV_OK;
}

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

/* The server allows no other characters in the name of a client either. */
static nkv_status set_visible(nkvi_url_parser *p, const option *o, char **value)
{
    char **slot = (char **)(void *)((char *)p->url + o->offset);
    nkv_str text = nkv_cstr(*value);

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '!' || text.data[i] > '~') {
            return nkvi_url_bad(p, o->name, "visible ASCII characters are allowed, no blanks");
        }
    }
    if (*slot == NULL) {
        *slot = *value;
        *value = NULL;
    }
    return NKV_OK;
}

static nkv_status set_service(nkvi_url_parser *p, const option *o, char **value)
{
    nkv_status status = nkvi_url_check_service(p, o->name, *value);

    if (status == NKV_OK && p->url->service == NULL) {
        p->url->service = *value;
        *value = NULL;
    }
    return status;
}

static nkv_status set_read_from(nkvi_url_parser *p, const option *o, nkv_str text)
{
    static const char *const words[] = {[NKVI_URL_READ_PRIMARY] = "primary",
                                        [NKVI_URL_READ_PREFER_REPLICA] = "prefer-replica",
                                        [NKVI_URL_READ_REPLICA] = "replica",
                                        [NKVI_URL_READ_NEAREST] = "nearest"};

    for (size_t i = NKVI_URL_READ_PRIMARY; i < sizeof words / sizeof words[0]; i++) {
        if (nkvi_ascii_is(text, words[i])) {
            bool given = p->url->read_from != NKVI_URL_READ_NOT_GIVEN;
            p->url->read_from = given ? p->url->read_from : (nkvi_url_read)i;
            return NKV_OK;
        }
    }
    return nkvi_url_bad(p, o->name, "must be primary, prefer-replica, replica or nearest");
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
    case OPTION_VISIBLE:
        return set_visible(p, o, value);
    case OPTION_SERVICE:
        return set_service(p, o, value);
    case OPTION_READ_FROM:
        return set_read_from(p, o, text);
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
    if (nkvi_ascii_is(name, "sentinel_username") || nkvi_ascii_is(name, "sentinel_password")) {
        return nkvi_url_bad(p, "query",
                            "user and password of the sentinels are options of the client, not of "
                            "the URL, which logs would show");
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
        status = check_use(p, found);
        status = status == NKV_OK ? set_option(p, found, &value) : status;
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
