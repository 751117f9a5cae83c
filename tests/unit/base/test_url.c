/* tests/unit/base/test_url.c - connection URLs: what is read, refused, and never told.
 *
 * Clusters and sentinels: test_url_topologies.c. */

#include "base/url.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/mem.h"

#define NONE (-1)

/* ---- What is read ---------------------------------------------------------------------------- */

static bool same_text(const char *got, const char *want)
{
    return want == NULL ? got == NULL : got != NULL && strcmp(got, want) == 0;
}

typedef struct row {
    const char *text;
    nkvi_url want;
} row;

static void check_row(const row *r)
{
    nkvi_url url;
    nkv_error error = {NKV_OK, 0, ""};
    nkv_status status = nkvi_url_parse(r->text, &url, &error);

    cr_assert_eq(status, NKV_OK, "%s: %s", r->text, error.text);
    cr_assert_eq(url.scheme, r->want.scheme, "%s: scheme", r->text);
    cr_assert_eq(url.topology, NKVI_STANDALONE, "%s: topology", r->text);
    cr_assert_eq(url.hosts_len, url.scheme == NKVI_SCHEME_UNIX ? 0 : 1, "%s: hosts", r->text);
    cr_assert(same_text(url.host, r->want.host), "%s: host is %s", r->text, url.host);
    cr_assert(same_text(url.path, r->want.path), "%s: path is %s", r->text, url.path);
    int port = r->want.host != NULL && r->want.port == 0 ? 6379 : r->want.port;
    cr_assert_eq(url.port, port, "%s: port is %d", r->text, url.port);
    cr_assert_eq(url.db, r->want.db, "%s: db is %d", r->text, url.db);
    cr_assert(same_text(url.username, r->want.username), "%s: user is %s", r->text, url.username);
    cr_assert(same_text(url.password, r->want.password), "%s: password is %s", r->text,
              url.password);
    cr_assert_eq(url.timeout_ms, NONE, "%s", r->text);
    cr_assert_eq(url.connect_timeout_ms, NONE, "%s", r->text);
    cr_assert_eq(url.max_idle_ms, NONE, "%s", r->text);
    cr_assert_null(url.client_name, "%s", r->text);
    nkvi_url_clear(&url);
}

/* Without a port the default is meant. */
#define TCP(...)                                 \
    {                                            \
        .scheme = NKVI_SCHEME_REDIS, __VA_ARGS__ \
    }
#define SOCK(...)                               \
    {                                           \
        .scheme = NKVI_SCHEME_UNIX, __VA_ARGS__ \
    }

Test(base_url, hosts_ports_and_databases)
{
    static const row rows[] = {
        {"redis://", TCP(.host = "localhost")},
        {"redis:///", TCP(.host = "localhost")},
        {"redis:///2", TCP(.host = "localhost", .db = 2)},
        {"redis://cache", TCP(.host = "cache")},
        {"redis://cache:7000", TCP(.host = "cache", .port = 7000)},
        {"redis://cache:/3", TCP(.host = "cache", .db = 3)},
        {"redis://:7000", TCP(.host = "localhost", .port = 7000)},
        {"redis://cache:65535/15/", TCP(.host = "cache", .port = 65535, .db = 15)},
        {"redis://cache/", TCP(.host = "cache")},
        {"redis://cache?", TCP(.host = "cache")},
        {"redis://cache/?", TCP(.host = "cache")},
        {"REDIS://Cache.Example:1", TCP(.host = "Cache.Example", .port = 1)},
        {"redis://10.0.0.7:6380", TCP(.host = "10.0.0.7", .port = 6380)},
        {"redis://my_host-1.local", TCP(.host = "my_host-1.local")},
        {"redis://c%61che", TCP(.host = "cache")},
        {"redis://[::1]", TCP(.host = "::1")},
        {"redis://[::1]:7000/1", TCP(.host = "::1", .port = 7000, .db = 1)},
        {"redis://[::1]:", TCP(.host = "::1")},
        {"redis://[2001:db8::a:b]", TCP(.host = "2001:db8::a:b")},
        {"redis://[::ffff:10.0.0.1]:2", TCP(.host = "::ffff:10.0.0.1", .port = 2)},
        {"redis://[fe80::1%25eth0]", TCP(.host = "fe80::1%eth0")},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_row(&rows[i]);
    }
}

