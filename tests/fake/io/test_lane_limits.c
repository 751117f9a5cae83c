/* tests/fake/io/test_lane_limits.c - deadlines, watchdog, full queues and full sockets, with the
 * test as the server. */
#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "io/lane_impl.h"
#include "support/check.h"
#include "support/lane_rig.h"
#include "support/peer.h"

#define GET_K "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
#define PING  "*1\r\n$4\r\nPING\r\n"

static t_peer *peer;
static t_rig *rig;
static int fd;

static void start(t_rig_options options)
{
    peer = t_peer_listen();
    options.path = t_peer_path(peer);
    rig = t_rig_start(&options);
    fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_rig_drain(rig); /* behind the wake-up that armed it */
    t_rig_diary_clear(rig);
}

static void begin(void)
{
    start((t_rig_options){0});
}

static void end(void)
{
    t_rig_free(rig);
    t_peer_close(fd);
    t_peer_free(peer);
}

static t_ask *get_within(int64_t timeout_ms)
{
    return t_ask_bytes(rig, GET_K, sizeof GET_K - 1, 1, NKVI_SUBMIT_WAIT, timeout_ms);
}

/* ---- Deadlines ------------------------------------------------------------------------------- */

/* A request that was given up keeps its place: its reply, when it comes, is nobody else's. */
Test(io_lane_limits, a_late_reply_is_thrown_away, .init = begin, .fini = end)
{
    t_ask *early = get_within(20);
    t_ask *patient = get_within(10000);
    t_peer_expect(fd, GET_K GET_K);
    cr_assert_eq(t_ask_wait(early), NKV_ETIMEDOUT);
    cr_assert(early->request.sent);
    cr_assert_not(patient->done);
    cr_assert_eq(t_rig_info(rig).inflight, 2, "its place is still taken");
    t_peer_send(fd, "$4\r\nlate\r\n$1\r\nv\r\n");
    cr_assert_eq(t_ask_wait(patient), NKV_OK);
    cr_assert_str_eq(t_rig_diary(rig), "#1=ETIMEDOUT #2.0=$v #2=done");
    cr_assert_eq(t_rig_info(rig).inflight, 0);
}

Test(io_lane_limits, deadlines_are_kept_to_the_millisecond_or_so, .init = begin, .fini = end)
{
    int64_t begin_ms = t_now_ms();
    t_ask *slow = get_within(1500), *quick = get_within(30), *middle = get_within(60);
    cr_assert_eq(t_ask_wait(quick), NKV_ETIMEDOUT);
    cr_assert_geq(t_now_ms() - begin_ms, 30);
    cr_assert_eq(t_ask_wait(middle), NKV_ETIMEDOUT);
    cr_assert_geq(t_now_ms() - begin_ms, 60);
    cr_assert_eq(t_ask_wait(slow), NKV_ETIMEDOUT);
    cr_assert_geq(t_now_ms() - begin_ms, 1500);
    cr_assert_str_eq(t_rig_diary(rig), "#2=ETIMEDOUT #3=ETIMEDOUT #1=ETIMEDOUT");
}

