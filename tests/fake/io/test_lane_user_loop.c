/* tests/fake/io/test_lane_user_loop.c - a lane on a loop of the user's: everything happens in one
 * thread, which is client, loop and server in turn. */
#include <criterion/criterion.h>
#include <ev.h>

#include "base/clock.h"
#include "core/cache.h"
#include "io/lane.h"
#include "support/check.h"
#include "support/peer.h"

#define GET_K "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"

static struct ev_loop *ev;
static nkvi_loop *loop;
static nkvi_lane *lane;
static nkv_cache *cache;
static nkvi_owner *owner;
static t_peer *peer;

typedef struct ask {
    nkvi_request request;
    int replies, ends;
    nkv_status status;
} ask;

static void on_reply(nkvi_request *request, unsigned index, nkvi_draft *reply)
{
    (void)index;
    ((ask *)request)->replies++;
    nkvi_draft_clear(reply);
}

static void on_done(nkvi_request *request, nkv_status status, const nkv_error *error)
{
    (void)error;
    cr_assert(nkvi_loop_is_current(loop));
    ((ask *)request)->status = status;
    ((ask *)request)->ends++;
}

static void submit(ask *a)
{
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    nkvi_buf_text(&bytes, GET_K);
    *a = (ask){.request = {.replies = 1, .on_reply = on_reply, .on_done = on_done}};
    a->request.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), 10000);
    cr_assert_eq(nkvi_lane_submit(lane, &a->request, &bytes, NKVI_SUBMIT_WAIT, NULL), NKV_OK);
}

/* Lets the loop go round until the lane is in that state. */
static void turn_until(nkvi_lane_state state)
{
    nkvi_lane_info info;
    do {
        ev_run(ev, EVRUN_ONCE);
        nkvi_lane_get_info(lane, &info);
    } while (info.state != state);
}

static void begin(void)
{
    nkv_error error;
    peer = t_peer_listen();
    ev = ev_loop_new(EVFLAG_AUTO);
    T_REQUIRE(nkvi_loop_create(ev, &loop, &error) == NKV_OK);
    T_REQUIRE(nkv_cache_create(NULL, &cache, &error) == NKV_OK);
    owner = nkvi_cache_owner_open(cache, NULL);
    nkvi_lane_config config = {.endpoint = {.path = t_peer_path(peer), .client_name = "rig"},
                               .cache = cache,
                               .owner = owner,
                               .connect_timeout_ms = 10000,
                               .max_idle_ms = 60000,
                               .backoff_min_ms = 1,
                               .backoff_max_ms = 1};
    T_REQUIRE(nkvi_lane_create(loop, &config, &lane, &error) == NKV_OK);
    nkvi_lane_start(lane);
}

static int welcome(void)
{
    while (!t_peer_is_asked(peer)) {
        ev_run(ev, EVRUN_ONCE);
    }
    int fd = t_peer_accept(peer);
    ev_run(ev, EVRUN_ONCE); /* connected: the greeting is written */
    t_peer_expect(fd, T_GREETING);
    t_peer_send(fd, T_WELCOME);
    turn_until(NKVI_LANE_ARMED);
    return fd;
}

static void end(void)
{
    nkvi_cache_owner_close(cache, owner);
    nkv_cache_release(cache);
    ev_loop_destroy(ev);
    t_peer_free(peer);
}

Test(io_lane_user_loop, lives_in_one_thread, .init = begin, .fini = end)
{
    int threads = t_thread_count();
    int fd = welcome();
    ask a;
    submit(&a);
    t_peer_expect(fd, GET_K); /* written by the submitter: the loop has not gone round */
    t_peer_send(fd, "$1\r\nv\r\n");
    while (a.ends == 0) {
        ev_run(ev, EVRUN_ONCE);
    }
    cr_assert(a.replies == 1 && a.status == NKV_OK);
    t_peer_close(fd);
    turn_until(NKVI_LANE_DOWN);
    fd = welcome();
    submit(&a);
    t_peer_expect(fd, GET_K);
    t_peer_send(fd, "_\r\n");
    nkvi_lane_drain(lane);
    cr_assert_eq(a.ends, 1, "a drain reads it without the loop");
    nkvi_lane_destroy(lane);
    nkvi_loop_destroy(loop);
    cr_assert_eq(t_thread_count(), threads);
    t_peer_close(fd);
}

static void destroy_all(struct ev_loop *user_loop, ev_timer *timer, int events)
{
    (void)user_loop;
    (void)timer;
    (void)events;
    nkvi_lane_destroy(lane);
    nkvi_loop_destroy(loop);
}

/* From a callback of the user's: what is open ends, and no watcher of ours keeps ev_run(). */
Test(io_lane_user_loop, may_be_destroyed_inside_ev_run, .init = begin, .fini = end)
{
    int fd = welcome();
    ask a;
    submit(&a);
    ev_timer timer;
    ev_timer_init(&timer, destroy_all, 0.001, 0.0);
    ev_timer_start(ev, &timer);
    ev_run(ev, 0);
    cr_assert(a.ends == 1 && a.status == NKV_ECLOSED);
    t_peer_expect(fd, GET_K);
    t_peer_expect_end(fd);
    t_peer_close(fd);
}
