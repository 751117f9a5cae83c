/* base/url.h - connection URLs.
 *
 *      redis://[[user][:password]@]host[:port][/db][?name=value&…]
 *      rediss://  the same, over TLS          unix://[[user][:password]@]/path[?name=value&…]
 *
 *      name                    value                                        default
 *      db                      0 … 2147483647; wins over the path           0
 *      timeout socket_timeout  of a call: seconds, or with a unit: 250ms    not given
 *      socket_connect_timeout  the same, for connecting                     not given
 *      max_idle                the same, for the silence of a server        not given
 *      client_name             visible ASCII characters                     not given
 *      protocol                3: the only one there is                     3
 *
 * Scheme in any case; user, password, host and path percent-decoded, values too (there '+' is a
 * blank).  The first value of a name counts, an empty one is not given.  IPv6 hosts stand in
 * brackets.  Defaults: localhost, 6379.  An unknown name is an error that lists the known ones; so
 * are a user or password in the query, where logs and lists of processes would show them.
 * Threads  [any].                                                                                */
#ifndef NKVI_BASE_URL_H
#define NKVI_BASE_URL_H

#include <stdint.h>

#include <nearkv/status.h>

typedef enum nkvi_scheme { NKVI_SCHEME_REDIS, NKVI_SCHEME_REDISS, NKVI_SCHEME_UNIX } nkvi_scheme;

typedef struct nkvi_url {
    nkvi_scheme scheme;
    char *host;     /* REDIS, REDISS; without brackets   */
    int port;       /* REDIS, REDISS; 1 … 65535          */
    char *path;     /* UNIX; absolute                    */
    char *username; /* NULL: not given                   */
    char *password; /* NULL: not given                   */
    int db;
    int64_t timeout_ms, connect_timeout_ms, max_idle_ms; /* > 0; -1: not given */
    char *client_name;                                   /* NULL: not given    */
} nkvi_url;

/* Parses `text`.  On success the caller frees with nkvi_url_clear; after a failure *url is empty
 * and holds nothing.
 * Returns NKV_OK · NKV_EINVAL (error names the part and what is allowed; nothing of the URL up to
 * its last '@' is ever repeated, so no password is) · NKV_ENOTSUP (a scheme of clusters or
 * sentinels, several hosts) · NKV_ENOMEM.                                                        */
nkv_status nkvi_url_parse(const char *text, nkvi_url *url, nkv_error *error);

/* Frees the strings (the password is wiped first) and zeroes the struct. */
void nkvi_url_clear(nkvi_url *url);

/* The URL for people, without its password ("redis://user:***@host:6379/0") and without what came
 * in the query but the db.  Allocated; NULL: memory.                                             */
char *nkvi_url_redacted(const nkvi_url *url);

#endif