Test(base_url, users_and_passwords)
{
    static const row rows[] = {
        {"redis://:pw@h", TCP(.host = "h", .password = "pw")},
        {"redis://ann:pw@h", TCP(.host = "h", .username = "ann", .password = "pw")},
        {"redis://ann@h", TCP(.host = "h", .username = "ann")},
        {"redis://ann:@h", TCP(.host = "h", .username = "ann")},
        {"redis://:@h", TCP(.host = "h")},
        {"redis://@h", TCP(.host = "h")},
        {"redis://:a:b:c@h", TCP(.host = "h", .password = "a:b:c")},
        {"redis://:a@b@h", TCP(.host = "h", .password = "a@b")},
        {"redis://:a%40b%2Fc%3f%23%25@h:1", TCP(.host = "h", .port = 1, .password = "a@b/c?#%")},
        {"redis://a%3Ab:c+d@h", TCP(.host = "h", .username = "a:b", .password = "c+d")},
        {"redis://:%E2%82%AC\xc3\xa9@h", TCP(.host = "h", .password = "€é")},
        {"redis://:%0A%01@h", TCP(.host = "h", .password = "\n\x01")},
        {"redis://:pw@", TCP(.host = "localhost", .password = "pw")},
        {"redis://:pw@:7000/1", TCP(.host = "localhost", .port = 7000, .db = 1, .password = "pw")},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_row(&rows[i]);
    }
}

Test(base_url, unix_sockets)
{
    static const row rows[] = {
        {"unix:///run/redis.sock", SOCK(.path = "/run/redis.sock")},
        {"UNIX:///a?db=4", SOCK(.path = "/a", .db = 4)},
        {"unix://:pw@/run/r.sock", SOCK(.path = "/run/r.sock", .password = "pw")},
        {"unix://ann:pw@/run/r.sock?db=1",
         SOCK(.path = "/run/r.sock", .db = 1, .username = "ann", .password = "pw")},
        {"unix:///a%20b%3Fc/@d", SOCK(.path = "/a b?c/@d")},
        {"unix:///a+b", SOCK(.path = "/a+b")},
        {"unix:////a//b/", SOCK(.path = "//a//b/")},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_row(&rows[i]);
    }
}

Test(base_url, tls_is_a_scheme_of_its_own)
{
    nkvi_url url;

    cr_assert_eq(nkvi_url_parse("rediss://h:6390/1", &url, NULL), NKV_OK);
    cr_assert_eq(url.scheme, NKVI_SCHEME_REDISS);
    cr_assert_eq(url.port, 6390);
    nkvi_url_clear(&url);
    cr_assert_eq(nkvi_url_parse("RedisS://h", &url, NULL), NKV_OK);
    cr_assert_eq(url.scheme, NKVI_SCHEME_REDISS);
    cr_assert_eq(url.port, 6379, "TLS has the same default");
    nkvi_url_clear(&url);
}

/* ---- The query ------------------------------------------------------------------------------- */

Test(base_url, the_query_sets_what_it_names)
{
    nkvi_url url;

    cr_assert_eq(nkvi_url_parse("redis://h/1?db=3&timeout=1.5&socket_connect_timeout=250ms&"
                                "max_idle=5s&client_name=a%2Bb-1&protocol=3",
                                &url, NULL),
                 NKV_OK);
    cr_assert_eq(url.db, 3, "it wins over the path");
    cr_assert_eq(url.timeout_ms, 1500);
    cr_assert_eq(url.connect_timeout_ms, 250);
    cr_assert_eq(url.max_idle_ms, 5000);
    cr_assert_str_eq(url.client_name, "a+b-1");
    nkvi_url_clear(&url);
}

/* redis-py reads its timeouts as seconds, floats among them. */
Test(base_url, socket_timeout_is_the_other_name_of_timeout)
{
    nkvi_url url;

    cr_assert_eq(nkvi_url_parse("redis://h?socket_timeout=0.25", &url, NULL), NKV_OK);
    cr_assert_eq(url.timeout_ms, 250);
    nkvi_url_clear(&url);
    cr_assert_eq(nkvi_url_parse("redis://h?socket_timeout=2&timeout=9", &url, NULL), NKV_OK);
    cr_assert_eq(url.timeout_ms, 2000, "the first counts");
    nkvi_url_clear(&url);
}

