/* tests/fake/io/test_lane_greeting.c - connecting and greeting, with the test as the server. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/check.h"
#include "support/lane_rig.h"
#include "support/peer.h"

#define GET_K "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"

static t_peer *peer;
static t_rig *rig;

static void begin(void)
{
    peer = t_peer_listen();
}

static void end(void)
{
    if (rig != NULL) {
        t_rig_free(rig);
        rig = NULL;
    }
    t_peer_free(peer);
}

static void start(t_rig_options options)
{
    options.path = t_peer_path(peer);
    rig = t_rig_start(&options);
}

static void assert_diary(const char *want)
{
    cr_assert_str_eq(t_rig_diary(rig), want);
}

/* ---- Armed ----------------------------------------------------------------------------------- */

/* Case 67 (I5): what a caller wants is not sent before the server has said OK to TRACKING. */
Test(io_lane_greeting, case_67_nothing_is_sent_before_tracking_is_on, .init = begin, .fini = end)
{
    start((t_rig_options){0});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_rig_drain(rig);
    t_peer_expect_silence(fd);
    t_peer_send(fd, T_WELCOME_MAP);
    t_rig_drain(rig);
    t_peer_expect_silence(fd);
    t_peer_send(fd, "+O");
    t_rig_drain(rig);
    t_peer_expect_silence(fd);
    cr_assert_eq(t_rig_info(rig).state, NKVI_LANE_DOWN);
    t_peer_send(fd, "K\r\n");
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "$1\r\nv\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    assert_diary("up(armed) #1.0=$v #1=done");
    cr_assert_eq(t_rig_info(rig).client_id, 77);
    cr_assert_eq(ask->request.generation, t_rig_owner(rig)->generation);
    cr_assert_eq(ask->request.generation % 2, 1);
    t_peer_close(fd);
}

/* The answer to the greeting may come in any pieces, with the first push right behind it. */
Test(io_lane_greeting, case_44_greeting_split_at_every_byte, .init = begin, .fini = end)
{
    static const char answer[] = T_WELCOME ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";
    for (size_t cut = 1; cut < sizeof answer - 1; cut += 3) {
        start((t_rig_options){0});
        int fd = t_peer_accept(peer);
        t_peer_expect(fd, T_GREETING);
        t_peer_send_bytes(fd, answer, cut);
        t_rig_drain(rig);
        t_peer_send_bytes(fd, answer + cut, sizeof answer - 1 - cut);
        t_rig_drain(rig);
        assert_diary("up(armed) push(a)");
        t_rig_free(rig);
        t_peer_close(fd);
    }
    rig = NULL;
}

Test(io_lane_greeting, says_who_it_is, .init = begin, .fini = end)
{
    start((t_rig_options){.username = "ann", .password = "pw", .db = 3});
    int fd = t_peer_accept(peer);
    t_peer_expect(
        fd, "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$2\r\npw\r\n"
            "$7\r\nSETNAME\r\n$3\r\nrig\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" T_GREETING_TRACK);
    t_peer_send(fd, T_WELCOME_MAP "+OK\r\n+OK\r\n");
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_peer_close(fd);
}

Test(io_lane_greeting, an_untracked_lane_does_not_ask_for_tracking, .init = begin, .fini = end)
{
    start((t_rig_options){.untracked = true});
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING_UNTRACKED);
    t_peer_send(fd, T_WELCOME_MAP);
    t_rig_wait_state(rig, NKVI_LANE_UNTRACKED);
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "_\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    cr_assert_eq(ask->request.generation, 0);
    cr_assert_eq(t_rig_info(rig).last_error.status, NKV_OK);
    t_peer_close(fd);
}

/* ---- Usable, but untracked ------------------------------------------------------------------- */

