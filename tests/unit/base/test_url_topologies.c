/* tests/unit/base/test_url_topologies.c - URLs of clusters and sentinels: what is read, what is
 * refused in which words, and how they are shown. */

#include "base/url.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* ---- What is read ---------------------------------------------------------------------------- */

static nkvi_url parsed(const char *text)
{
    nkvi_url url;
    nkv_error error = {NKV_OK, 0, ""};

    cr_assert_eq(nkvi_url_parse(text, &url, &error), NKV_OK, "%s: %s", text, error.text);
    return url;
}

static bool same_text(const char *got, const char *want)
{
    return want == NULL ? got == NULL : got != NULL && strcmp(got, want) == 0;
}

/* "h1:1 ::1:2": what the hosts are, in their order. */
static void check_hosts(const nkvi_url *url, const char *text, const char *want)
{
    char got[512] = "";

    for (size_t i = 0; i < url->hosts_len; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%s:%d", i > 0 ? " " : "", url->hosts[i].host,
                 url->hosts[i].port);
    }
    cr_assert_str_eq(got, want, "%s: %s", text, got);
    cr_assert_null(url->host, "%s: it is not one server", text);
    cr_assert_eq(url->port, 0, "%s", text);
    cr_assert_null(url->path, "%s", text);
}

typedef struct row {
    const char *text;
    nkvi_scheme scheme;
    nkvi_topology topology;
    const char *hosts;
    const char *service; /* NULL: not given */
    int db;
} row;

static void check_rows(const row *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const row *r = &rows[i];
        nkvi_url url = parsed(r->text);

        cr_assert_eq(url.scheme, r->scheme, "%s: scheme", r->text);
        cr_assert_eq(url.topology, r->topology, "%s: topology", r->text);
        check_hosts(&url, r->text, r->hosts);
        cr_assert(same_text(url.service, r->service), "%s: service is %s", r->text, url.service);
        cr_assert_eq(url.db, r->db, "%s: db is %d", r->text, url.db);
        nkvi_url_clear(&url);
    }
}
#define PLAIN            NKVI_SCHEME_REDIS
#define TLS              NKVI_SCHEME_REDISS
#define CHECK_ROWS(rows) check_rows((rows), sizeof(rows) / sizeof(rows)[0])

Test(base_url_topologies, clusters)
{
    static const row rows[] = {
        {"redis-cluster://", PLAIN, NKVI_CLUSTER, "localhost:6379", NULL, 0},
        {"redis-cluster://h", PLAIN, NKVI_CLUSTER, "h:6379", NULL, 0},
        {"redis-cluster://h:", PLAIN, NKVI_CLUSTER, "h:6379", NULL, 0},
        {"redis-cluster://:7000", PLAIN, NKVI_CLUSTER, "localhost:7000", NULL, 0},
        {"redis-cluster://h:7000/", PLAIN, NKVI_CLUSTER, "h:7000", NULL, 0},
        {"redis-cluster://h1:1,h2:2", PLAIN, NKVI_CLUSTER, "h1:1 h2:2", NULL, 0},
        {"redis+cluster://h1:1,h2:2", PLAIN, NKVI_CLUSTER, "h1:1 h2:2", NULL, 0},
        {"Redis-Cluster://H1:1/0?db=0", PLAIN, NKVI_CLUSTER, "H1:1", NULL, 0},
        {"rediss-cluster://h", TLS, NKVI_CLUSTER, "h:6379", NULL, 0},
        {"rediss+cluster://h:1,h:2/0/", TLS, NKVI_CLUSTER, "h:1 h:2", NULL, 0},
        {"redis://h1:1,h2:2", PLAIN, NKVI_CLUSTER, "h1:1 h2:2", NULL, 0},
        {"redis://h1:1,h2:2,h3:3/0", PLAIN, NKVI_CLUSTER, "h1:1 h2:2 h3:3", NULL, 0},
        {"rediss://h1:1,h2:2", TLS, NKVI_CLUSTER, "h1:1 h2:2", NULL, 0},
        {"redis://[::1]:1,10.0.0.7:2,[fe80::1%25eth0]:3", PLAIN, NKVI_CLUSTER,
         "::1:1 10.0.0.7:2 fe80::1%eth0:3", NULL, 0},
        {"redis://%68%2C:1,h:2", PLAIN, NKVI_CLUSTER, "h,:1 h:2", NULL, 0},
    };

    CHECK_ROWS(rows);
}

