/* base/url.h - connection URLs.
 *
 *      one server   redis://[login@][host[:port]][/db][?query]
 *                   unix://[login@]/path[?query]
 *      a cluster    redis-cluster://[login@]hosts[/0][?query]
 *                   redis://[login@]host:port,host:port,…[/0][?query]
 *      sentinels    redis-sentinel://[login@]hosts[/service[/db]][?query]
 *
 *      login        [user][:password], of the servers; of sentinels it is an option only
 *      hosts        [host[:port]], or host:port,host:port,… : at most 64, of which every one has a
 *                   port; one that is there twice (in upper or lower case) counts once
 *      host         a name, an IPv4 address, or [an IPv6 address]; the only one may be empty:
 *                   localhost; its port may be left out: 6379, of a sentinel 26379
 *      query        name=value&…
 *
 * With rediss instead of redis: the same, over TLS.  redis+cluster and redis+sentinel are other
 * names of redis-cluster and redis-sentinel.
 *
 *      name                    value                                         default
 *      db                      0 … 2147483647; wins over the path; of a      0
 *                              cluster: 0
 *      timeout socket_timeout  of a call: seconds, or with a unit: 250ms     not given
 *      socket_connect_timeout  the same, for connecting                      not given
 *      max_idle                the same, for the silence of a server         not given
 *      client_name             visible ASCII characters                      not given
 *      protocol                3: the only one there is                      3
 *    of clusters and sentinels
 *      topology_max_age        a time, for what a node says of its slots     not given
 *                              or role
 *      address_map             visible ASCII characters                      not given
 *      read_from               primary, prefer-replica, replica, nearest     not given
 *      replica_max_ttl         a time, for the age of a replica's answers    not given
 *    of sentinels
 *      service_name            as in the path, which wins over it            not given
 *      sentinel_timeout        a time, for what is asked of a sentinel       not given
 *
 * Scheme in any case; user, password, host and path percent-decoded, values too (there '+' is a
 * blank).  A service has 1 to 255 visible ASCII characters, a '/' in it is written %2F.  The first
 * value of a name counts, an empty one is not given.  An unknown name is an error that lists the
 * known ones; so are a name that the kind of URL has no use for, a database other than 0 of a
 * cluster, and a user or password in the query, where logs and lists of processes would show them.
 * In URLs of clusters and sentinels an '@' behind the hosts is an error too (it is written %40):
 * what stands before it may be half a password.
 * Threads  [any].                                                                                */
#ifndef NKVI_BASE_URL_H
#define NKVI_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nearkv/status.h>

#define NKVI_URL_HOSTS_MAX   64
#define NKVI_URL_SERVICE_MAX 255

typedef enum nkvi_scheme { NKVI_SCHEME_REDIS, NKVI_SCHEME_REDISS, NKVI_SCHEME_UNIX } nkvi_scheme;

/* What the hosts of a URL are: the server, some nodes of a cluster, sentinels. */
typedef enum nkvi_topology { NKVI_STANDALONE, NKVI_CLUSTER, NKVI_SENTINEL } nkvi_topology;

/* Which servers reads go to; the values are those of nkv_read_from. */
typedef enum nkvi_url_read {
    NKVI_URL_READ_NOT_GIVEN,
    NKVI_URL_READ_PRIMARY,
    NKVI_URL_READ_PREFER_REPLICA,
    NKVI_URL_READ_REPLICA,
    NKVI_URL_READ_NEAREST
} nkvi_url_read;

typedef struct nkvi_url_host {
    char *host; /* without brackets */
    int port;   /* 1 … 65535        */
} nkvi_url_host;

typedef struct nkvi_url {
    nkvi_scheme scheme;
    nkvi_topology topology; /* UNIX: STANDALONE */
    nkvi_url_host *hosts;   /* as they were written, no two the same */
    size_t hosts_len;       /* UNIX: 0; STANDALONE: 1; else 1 … NKVI_URL_HOSTS_MAX */
    const char *host;       /* STANDALONE: of hosts[0]; else NULL */
    int port;               /* STANDALONE: of hosts[0]; else 0    */
    char *path;             /* UNIX; absolute                    */
    char *username;         /* NULL: not given                   */
    char *password;         /* NULL: not given                   */
    char *service;          /* SENTINEL; NULL: not given         */
    int db;                 /* CLUSTER: 0 */
    int64_t timeout_ms, connect_timeout_ms, max_idle_ms;                  /* > 0; -1: not given */
    int64_t sentinel_timeout_ms, topology_max_age_ms, replica_max_ttl_ms; /* the same        */
    nkvi_url_read read_from;
    char *client_name; /* NULL: not given */
    char *address_map; /* NULL: not given; what it says has not been looked at */
} nkvi_url;

/* Parses `text`.  On success the caller frees with nkvi_url_clear; after a failure *url is empty
 * and holds nothing.
 * Returns NKV_OK · NKV_EINVAL (error names the part, in a list of hosts also its place, and what is
 * allowed; nothing of the URL up to its last '@' is ever repeated, so no password is) ·
 * NKV_ENOMEM.                                                                                    */
nkv_status nkvi_url_parse(const char *text, nkvi_url *url, nkv_error *error);

/* Frees the strings (the password is wiped first) and zeroes the struct. */
void nkvi_url_clear(nkvi_url *url);

/* Whether a sentinel's service may be called so: 1 to 255 visible ASCII characters. */
bool nkvi_url_is_service(const char *name);

/* The URL for people, without its password and without what came in the query but db and service:
 *      redis://user:***@host:6379/0                  unix:///run/redis.sock?db=0
 *      redis-cluster://user:***@h1:6379,h2:6379      redis-sentinel://h1:26379/service/0
 *      redis-sentinel://h1:26379?db=0
 * Allocated; NULL: memory.                                                                       */
char *nkvi_url_redacted(const nkvi_url *url);

#endif