/* Case 80: a Redis 6.x. Tracking is turned off again, because its pushes can break into replies. */
Test(io_lane_greeting, case_80_redis_6_is_used_untracked, .init = begin, .fini = end)
{
    start((t_rig_options){0});
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_peer_send(fd, "%2\r\n+server\r\n+redis\r\n+version\r\n+6.2.14\r\n+OK\r\n");
    t_peer_expect(fd, "*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n");
    t_peer_send(fd, "+OK\r\n");
    t_rig_wait_state(rig, NKVI_LANE_UNTRACKED);
    cr_assert_eq(t_rig_owner(rig)->generation % 2, 0, "nobody vouches");
    cr_assert_not_null(strstr(t_rig_info(rig).last_error.text, "6.2.14"));
    t_ask *ask = t_ask_bytes(rig, GET_K, sizeof GET_K - 1, 1, NKVI_SUBMIT_ARMED, 0);
    cr_assert_eq(ask->submitted, NKV_ECONN);
    ask = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "$1\r\nv\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    t_peer_close(fd);
}

/* Case 64: HELLO is unknown; the same connection goes on in RESP2. */
Test(io_lane_greeting, case_64_without_hello_it_goes_on_in_resp2, .init = begin, .fini = end)
{
    start((t_rig_options){.password = "pw"});
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n"
                      "$7\r\nSETNAME\r\n$3\r\nrig\r\n" T_GREETING_TRACK);
    t_peer_send(fd, "-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'pw'\r\n"
                    "-NOAUTH Authentication required.\r\n");
    t_peer_expect(fd, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n");
    t_peer_send(fd, "+OK\r\n");
    t_rig_wait_state(rig, NKVI_LANE_UNTRACKED);
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "$-1\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    assert_diary("up(untracked) #1.0=_ #1=done");
    cr_assert_null(strstr(t_rig_info(rig).last_error.text, "pw"));
    t_peer_close(fd);
}

Test(io_lane_greeting, case_63_refused_tracking_leaves_it_usable, .init = begin, .fini = end)
{
    start((t_rig_options){0});
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_peer_send(fd, T_WELCOME_MAP "-NOPERM no client|tracking for you\r\n");
    t_rig_wait_state(rig, NKVI_LANE_UNTRACKED);
    cr_assert_not_null(strstr(t_rig_info(rig).last_error.text, "NOPERM"));
    cr_assert(t_rig_info(rig).healthy);
    t_peer_close(fd);
}

/* ---- Refused, and what becomes of those who wait --------------------------------------------- */

Test(io_lane_greeting, who_waits_gets_the_servers_reason, .init = begin, .fini = end)
{
    start((t_rig_options){.password = "wrong"});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    int fd = t_peer_accept(peer);
    t_peer_send(fd, "-WRONGPASS invalid username-password pair\r\n-NOAUTH no\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_EREPLY);
    cr_assert_not_null(strstr(ask->error.text, "WRONGPASS"), "%s", ask->error.text);
    cr_assert_null(strstr(ask->error.text, "wrong\""));
    cr_assert_not(ask->request.sent);
    t_peer_expect_end(fd);
    t_peer_close(fd);
    fd = t_peer_accept(peer);
    cr_assert(true, "it tries again");
    t_peer_close(fd);
}

/* A server that is full says so and hangs up, without reading a word. */
Test(io_lane_greeting, the_last_words_of_a_server_are_the_reason, .init = begin, .fini = end)
{
    start((t_rig_options){0});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_peer_send(fd, "-ERR max number of clients reached\r\n");
    t_peer_close(fd);
    cr_assert_eq(t_ask_wait(ask), NKV_EREPLY);
    cr_assert_not_null(strstr(ask->error.text, "max number of clients"), "%s", ask->error.text);
}

Test(io_lane_greeting, garbage_instead_of_a_greeting, .init = begin, .fini = end)
{
    start((t_rig_options){0});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    int fd = t_peer_accept(peer);
    t_peer_send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_EPROTO);
    t_peer_expect_end(fd);
    t_peer_close(fd);
}

/* More answers than questions: the connection cannot be trusted, though it has just been armed. */
Test(io_lane_greeting, too_many_answers, .init = begin, .fini = end)
{
    start((t_rig_options){0});
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_peer_send(fd, T_WELCOME "+OK\r\n");
    t_rig_wait_diary(rig, "down(connection)");
    assert_diary("up(armed) down(connection)");
    t_peer_expect_end(fd);
    t_peer_close(fd);
}