Test(base_url_topologies, sentinels)
{
    static const row rows[] = {
        {"redis-sentinel://", PLAIN, NKVI_SENTINEL, "localhost:26379", NULL, 0},
        {"redis-sentinel://h", PLAIN, NKVI_SENTINEL, "h:26379", NULL, 0},
        {"redis-sentinel://[::1]", PLAIN, NKVI_SENTINEL, "::1:26379", NULL, 0},
        {"redis-sentinel://h:/", PLAIN, NKVI_SENTINEL, "h:26379", NULL, 0},
        {"redis-sentinel://h:6379/s", PLAIN, NKVI_SENTINEL, "h:6379", "s", 0},
        {"redis-sentinel://h1:1,h2:2/my-master", PLAIN, NKVI_SENTINEL, "h1:1 h2:2", "my-master", 0},
        {"redis+sentinel://h1:1,h2:2/s/2", PLAIN, NKVI_SENTINEL, "h1:1 h2:2", "s", 2},
        {"rediss-sentinel://h/s/2/", TLS, NKVI_SENTINEL, "h:26379", "s", 2},
        {"rediss+sentinel://h/s/", TLS, NKVI_SENTINEL, "h:26379", "s", 0},
        {"redis-sentinel://h/2", PLAIN, NKVI_SENTINEL, "h:26379", "2", 0},
        {"redis-sentinel://h/s/1?db=3", PLAIN, NKVI_SENTINEL, "h:26379", "s", 3},
        {"redis-sentinel://h?db=3", PLAIN, NKVI_SENTINEL, "h:26379", NULL, 3},
        {"redis-sentinel://h/a%2Fb+c%40%25", PLAIN, NKVI_SENTINEL, "h:26379", "a/b+c@%", 0},
        {"redis-sentinel://h?service_name=a%2Bb", PLAIN, NKVI_SENTINEL, "h:26379", "a+b", 0},
        {"redis-sentinel://h/?service_name=q&service_name=r", PLAIN, NKVI_SENTINEL, "h:26379", "q",
         0},
        {"redis-sentinel://h/p/1?service_name=q", PLAIN, NKVI_SENTINEL, "h:26379", "p", 1},
        {"redis-sentinel://h?service_name=", PLAIN, NKVI_SENTINEL, "h:26379", NULL, 0},
    };

    CHECK_ROWS(rows);
}

Test(base_url_topologies, a_host_that_is_there_twice_counts_once)
{
    static const row rows[] = {
        {"redis://h:1,h:1", PLAIN, NKVI_CLUSTER, "h:1", NULL, 0},
        {"redis://h:1,H:1,h:2,h:1,g:1", PLAIN, NKVI_CLUSTER, "h:1 h:2 g:1", NULL, 0},
        {"redis-sentinel://h:1,[::1]:1,[::1]:1", PLAIN, NKVI_SENTINEL, "h:1 ::1:1", NULL, 0},
    };

    CHECK_ROWS(rows);
}

Test(base_url_topologies, a_login_stands_before_all_hosts)
{
    nkvi_url url = parsed("redis-cluster://ann:p%40,w:x@h1:1,h2:2");

    cr_assert_str_eq(url.username, "ann");
    cr_assert_str_eq(url.password, "p@,w:x");
    check_hosts(&url, "cluster", "h1:1 h2:2");
    nkvi_url_clear(&url);
    url = parsed("redis-sentinel://:a,b@c@h1:1,h2:2/s");
    cr_assert_null(url.username);
    cr_assert_str_eq(url.password, "a,b@c");
    check_hosts(&url, "sentinels", "h1:1 h2:2");
    nkvi_url_clear(&url);
}

