/* tests/fake/io/test_lane_stream.c - replies and pushes in the order of the stream, with the
 * test as the server. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/lane_rig.h"
#include "support/peer.h"

#define GET_K    "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
#define PTTL_K   "*2\r\n$4\r\nPTTL\r\n$1\r\nk\r\n"
#define PUSH(k)  ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\n" k "\r\n"
#define PUSH_ALL ">2\r\n$10\r\ninvalidate\r\n"

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

static void say(const char *text)
{
    t_peer_send(fd, text);
    t_rig_drain(rig);
}

static void assert_diary(const char *want)
{
    cr_assert_str_eq(t_rig_diary(rig), want);
}

/* ---- Order ----------------------------------------------------------------------------------- */

/* Case 44: what comes before a reply is told before it, and what comes behind it, behind it. */
Test(io_lane_stream, case_44_pushes_keep_their_place, .init = begin, .fini = end)
{
    t_ask_bytes(rig, GET_K PTTL_K, sizeof GET_K PTTL_K - 1, 2, NKVI_SUBMIT_ARMED, 0);
    t_ask_cmd(rig, "GET", "l");
    t_peer_expect(fd, GET_K PTTL_K "*2\r\n$3\r\nGET\r\n$1\r\nl\r\n");
    say(PUSH("a") "$1\r\nv\r\n" PUSH("k") ":-1\r\n" PUSH("b") "_\r\n" PUSH("c"));
    assert_diary("push(a) #1.0=$v push(k) #1.1=:-1 #1=done push(b) #2.0=_ #2=done push(c)");
}

Test(io_lane_stream, case_44_split_at_every_byte, .init = begin, .fini = end)
{
    static const char answer[] = PUSH("a") "$1\r\nv\r\n" PUSH("k") ":-1\r\n" PUSH("b");
    for (size_t cut = 1; cut < sizeof answer - 1; cut++) {
        t_rig_diary_clear(rig);
        t_ask *ask =
            t_ask_bytes(rig, GET_K PTTL_K, sizeof GET_K PTTL_K - 1, 2, NKVI_SUBMIT_ARMED, 0);
        t_peer_expect(fd, GET_K PTTL_K);
        t_peer_send_bytes(fd, answer, cut);
        t_rig_drain(rig);
        t_peer_send_bytes(fd, answer + cut, sizeof answer - 1 - cut);
        t_rig_drain(rig);
        char *want = t_format("push(a) #%u.0=$v push(k) #%u.1=:-1 #%u=done push(b)", ask->number,
                              ask->number, ask->number);
        cr_assert_str_eq(t_rig_diary(rig), want, "cut at %zu", cut);
        free(want);
    }
}

/* Case 71: a flush, in each encoding of null; several are as good as one. */
Test(io_lane_stream, case_71_every_null_is_a_flush, .init = begin, .fini = end)
{
    say(PUSH_ALL "_\r\n" PUSH_ALL "$-1\r\n" PUSH_ALL "*-1\r\n");
    assert_diary("flush flush flush");
}

Test(io_lane_stream, other_pushes_do_not_disturb, .init = begin, .fini = end)
{
    t_ask_cmd(rig, "GET", "k");
    say(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n>0\r\n" PUSH_ALL
        "*2\r\n$1\r\na\r\n$1\r\nb\r\n"
        ">2\r\n+tracking-redir-broken\r\n:7\r\n|1\r\n+a\r\n+b\r\n$1\r\nv\r\n");
    assert_diary("unknown unknown push(a,b) broken #1.0=$v #1=done");
}

/* Case 30, what the lane adds to it: any type comes through as it is. */
Test(io_lane_stream, all_types_come_through, .init = begin, .fini = end)
{
    t_ask_bytes(rig, "X", 1, 9, NKVI_SUBMIT_ARMED, 0);
    say("%1\r\n+a\r\n:1\r\n~1\r\n#t\r\n,1.5\r\n#f\r\n_\r\n(123\r\n-ERR x\r\n*-1\r\n$0\r\n\r\n");
    assert_diary("#1.0=*[+a,:1] #1.1=*[#t] #1.2=,1.5 #1.3=#f #1.4=_ #1.5=*[] #1.6=-ERR x #1.7=_ "
                 "#1.8=$ #1=done");
}

/* ---- A stream that cannot be trusted any more ------------------------------------------------ */

static void assert_lost(const char *words, const char *why)
{
    start((t_rig_options){.reply_bytes_max = 1000});
    uint64_t generation = t_rig_owner(rig)->generation;
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, words);
    cr_assert_eq(t_ask_wait(ask), NKV_EPROTO, "%s", words);
    cr_assert_not_null(strstr(ask->error.text, why), "%s: %s", words, ask->error.text);
    cr_assert(ask->request.sent);
    cr_assert_not_null(strstr(t_rig_diary(rig), "down(connection) #1=EPROTO"), "%s",
                       t_rig_diary(rig));
    t_peer_expect_end(fd);
    t_peer_close(fd);
    fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    cr_assert_gt(t_rig_owner(rig)->generation, generation);
    end();
}

Test(io_lane_stream, a_broken_stream_is_closed)
{
    assert_lost("garbage", "unknown type byte");
    assert_lost("$9223372036854775807\r\n", "reply_bytes_max");
    assert_lost("*9223372036854775807\r\n", "reply_bytes_max");
    assert_lost("$1000\r\n", "reply_bytes_max (1000)");
    assert_lost("*2\r\n:1\r\n" PUSH("a"), "push inside");
    assert_lost("$3\r\nabcd\r\n", "line break");
}

Test(io_lane_stream, a_reply_that_nobody_asked_for, .init = begin, .fini = end)
{
    t_peer_send(fd, "+OK\r\n");
    t_rig_wait_state(rig, NKVI_LANE_DOWN);
    cr_assert_eq(t_rig_info(rig).last_error.status, NKV_EPROTO);
}