/* Given up while it waited for a connection: it must not be sent afterwards. */
Test(io_lane_limits, who_gives_up_waiting_is_not_sent, .init = begin, .fini = end)
{
    t_peer_close(fd);
    fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_rig_wait_diary(rig, "down(connection)");
    t_ask *first = t_ask_cmd(rig, "SET", "a", "1");
    t_ask *gone = t_ask_bytes(rig, GET_K, sizeof GET_K - 1, 1, NKVI_SUBMIT_WAIT, 15);
    t_ask *last = t_ask_cmd(rig, "SET", "b", "2");
    cr_assert_eq(t_ask_wait(gone), NKV_ETIMEDOUT);
    cr_assert_not(gone->request.sent);
    t_peer_send(fd, T_WELCOME);
    t_peer_expect(
        fd, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n");
    t_peer_send(fd, "+OK\r\n-ERR no\r\n");
    cr_assert_eq(t_ask_wait(first), NKV_OK);
    cr_assert_eq(t_ask_wait(last), NKV_OK);
    cr_assert_not_null(strstr(t_rig_diary(rig), "#1.0=+OK #1=done #3.0=-ERR no #3=done"), "%s",
                       t_rig_diary(rig));
    cr_assert_eq(t_rig_info(rig).inflight, 0);
}

/* The place of a request in the stream is right although one before it was taken out. */
Test(io_lane_limits, what_was_sent_is_known_after_others_gave_up, .init = begin, .fini = end)
{
    t_peer_close(fd);
    fd = t_peer_accept(peer);
    t_peer_expect(fd, T_GREETING);
    t_rig_wait_diary(rig, "down(connection)");
    char longer[1000];
    memset(longer, 'x', sizeof longer);
    t_ask *gone = t_ask_bytes(rig, longer, sizeof longer, 1, NKVI_SUBMIT_WAIT, 15);
    t_ask *last = get_within(0);
    cr_assert_eq(t_ask_wait(gone), NKV_ETIMEDOUT);
    t_peer_send(fd, T_WELCOME);
    t_peer_expect(fd, GET_K);
    t_peer_close(fd);
    cr_assert_eq(t_ask_wait(last), NKV_ECONN);
    cr_assert(last->request.sent);
    fd = t_peer_welcome(peer);
}

typedef struct pause {
    nkvi_task task;
    sem_t begun, may_end;
} pause_task;

static void hold_the_loop(nkvi_task *task)
{
    pause_task *pause = (pause_task *)task;
    sem_post(&pause->begun);
    sem_wait(&pause->may_end);
}

Test(io_lane_limits, writing_to_a_closed_connection_is_no_signal, .init = begin, .fini = end)
{
    pause_task pause = {.task = {.run = hold_the_loop}};
    sem_init(&pause.begun, 0, 0);
    sem_init(&pause.may_end, 0, 0);
    nkvi_loop_post(t_rig_loop(rig), &pause.task);
    sem_wait(&pause.begun);
    t_peer_close(fd);
    t_ask *ask = get_within(0); /* the loop cannot have seen the end yet */
    sem_post(&pause.may_end);
    cr_assert_eq(ask->submitted, NKV_OK);
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    cr_assert_not(ask->request.sent);
    fd = t_peer_welcome(peer);
}

/* ---- The watchdog ---------------------------------------------------------------------------- */

Test(io_lane_limits, an_answered_ping_keeps_it_healthy)
{
    start((t_rig_options){.max_idle_ms = 800});
    for (int i = 0; i < 3; i++) {
        t_peer_expect(fd, PING);
        t_peer_send(fd, "+PONG\r\n");
    }
    cr_assert_str_eq(t_rig_diary(rig), "");
    cr_assert_eq(t_rig_info(rig).writes, 0, "nothing of a caller was written");
    end();
}

/* Case 59, by a server that swallows everything: unhealthy within max_idle, closed at about
 * twice. */
Test(io_lane_limits, case_59_silence_ends_it)
{
    start((t_rig_options){.max_idle_ms = 100});
    nkvi_owner *owner = t_rig_owner(rig);
    t_peer_expect(fd, PING);
    t_rig_wait_diary(rig, "unhealthy");
    cr_assert_geq(t_now_ns(), owner->fresh_until_ns, "nothing is vouched for now");
    cr_assert_not(t_rig_info(rig).healthy);
    t_rig_wait_diary(rig, "down(idle)");
    cr_assert_str_eq(t_rig_diary(rig), "unhealthy down(idle)");
    t_peer_expect_end(fd);
    t_peer_close(fd);
    const int64_t ended_ns = t_now_ns();
    fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    cr_assert_gt(owner->fresh_until_ns, ended_ns, "it is vouched for again");
    end();
}

/* A sign of life in time brings it back, and the push that comes with it is told first. */
static int64_t fresh_at_push;

static void note_freshness(t_rig *who, const nkv_reply *push)
{
    (void)push;
    fresh_at_push = t_rig_owner(who)->fresh_until_ns;
}

Test(io_lane_limits, it_vouches_again_only_after_all_is_dispatched)
{
    start((t_rig_options){.max_idle_ms = 800, .on_push = note_freshness});
    int64_t before_ns = t_rig_owner(rig)->fresh_until_ns;
    t_rig_wait_diary(rig, "unhealthy");
    t_peer_send(fd, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n");
    t_rig_wait_diary(rig, " healthy");
    cr_assert_str_eq(t_rig_diary(rig), "unhealthy push(a) healthy");
    cr_assert_eq(fresh_at_push, before_ns);
    cr_assert_gt(t_rig_owner(rig)->fresh_until_ns, before_ns);
    end();
}

#define PUSH_X ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nx\r\n"

static struct {
    int64_t before_ns, part_ns, all_ns;
} fresh;

/* On the loop's thread: a backlog larger than one read comes, is read in part, and then to its
 * end. */
static void read_in_parts(void *ud)
{
    enum { PUSHES = 3000 };
    nkvi_lane *lane = t_rig_lane(rig);
    nkv_error error;
    (void)ud;
    char *backlog = malloc(PUSHES * (sizeof PUSH_X - 1));
    for (size_t i = 0; i < PUSHES; i++) {
        memcpy(backlog + i * (sizeof PUSH_X - 1), PUSH_X, sizeof PUSH_X - 1);
    }
    t_peer_send_bytes(fd, backlog, PUSHES * (sizeof PUSH_X - 1)); /* the socket takes them all */
    free(backlog);
    fresh.before_ns = t_rig_owner(rig)->fresh_until_ns;
    nkvi_loop_enter(t_rig_loop(rig));
    T_REQUIRE(nkvi_lane_rx(lane, 1, &error));
    fresh.part_ns = t_rig_owner(rig)->fresh_until_ns;
    nkvi_lane_drain(lane);
    fresh.all_ns = t_rig_owner(rig)->fresh_until_ns;
}

/* What is unread may be an invalidation older than what is cached. */
Test(io_lane_limits, with_a_backlog_unread_nothing_is_vouched_for_longer, .init = begin,
     .fini = end)
{
    nkvi_loop_call(t_rig_loop(rig), read_in_parts, NULL);
    cr_assert_eq(fresh.part_ns, fresh.before_ns);
    cr_assert_gt(fresh.all_ns, fresh.before_ns);
}

/* ---- Queues ---------------------------------------------------------------------------------- */

Test(io_lane_limits, inflight_is_bounded)
{
    start((t_rig_options){.inflight_max = 3});
    t_ask *first = get_within(0);
    get_within(0);
    get_within(0);
    t_ask *fourth = get_within(0);
    cr_assert_eq(fourth->submitted, NKV_EBUSY);
    cr_assert_not_null(strstr(fourth->submit_error.text, "inflight_max (3)"));
    t_peer_expect(fd, GET_K GET_K GET_K);
    t_peer_send(fd, "_\r\n");
    cr_assert_eq(t_ask_wait(first), NKV_OK);
    cr_assert_eq(get_within(0)->submitted, NKV_OK);
    t_peer_expect(fd, GET_K);
    end();
}

Test(io_lane_limits, inflight_bytes_are_bounded)
{
    start((t_rig_options){.inflight_bytes_max = 2 * (sizeof GET_K - 1) + 5});
    t_ask *first = get_within(0);
    get_within(0);
    t_ask *third = get_within(0);
    cr_assert_eq(third->submitted, NKV_EBUSY);
    cr_assert_not_null(strstr(third->submit_error.text, "inflight_bytes_max"));
    t_peer_expect(fd, GET_K GET_K);
    t_peer_send(fd, "_\r\n");
    cr_assert_eq(t_ask_wait(first), NKV_OK);
    cr_assert_eq(get_within(0)->submitted, NKV_OK);
    end();
}

/* To wait would not help it: that is said at once, whatever else is under way. */
Test(io_lane_limits, a_request_larger_than_all_that_is_allowed_is_invalid)
{
    start((t_rig_options){.inflight_bytes_max = sizeof GET_K - 2});
    t_ask *alone = get_within(0);
    cr_assert_eq(alone->submitted, NKV_EINVAL);
    cr_assert_not_null(strstr(alone->submit_error.text, "inflight_bytes_max allows 19"), "%s",
                       alone->submit_error.text);
    end();
}

/* The server does not read: what the socket does not take waits for the loop, in order. */
Test(io_lane_limits, a_full_socket_is_written_on_by_the_loop, .init = begin, .fini = end)
{
    enum { REQUESTS = 300, LEN = 20000 };
    char *bytes = malloc(LEN);
    t_ask *last = NULL;
    for (int i = 0; i < REQUESTS; i++) {
        memset(bytes, 'a' + i % 26, LEN);
        last = t_ask_bytes(rig, bytes, LEN, 1, NKVI_SUBMIT_ARMED, 0);
        cr_assert_eq(last->submitted, NKV_OK);
    }
    for (int i = 0; i < REQUESTS; i++) {
        memset(bytes, 'a' + i % 26, LEN);
        t_peer_expect_bytes(fd, bytes, LEN);
        t_peer_send(fd, "+OK\r\n");
    }
    cr_assert_eq(t_ask_wait(last), NKV_OK);
    cr_assert_eq(t_rig_info(rig).inflight, 0);
    free(bytes);
}

/* Lost with a full socket: who was sent, even in part, knows it, and who was not, too. */
Test(io_lane_limits, a_loss_tells_what_was_sent, .init = begin, .fini = end)
{
    enum { REQUESTS = 200, LEN = 20000 };
    char *bytes = calloc(1, LEN);
    t_ask *asks[REQUESTS];
    for (int i = 0; i < REQUESTS; i++) {
        asks[i] = t_ask_bytes(rig, bytes, LEN, 1, NKVI_SUBMIT_ARMED, 0);
    }
    t_peer_close(fd);
    int sent = 0;
    for (int i = 0; i < REQUESTS; i++) {
        cr_assert_eq(t_ask_wait(asks[i]), NKV_ECONN);
        cr_assert(i == 0 || asks[i - 1]->request.sent || !asks[i]->request.sent);
        sent += asks[i]->request.sent;
    }
    cr_assert(sent > 0 && sent < REQUESTS, "%d", sent);
    fd = t_peer_welcome(peer);
    free(bytes);
}

/* A reply that comes in one flood with thousands of others. */
Test(io_lane_limits, a_flood_of_pushes_and_replies, .init = begin, .fini = end)
{
    enum { N = 900 };
    t_ask *last = NULL;
    char *flood = malloc((size_t)N * 64);
    size_t len = 0;
    for (int i = 0; i < N; i++) {
        last = get_within(0);
        len += (size_t)snprintf(flood + len, 64,
                                ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nx\r\n:%d\r\n", i);
    }
    for (int i = 0; i < N; i++) {
        t_peer_expect(fd, GET_K);
    }
    t_peer_send_bytes(fd, flood, len);
    cr_assert_eq(t_ask_wait(last), NKV_OK);
    const char *tail = strstr(t_rig_diary(rig), "#900.0");
    cr_assert_str_eq(tail, "#900.0=:899 #900=done");
    free(flood);
}
