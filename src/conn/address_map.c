/* conn/address_map.c - see address_map.h. */
#include "conn/address_map.h"

#include <assert.h>
#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/status.h"
#include "conn/address.h"

typedef struct place {
    char host[NKVI_HOST_SIZE]; /* empty: any */
    int port;                  /* 0: any, or the same */
} place;

typedef struct entry {
    place announced, reachable;
} entry;

struct nkvi_address_map {
    size_t n;
    entry entries[];
};

/* ---- Reading --------------------------------------------------------------------------------- */

/* [v6]:port or [v6] */
static bool read_brackets(nkv_str text, place *out)
{
    const char *close = memchr(text.data, ']', text.len);
    if (close == NULL) {
        return false;
    }
    nkv_str host = nkv_str_make(text.data + 1, (size_t)(close - text.data - 1));
    nkv_str rest = nkv_str_make(close + 1, (size_t)(text.data + text.len - close - 1));
    bool port = rest.len > 0 && rest.data[0] == ':' &&
                nkvi_port_parse(nkv_str_make(rest.data + 1, rest.len - 1), &out->port);
    return memchr(host.data, ':', host.len) != NULL && nkvi_host_copy(out->host, host) &&
           (rest.len == 0 || port);
}

/* Letters that would be missed in an address that lacks a comma, a bracket or a port. */
static bool is_plain(nkv_str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (memchr(":[]*=,", host.data[i], 6) != NULL) {
            return false;
        }
    }
    return nkvi_host_valid(host);
}

/* One side of an entry.  `any`: a '*' for the host is allowed. */
static bool read_place(nkv_str text, bool any, place *out)
{
    *out = (place){.port = 0};
    if (text.len > 0 && text.data[0] == '[') {
        return read_brackets(text, out);
    }
    const char *colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
    nkv_str host = nkv_str_make(text.data, colon != NULL ? (size_t)(colon - text.data) : text.len);
    if (colon != NULL &&
        !nkvi_port_parse(nkv_str_make(colon + 1, text.len - host.len - 1), &out->port)) {
        return false;
    }
    if (any && host.len == 1 && host.data[0] == '*') {
        return true;
    }
    return is_plain(host) && nkvi_host_copy(out->host, host);
}

static bool same_host(const char *a, const char *b)
{
    return nkvi_ascii_is(nkv_cstr(a), b);
}

static nkv_status bad(nkv_error *error, size_t number, const char *what)
{
    return nkvi_fail(error, NKV_EINVAL, "address map: entry %zu: %s", number, what);
}

/* The entry behind those of the map that are read. */
static nkv_status read_entry(nkvi_address_map *map, nkv_str text, nkv_error *error)
{
    entry *new = &map->entries[map->n];
    const char *equals = text.len > 0 ? memchr(text.data, '=', text.len) : NULL;

    if (equals == NULL) {
        return bad(error, map->n + 1, "ANNOUNCED=REACHABLE is expected");
    }
    nkv_str left = nkv_str_make(text.data, (size_t)(equals - text.data));
    nkv_str right = nkv_str_make(equals + 1, text.len - left.len - 1);
    if (!read_place(left, true, &new->announced)) {
        return bad(error, map->n + 1,
                   "what is announced is HOST:PORT, HOST, [IPV6]:PORT, [IPV6], *:PORT or *");
    }
    if (!read_place(right, false, &new->reachable)) {
        return bad(error, map->n + 1,
                   "what is reachable is HOST:PORT, HOST, [IPV6]:PORT or [IPV6]");
    }
    for (size_t i = 0; i < map->n; i++) {
        const place *known = &map->entries[i].announced;
        if (known->port == new->announced.port && same_host(known->host, new->announced.host)) {
            return bad(error, map->n + 1, "an earlier one is for the same address");
        }
    }
    map->n++;
    return NKV_OK;
}

static size_t count_entries(const char *text)
{
    size_t n = 1;

    for (; *text != '\0'; text++) {
        n += *text == ',' ? 1 : 0;
    }
    return n;
}

nkv_status nkvi_address_map_parse(const char *text, nkvi_address_map **out, nkv_error *error)
{
    nkv_status status = NKV_OK;

    *out = NULL;
    if (text == NULL || text[0] == '\0') {
        return NKV_OK;
    }
    size_t n = count_entries(text);
    if (n > NKVI_ADDRESS_MAP_MAX) {
        return bad(error, NKVI_ADDRESS_MAP_MAX + 1, "1024 are allowed");
    }
    nkvi_address_map *map = nkvi_alloc(sizeof *map + n * sizeof map->entries[0]);
    if (map == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "address map: out of memory");
    }
    map->n = 0;
    for (const char *at = text; status == NKV_OK && map->n < n;) {
        size_t len = strcspn(at, ",");
        status = read_entry(map, nkv_str_make(at, len), error);
        at += len + 1;
    }
    if (status != NKV_OK) {
        nkvi_free(map);
        return status;
    }
    *out = map;
    return NKV_OK;
}

void nkvi_address_map_free(nkvi_address_map *map)
{
    nkvi_free(map);
}

/* ---- Using ----------------------------------------------------------------------------------- */

/* How exactly an entry is for that address; 0: not at all. */
static int fit(const place *announced, const char *host, int port)
{
    bool any_host = announced->host[0] == '\0', any_port = announced->port == 0;

    if ((!any_port && announced->port != port) ||
        (!any_host && !same_host(announced->host, host))) {
        return 0;
    }
    return 1 + (any_host ? 0 : 2) + (any_port ? 0 : 1);
}

void nkvi_address_map_apply(const nkvi_address_map *map, const char *host, int port, char *out_host,
                            size_t out_size, int *out_port)
{
    const place *reachable = NULL;
    int best = 0;

    assert(out_size >= NKVI_HOST_SIZE);
    for (size_t i = 0; map != NULL && i < map->n; i++) {
        int exact = fit(&map->entries[i].announced, host, port);
        if (exact > best) {
            best = exact;
            reachable = &map->entries[i].reachable;
        }
    }
    const char *to = reachable != NULL ? reachable->host : host;
    size_t len = strnlen(to, out_size - 1);
    memmove(out_host, to, len);
    out_host[len] = '\0';
    *out_port = reachable != NULL && reachable->port != 0 ? reachable->port : port;
}
