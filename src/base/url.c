/* base/url.c - see url.h.
 *
 * The text is cut before anything is decoded, so that an encoded delimiter delimits nothing:
 *
 *      redis :// user : secret @ host : 6379 /2 ? timeout=1.5
 *      scheme    '------- authority -------' path  query
 *
 * Secrets    What stands before the last '@' may be a password, even in a URL that is all wrong
 *            ("redis://:pa/ss@host").  Errors are therefore made of fixed words; only the scheme,
 *            and the name of an option behind the last '@', are taken from the text.
 * Parts      url_part.c cuts and decodes, url_query.c does the options.                          */
#include "base/url.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/un.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/status.h"
#include "base/url_part.h"

#define HOST_MAX   255
#define SCHEME_MAX 32

/* ---- The authority --------------------------------------------------------------------------- */

/* Cuts "[user][:password]@" off *text. */
static nkv_status parse_login(nkvi_url_parser *p, nkv_str *text)
{
    const char *at = nkvi_url_find_last(*text, '@');
    nkv_status status = NKV_OK;

    if (at == NULL) {
        return NKV_OK;
    }
    nkv_str login = nkvi_url_before(*text, at);
    *text = nkvi_url_behind(*text, at);
    const char *colon = nkvi_url_find(login, ':');
    nkv_str user = colon != NULL ? nkvi_url_before(login, colon) : login;
    nkv_str password = colon != NULL ? nkvi_url_behind(login, colon) : nkv_str_make(NULL, 0);
    if (user.len > 0) {
        status = nkvi_url_decode(p, user, "user", false, &p->url->username);
    }
    if (status == NKV_OK && password.len > 0) {
        status = nkvi_url_decode(p, password, "password", false, &p->url->password);
    }
    return status;
}

static nkv_status parse_port(nkvi_url_parser *p, nkv_str text)
{
    static const nkvi_bound bound = {"port", 1, 65535};
    int64_t port = 6379;

    if (text.len > 0 && nkvi_parse_int(text, &bound, &port, NULL) != NKV_OK) {
        return nkvi_url_bad(p, "port", "a number from 1 to 65535 is expected");
    }
    p->url->port = (int)port;
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

static nkv_status parse_bracketed(nkvi_url_parser *p, nkv_str text)
{
    const char *close = nkvi_url_find(text, ']');

    if (close == NULL || (nkvi_url_behind(text, close).len > 0 && close[1] != ':')) {
        return nkvi_url_bad(p, "host", "[IPv6 address] or [IPv6 address]:port is expected");
    }
    nkv_str inner = nkvi_url_before(text, close);
    nkv_str port = nkvi_url_behind(text, close);
    nkv_status status = nkvi_url_decode(p, nkv_str_make(inner.data + 1, inner.len - 1), "host",
                                        false, &p->url->host);
    if (status == NKV_OK && !is_ipv6(p->url->host)) {
        status = nkvi_url_bad(p, "host", "between brackets an IPv6 address is expected");
    }
    if (status == NKV_OK) {
        status = parse_port(p, port.len > 0 ? nkvi_url_behind(port, port.data) : port);
    }
    return status;
}

/* "host", "host:port", "[::1]:port" and nothing at all. */
static nkv_status parse_host(nkvi_url_parser *p, nkv_str text)
{
    if (nkvi_url_find(text, ',') != NULL) {
        return nkvi_fail(p->error, NKV_ENOTSUP,
                         "URL: host: several hosts (a cluster) are not supported by this version");
    }
    if (text.len > 0 && text.data[0] == '[') {
        return parse_bracketed(p, text);
    }
    const char *colon = nkvi_url_find(text, ':');
    if (colon != nkvi_url_find_last(text, ':')) {
        return nkvi_url_bad(p, "host", "an IPv6 address stands in brackets: [::1]:6379");
    }
    nkv_str host = colon != NULL ? nkvi_url_before(text, colon) : text;
    nkv_str port = colon != NULL ? nkvi_url_behind(text, colon) : nkv_str_make(NULL, 0);
    nkv_status status = nkvi_url_decode(p, host.len > 0 ? host : nkv_cstr("localhost"), "host",
                                        false, &p->url->host);
    if (status == NKV_OK && !is_host(p->url->host)) {
        status = nkvi_url_bad(p, "host", "a name or address of at most 255 characters is expected");
    }
    return status == NKV_OK ? parse_port(p, port) : status;
}

/* ---- The path -------------------------------------------------------------------------------- */

/* "", "/", "/2" or "/2/". */
static nkv_status parse_db_path(nkvi_url_parser *p)
{
    nkv_str text = p->path;

    if (text.len > 0) {
        text = nkvi_url_behind(text, text.data);
    }
    if (text.len > 0 && text.data[text.len - 1] == '/') {
        text.len--;
    }
    int from_query = p->url->db;
    nkv_status status = text.len > 0 ? nkvi_url_set_db(p, text) : NKV_OK;
    if (p->db_given) {
        p->url->db = from_query;
    }
    return status;
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

/* ---- The whole ------------------------------------------------------------------------------- */

#define KNOWN_SCHEMES "redis://, rediss:// (TLS) and unix://"

static bool is_scheme(nkv_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = nkvi_ascii_upper(text.data[i]);
        if (!(c >= 'A' && c <= 'Z') && (i == 0 || (!nkvi_ascii_digit(c) && !strchr("+.-", c)))) {
            return false;
        }
    }
    return text.len > 0 && text.len <= SCHEME_MAX;
}

static nkv_status parse_scheme(nkvi_url_parser *p, nkv_str scheme)
{
    static const char *const schemes[] = {"redis", "rediss", "unix"};
    static const char *const later[] = {"redis-sentinel",  "rediss-sentinel", "redis+sentinel",
                                        "rediss+sentinel", "redis-cluster",   "rediss-cluster",
                                        "redis+cluster",   "rediss+cluster"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (nkvi_ascii_is(scheme, schemes[i])) {
            p->url->scheme = (nkvi_scheme)i;
            return NKV_OK;
        }
    }
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        if (nkvi_ascii_is(scheme, later[i])) {
            return nkvi_fail(
                p->error, NKV_ENOTSUP,
                "URL: scheme %s is not supported by this version, which knows " KNOWN_SCHEMES,
                later[i]);
        }
    }
    return nkvi_fail(p->error, NKV_EINVAL,
                     "URL: scheme '%.*s' is unknown; known are " KNOWN_SCHEMES, (int)scheme.len,
                     scheme.data);
}