Test(base_url, the_first_value_of_a_name_counts_and_empty_ones_do_not)
{
    nkvi_url url;

    cr_assert_eq(nkvi_url_parse("redis://h/7?db=0&db=5&client_name=a&client_name=b&&max_idle=&"
                                "timeout=&timeout=3",
                                &url, NULL),
                 NKV_OK);
    cr_assert_eq(url.db, 0, "db=0 is given, the path's 7 does not count");
    cr_assert_str_eq(url.client_name, "a");
    cr_assert_eq(url.max_idle_ms, NONE);
    cr_assert_eq(url.timeout_ms, 3000);
    nkvi_url_clear(&url);
    cr_assert_eq(nkvi_url_parse("redis://h/7?db=", &url, NULL), NKV_OK);
    cr_assert_eq(url.db, 7);
    nkvi_url_clear(&url);
}

Test(base_url, values_are_decoded_once)
{
    nkvi_url url;

    cr_assert_eq(nkvi_url_parse("redis://h?client_name=%2541&db=%31", &url, NULL), NKV_OK);
    cr_assert_str_eq(url.client_name, "%41");
    cr_assert_eq(url.db, 1);
    nkvi_url_clear(&url);
    cr_assert_eq(nkvi_url_parse("redis://:%2541@h", &url, NULL), NKV_OK);
    cr_assert_str_eq(url.password, "%41");
    nkvi_url_clear(&url);
    cr_assert_eq(nkvi_url_parse("unix:///%2541", &url, NULL), NKV_OK);
    cr_assert_str_eq(url.path, "/%41");
    nkvi_url_clear(&url);
}

/* ---- What is refused ------------------------------------------------------------------------- */

/* A wrong URL, and a piece that the text of the error must have. */
typedef struct wrong {
    const char *text;
    const char *says;
} wrong;

static void check_wrong(const wrong *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        nkv_error error = {NKV_OK, 0, ""};
        nkvi_url url;

        memset(&url, 0x5a, sizeof url);
        cr_assert_eq(nkvi_url_parse(rows[i].text, &url, &error), NKV_EINVAL, "%s", rows[i].text);
        cr_assert_eq(error.status, NKV_EINVAL);
        cr_assert_eq(strncmp(error.text, "URL: ", 5), 0, "%s", error.text);
        cr_assert(strstr(error.text, rows[i].says) != NULL, "'%s' says: %s", rows[i].text,
                  error.text);
        cr_assert_lt(strlen(error.text), sizeof error.text - 1, "cut: %s", error.text);
        nkvi_url empty = {0};
        cr_assert_eq(memcmp(&url, &empty, sizeof url), 0, "%s: nothing is left", rows[i].text);
        cr_assert_eq(nkvi_url_parse(rows[i].text, &url, NULL), NKV_EINVAL);
    }
}
#define CHECK_WRONG(...)                                    \
    do {                                                    \
        static const wrong rows_[] = {__VA_ARGS__};         \
        check_wrong(rows_, sizeof rows_ / sizeof rows_[0]); \
    } while (0)

Test(base_url, no_text_is_no_url)
{
    nkvi_url url;
    nkv_error error;

    cr_assert_eq(nkvi_url_parse(NULL, &url, &error), NKV_EINVAL);
    cr_assert_str_eq(error.text, "URL: text: there is none");
}

Test(base_url, schemes_that_are_none)
{
    CHECK_WRONG({"", "scheme"}, {"redis", "scheme"}, {"redis:foo", "redis://"},
                {"redis:/h", "unix://"}, {"localhost:6379", "rediss://"}, {"://h", "scheme"},
                {"http://h",
                 "'http' is unknown; known are redis://, rediss:// (TLS), unix://, "
                 "redis-cluster://, rediss-cluster://, redis-sentinel:// and rediss-sentinel://"},
                {"redis-clusters://h", "'redis-clusters'"}, {"unix-cluster:///s", "'unix-cluster'"},
                {"valkey://h", "'valkey'"}, {"redi://h", "'redi'"}, {"redis ://h", "begins with"},
                {" redis://h", "begins with"}, {"re%64is://h", "begins with"},
                {"a-scheme-that-is-far-too-long-to-be-one://h", "begins with"},
                {"user:pw@redis://h", "begins with"});
}

