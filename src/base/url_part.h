/* base/url_part.h - what the parts of the URL parser share: errors, cutting, decoding.
 *
 * Callers  url.c and url_*.c only.                                                               */
#ifndef NKVI_BASE_URL_PART_H
#define NKVI_BASE_URL_PART_H

#include <stdbool.h>

#include "base/url.h"

typedef struct nkvi_url_parser {
    nkvi_url *url;
    nkv_error *error;
    nkv_str authority, path, query;
    const char *last_at; /* the last '@' of the whole text, or NULL */
    bool db_given;       /* by the query: the path's does not count */
    unsigned host_no;    /* of a list of hosts: the place of the one that is read, from 1; else 0 */
} nkvi_url_parser;

/* Whether an '@' comes later than the hosts are thought to end. */
bool nkvi_url_at_follows(const nkvi_url_parser *p);

/* Fills the error "URL: part: what", in a list of hosts "URL: part 2: what", and returns
 * NKV_EINVAL.  Both are fixed words, never the text.  If an '@' comes later than the hosts are
 * thought to end, a delimiter in the password has probably cut the URL in the wrong place; the
 * error says so then.                                                                            */
nkv_status nkvi_url_bad(const nkvi_url_parser *p, const char *part, const char *what);

/* The first or last `delimiter` in `text`, or NULL. */
const char *nkvi_url_find(nkv_str text, char delimiter);
const char *nkvi_url_find_last(nkv_str text, char delimiter);

/* What stands in `text` before and behind `at`. */
nkv_str nkvi_url_before(nkv_str text, const char *at);
nkv_str nkvi_url_behind(nkv_str text, const char *at);

/* A percent-decoded copy of `text`, which is the URL's `part`; `blanks`: a '+' is a blank.
 * Returns NKV_OK (to be given back with nkvi_url_wipe_free) · NKV_EINVAL (a wrong escape, or a NUL,
 * which no string of ours could hold) · NKV_ENOMEM.                                              */
nkv_status nkvi_url_decode(const nkvi_url_parser *p, nkv_str text, const char *part, bool blanks,
                           char **out);

/* Overwrites a string, which may be a secret, and frees it.  NULL is allowed. */
void nkvi_url_wipe_free(char *text);

/* The database from its decimal text, into the URL. */
nkv_status nkvi_url_set_db(nkvi_url_parser *p, nkv_str text);

/* NKV_OK, or the error that `name`, which came as `part`, is none of a service. */
nkv_status nkvi_url_check_service(const nkvi_url_parser *p, const char *part, const char *name);

/* The hosts, which decide whether redis:// is a cluster; one that is not written is localhost. */
nkv_status nkvi_url_parse_hosts(nkvi_url_parser *p, nkv_str text);

/* The path, after the query. */
nkv_status nkvi_url_parse_path(nkvi_url_parser *p);

/* All of the query. */
nkv_status nkvi_url_parse_query(nkvi_url_parser *p);

#endif