/* "h:1,h:2,…", n of them, behind redis://. */
static void check_many(size_t n, nkv_status want)
{
    char text[1024] = "redis://";
    nkvi_url url;
    nkv_error error;

    for (size_t i = 1; i <= n; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%sh:%zu", i > 1 ? "," : "", i);
    }
    cr_assert_eq(nkvi_url_parse(text, &url, &error), want, "%zu hosts", n);
    if (want == NKV_OK) {
        cr_assert_eq(url.hosts_len, n);
        cr_assert_eq((size_t)url.hosts[n - 1].port, n);
    } else {
        cr_assert_str_eq(error.text, "URL: host: at most 64 are allowed");
    }
    nkvi_url_clear(&url);
}

Test(base_url_topologies, at_most_64_hosts)
{
    check_many(2, NKV_OK);
    check_many(64, NKV_OK);
    check_many(65, NKV_EINVAL);
}

/* ---- The query ------------------------------------------------------------------------------- */

Test(base_url_topologies, the_query_of_sentinels)
{
    nkvi_url url = parsed("redis-sentinel://h?sentinel_timeout=0.5&topology_max_age=2s&"
                          "address_map=a:1=b:2,*%3D[::1]&read_from=Prefer-Replica&"
                          "replica_max_ttl=1m&timeout=3&client_name=me");

    cr_assert_eq(url.sentinel_timeout_ms, 500);
    cr_assert_eq(url.topology_max_age_ms, 2000);
    cr_assert_str_eq(url.address_map, "a:1=b:2,*=[::1]");
    cr_assert_eq(url.read_from, NKVI_URL_READ_PREFER_REPLICA);
    cr_assert_eq(url.replica_max_ttl_ms, 60000);
    cr_assert_eq(url.timeout_ms, 3000);
    cr_assert_str_eq(url.client_name, "me");
    nkvi_url_clear(&url);
}

Test(base_url_topologies, the_query_of_clusters)
{
    nkvi_url url = parsed("redis://a:1,b:2?topology_max_age=250ms&address_map=x=y&"
                          "read_from=nearest&replica_max_ttl=0.001&max_idle=1");

    cr_assert_eq(url.topology_max_age_ms, 250);
    cr_assert_str_eq(url.address_map, "x=y");
    cr_assert_eq(url.read_from, NKVI_URL_READ_NEAREST);
    cr_assert_eq(url.replica_max_ttl_ms, 1);
    cr_assert_eq(url.max_idle_ms, 1000);
    nkvi_url_clear(&url);
}

Test(base_url_topologies, what_is_not_given)
{
    static const char *const texts[] = {
        "redis://h?read_from=&address_map=&topology_max_age=&replica_max_ttl=&service_name=",
        "redis-sentinel://h?read_from=&address_map=&sentinel_timeout=&replica_max_ttl="};

    for (size_t i = 0; i < 2; i++) {
        nkvi_url url = parsed(texts[i]);
        cr_assert_eq(url.sentinel_timeout_ms, -1);
        cr_assert_eq(url.topology_max_age_ms, -1);
        cr_assert_eq(url.replica_max_ttl_ms, -1);
        cr_assert_eq(url.read_from, NKVI_URL_READ_NOT_GIVEN);
        cr_assert_null(url.address_map);
        cr_assert_null(url.service);
        nkvi_url_clear(&url);
    }
}

Test(base_url_topologies, the_first_value_of_a_name_counts)
{
    nkvi_url url = parsed("redis-cluster://h?read_from=replica&read_from=primary&address_map=a=b&"
                          "address_map=c=d&replica_max_ttl=1&replica_max_ttl=2");

    cr_assert_eq(url.read_from, NKVI_URL_READ_REPLICA);
    cr_assert_str_eq(url.address_map, "a=b");
    cr_assert_eq(url.replica_max_ttl_ms, 1000);
    nkvi_url_clear(&url);
    url = parsed("redis-cluster://h?read_from=primary");
    cr_assert_eq(url.read_from, NKVI_URL_READ_PRIMARY);
    nkvi_url_clear(&url);
}

