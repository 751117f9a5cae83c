/* tests/fuzz/fuzz_url.c - any text as a URL.
 *
 * Whatever comes in: no crash; what is accepted keeps the promises of url.h and can be written down
 * and read again; what is refused has a text, which has nothing of a password in it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define REQUIRE(condition)                                     \
    do {                                                       \
        if (!(condition)) {                                    \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort();                                           \
        }                                                      \
    } while (0)

static int same(const char *a, const char *b)
{
    return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

static int is_time(int64_t ms)
{
    return ms == -1 || ms > 0;
}

static void check_hosts(const nkvi_url *url)
{
    REQUIRE(url->hosts_len >= 1 && url->hosts_len <= NKVI_URL_HOSTS_MAX);
    for (size_t i = 0; i < url->hosts_len; i++) {
        const nkvi_url_host *to = &url->hosts[i];
        REQUIRE(to->host[0] != '\0' && strlen(to->host) <= 255);
        REQUIRE(to->port >= 1 && to->port <= 65535);
        for (size_t j = 0; j < i; j++) {
            REQUIRE(url->hosts[j].port != to->port ||
                    strcasecmp(url->hosts[j].host, to->host) != 0);
        }
    }
}

static void check_topology(const nkvi_url *url)
{
    if (url->topology == NKVI_STANDALONE) {
        REQUIRE(url->hosts_len == 1 && url->host == url->hosts[0].host);
        REQUIRE(url->port == url->hosts[0].port);
        REQUIRE(url->topology_max_age_ms == -1 && url->replica_max_ttl_ms == -1);
        REQUIRE(url->address_map == NULL && url->read_from == NKVI_URL_READ_NOT_GIVEN);
    } else {
        REQUIRE(url->host == NULL && url->port == 0);
    }
    if (url->topology != NKVI_SENTINEL) {
        REQUIRE(url->service == NULL && url->sentinel_timeout_ms == -1);
    }
    REQUIRE(url->service == NULL || nkvi_url_is_service(url->service));
    REQUIRE(url->topology != NKVI_CLUSTER || url->db == 0);
}

static void check_target(const nkvi_url *url)
{
    if (url->scheme == NKVI_SCHEME_UNIX) {
        REQUIRE(url->topology == NKVI_STANDALONE && url->hosts_len == 0 && url->host == NULL);
        REQUIRE(url->path != NULL && url->path[0] == '/' && strlen(url->path) < 108);
    } else {
        REQUIRE(url->path == NULL);
        check_hosts(url);
        check_topology(url);
    }
    REQUIRE(url->db >= 0);
    REQUIRE(is_time(url->timeout_ms) && is_time(url->connect_timeout_ms));
    REQUIRE(is_time(url->max_idle_ms) && is_time(url->sentinel_timeout_ms));
    REQUIRE(is_time(url->topology_max_age_ms) && is_time(url->replica_max_ttl_ms));
    REQUIRE(url->username == NULL || url->username[0] != '\0');
    REQUIRE(url->password == NULL || url->password[0] != '\0');
}

static void check_same_hosts(const nkvi_url *a, const nkvi_url *b)
{
    REQUIRE(a->topology == b->topology && a->hosts_len == b->hosts_len);
    for (size_t i = 0; i < a->hosts_len; i++) {
        REQUIRE(same(a->hosts[i].host, b->hosts[i].host) && a->hosts[i].port == b->hosts[i].port);
    }
}

static void check_accepted(const nkvi_url *url)
{
    nkvi_url again;
    nkv_error error;

    check_target(url);
    char *text = nkvi_url_redacted(url);
    REQUIRE(text != NULL);
    REQUIRE(nkvi_url_parse(text, &again, &error) == NKV_OK);
    REQUIRE(again.scheme == url->scheme && again.port == url->port && again.db == url->db);
    REQUIRE(same(again.host, url->host) && same(again.path, url->path));
    REQUIRE(same(again.service, url->service));
    check_same_hosts(&again, url);
    REQUIRE(same(again.username, url->username));
    REQUIRE(url->password == NULL ? again.password == NULL : same(again.password, "***"));
    nkvi_url_clear(&again);
    nkvi_free(text);
}

static void check_error(const nkv_error *error, nkv_status status)
{
    REQUIRE(status == NKV_EINVAL && error->status == status);
    REQUIRE(error->text[0] != '\0' && strlen(error->text) < sizeof error->text - 1);
    for (const char *c = error->text; *c != '\0'; c++) {
        REQUIRE((unsigned char)*c >= ' ' && *c != '\x7f');
    }
}

/* Puts a word of ours somewhere between the scheme and the last '@' of the text: whatever is wrong
 * there, no error may have it. */
static void check_secret(const char *text, size_t len, unsigned place)
{
    static const char word[] = "S3Cr3tPw";
    const char *begin = strstr(text, "://");
    const char *end = strrchr(text, '@');
    nkvi_url url;
    nkv_error error = {NKV_OK, 0, ""};

    if (begin == NULL || end == NULL || end < begin + 3 || strstr(text, word) != NULL) {
        return;
    }
    size_t at = (size_t)(begin + 3 - text) + place % (size_t)(end - begin - 2);
    char *marked = malloc(len + sizeof word);
    REQUIRE(marked != NULL);
    memcpy(marked, text, at);
    memcpy(marked + at, word, sizeof word - 1);
    memcpy(marked + at + sizeof word - 1, text + at, len + 1 - at);
    if (nkvi_url_parse(marked, &url, &error) < 0) {
        REQUIRE(strstr(error.text, word) == NULL);
    } else {
        check_accepted(&url);
    }
    nkvi_url_clear(&url);
    free(marked);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char *text = malloc(size + 1);
    nkvi_url url;
    nkv_error error = {NKV_OK, 0, ""};

    REQUIRE(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    nkv_status status = nkvi_url_parse(text, &url, &error);
    if (status == NKV_OK) {
        check_accepted(&url);
    } else {
        check_error(&error, status);
    }
    check_secret(text, strlen(text), size > 0 ? (unsigned)data[size - 1] * 7u : 0);
    nkvi_url_clear(&url);
    free(text);
    return 0;
}