/* The good replies before the bad bytes still count. */
Test(io_lane_stream, what_came_before_the_end_is_delivered, .init = begin, .fini = end)
{
    t_ask *first = t_ask_cmd(rig, "GET", "k");
    t_ask *second = t_ask_cmd(rig, "GET", "k");
    t_ask *third = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K GET_K GET_K);
    t_peer_send(fd, "$1\r\nv\r\n" PUSH("a") "$5\r\nhal");
    t_peer_close(fd);
    cr_assert_eq(t_ask_wait(third), NKV_ECONN);
    cr_assert_eq(first->status, NKV_OK);
    cr_assert_eq(second->status, NKV_ECONN);
    assert_diary("#1.0=$v #1=done push(a) down(connection) #2=ECONN #3=ECONN");
    fd = t_peer_welcome(peer);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    cr_assert_eq(t_rig_info(rig).reconnects, 1);
}

/* ---- Loss ------------------------------------------------------------------------------------ */

static uint64_t generation_when_told;

static void note_generation(t_rig *who, const nkvi_lane_info *info)
{
    if (info->state == NKVI_LANE_DOWN) {
        generation_when_told = t_rig_owner(who)->generation;
    }
}

/* I1: when anybody is told, nothing is vouched for any more. */
Test(io_lane_stream, the_generation_ends_before_anybody_is_told)
{
    start((t_rig_options){.on_change = note_generation});
    uint64_t generation = t_rig_owner(rig)->generation;
    t_peer_close(fd);
    t_rig_wait_state(rig, NKVI_LANE_DOWN);
    fd = t_peer_welcome(peer);
    t_rig_wait_diary(rig, "up(armed)");
    cr_assert_eq(generation_when_told, generation + 1);
    cr_assert_eq(t_rig_owner(rig)->generation, generation + 2);
    end();
}

/* Case 68: the old connection still holds pushes when it is closed; the new one never sees them. */
Test(io_lane_stream, case_68_late_push_of_a_closed_connection, .init = begin, .fini = end)
{
    t_peer_send(fd, "+unexpected\r\n" PUSH("z") PUSH("z"));
    t_rig_wait_state(rig, NKVI_LANE_DOWN);
    int old = fd;
    fd = t_peer_welcome(peer);
    t_rig_wait_diary(rig, "up(armed)");
    t_peer_expect_end(old);
    t_peer_close(old);
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "$1\r\nv\r\n");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    assert_diary("down(connection) up(armed) #1.0=$v #1=done");
}

typedef struct later {
    nkvi_task task;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool done;
} later;

static later job = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void stop_lane(nkvi_task *task)
{
    (void)task;
    nkvi_lane_stop(t_rig_lane(rig));
    pthread_mutex_lock(&job.mu);
    job.done = true;
    pthread_cond_signal(&job.changed);
    pthread_mutex_unlock(&job.mu);
}

static void stop_from_push(t_rig *who, const nkv_reply *push)
{
    (void)push;
    if (job.task.run == NULL) {
        job.task.run = stop_lane;
        nkvi_loop_post(t_rig_loop(who), &job.task);
    }
}

/* Case 69: the end, asked for inside a push callback, comes after the wake-up that the push was
 * in. */
Test(io_lane_stream, case_69_stopping_from_a_push_is_deferred)
{
    start((t_rig_options){.on_push = stop_from_push});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    t_ask *open = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K GET_K);
    t_peer_send(fd, PUSH("a") "$1\r\nv\r\n" PUSH("b"));
    pthread_mutex_lock(&job.mu);
    while (!job.done) {
        pthread_cond_wait(&job.changed, &job.mu);
    }
    pthread_mutex_unlock(&job.mu);
    assert_diary("push(a) #1.0=$v #1=done push(b) #2=ECLOSED");
    cr_assert_eq(ask->status, NKV_OK);
    cr_assert_eq(open->status, NKV_ECLOSED);
    cr_assert_eq(t_ask_cmd(rig, "GET", "k")->submitted, NKV_ECLOSED);
    t_peer_expect_end(fd);
    end();
}

/* ---- Callbacks that submit ------------------------------------------------------------------- */

static t_ask *chained;

static void ask_again(t_ask *ask)
{
    chained = t_ask_cmd(ask->rig, "GET", "k");
}

Test(io_lane_stream, a_callback_may_submit, .init = begin, .fini = end)
{
    t_ask *first = t_ask_cmd(rig, "GET", "k");
    atomic_store(&first->on_done, ask_again); /* before the peer answers, or goes */
    t_ask *second = t_ask_cmd(rig, "GET", "k");
    t_peer_expect(fd, GET_K GET_K);
    t_peer_send(fd, "$1\r\n1\r\n$1\r\n2\r\n");
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "$1\r\n3\r\n");
    cr_assert_eq(t_ask_wait(second), NKV_OK);
    cr_assert_eq(t_ask_wait(chained), NKV_OK);
    assert_diary("#1.0=$1 #1=done #2.0=$2 #2=done #3.0=$3 #3=done");
}

/* What is submitted while the losses are told waits for the next connection. */
Test(io_lane_stream, a_callback_may_submit_during_a_loss, .init = begin, .fini = end)
{
    t_ask *first = t_ask_cmd(rig, "GET", "k");
    atomic_store(&first->on_done, ask_again); /* before the peer answers, or goes */
    t_peer_expect(fd, GET_K);
    t_peer_close(fd);
    cr_assert_eq(t_ask_wait(first), NKV_ECONN);
    fd = t_peer_welcome(peer);
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "$1\r\nv\r\n");
    cr_assert_eq(t_ask_wait(chained), NKV_OK);
}