/* ---- What is refused, in which words --------------------------------------------------------- */

typedef struct wrong {
    const char *text, *says;
} wrong;

static void check_wrong(const wrong *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        nkv_error error = {NKV_OK, 0, ""};
        nkvi_url url, empty = {0};

        memset(&url, 0x5a, sizeof url);
        cr_assert_eq(nkvi_url_parse(rows[i].text, &url, &error), NKV_EINVAL, "%s", rows[i].text);
        cr_assert_str_eq(error.text, rows[i].says, "%s: %s", rows[i].text, error.text);
        cr_assert_eq(memcmp(&url, &empty, sizeof url), 0, "%s: nothing is left", rows[i].text);
        cr_assert_eq(nkvi_url_parse(rows[i].text, &url, NULL), NKV_EINVAL);
    }
}
#define CHECK_WRONG(rows) check_wrong((rows), sizeof(rows) / sizeof(rows)[0])

#define LIST  "in a list every host has a name and a port: h1:6379,h2:6379"
#define PORTS "a number from 1 to 65535 is expected"
#define ZERO  "URL: db: a cluster has database 0 only"
#define MANY \
    "it is for clusters (redis-cluster://, a list of hosts) and sentinels (redis-sentinel://)"
#define PASSWORD "; in a password '/', '?' and '#' are written %2F, %3F and %23"

Test(base_url_topologies, lists_that_are_none)
{
    static const wrong rows[] = {
        {"redis://a,b:2", "URL: port 1: it is missing; " LIST},
        {"redis://a:1,b", "URL: port 2: it is missing; " LIST},
        {"redis://a:1,b:/0", "URL: port 2: it is missing; " LIST},
        {"redis-sentinel://a:1,[::1]/s", "URL: port 2: it is missing; " LIST},
        {"redis-cluster://a:1,b:2,[::1]:", "URL: port 3: it is missing; " LIST},
        {"redis://a:1,", "URL: host 2: it is missing; " LIST},
        {"redis://,a:1", "URL: host 1: it is missing; " LIST},
        {"redis://a:1,,b:2", "URL: host 2: it is missing; " LIST},
        {"redis://,", "URL: host 1: it is missing; " LIST},
        {"redis://a:1,:2", "URL: host 2: it is missing; " LIST},
        {"redis://u:pw@,", "URL: host 1: it is missing; " LIST},
        {"redis://a:1,b:0", "URL: port 2: " PORTS},
        {"redis://a:1,b:65536,c:x", "URL: port 2: " PORTS},
        {"redis-cluster://h:x", "URL: port: " PORTS},
        {"redis://a:1,b c:2",
         "URL: host 2: a name or address of at most 255 characters is expected"},
        {"redis://a:1,::1:2", "URL: host 2: an IPv6 address stands in brackets: [::1]:6379"},
        {"redis://a:1,[::1", "URL: host 2: [IPv6 address] or [IPv6 address]:port is expected"},
        {"redis://[b]:1,a:1", "URL: host 1: between brackets an IPv6 address is expected"},
        {"redis://a:1,%zz:2",
         "URL: host 2: two hexadecimal digits follow a '%', but not 00; %25 is "
         "the sign itself"},
        {"redis://a:1 ,b:2", "URL: port 1: " PORTS},
        {"redis://a:1, b:2",
         "URL: host 2: a name or address of at most 255 characters is expected"},
        {"redis://u:1,pa/ss@a:1,b:2", "URL: port 2: it is missing; " LIST PASSWORD},
        {"unix://a:1,b:2/s", "URL: host: there is none with unix://, whose path has a third '/'"},
    };

    CHECK_WRONG(rows);
}

Test(base_url_topologies, databases_of_clusters)
{
    static const wrong rows[] = {
        {"redis-cluster://h/1", ZERO},
        {"redis-cluster://h?db=1", ZERO},
        {"redis-cluster://h/1?db=0", ZERO},
        {"redis-cluster://h/0?db=1", ZERO},
        {"redis://a:1,b:2/15", ZERO},
        {"redis://a:1,b:2/x", ZERO},
        {"redis://a:1,b:2/0/0", ZERO},
        {"redis-cluster://h?db=x", "URL: db: a number from 0 to 2147483647 is expected"},
    };

    CHECK_WRONG(rows);
}

