/* tests/unit/tracking/test_handshake.c - greetings without a socket: what is sent, and what each
 * answer leads to. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracking/handshake.h"

#define HELLO3   "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
#define TRACKING "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n"
#define UNTRACK  "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n"
#define SELECT2  "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"

static nkvi_handshake hs;
static nkvi_buf out;

/* Starts, and checks what was sent. */
static void start(nkvi_handshake_config config, const char *sent)
{
    nkvi_buf_clear(&out);
    nkvi_handshake_start(&hs, &config, &out);
    cr_assert(out.len == strlen(sent) && memcmp(out.data, sent, out.len) == 0, "sent: %.*s",
              (int)out.len, out.data);
    nkvi_buf_clear(&out);
}

static void stop(void)
{
    nkvi_buf_clear(&out);
}

static nkvi_handshake_result text(nkv_type type, const char *bytes)
{
    nkv_reply reply = {.type = type, .str = bytes, .len = strlen(bytes)};
    return nkvi_handshake_reply(&hs, &reply, &out);
}

static nkvi_handshake_result ok(void)
{
    return text(NKV_TYPE_STATUS, "OK");
}

static nkvi_handshake_result error(const char *bytes)
{
    return text(NKV_TYPE_ERROR, bytes);
}

/* The map that a server of this version answers to HELLO. */
static nkvi_handshake_result hello(const char *version, int64_t id)
{
    nkv_reply map[] = {
        {.type = NKV_TYPE_STRING, .str = "server", .len = 6},
        {.type = NKV_TYPE_STRING, .str = "redis", .len = 5},
        {.type = NKV_TYPE_STRING, .str = "version", .len = 7},
        {.type = NKV_TYPE_STRING, .str = version, .len = strlen(version)},
        {.type = NKV_TYPE_STRING, .str = "id", .len = 2},
        {.type = NKV_TYPE_INTEGER, .integer = id},
    };
    nkv_reply reply = {.type = NKV_TYPE_MAP, .element = map, .elements = 6};
    return nkvi_handshake_reply(&hs, &reply, &out);
}

static void assert_sent(const char *sent)
{
    cr_assert(out.len == strlen(sent) && memcmp(out.data, sent, out.len) == 0, "sent: %.*s",
              (int)out.len, out.data);
    nkvi_buf_clear(&out);
}

static void assert_text(const char *part)
{
    cr_assert_not_null(strstr(hs.error.text, part), "\"%s\" in \"%s\"", part, hs.error.text);
}

/* ---- The plain way --------------------------------------------------------------------------- */

/* I5: all in one pipeline, and ARMED only after the answer to TRACKING. */
Test(tracking_handshake, arms_in_one_pipeline, .fini = stop)
{
    start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
    cr_assert_eq(hello("7.0.15", 42), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_ARMED);
    cr_assert_eq(hs.client_id, 42);
    cr_assert_eq(out.len, 0);
    cr_assert_eq(hs.error.status, NKV_OK);
}

Test(tracking_handshake, sends_who_and_where, .fini = stop)
{
    start((nkvi_handshake_config){.tracked = true,
                                  .username = "ann",
                                  .password = "s3\r\n",
                                  .client_name = "app",
                                  .db = 2},
          "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$4\r\ns3\r\n\r\n$"
          "7\r\nSETNAME\r\n"
          "$3\r\napp\r\n" SELECT2 TRACKING);
    cr_assert_eq(hello("8.0.1", 1), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_ARMED);
}

Test(tracking_handshake, password_without_user_is_that_of_default, .fini = stop)
{
    start((nkvi_handshake_config){.password = "pw"},
          "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n");
    cr_assert_eq(hello("7.0.15", 1), NKVI_HANDSHAKE_UNTRACKED);
    cr_assert_eq(hs.error.status, NKV_OK, "nobody asked for tracking");
}

