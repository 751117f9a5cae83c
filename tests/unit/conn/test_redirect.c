/* tests/unit/conn/test_redirect.c - errors as servers write them, and what is none of them. */
#include "conn/redirect.h"

#include <criterion/criterion.h>
#include <stdio.h>

static nkvi_redirect of(const char *text)
{
    nkv_reply reply = {.type = NKV_TYPE_ERROR, .str = text, .len = strlen(text)};
    return nkvi_redirect_of(&reply);
}

static void assert_target(const char *text, nkvi_redirect_kind kind, unsigned slot,
                          const char *host, int port)
{
    nkvi_redirect redirect = of(text);
    cr_assert_eq(redirect.kind, kind, "%s", text);
    cr_assert_eq(redirect.hash_slot, slot, "%s", text);
    cr_assert_eq(redirect.host.len, strlen(host), "%s", text);
    cr_assert_eq(memcmp(redirect.host.data, host, strlen(host)), 0, "%s", text);
    cr_assert_eq(redirect.port, port, "%s", text);
}

Test(conn_redirect, tells_where_a_slot_is)
{
    assert_target("MOVED 3999 127.0.0.1:6381", NKVI_REDIRECT_MOVED, 3999, "127.0.0.1", 6381);
    assert_target("ASK 3999 127.0.0.1:6381", NKVI_REDIRECT_ASK, 3999, "127.0.0.1", 6381);
    assert_target("MOVED 0 a-1.b.example.com:1", NKVI_REDIRECT_MOVED, 0, "a-1.b.example.com", 1);
    assert_target("MOVED 16383 h:65535", NKVI_REDIRECT_MOVED, 16383, "h", 65535);
}

Test(conn_redirect, knows_ipv6_with_and_without_brackets)
{
    assert_target("MOVED 1 ::1:6381", NKVI_REDIRECT_MOVED, 1, "::1", 6381);
    assert_target("ASK 1 fe80::1%eth0:6381", NKVI_REDIRECT_ASK, 1, "fe80::1%eth0", 6381);
    assert_target("MOVED 1 [::1]:6381", NKVI_REDIRECT_MOVED, 1, "::1", 6381);
}

Test(conn_redirect, no_host_is_the_one_that_was_asked)
{
    assert_target("MOVED 3999 :6381", NKVI_REDIRECT_MOVED, 3999, "", 6381);
    assert_target("ASK 3999 :6381", NKVI_REDIRECT_ASK, 3999, "", 6381);
    assert_target("MOVED 3999 ?:6381", NKVI_REDIRECT_MOVED, 3999, "", 6381);
}

Test(conn_redirect, knows_what_is_said_for_a_while)
{
    cr_assert_eq(of("CLUSTERDOWN Hash slot not served").kind, NKVI_REDIRECT_CLUSTERDOWN);
    cr_assert_eq(of("CLUSTERDOWN The cluster is down").kind, NKVI_REDIRECT_CLUSTERDOWN);
    cr_assert_eq(of("CLUSTERDOWN The cluster is down and only accepts read commands").kind,
                 NKVI_REDIRECT_CLUSTERDOWN);
    cr_assert_eq(of("TRYAGAIN Multiple keys request during rehashing of slot").kind,
                 NKVI_REDIRECT_TRYAGAIN);
    cr_assert_eq(of("LOADING Redis is loading the dataset in memory").kind, NKVI_REDIRECT_LOADING);
    cr_assert_eq(of("LOADING Valkey is loading the dataset in memory").kind, NKVI_REDIRECT_LOADING);
    cr_assert_eq(of("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to "
                    "'no'.")
                     .kind,
                 NKVI_REDIRECT_MASTERDOWN);
    cr_assert_eq(of("READONLY You can't write against a read only replica.").kind,
                 NKVI_REDIRECT_READONLY);
    cr_assert_eq(of("READONLY").kind, NKVI_REDIRECT_READONLY);
}