#define SERVICE "1 to 255 visible ASCII characters are allowed, no blanks"

Test(base_url_topologies, paths_of_sentinels)
{
    static const wrong rows[] = {
        {"redis-sentinel://h/a%20b", "URL: service: " SERVICE},
        {"redis-sentinel://h/a b", "URL: service: " SERVICE},
        {"redis-sentinel://h/%0A", "URL: service: " SERVICE},
        {"redis-sentinel://h/%C3%A9", "URL: service: " SERVICE},
        {"redis-sentinel://h/%zz", "URL: service: two hexadecimal digits follow a '%', but not 00; "
                                   "%25 is the sign itself"},
        {"redis-sentinel://h//2", "URL: service: /service or /service/db is expected"},
        {"redis-sentinel://h//", "URL: service: /service or /service/db is expected"},
        {"redis-sentinel://h/s/x", "URL: db: a number from 0 to 2147483647 is expected"},
        {"redis-sentinel://h/s/1/2", "URL: db: a number from 0 to 2147483647 is expected"},
        {"redis-sentinel://h?service_name=a+b", "URL: service_name: " SERVICE},
        {"redis-sentinel://h/s?service_name=a+b", "URL: service_name: " SERVICE},
    };

    CHECK_WRONG(rows);
}

Test(base_url_topologies, a_service_has_at_most_255_characters)
{
    char text[300] = "redis-sentinel://h/";
    size_t head = strlen(text);
    nkvi_url url;
    nkv_error error;

    memset(text + head, 's', 256);
    cr_assert_eq(nkvi_url_parse(text, &url, &error), NKV_EINVAL);
    cr_assert_str_eq(error.text, "URL: service: " SERVICE);
    text[head + 255] = '\0';
    url = parsed(text);
    cr_assert_str_eq(url.service, text + head);
    nkvi_url_clear(&url);
    cr_assert_not(nkvi_url_is_service(""));
    cr_assert(nkvi_url_is_service("!~/"));
}

Test(base_url_topologies, names_that_are_of_no_use_there)
{
    static const wrong rows[] = {
        {"redis://h?service_name=s", "URL: service_name: it is for sentinels: redis-sentinel://"},
        {"redis-cluster://h?service_name=s",
         "URL: service_name: it is for sentinels: redis-sentinel://"},
        {"redis://a:1,b:2?sentinel_timeout=1",
         "URL: sentinel_timeout: it is for sentinels: redis-sentinel://"},
        {"unix:///s?sentinel_timeout=1",
         "URL: sentinel_timeout: it is for sentinels: redis-sentinel://"},
        {"unix:///s?address_map=a=b", "URL: address_map: " MANY},
        {"redis://h?address_map=a=b", "URL: address_map: " MANY},
        {"rediss://h?topology_max_age=1", "URL: topology_max_age: " MANY},
        {"redis://h?read_from=primary", "URL: read_from: " MANY},
        {"redis://h?replica_max_ttl=1", "URL: replica_max_ttl: " MANY},
    };

    CHECK_WRONG(rows);
}

#define TIMES "expected are seconds (2.5), or 250ms, 5s, 1m; above 0, at most 365 days"
#define READS "URL: read_from: must be primary, prefer-replica, replica or nearest"
#define TEXTS "visible ASCII characters are allowed, no blanks"