Test(tracking_handshake, user_without_password_logs_in_all_the_same, .fini = stop)
{
    start((nkvi_handshake_config){.username = "ann"},
          "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$0\r\n\r\n");
    cr_assert_eq(error("ERR unknown command 'HELLO'"), NKVI_HANDSHAKE_MORE);
    assert_sent("*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$0\r\n\r\n");
    cr_assert_eq(ok(), NKVI_HANDSHAKE_UNTRACKED);
    stop();

    start((nkvi_handshake_config){.username = "default"}, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
    cr_assert_eq(hello("7.0.15", 1), NKVI_HANDSHAKE_UNTRACKED);
}

/* ---- Usable, but not tracked ----------------------------------------------------------------- */

/* Case 80: 6.x can put an invalidation into the middle of a reply. */
Test(tracking_handshake, case_80_old_server_is_not_tracked, .fini = stop)
{
    start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
    cr_assert_eq(hello("6.2.14", 5), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_MORE, "it is on and must be turned off");
    assert_sent(UNTRACK);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_UNTRACKED);
    assert_text("6.2.14");
    cr_assert_eq(hs.error.status, NKV_ENOTSUP);
}

Test(tracking_handshake, server_without_version_is_not_tracked, .fini = stop)
{
    nkv_reply reply = {.type = NKV_TYPE_MAP};
    start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
    cr_assert_eq(nkvi_handshake_reply(&hs, &reply, &out), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_MORE);
    assert_sent(UNTRACK);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_UNTRACKED);
    assert_text("version");
}

/* Something in between took the 3 for a 2: its pushes would never come. */
Test(tracking_handshake, hello_in_resp2_is_not_tracked, .fini = stop)
{
    nkv_reply fields[] = {{.type = NKV_TYPE_STRING, .str = "version", .len = 7},
                          {.type = NKV_TYPE_STRING, .str = "7.0.15", .len = 6},
                          {.type = NKV_TYPE_STRING, .str = "proto", .len = 5},
                          {.type = NKV_TYPE_INTEGER, .integer = 2}};
    nkv_reply reply = {.type = NKV_TYPE_ARRAY, .element = fields, .elements = 2};
    start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
    nkvi_handshake_reply(&hs, &reply, &out);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_MORE);
    assert_text("RESP2");
    reply = (nkv_reply){.type = NKV_TYPE_MAP, .element = fields, .elements = 4};
    nkvi_buf_clear(&out);
    start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
    nkvi_handshake_reply(&hs, &reply, &out);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_MORE);
    assert_text("RESP2");
    fields[3].integer = 3;
    nkvi_buf_clear(&out);
    start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
    nkvi_handshake_reply(&hs, &reply, &out);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_ARMED);
}

