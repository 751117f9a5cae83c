/* base/url_redacted.c - a URL for people: see nkvi_url_redacted in url.h. */
#include "base/url.h"

#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"

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

static void append_scheme(nkvi_buf *buf, const nkvi_url *url)
{
    static const char *const schemes[] = {"redis", "rediss", "unix"};
    static const char *const topologies[] = {"", "-cluster", "-sentinel"};

    nkvi_buf_printf(buf, "%s%s://", schemes[url->scheme], topologies[url->topology]);
}

static void append_login(nkvi_buf *buf, const nkvi_url *url)
{
    if (url->username != NULL) {
        append_encoded(buf, url->username, "-._~");
    }
    if (url->password != NULL) {
        nkvi_buf_text(buf, ":***");
    }
    if (url->username != NULL || url->password != NULL) {
        nkvi_buf_text(buf, "@");
    }
}

static void append_hosts(nkvi_buf *buf, const nkvi_url *url)
{
    for (size_t i = 0; i < url->hosts_len; i++) {
        const nkvi_url_host *to = &url->hosts[i];
        bool ipv6 = strchr(to->host, ':') != NULL;
        nkvi_buf_printf(buf, "%s%s", i > 0 ? "," : "", ipv6 ? "[" : "");
        append_encoded(buf, to->host, ipv6 ? "-._~:" : "-._~");
        nkvi_buf_printf(buf, "%s:%d", ipv6 ? "]" : "", to->port);
    }
}

char *nkvi_url_redacted(const nkvi_url *url)
{
    nkvi_buf buf;

    nkvi_buf_init(&buf);
    append_scheme(&buf, url);
    append_login(&buf, url);
    append_hosts(&buf, url);
    if (url->scheme == NKVI_SCHEME_UNIX) {
        append_encoded(&buf, url->path, "-._~/");
    }
    if (url->service != NULL) {
        nkvi_buf_text(&buf, "/");
        append_encoded(&buf, url->service, "-._~");
    }
    if (url->topology != NKVI_CLUSTER) { /* which has database 0 only */
        bool in_path = url->service != NULL || url->host != NULL;
        nkvi_buf_printf(&buf, "%s%d", in_path ? "/" : "?db=", url->db);
    }
    return nkvi_buf_take(&buf, NULL);
}