Test(base_url, hosts_that_are_none)
{
    char host[400] = "redis://";

    memset(host + strlen(host), 'h', 256);
    host[8 + 256] = '\0';
    CHECK_WRONG({"redis://::1", "brackets"}, {"redis://::1:6379", "brackets"},
                {"redis://[::1", "host"}, {"redis://[::1]x", "host"}, {"redis://[::1]6379", "host"},
                {"redis://[]", "IPv6"}, {"redis://[localhost]", "IPv6"},
                {"redis://[1.2.3.4]", "IPv6"}, {"redis://[::1%25]", "IPv6"},
                {"redis://[::1%25a%0a]", "IPv6"},
                {"redis://[fe80::1%25a-zone-with-a-long-name]", "IPv6"},
                {"redis://[1:2:3:4:5:6:7:8:9]", "IPv6"}, {"redis://a b", "host"},
                {"redis://a%20b", "host"}, {"redis://a%2Fb", "host"}, {"redis://h\\x", "host"},
                {"redis://]", "host"}, {"redis://a]:1", "host"}, {"redis://a%00b", "host"},
                {"redis://%", "%25"}, {"redis://h%zz", "hexadecimal"},
                {"unix://localhost/run/s", "third '/'"}, {"unix://run/redis.sock", "third '/'"});
    nkvi_url url;
    cr_assert_eq(nkvi_url_parse(host, &url, NULL), NKV_EINVAL, "256 characters");
    host[8 + 255] = '\0';
    cr_assert_eq(nkvi_url_parse(host, &url, NULL), NKV_OK);
    nkvi_url_clear(&url);
}

Test(base_url, ports_that_are_none)
{
    CHECK_WRONG({"redis://h:0", "1 to 65535"}, {"redis://h:65536", "port"},
                {"redis://h:-1", "port"}, {"redis://h:6379x", "port"}, {"redis://h:+6379", "port"},
                {"redis://h: 1", "port"}, {"redis://h:99999999999999999999", "port"},
                {"redis://h:1.0", "port"}, {"redis://[::1]:port", "port"},
                {"redis://u:pw", "port"});
}

/* Quietly using database 0 for a wrong one would mix data. */
Test(base_url, databases_that_are_none)
{
    CHECK_WRONG({"redis://h/abc", "db: a number from 0"}, {"redis://h/-1", "db"},
                {"redis://h/1/2", "db"}, {"redis://h//1", "db"}, {"redis://h/1//", "db"},
                {"redis://h/2147483648", "2147483647"}, {"redis://h/1x", "db"},
                {"redis://h/%31", "db"}, {"redis://h/abc?db=1", "db"}, {"redis://h?db=x", "db"},
                {"redis://h?db=-1", "db"}, {"redis://h?db=1.0", "db"}, {"redis://h?db=%00", "db"},
                {"unix:///s?db=two", "db"}, {"redis://h?db", "name=value"});
}

Test(base_url, socket_paths_that_are_none)
{
    char path[200] = "unix:///";

    memset(path + strlen(path), 'p', 107);
    path[7 + 108] = '\0';
    CHECK_WRONG({"unix://", "path"}, {"unix:///", "path"}, {"unix://?db=1", "path"},
                {"unix://:pw@", "path"}, {"unix:///a%00b", "path"}, {"unix:///a%2", "path"});
    nkvi_url url;
    nkv_error error;
    cr_assert_eq(nkvi_url_parse(path, &url, &error), NKV_EINVAL, "108 bytes");
    cr_assert(strstr(error.text, "107 bytes") != NULL);
    path[7 + 107] = '\0';
    cr_assert_eq(nkvi_url_parse(path, &url, NULL), NKV_OK);
    nkvi_url_clear(&url);
}