/* Case 63 without a server: an ACL or a proxy forbids it. */
Test(tracking_handshake, refused_tracking_leaves_a_usable_connection, .fini = stop)
{
    start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
    cr_assert_eq(hello("7.0.15", 5), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(error("NOPERM this user has no permissions to run the 'client|tracking' command"),
                 NKVI_HANDSHAKE_UNTRACKED);
    assert_text("NOPERM");
    cr_assert_eq(out.len, 0);
}

/* Case 64: no HELLO. What the rest of its pipeline says is moot. */
Test(tracking_handshake, case_64_without_hello_it_speaks_resp2, .fini = stop)
{
    start((nkvi_handshake_config){.tracked = true, .password = "pw", .db = 2},
          "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n" SELECT2
              TRACKING);
    cr_assert_eq(error("ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, "
                       "`default`, `pw`"),
                 NKVI_HANDSHAKE_MORE);
    cr_assert_eq(error("NOAUTH Authentication required."), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(error("NOAUTH Authentication required."), NKVI_HANDSHAKE_MORE);
    assert_sent("*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n" SELECT2);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_UNTRACKED);
    assert_text("HELLO");
    cr_assert_null(strstr(hs.error.text, "pw"), "%s", hs.error.text);
}

Test(tracking_handshake, case_64_other_ways_to_refuse_hello, .fini = stop)
{
    static const char *const refusals[] = {
        "NOPROTO unsupported protocol version",
        "NOPERM this user has no permissions to run the 'hello' command",
        "ERR Unknown command 'HELLO'",
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
        cr_assert_eq(error(refusals[i]), NKVI_HANDSHAKE_MORE);
        cr_assert_eq(error("ERR whatever"), NKVI_HANDSHAKE_UNTRACKED, "%s", refusals[i]);
        cr_assert_eq(out.len, 0, "nothing to say in RESP2");
    }
}

Test(tracking_handshake, resp2_names_the_user, .fini = stop)
{
    start((nkvi_handshake_config){.username = "ann", .password = "pw"},
          "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$2\r\npw\r\n");
    cr_assert_eq(error("ERR unknown command 'HELLO'"), NKVI_HANDSHAKE_MORE);
    assert_sent("*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$2\r\npw\r\n");
    cr_assert_eq(ok(), NKVI_HANDSHAKE_UNTRACKED);
}

/* ---- Refused --------------------------------------------------------------------------------- */

Test(tracking_handshake, the_servers_reason_is_kept, .fini = stop)
{
    static const char *const refusals[] = {
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOAUTH HELLO must be called with the client already authenticated",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down",
        "ERR max number of clients reached",
        "DENIED Redis is running in protected mode",
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        start((nkvi_handshake_config){.tracked = true}, HELLO3 TRACKING);
        cr_assert_eq(error(refusals[i]), NKVI_HANDSHAKE_MORE);
        cr_assert_eq(error("NOAUTH Authentication required."), NKVI_HANDSHAKE_REFUSED);
        assert_text(refusals[i]);
        cr_assert_eq(hs.error.status, NKV_EREPLY);
    }
}

Test(tracking_handshake, a_wrong_database_is_refused, .fini = stop)
{
    start((nkvi_handshake_config){.tracked = true, .db = 2}, HELLO3 SELECT2 TRACKING);
    cr_assert_eq(hello("7.0.15", 5), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(error("ERR DB index is out of range"), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_REFUSED);
    assert_text("DB index is out of range");
    assert_text("SELECT");
}

Test(tracking_handshake, nonsense_is_refused, .fini = stop)
{
    nkv_reply number = {.type = NKV_TYPE_INTEGER, .integer = 1};
    start((nkvi_handshake_config){.db = 2}, HELLO3 SELECT2);
    cr_assert_eq(nkvi_handshake_reply(&hs, &number, &out), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(ok(), NKVI_HANDSHAKE_REFUSED);
    cr_assert_eq(hs.error.status, NKV_EPROTO);

    start((nkvi_handshake_config){.db = 2}, HELLO3 SELECT2);
    cr_assert_eq(hello("7.0.15", 5), NKVI_HANDSHAKE_MORE);
    cr_assert_eq(text(NKV_TYPE_STATUS, "QUEUED"), NKVI_HANDSHAKE_REFUSED);
}

/* ---- Secrets --------------------------------------------------------------------------------- */

Test(tracking_handshake, no_text_holds_the_password, .fini = stop)
{
    static const char *const answers[] = {
        "ERR unknown command 'AUTH', with args beginning with: 'hunter2' ",
        "ERR wrong password hunter2 for default",
        "hunter2",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        nkvi_buf_clear(&out);
        nkvi_handshake_config config = {.password = "hunter2", .tracked = true};
        nkvi_handshake_start(&hs, &config, &out);
        cr_assert_eq(error("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' "
                           "'default' 'hunter2'"),
                     NKVI_HANDSHAKE_MORE);
        cr_assert_eq(error(answers[i]), NKVI_HANDSHAKE_MORE);
        cr_assert_null(strstr(hs.error.text, "hunter"), "%s", hs.error.text);
        cr_assert_eq(error(answers[i]), NKVI_HANDSHAKE_REFUSED);
        cr_assert_null(strstr(hs.error.text, "hunter"), "%s", hs.error.text);
    }
}

Test(tracking_handshake, long_texts_are_cut, .fini = stop)
{
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    start((nkvi_handshake_config){.db = 0}, HELLO3);
    cr_assert_eq(error(longer), NKVI_HANDSHAKE_REFUSED);
    cr_assert_lt(strlen(hs.error.text), sizeof hs.error.text);
    assert_text("HELLO");
}