Test(io_lane_greeting, a_slow_greeting_is_given_up, .init = begin, .fini = end)
{
    start((t_rig_options){.connect_timeout_ms = 60});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    int fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_peer_send(fd, T_WELCOME_MAP);
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    cr_assert_not_null(strstr(ask->error.text, "60 ms"), "%s", ask->error.text);
    t_peer_expect_end(fd);
    t_peer_close(fd);
    t_peer_close(t_peer_accept(peer)); /* it tries again */
}

Test(io_lane_greeting, nobody_there, .init = begin, .fini = end)
{
    t_peer_deafen(peer);
    start((t_rig_options){0});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    cr_assert_not_null(strstr(ask->error.text, t_peer_path(peer)), "%s", ask->error.text);
    ask = t_ask_bytes(rig, GET_K, sizeof GET_K - 1, 1, NKVI_SUBMIT_ARMED, 0);
    cr_assert_eq(ask->submitted, NKV_ECONN, "who does not wait is told at once");
    t_peer_hear(peer);
    int fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    cr_assert_eq(t_rig_info(rig).reconnects, 0, "it was the first that was made");
    t_peer_close(fd);
}

/* ---- TCP and names --------------------------------------------------------------------------- */

Test(io_lane_greeting, names_are_looked_up)
{
    peer = t_peer_listen_tcp();
    rig = t_rig_start(&(t_rig_options){.host = "localhost", .port = t_peer_port(peer)});
    int fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    char *address = t_format("localhost:%d", t_peer_port(peer));
    cr_assert_str_eq(nkvi_lane_address(t_rig_lane(rig)), address);
    free(address);
    t_peer_close(fd);
    end();
}

Test(io_lane_greeting, numeric_addresses_need_no_look_up)
{
    peer = t_peer_listen_tcp();
    rig = t_rig_start(&(t_rig_options){.host = "127.0.0.1", .port = t_peer_port(peer)});
    int fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_peer_reset(fd);
    t_rig_wait_diary(rig, "down(connection)");
    cr_assert_neq(t_rig_info(rig).last_error.sys_errno, 0);
    end();
}

/* ---- Resources ------------------------------------------------------------------------------- */

Test(io_lane_greeting, without_descriptors_it_waits_for_better_times, .init = begin, .fini = end)
{
    struct rlimit before, none;
    T_REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    start((t_rig_options){0});
    int fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    none = before;
    none.rlim_cur = 3; /* what is open stays open, nothing new can be */
    T_REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    t_peer_close(fd);
    t_rig_wait_state(rig, NKVI_LANE_DOWN);
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    nkv_status status = t_ask_wait(ask);
    T_REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    cr_assert_eq(status, NKV_ECONN);
    cr_assert_eq(ask->error.sys_errno, EMFILE, "%s", ask->error.text);
    t_peer_close(t_peer_welcome(peer));
}

/* I8: afterwards no thread, no descriptor. */
Test(io_lane_greeting, nothing_is_left_behind)
{
    int fds = t_fd_count(), threads = t_thread_count();
    for (int stage = 0; stage < 5; stage++) {
        begin();
        start((t_rig_options){0});
        t_ask *ask = t_ask_cmd(rig, "GET", "k");
        int fd = stage > 0 ? t_peer_accept(peer) : -1;
        if (stage > 1) {
            t_peer_expect(fd, T_GREETING);
        }
        if (stage > 2) {
            t_peer_send(fd, T_WELCOME);
            t_peer_expect(fd, GET_K);
        }
        if (stage > 3) {
            t_peer_send(fd, "$100\r\nhalf");
            t_rig_drain(rig);
        }
        t_rig_stop(rig);
        cr_assert_eq(ask->status, NKV_ECLOSED, "stage %d", stage);
        cr_assert_eq(ask->request.sent, stage > 2);
        if (fd >= 0) {
            t_peer_expect_end(fd);
            t_peer_close(fd);
        }
        end();
        cr_assert_eq(t_fd_count(), fds, "stage %d", stage);
        cr_assert_eq(t_thread_count(), threads, "stage %d", stage);
    }
}
