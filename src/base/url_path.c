/* base/url_path.c - the path of a URL: a database, a sentinel's service, a socket. */
#include "base/url_part.h"

#include <string.h>
#include <sys/un.h>

#include "base/mem.h"

/* The path without the '/' it begins with, and without one at its end. */
static nkv_str inner_path(const nkvi_url_parser *p)
{
    nkv_str text = p->path;

    if (text.len > 0) {
        text = nkvi_url_behind(text, text.data);
    }
    if (text.len > 0 && text.data[text.len - 1] == '/') {
        text.len--;
    }
    return text;
}

/* "2" or nothing; the query wins. */
static nkv_status parse_db(nkvi_url_parser *p, nkv_str text)
{
    int from_query = p->url->db;
    nkv_status status = text.len > 0 ? nkvi_url_set_db(p, text) : NKV_OK;

    if (p->db_given) {
        p->url->db = from_query;
    }
    return status;
}

/* A cluster has no other, wherever it is given. */
static nkv_status parse_zero(nkvi_url_parser *p)
{
    int from_query = p->url->db;
    nkv_str text = inner_path(p);
    nkv_status status = text.len > 0 ? nkvi_url_set_db(p, text) : NKV_OK;

    if (status != NKV_OK || p->url->db != 0 || from_query != 0) {
        return nkvi_url_bad(p, "db", "a cluster has database 0 only");
    }
    return NKV_OK;
}

/* "service", "service/2" or nothing. */
static nkv_status parse_service(nkvi_url_parser *p)
{
    nkv_str text = inner_path(p);
    const char *slash = nkvi_url_find(text, '/');
    nkv_str service = slash != NULL ? nkvi_url_before(text, slash) : text;
    nkv_status status = NKV_OK;

    if (service.len == 0 && p->path.len > 1) {
        return nkvi_url_bad(p, "service", "/service or /service/db is expected");
    }
    if (service.len > 0) {
        nkvi_free(p->url->service); /* of the query */
        p->url->service = NULL;
        status = nkvi_url_decode(p, service, "service", false, &p->url->service);
    }
    if (status == NKV_OK && service.len > 0) {
        status = nkvi_url_check_service(p, "service", p->url->service);
    }
    return status == NKV_OK && slash != NULL ? parse_db(p, nkvi_url_behind(text, slash)) : status;
}

static nkv_status parse_socket_path(nkvi_url_parser *p)
{
    struct sockaddr_un address;
    nkv_status status;

    if (p->path.len < 2) {
        return nkvi_url_bad(p, "path", "the path of a socket is expected: unix:///run/redis.sock");
    }
    status = nkvi_url_decode(p, p->path, "path", false, &p->url->path);
    if (status == NKV_OK && strlen(p->url->path) >= sizeof address.sun_path) {
        status =
            nkvi_url_bad(p, "path", "107 bytes at most is what the system allows for a socket");
    }
    return status;
}

nkv_status nkvi_url_parse_path(nkvi_url_parser *p)
{
    if (p->url->scheme == NKVI_SCHEME_UNIX) {
        return parse_socket_path(p);
    }
    switch (p->url->topology) {
    case NKVI_CLUSTER:
        return parse_zero(p);
    case NKVI_SENTINEL:
        return parse_service(p);
    case NKVI_STANDALONE:
        break;
    }
    return parse_db(p, inner_path(p));
}