Test(base_url_topologies, values_that_are_none)
{
    static const wrong rows[] = {
        {"redis-cluster://h?read_from=master", READS},
        {"redis-cluster://h?read_from=replicas", READS},
        {"redis-cluster://h?read_from=primary&read_from=x", READS},
        {"redis-cluster://h?read_from", "URL: read_from: name=value is expected"},
        {"redis-cluster://h?topology_max_age=0", "URL: topology_max_age: " TIMES},
        {"redis-cluster://h?replica_max_ttl=-1", "URL: replica_max_ttl: " TIMES},
        {"redis-sentinel://h?sentinel_timeout=soon", "URL: sentinel_timeout: " TIMES},
        {"redis-cluster://h?address_map=a=b,+c=d", "URL: address_map: " TEXTS},
        {"redis-cluster://h?address_map=%C3%A9=b", "URL: address_map: " TEXTS},
        {"redis-cluster://h?redis_mode=x",
         "URL: query: 'redis_mode'; known are db, timeout, socket_timeout, socket_connect_timeout, "
         "max_idle, client_name, protocol, service_name, sentinel_timeout, topology_max_age, "
         "address_map, read_from, replica_max_ttl"},
    };

    CHECK_WRONG(rows);
}

Test(base_url_topologies, logins_in_the_query)
{
#define SERVERS                                                                                  \
    "URL: query: user and password stand before the host (user:password@host), not here, where " \
    "logs would show them"
#define SENTINELS                                                                                \
    "URL: query: user and password of the sentinels are options of the client, not of the URL, " \
    "which logs would show"
    static const wrong rows[] = {
        {"redis-cluster://h?password=x", SERVERS},
        {"redis-sentinel://h?username=x", SERVERS},
        {"redis-sentinel://h?sentinel_password=x", SENTINELS},
        {"redis-sentinel://h?Sentinel_Username=x", SENTINELS},
        {"redis://h?sentinel_password", SENTINELS},
    };

    CHECK_WRONG(rows);
}

/* Otherwise half a password could pass for a service, and be shown as one. */
Test(base_url_topologies, an_at_behind_the_hosts)
{
#define AT "URL: path: behind the hosts an '@' is written %40" PASSWORD
    static const wrong rows[] = {
        {"redis-sentinel://:12/ss@h", AT},
        {"redis-sentinel://u:12?service_name=ss@h:1", AT},
        {"redis-sentinel://h/s@t", AT},
        {"redis-cluster://:12?client_name=ss@h", AT},
        {"redis-cluster://u:pa/ss@h", "URL: port: " PORTS PASSWORD},
    };

    CHECK_WRONG(rows);
    nkvi_url url = parsed("redis-sentinel://h/s%40t?client_name=a%40b");
    cr_assert_str_eq(url.service, "s@t");
    cr_assert_str_eq(url.client_name, "a@b");
    nkvi_url_clear(&url);
}

/* ---- How they are shown ---------------------------------------------------------------------- */

Test(base_url_topologies, redacted_shows_everything_but_the_password)
{
    static const char *const rows[][2] = {
        {"redis-cluster://ann:s3cr3t@h1:1,h2:2", "redis-cluster://ann:***@h1:1,h2:2"},
        {"REDIS+cluster://h", "redis-cluster://h:6379"},
        {"redis://:s3cr3t@h1:1,[::1]:2/0?db=0&read_from=replica",
         "redis-cluster://:***@h1:1,[::1]:2"},
        {"rediss://h:1,H:1", "rediss-cluster://h:1"},
        {"redis+sentinel://ann:s3cr3t@h1:1,h2:2/svc/2?timeout=1",
         "redis-sentinel://ann:***@h1:1,h2:2/svc/2"},
        {"rediss-sentinel://ann@h/a%2fb%40", "rediss-sentinel://ann@h:26379/a%2Fb%40/0"},
        {"redis-sentinel://h?service_name=s&db=3", "redis-sentinel://h:26379/s/3"},
        {"redis-sentinel://h/?db=3", "redis-sentinel://h:26379?db=3"},
        {"redis-sentinel://a%2cb", "redis-sentinel://a%2Cb:26379?db=0"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nkvi_url url = parsed(rows[i][0]);
        char *text = nkvi_url_redacted(&url);
        cr_assert_str_eq(text, rows[i][1]);
        nkvi_url again = parsed(text);
        char *same = nkvi_url_redacted(&again);
        cr_assert_str_eq(same, text, "%s is a URL", text);
        nkvi_free(same);
        nkvi_free(text);
        nkvi_url_clear(&again);
        nkvi_url_clear(&url);
    }
}