Test(base_url, options_that_are_none)
{
    CHECK_WRONG(
        {"redis://h?dbb=1", "'dbb'; known are db, timeout"}, {"redis://h?=1", "unknown name"},
        {"redis://h?\xff=1", "unknown name"}, {"redis://h?DB=1", "'DB'"},
        {"redis://h?ssl_cert_reqs=none", "'ssl_cert_reqs'"},
        {"redis://h?an-option-whose-name-has-33-chars=1", "unknown name"},
        {"redis://h?timeout=0", "timeout: expected are seconds"},
        {"redis://h?timeout=-1", "timeout"}, {"redis://h?socket_timeout=abc", "socket_timeout"},
        {"redis://h?socket_timeout=nan", "socket_timeout"},
        {"redis://h?socket_connect_timeout=1e3", "socket_connect_timeout"},
        {"redis://h?max_idle=366d", "365 days"}, {"redis://h?max_idle=5x", "max_idle"},
        {"redis://h?client_name=a+b", "client_name"},
        {"redis://h?client_name=%C3%A9", "client_name"},
        {"redis://h?client_name=a%0Ab", "client_name"},
        {"redis://h?client_name=%zz", "client_name"}, {"redis://h?client_name", "name=value"},
        {"redis://h?protocol=2", "over 2 the server cannot"}, {"redis://h?protocol=4", "must be 3"},
        {"redis://h?protocol=03", "must be 3"});
}

Test(base_url, a_login_in_the_query_is_refused)
{
    CHECK_WRONG({"redis://h?password=hunter2", "before the host"},
                {"redis://h?username=ann", "before the host"},
                {"redis://h?Password=hunter2", "before the host"},
                {"redis://h?password", "before the host"},
                {"unix:///s?password=x", "before the host"});
}

Test(base_url, characters_that_belong_encoded)
{
    CHECK_WRONG({"redis://h\n", "control characters"}, {"redis://h/0\r\n", "characters"},
                {"redis://:p\tw@h", "characters"}, {"redis://h\x7f", "characters"},
                {"redis://h/0#frag", "%23"}, {"redis://:p#w@h", "%23"}, {"unix:///a#b", "%23"},
                {"redis://:p%w@h", "password: two hexadecimal digits"},
                {"redis://:%@h", "password"}, {"redis://:%1@h", "password"},
                {"redis://:a%00b@h", "not 00"}, {"redis://a%0@h", "user"});
}

/* ---- What is never told ---------------------------------------------------------------------- */

/* The password of each is "s3cr3tpw" or has it at its ends: in the right place, or in a URL that is
 * wrong before, in or behind it.  No error may have any of it.                                   */
Test(base_url, no_error_repeats_a_password)
{
    static const char *const texts[] = {"redis://:s3cr3tpw@h:x",
                                        "redis://:s3cr3tpw@h/db",
                                        "redis://:s3cr3tpw@h?foo=1",
                                        "redis://ann:s3cr3tpw@[h]",
                                        "http://ann:s3cr3tpw@h",
                                        "redis:ann:s3cr3tpw@h",
                                        "ann:s3cr3tpw@h",
                                        "redis://ann:s3cr3tpw",
                                        "redis://:s3cr3tpw%@h",
                                        "redis://:s3cr3tpw%00@h",
                                        "redis://:%zzs3cr3tpw@h",
                                        "redis://:a/s3cr3tpw@h",
                                        "redis://:a?s3cr3tpw@h",
                                        "redis://:a?s3cr3tpw=1@h",
                                        "redis://:a#s3cr3tpw@h",
                                        "redis://:1/s3cr3tpw@h/0",
                                        "redis://u:1?db=s3cr3tpw@h",
                                        "redis://u:1?s3cr3tpw@h",
                                        "redis://u:1?x&s3cr3tpw=@h",
                                        "redis://h?password=s3cr3tpw",
                                        "redis://h?client_name=s3cr3tpw%0A@h",
                                        "redis://:s3cr3tpw@a,b",
                                        "redis://:s3cr3tpw@a:1,b:2/1",
                                        "redis-cluster://:s3cr3tpw@a:x",
                                        "redis-cluster://:s3cr3tpw@a,b",
                                        "redis-cluster://:1,s3cr3tpw/2@a:1",
                                        "redis-cluster://:1?read_from=s3cr3tpw@a:1",
                                        "redis-sentinel://:s3cr3tpw@a:1,b/s",
                                        "redis-sentinel://:s3cr3tpw@a/b/c",
                                        "redis-sentinel://:1/s3cr3tpw@a:1/s",
                                        "redis-sentinel://:1/s/s3cr3tpw@a:1",
                                        "redis-sentinel://:1?service_name=s3cr3tpw@a:1",
                                        "redis-sentinel://s3cr3tpw,x@:1,b:2",
                                        "redis-sentinel://h?sentinel_password=s3cr3tpw",
                                        "redis://:s3cr3tpw@h\n",
                                        "unix://:s3cr3tpw@host/s",
                                        "unix://:s3cr3tpw@",
                                        "unix://s3cr3tpw/s",
                                        "redis://s3cr3tpw:pw:1",
                                        "redis://[s3cr3tpw@h:x",
                                        "redis://s3cr3tpw]@h:0",
                                        "redis://h?timeout=s3cr3tpw@h",
                                        "redis://:a?protocol=s3cr3tpw@h"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        nkv_error error = {NKV_OK, 0, ""};
        nkvi_url url;
        cr_assert_lt(nkvi_url_parse(texts[i], &url, &error), 0, "%s", texts[i]);
        cr_assert(strcasestr(error.text, "s3cr3t") == NULL, "%s: %s", texts[i], error.text);
        cr_assert(strcasestr(error.text, "cr3tpw") == NULL, "%s: %s", texts[i], error.text);
    }
}