Test(conn_redirect, other_errors_are_none)
{
    static const char *const texts[] = {
        "",
        " ",
        "ERR unknown command 'MOVED'",
        "EXECABORT Transaction discarded because of: MOVED 3999 127.0.0.1:6381",
        "EXECABORT Transaction discarded because of previous errors.",
        "CROSSSLOT Keys in request don't hash to the same slot",
        "MOVEDX 3999 127.0.0.1:6381",
        "moved 3999 127.0.0.1:6381",
        "ASKING",
        "TRYAGAINS",
        "LOADINGS x",
        " MOVED 1 h:1",
        "-MOVED 1 h:1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert_eq(of(texts[i]).kind, NKVI_REDIRECT_NONE, "%s", texts[i]);
    }
}

Test(conn_redirect, what_is_malformed_is_none)
{
    static const char *const texts[] = {
        "MOVED",
        "MOVED ",
        "MOVED 3999",
        "MOVED 3999 ",
        "MOVED 3999 h",
        "MOVED 3999 h:",
        "MOVED 3999 :",
        "MOVED h:1",
        "MOVED  3999 h:1",
        "MOVED 3999  h:1",
        "MOVED 3999 h:1 ",
        "MOVED 3999 h:1 x",
        "MOVED 3999 h :1",
        "MOVED 3999 h:1\r\n",
        "MOVED 16384 h:1",
        "MOVED -1 h:1",
        "MOVED +1 h:1",
        "MOVED 1x h:1",
        "MOVED 99999999999999999999999 h:1",
        "MOVED 1 h:0",
        "MOVED 1 h:65536",
        "MOVED 1 h:-1",
        "MOVED 1 h:1x",
        "MOVED 1 [::1:1",
        "MOVED 1 ::1]:1",
        "MOVED 1 []:1",
        "MOVED 1 [::1]1",
        "ASK 16384 h:1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        nkvi_redirect redirect = of(texts[i]);
        cr_assert_eq(redirect.kind, NKVI_REDIRECT_NONE, "%s", texts[i]);
        cr_assert(redirect.port == 0 && redirect.host.len == 0, "%s", texts[i]);
    }
}

Test(conn_redirect, a_host_has_a_length)
{
    char text[300];
    for (int len = 254; len <= 257; len++) {
        int head = snprintf(text, sizeof text, "MOVED 1 ");
        memset(text + head, 'h', (size_t)len);
        (void)snprintf(text + head + len, sizeof text - (size_t)(head + len), ":1");
        cr_assert_eq(of(text).kind, len <= 255 ? NKVI_REDIRECT_MOVED : NKVI_REDIRECT_NONE);
    }
}

Test(conn_redirect, what_is_no_error_is_none)
{
    static const char text[] = "MOVED 3999 127.0.0.1:6381";
    nkv_reply status = {.type = NKV_TYPE_STATUS, .str = text, .len = strlen(text)};
    nkv_reply string = {.type = NKV_TYPE_STRING, .str = text, .len = strlen(text)};
    nkv_reply nil = {.type = NKV_TYPE_NIL};
    cr_assert_eq(nkvi_redirect_of(NULL).kind, NKVI_REDIRECT_NONE);
    cr_assert_eq(nkvi_redirect_of(&status).kind, NKVI_REDIRECT_NONE);
    cr_assert_eq(nkvi_redirect_of(&string).kind, NKVI_REDIRECT_NONE);
    cr_assert_eq(nkvi_redirect_of(&nil).kind, NKVI_REDIRECT_NONE);
}

/* A NUL in an error ends nothing. */
Test(conn_redirect, bytes_behind_a_nul_count)
{
    static const char text[] = "MOVED 1 h\0:1";
    nkv_reply reply = {.type = NKV_TYPE_ERROR, .str = text, .len = sizeof text - 1};
    cr_assert_eq(nkvi_redirect_of(&reply).kind, NKVI_REDIRECT_NONE);
}