/* Cuts what follows "://" into authority, path and query. */
static void cut(nkvi_url_parser *p, const char *rest)
{
    size_t authority = strcspn(rest, "/?");
    size_t path = strcspn(rest + authority, "?");
    const char *query = rest + authority + path;

    p->authority = nkv_str_make(rest, authority);
    p->path = nkv_str_make(rest + authority, path);
    p->query = nkv_cstr(*query == '?' ? query + 1 : query);
}

static nkv_status check_characters(const nkvi_url_parser *p, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f' || *c == '#') {
            return nkvi_url_bad(p, "characters",
                                "control characters and '#' are written %XX (# is %23)");
        }
    }
    return NKV_OK;
}

/* Where to: a socket, or host and port. */
static nkv_status parse_target(nkvi_url_parser *p)
{
    nkv_str host = p->authority;
    nkv_status status = parse_login(p, &host);

    if (status != NKV_OK) {
        return status;
    }
    if (p->url->scheme != NKVI_SCHEME_UNIX) {
        return parse_host(p, host);
    }
    if (host.len > 0) {
        return nkvi_url_bad(p, "host", "there is none with unix://, whose path has a third '/'");
    }
    return parse_socket_path(p);
}

static nkv_status parse(nkvi_url_parser *p, const char *text)
{
    const char *end = strstr(text, "://");
    nkv_str scheme = nkv_str_make(text, end != NULL ? (size_t)(end - text) : 0);
    nkv_status status;

    p->last_at = strrchr(text, '@');
    if (!is_scheme(scheme)) {
        return nkvi_url_bad(p, "scheme", "it begins with one of " KNOWN_SCHEMES);
    }
    status = parse_scheme(p, scheme);
    if (status == NKV_OK) {
        status = check_characters(p, text);
    }
    if (status != NKV_OK) {
        return status;
    }
    cut(p, end + strlen("://"));
    status = parse_target(p);
    if (status == NKV_OK) {
        status = nkvi_url_parse_query(p);
    }
    if (status == NKV_OK && p->url->scheme != NKVI_SCHEME_UNIX) {
        status = parse_db_path(p);
    }
    return status;
}

nkv_status nkvi_url_parse(const char *text, nkvi_url *url, nkv_error *error)
{
    nkvi_url_parser p = {.url = url, .error = error};

    *url = (nkvi_url){.timeout_ms = -1, .connect_timeout_ms = -1, .max_idle_ms = -1};
    nkv_status status = text != NULL ? parse(&p, text) : nkvi_url_bad(&p, "text", "there is none");
    if (status != NKV_OK) {
        nkvi_url_clear(url);
    }
    return status;
}

void nkvi_url_clear(nkvi_url *url)
{
    nkvi_url_wipe_free(url->password);
    nkvi_url_wipe_free(url->username);
    nkvi_free(url->host);
    nkvi_free(url->path);
    nkvi_free(url->client_name);
    *url = (nkvi_url){0};
}

/* ---- For people ------------------------------------------------------------------------------ */

/* Appends `text`, percent-encoded but for letters, digits and what is in `plain`. */
static void append_encoded(nkvi_buf *buf, const char *text, const char *plain)
{
    for (; *text != '\0'; text++) {
        char upper = nkvi_ascii_upper(*text);
        if ((upper >= 'A' && upper <= 'Z') || nkvi_ascii_digit(*text) || strchr(plain, *text)) {
            nkvi_buf_append(buf, text, 1);
        } else {
            nkvi_buf_printf(buf, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

char *nkvi_url_redacted(const nkvi_url *url)
{
    static const char *const schemes[] = {"redis://", "rediss://", "unix://"};
    nkvi_buf buf;

    nkvi_buf_init(&buf);
    nkvi_buf_text(&buf, schemes[url->scheme]);
    if (url->username != NULL) {
        append_encoded(&buf, url->username, "-._~");
    }
    if (url->password != NULL) {
        nkvi_buf_text(&buf, ":***");
    }
    if (url->username != NULL || url->password != NULL) {
        nkvi_buf_text(&buf, "@");
    }
    if (url->scheme == NKVI_SCHEME_UNIX) {
        append_encoded(&buf, url->path, "-._~/");
        nkvi_buf_printf(&buf, "?db=%d", url->db);
        return nkvi_buf_take(&buf, NULL);
    }
    bool ipv6 = strchr(url->host, ':') != NULL;
    nkvi_buf_text(&buf, ipv6 ? "[" : "");
    append_encoded(&buf, url->host, ipv6 ? "-._~:" : "-._~");
    nkvi_buf_printf(&buf, "%s:%d/%d", ipv6 ? "]" : "", url->port, url->db);
    return nkvi_buf_take(&buf, NULL);
}
