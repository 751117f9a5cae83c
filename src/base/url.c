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
 * Parts      url_part.c cuts and decodes; url_hosts.c, url_path.c and url_query.c do what their
 *            names say.                                                                          */
#include "base/url.h"

#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/url_part.h"

#define SCHEME_MAX 32

/* ---- The scheme ------------------------------------------------------------------------------ */

#define KNOWN_SCHEMES                                                           \
    "redis://, rediss:// (TLS), unix://, redis-cluster://, rediss-cluster://, " \
    "redis-sentinel:// and rediss-sentinel://"

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
    static const struct {
        const char *name;
        nkvi_scheme scheme;
        nkvi_topology topology;
    } known[] = {
        {"redis", NKVI_SCHEME_REDIS, NKVI_STANDALONE},
        {"rediss", NKVI_SCHEME_REDISS, NKVI_STANDALONE},
        {"unix", NKVI_SCHEME_UNIX, NKVI_STANDALONE},
        {"redis-cluster", NKVI_SCHEME_REDIS, NKVI_CLUSTER},
        {"rediss-cluster", NKVI_SCHEME_REDISS, NKVI_CLUSTER},
        {"redis+cluster", NKVI_SCHEME_REDIS, NKVI_CLUSTER},
        {"rediss+cluster", NKVI_SCHEME_REDISS, NKVI_CLUSTER},
        {"redis-sentinel", NKVI_SCHEME_REDIS, NKVI_SENTINEL},
        {"rediss-sentinel", NKVI_SCHEME_REDISS, NKVI_SENTINEL},
        {"redis+sentinel", NKVI_SCHEME_REDIS, NKVI_SENTINEL},
        {"rediss+sentinel", NKVI_SCHEME_REDISS, NKVI_SENTINEL},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (nkvi_ascii_is(scheme, known[i].name)) {
            p->url->scheme = known[i].scheme;
            p->url->topology = known[i].topology;
            return NKV_OK;
        }
    }
    return nkvi_fail(p->error, NKV_EINVAL,
                     "URL: scheme '%.*s' is unknown; known are " KNOWN_SCHEMES, (int)scheme.len,
                     scheme.data);
}

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

/* Who, and where to. */
static nkv_status parse_authority(nkvi_url_parser *p)
{
    nkv_str hosts = p->authority;
    nkv_status status = parse_login(p, &hosts);

    if (status != NKV_OK) {
        return status;
    }
    if (p->url->scheme != NKVI_SCHEME_UNIX) {
        return nkvi_url_parse_hosts(p, hosts);
    }
    if (hosts.len > 0) {
        return nkvi_url_bad(p, "host", "there is none with unix://, whose path has a third '/'");
    }
    return NKV_OK;
}

/* ---- The whole ------------------------------------------------------------------------------- */

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

/* A service can be any text, so a password that was cut at a '/' would pass for one. */
static nkv_status check_at(const nkvi_url_parser *p)
{
    if (p->url->topology != NKVI_STANDALONE && nkvi_url_at_follows(p)) {
        return nkvi_url_bad(p, "path", "behind the hosts an '@' is written %40");
    }
    return NKV_OK;
}

/* What follows the scheme. */
static nkv_status parse_parts(nkvi_url_parser *p)
{
    nkv_status status = parse_authority(p);

    if (status == NKV_OK) {
        status = check_at(p);
    }
    if (status == NKV_OK) {
        status = nkvi_url_parse_query(p);
    }
    return status == NKV_OK ? nkvi_url_parse_path(p) : status;
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
    return parse_parts(p);
}

nkv_status nkvi_url_parse(const char *text, nkvi_url *url, nkv_error *error)
{
    nkvi_url_parser p = {.url = url, .error = error};

    *url = (nkvi_url){.timeout_ms = -1,
                      .connect_timeout_ms = -1,
                      .max_idle_ms = -1,
                      .sentinel_timeout_ms = -1,
                      .topology_max_age_ms = -1,
                      .replica_max_ttl_ms = -1};
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
    for (size_t i = 0; i < url->hosts_len; i++) {
        nkvi_free(url->hosts[i].host);
    }
    nkvi_free(url->hosts);
    nkvi_free(url->path);
    nkvi_free(url->service);
    nkvi_free(url->client_name);
    nkvi_free(url->address_map);
    *url = (nkvi_url){0};
}
