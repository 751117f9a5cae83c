/* base/url_hosts.c - the hosts of a URL: one, or a list of them.
 *
 *      h1:6379,[::1]:6380,h3:6379        cut at the commas, before anything is decoded
 *      '- 1 -' '-- 2 ---' '- 3 -'        what an error tells: the place, never the text
 *
 * Invariants   I1  hosts[0 … hosts_len) have a port and a host, but for the last while it is read.
 *              I2  No two of them are the same.                                                  */
#include "base/url_part.h"

#include <arpa/inet.h>
#include <assert.h>
#include <net/if.h>
#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/status.h"

#define HOST_MAX       255
#define PORT_SERVER    6379
#define PORT_SENTINEL  26379
#define LIST_FORM      "in a list every host has a name and a port: h1:6379,h2:6379"
#define TEXT_OF(value) TEXT_OF_(value)
#define TEXT_OF_(text) #text

/* ---- One host -------------------------------------------------------------------------------- */

static nkv_status parse_port(nkvi_url_parser *p, nkv_str text, nkvi_url_host *to)
{
    static const nkvi_bound bound = {"port", 1, 65535};
    int64_t port = p->url->topology == NKVI_SENTINEL ? PORT_SENTINEL : PORT_SERVER;

    if (text.len == 0 && p->host_no > 0) {
        return nkvi_url_bad(p, "port", "it is missing; " LIST_FORM);
    }
    if (text.len > 0 && nkvi_parse_int(text, &bound, &port, NULL) != NKV_OK) {
        return nkvi_url_bad(p, "port", "a number from 1 to 65535 is expected");
    }
    to->port = (int)port;
    return NKV_OK;
}

/* The zone of an address, "%eth0", or nothing. */
static bool is_zone(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return len == 0 || (len >= 2 && len <= IF_NAMESIZE);
}

/* An address between brackets, perhaps with a zone: "::1", "fe80::1%eth0". */
static bool is_ipv6(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char binary[sizeof(struct in6_addr)];
    size_t len = strcspn(host, "%");

    if (len >= sizeof address || !is_zone(host + len)) {
        return false;
    }
    memcpy(address, host, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, binary) == 1;
}

static bool is_host(const char *host)
{
    for (const char *c = host; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || strchr("/@[]:\\\"<>\x7f", *c) != NULL) {
            return false;
        }
    }
    return strlen(host) <= HOST_MAX;
}

/* "[::1]", "[::1]:port" */
static nkv_status parse_bracketed(nkvi_url_parser *p, nkv_str text, nkvi_url_host *to)
{
    const char *close = nkvi_url_find(text, ']');

    if (close == NULL || (nkvi_url_behind(text, close).len > 0 && close[1] != ':')) {
        return nkvi_url_bad(p, "host", "[IPv6 address] or [IPv6 address]:port is expected");
    }
    nkv_str inner = nkvi_url_before(text, close);
    nkv_str port = nkvi_url_behind(text, close);
    nkv_status status =
        nkvi_url_decode(p, nkv_str_make(inner.data + 1, inner.len - 1), "host", false, &to->host);
    if (status == NKV_OK && !is_ipv6(to->host)) {
        status = nkvi_url_bad(p, "host", "between brackets an IPv6 address is expected");
    }
    if (status == NKV_OK) {
        status = parse_port(p, port.len > 0 ? nkvi_url_behind(port, port.data) : port, to);
    }
    return status;
}

/* "host", "host:port", "[::1]:port" and, if it is the only one, nothing at all. */
static nkv_status parse_host(nkvi_url_parser *p, nkv_str text, nkvi_url_host *to)
{
    if (text.len > 0 && text.data[0] == '[') {
        return parse_bracketed(p, text, to);
    }
    const char *colon = nkvi_url_find(text, ':');
    if (colon != nkvi_url_find_last(text, ':')) {
        return nkvi_url_bad(p, "host", "an IPv6 address stands in brackets: [::1]:6379");
    }
    nkv_str host = colon != NULL ? nkvi_url_before(text, colon) : text;
    nkv_str port = colon != NULL ? nkvi_url_behind(text, colon) : nkv_str_make(NULL, 0);
    if (host.len == 0 && p->host_no > 0) {
        return nkvi_url_bad(p, "host", "it is missing; " LIST_FORM);
    }
    nkv_status status =
        nkvi_url_decode(p, host.len > 0 ? host : nkv_cstr("localhost"), "host", false, &to->host);
    if (status == NKV_OK && !is_host(to->host)) {
        status = nkvi_url_bad(p, "host", "a name or address of at most 255 characters is expected");
    }
    return status == NKV_OK ? parse_port(p, port, to) : status;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Whether the last host is there already. */
static bool is_twice(const nkvi_url *url)
{
    const nkvi_url_host *last = &url->hosts[url->hosts_len - 1];

    for (const nkvi_url_host *host = url->hosts; host < last; host++) {
        if (host->port == last->port && nkvi_ascii_is(nkv_cstr(host->host), last->host)) {
            return true;
        }
    }
    return false;
}

/* Parses one more host, for which there is room. */
static nkv_status add_host(nkvi_url_parser *p, nkv_str text)
{
    nkvi_url *url = p->url;
    nkvi_url_host *to = &url->hosts[url->hosts_len++];
    nkv_status status = parse_host(p, text, to);

    if (status == NKV_OK && is_twice(url)) {
        nkvi_free(to->host);
        to->host = NULL;
        url->hosts_len--;
    }
    return status;
}

static nkv_status add_hosts(nkvi_url_parser *p, nkv_str text, size_t n)
{
    nkv_status status = NKV_OK;

    for (size_t i = 0; i < n && status == NKV_OK; i++) {
        const char *comma = nkvi_url_find(text, ',');
        p->host_no = n > 1 ? (unsigned)i + 1 : 0;
        status = add_host(p, comma != NULL ? nkvi_url_before(text, comma) : text);
        text = comma != NULL ? nkvi_url_behind(text, comma) : text;
    }
    p->host_no = 0;
    return status;
}

nkv_status nkvi_url_parse_hosts(nkvi_url_parser *p, nkv_str text)
{
    nkvi_url *url = p->url;
    size_t n = 1;

    assert(url->scheme != NKVI_SCHEME_UNIX && url->hosts == NULL);
    for (size_t i = 0; i < text.len; i++) {
        n += text.data[i] == ',';
    }
    if (n > NKVI_URL_HOSTS_MAX) {
        return nkvi_url_bad(p, "host", "at most " TEXT_OF(NKVI_URL_HOSTS_MAX) " are allowed");
    }
    if (n > 1 && url->topology == NKVI_STANDALONE) {
        url->topology = NKVI_CLUSTER;
    }
    url->hosts = nkvi_calloc(n, sizeof *url->hosts);
    if (url->hosts == NULL) {
        return nkvi_fail(p->error, NKV_ENOMEM, "URL: out of memory");
    }
    nkv_status status = add_hosts(p, text, n);
    if (status == NKV_OK && url->topology == NKVI_STANDALONE) {
        url->host = url->hosts[0].host;
        url->port = url->hosts[0].port;
    }
    return status;
}