Test(base_url, a_delimiter_in_the_password_is_explained)
{
    CHECK_WRONG({"redis://:pa/ss@host", "written %2F, %3F and %23"},
                {"redis://ann:12/ss@host", "%2F"}, {"redis://ann:12?ss@host", "unknown name"},
                {"redis://ann:pa?ss@host:6379/0", "%3F"});
    nkvi_url url;
    nkv_error error;
    cr_assert_eq(nkvi_url_parse("redis://:pw@host:x", &url, &error), NKV_EINVAL);
    cr_assert(strstr(error.text, "%2F") == NULL, "not where it is of no use: %s", error.text);
}

typedef struct redaction {
    const char *text, *want;
} redaction;

Test(base_url, redacted_shows_everything_but_the_password)
{
    static const redaction rows[] = {
        {"redis://", "redis://localhost:6379/0"},
        {"REDISS://ann:s3cr3t@h:1/2?timeout=3", "rediss://ann:***@h:1/2"},
        {"redis://:s3cr3t@h", "redis://:***@h:6379/0"},
        {"redis://ann@h", "redis://ann@h:6379/0"},
        {"redis://a%40b%0a:x@h", "redis://a%40b%0A:***@h:6379/0"},
        {"redis://[fe80::1%25e]:7", "redis://[fe80::1%25e]:7/0"},
        {"redis://h%c3%a9", "redis://h%C3%A9:6379/0"},
        {"unix:///a%20b/c?db=3", "unix:///a%20b/c?db=3"},
        {"unix://ann:s3cr3t@/a%3f", "unix://ann:***@/a%3F?db=0"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nkvi_url url, again;
        cr_assert_eq(nkvi_url_parse(rows[i].text, &url, NULL), NKV_OK, "%s", rows[i].text);
        char *text = nkvi_url_redacted(&url);
        cr_assert_str_eq(text, rows[i].want);
        cr_assert_eq(nkvi_url_parse(text, &again, NULL), NKV_OK, "%s is a URL", text);
        cr_assert_eq(again.db, url.db);
        cr_assert(same_text(again.host, url.host) && same_text(again.path, url.path));
        cr_assert(same_text(again.username, url.username));
        nkvi_free(text);
        nkvi_url_clear(&again);
        nkvi_url_clear(&url);
    }
}

Test(base_url, clear_empties_the_struct_and_may_be_called_twice)
{
    nkvi_url url, empty = {0};

    cr_assert_eq(nkvi_url_parse("redis://ann:pw@h?client_name=x", &url, NULL), NKV_OK);
    nkvi_url_clear(&url);
    cr_assert_eq(memcmp(&url, &empty, sizeof url), 0);
    nkvi_url_clear(&url);
}
