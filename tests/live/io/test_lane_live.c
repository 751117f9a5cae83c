/* tests/live/io/test_lane_live.c - a lane against real servers. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/lane_rig.h"
#include "support/live.h"
#include "support/monitor.h"
#include "support/proxy.h"

static t_rig *connect_as(const t_server *server, t_rig_options options)
{
    options.path = t_server_path(server);
    return t_rig_start(&options);
}

static t_rig *connect_armed(const t_server *server)
{
    t_rig *rig = connect_as(server, (t_rig_options){0});
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_rig_drain(rig);
    t_rig_diary_clear(rig);
    return rig;
}

/* ---- Tracking -------------------------------------------------------------------------------- */

/* Case 67 (I5): as the server saw it. */
T_LIVE(io_lane_live, case_67_tracking_is_on_before_the_first_read)
{
    t_monitor *monitor = t_monitor_start(server);
    t_rig *rig = connect_as(server, (t_rig_options){.db = 3});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    t_monitor_sync(monitor);
    long select = t_monitor_find(monitor, 0, "SELECT", "3");
    long tracking = t_monitor_find(monitor, 0, "CLIENT", "TRACKING", "ON");
    long get = t_monitor_find(monitor, 0, "GET", "k");
    cr_assert(select >= 0 && select < tracking && tracking < get);
    cr_assert_eq(t_monitor_entry_at(monitor, (size_t)get).db, 3);
    t_rig_free(rig);
    t_monitor_stop(monitor);
}

T_LIVE(io_lane_live, the_server_says_what_changed)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "1");
    t_rig *rig = connect_armed(server);
    cr_assert_eq(t_ctl_tracking_clients(ctl), 1);
    t_ask_wait(t_ask_cmd(rig, "GET", "k"));
    t_ctl_ok(ctl, "SET", "k", "2");
    t_rig_wait_diary(rig, "push(k)");
    cr_assert_str_eq(t_rig_diary(rig), "#1.0=$1 #1=done push(k)");
    t_rig_free(rig);
    t_ctl_close(ctl);
}

/* Case 71: every kind of flush. */
T_LIVE(io_lane_live, case_71_flushes)
{
    static const char *const flushes[][3] = {
        {"FLUSHALL", NULL, NULL}, {"FLUSHDB", NULL, NULL}, {"FLUSHALL", "ASYNC", NULL}};
    t_ctl *ctl = t_ctl_open(server);
    t_rig *rig = connect_armed(server);
    for (size_t i = 0; i < sizeof flushes / sizeof *flushes; i++) {
        t_ctl_ok_argv(ctl, flushes[i]);
        t_rig_wait_diary(rig, "flush");
        t_rig_diary_clear(rig);
    }
    t_ctl_ok(ctl, "SELECT", "5");
    t_ctl_ok(ctl, "FLUSHDB");
    t_rig_wait_diary(rig, "flush");
    t_rig_diary_clear(rig);
    t_ctl_ok(ctl, "MULTI");
    t_ctl_ok(ctl, "FLUSHALL");
    t_ctl_ok(ctl, "EXEC");
    t_rig_wait_diary(rig, "flush");
    t_rig_free(rig);
    t_ctl_close(ctl);
}

T_LIVE(io_lane_live, large_and_odd_values_arrive_whole)
{
    enum { LEN = 3000000 };
    t_ctl *ctl = t_ctl_open(server);
    char *value = malloc(LEN);
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    t_rng_fill(&rng, value, LEN);
    t_arg argv[] = {T_ARG("SET"), T_ARG("big"), T_ARG_BYTES(value, LEN)};
    freeReplyObject(t_ctl_args(ctl, 3, argv));
    t_rig *rig = connect_as(server, (t_rig_options){.no_diary = true});
    t_ask *ask = t_ask_cmd(rig, "GETRANGE", "big", "0", "-1");
    cr_assert_eq(t_ask_wait(ask), NKV_OK);
    nkv_value *got = t_ask_value(ask);
    nkv_str bytes = nkv_value_str(got);
    cr_assert(t_same_bytes("big", bytes.data, bytes.len, value, LEN));
    t_rig_free(rig);
    t_ctl_close(ctl);
    free(value);
}

/* ---- Losses ---------------------------------------------------------------------------------- */

T_LIVE(io_lane_live, case_62_killed_by_the_server)
{
    t_ctl *ctl = t_ctl_open(server);
    t_rig *rig = connect_armed(server);
    nkvi_lane_info before = t_rig_info(rig);
    uint64_t generation = t_rig_owner(rig)->generation;
    cr_assert_gt(before.client_id, 0);
    cr_assert_eq(t_ctl_kill_type(ctl, "normal"), 1);
    t_rig_wait_diary(rig, "up(armed)");
    cr_assert_str_eq(t_rig_diary(rig), "down(connection) up(armed)");
    cr_assert_neq(t_rig_info(rig).client_id, before.client_id);
    cr_assert_eq(t_rig_info(rig).reconnects, 1);
    cr_assert_eq(t_rig_owner(rig)->generation, generation + 2);
    t_ask_wait(t_ask_cmd(rig, "GET", "k"));
    t_ctl_ok(ctl, "SET", "k", "2");
    t_rig_wait_diary(rig, "push(k)");
    t_rig_free(rig);
    t_ctl_close(ctl);
}

T_LIVE_PRIVATE(io_lane_live, case_61_restarted)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_rig *rig = connect_armed(server);
    t_server_kill(server);
    t_rig_wait_state(rig, NKVI_LANE_DOWN);
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    t_server_restart(server, NULL);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "GET", "k")), NKV_OK);
    t_rig_free(rig);
    t_server_stop(server);
}

/* Case 60, with a max_idle of 300 ms instead of 5 s: unhealthy within it, closed at about twice,
 * and back when the server goes on. */
T_LIVE_PRIVATE(io_lane_live, case_60_stopped_server)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_rig *rig = connect_as(server, (t_rig_options){.max_idle_ms = 300, .connect_timeout_ms = 200});
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_rig_drain(rig);
    t_rig_diary_clear(rig);
    t_server_pause(server);
    t_rig_wait_diary(rig, "unhealthy");
    cr_assert_leq(t_rig_owner(rig)->fresh_until_ns, t_now_ns());
    t_rig_wait_diary(rig, "down(idle)");
    t_server_resume(server);
    t_rig_wait_diary(rig, "up(armed)");
    cr_assert_str_eq(t_rig_diary(rig), "unhealthy down(idle) up(armed)");
    t_rig_free(rig);
    t_server_stop(server);
}

/* It goes on before the connection is given up: the same generation is good again. */
T_LIVE_PRIVATE(io_lane_live, case_60_stopped_for_a_moment)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_rig *rig = connect_as(server, (t_rig_options){.max_idle_ms = 1000});
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_rig_drain(rig);
    t_rig_diary_clear(rig);
    uint64_t generation = t_rig_owner(rig)->generation;
    t_server_pause(server);
    t_rig_wait_diary(rig, "unhealthy");
    t_server_resume(server);
    t_rig_wait_diary(rig, " healthy");
    cr_assert_str_eq(t_rig_diary(rig), "unhealthy healthy");
    cr_assert_eq(t_rig_owner(rig)->generation, generation);
    cr_assert_gt(t_rig_owner(rig)->fresh_until_ns, t_now_ns());
    t_rig_free(rig);
    t_server_stop(server);
}

enum { SELF_IDLE_MS = 600 };

static void oversleep(void *ud)
{
    t_ctl_ok(ud, "SET", "k", "2");
    t_sleep_ms(2 * SELF_IDLE_MS + 100);
}

static int64_t fresh_at_push;

static void note_freshness(t_rig *rig, const nkv_reply *push)
{
    (void)push;
    fresh_at_push = t_rig_owner(rig)->fresh_until_ns;
}

/* Our own process slept for more than twice max_idle (SIGSTOP, a suspended machine; here the loop's
 * thread alone). Nothing is vouched for when it wakes, until the backlog has been read; and the
 * server, which did nothing wrong, is not given up. */
T_LIVE(io_lane_live, sleeping_itself_it_reads_the_backlog_before_it_judges)
{
    t_ctl *ctl = t_ctl_open(server);
    t_rig *rig =
        connect_as(server, (t_rig_options){.max_idle_ms = SELF_IDLE_MS, .on_push = note_freshness});
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_ask_wait(t_ask_cmd(rig, "GET", "k"));
    t_rig_drain(rig);
    t_rig_diary_clear(rig);
    nkvi_loop_call(t_rig_loop(rig), oversleep, ctl);
    int64_t woken_ns = t_now_ns();
    t_rig_wait_diary(rig, "push(k)");
    cr_assert_lt(fresh_at_push, woken_ns);
    t_rig_drain(rig);
    cr_assert_gt(t_rig_owner(rig)->fresh_until_ns, woken_ns);
    cr_assert_str_eq(t_rig_diary(rig), "push(k)");
    t_rig_free(rig);
    t_ctl_close(ctl);
}

/* ---- Bad networks ---------------------------------------------------------------------------- */

static t_rig *connect_through(t_proxy *proxy, int64_t max_idle_ms)
{
    t_rig_options options = {
        .host = "127.0.0.1", .port = t_proxy_port(proxy), .max_idle_ms = max_idle_ms};
    t_rig *rig = t_rig_start(&options);
    t_rig_wait_state(rig, NKVI_LANE_ARMED);
    t_rig_drain(rig);
    t_rig_diary_clear(rig);
    return rig;
}

/* Case 59: half-open. Nothing comes any more, but the connection stands: nothing is vouched for
 * after max_idle, and the connection is given up at about twice. */
T_LIVE(io_lane_live, case_59_half_open)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, true);
    t_rig *rig = connect_through(proxy, 500);
    nkvi_owner *owner = t_rig_owner(rig);
    t_proxy_swallow(proxy, 1, T_TO_CLIENT, true);
    int64_t begin_ns = t_now_ns();
    t_rig_wait_diary(rig, "unhealthy");
    cr_assert_leq(owner->fresh_until_ns, begin_ns + INT64_C(500000000));
    t_rig_wait_diary(rig, "up(armed)");
    cr_assert_str_eq(t_rig_diary(rig), "unhealthy down(idle) up(armed)");
    cr_assert_geq(t_now_ns() - begin_ns, INT64_C(700000000), "a PING is given its time");
    cr_assert_eq(t_proxy_accepted(proxy), 2);
    t_rig_free(rig);
    t_proxy_stop(proxy);
}

/* Case 44, as the network does it: replies and pushes in the smallest pieces. */
T_LIVE(io_lane_live, case_44_byte_by_byte)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "some value");
    t_ctl_ok(ctl, "HSET", "h", "a", "1", "b", "2");
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, true);
    t_rig *rig = connect_through(proxy, 0);
    t_proxy_chop(proxy, 1, T_BOTH_WAYS, 1);
    t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "HGET", "h", "b")), NKV_OK);
    t_ctl_ok(ctl, "MSET", "k", "1", "other", "2");
    t_rig_wait_diary(rig, "push(k)");
    cr_assert_str_eq(t_rig_diary(rig), "#1.0=$some value #1=done #2.0=$2 #2=done push(k)");
    t_rig_free(rig);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

T_LIVE(io_lane_live, a_reset_in_the_middle_of_a_reply)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "SET", "k", "0123456789012345678901234567890123456789");
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, true);
    t_rig *rig = connect_through(proxy, 0);
    t_trigger middle = {.when = T_AFTER,
                        .pattern = "0123456789",
                        .pattern_len = 10,
                        .what = T_DO_CUT,
                        .cut = T_RST};
    t_proxy_on(proxy, 1, T_TO_CLIENT, &middle);
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(ask), NKV_ECONN);
    cr_assert(ask->request.sent);
    cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "GET", "k")), NKV_OK);
    t_rig_free(rig);
    t_proxy_stop(proxy);
    t_ctl_close(ctl);
}

/* ---- Rights ---------------------------------------------------------------------------------- */

T_LIVE(io_lane_live, case_63_tracking_forbidden_by_acl)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">pw", "~*", "&*", "+@all", "-client|tracking");
    t_rig *rig = connect_as(server, (t_rig_options){.username = "ann", .password = "pw"});
    t_rig_wait_state(rig, NKVI_LANE_UNTRACKED);
    cr_assert_not_null(strstr(t_rig_info(rig).last_error.text, "CLIENT TRACKING"), "%s",
                       t_rig_info(rig).last_error.text);
    cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "GET", "k")), NKV_OK);
    t_rig_free(rig);
    t_ctl_close(ctl);
}

/* Case 64: no ACL can forbid HELLO, but a server can be set up without it. */
T_LIVE_PRIVATE(io_lane_live, case_64_server_without_hello)
{
    static const char *const args[] = {"--rename-command", "HELLO", "", NULL};
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .args = args});
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">pw", "~*", "&*", "+@all");
    t_rig *rig = connect_as(server, (t_rig_options){.username = "ann", .password = "pw", .db = 2});
    t_rig_wait_state(rig, NKVI_LANE_UNTRACKED);
    cr_assert_null(strstr(t_rig_info(rig).last_error.text, "pw"), "%s",
                   t_rig_info(rig).last_error.text);
    cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "ACL", "WHOAMI")), NKV_OK);
    cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "SET", "k", "v")), NKV_OK);
    t_ctl_ok(ctl, "SELECT", "2");
    cr_assert_eq(t_ctl_int(ctl, "EXISTS", "k"), 1);
    cr_assert_not_null(strstr(t_rig_diary(rig), "#1.0=$ann"), "%s", t_rig_diary(rig));
    t_rig_free(rig);
    t_ctl_close(ctl);
    t_server_stop(server);
}

T_LIVE(io_lane_live, wrong_passwords_are_told_but_never_shown)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all");
    t_rig *rig = connect_as(server, (t_rig_options){.username = "ann", .password = "hunter2"});
    t_ask *ask = t_ask_cmd(rig, "GET", "k");
    cr_assert_eq(t_ask_wait(ask), NKV_EREPLY);
    cr_assert_not_null(strstr(ask->error.text, "WRONGPASS"), "%s", ask->error.text);
    cr_assert_null(strstr(ask->error.text, "hunter2"));
    t_rig_free(rig);
    t_ctl_close(ctl);
}

/* ---- Loading --------------------------------------------------------------------------------- */

static void *reload(void *ud)
{
    t_ctl *ctl = ud;
    (void)t_ctl_try(ctl, "DEBUG", "RELOAD");
    return NULL;
}

/* I9: a server that is loading says so, for each request alone; the connection stays. */
T_LIVE_PRIVATE(io_lane_live, loading_is_an_answer_like_others)
{
    static const char *const args[] = {"--enable-debug-command", "yes", NULL};
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .args = args});
    t_ctl *ctl = t_ctl_open(server);
    for (int i = 0; i < 500; i++) {
        char *key = t_format("k%d", i);
        t_ctl_ok(ctl, "SET", key, "some value that takes a little room in the file");
        free(key);
    }
    t_rig *rig = connect_armed(server);
    t_ctl_config_set(ctl, "key-load-delay", "2000");
    t_ctl_config_set(ctl, "loading-process-events-interval-bytes", "1024");
    pthread_t thread;
    T_REQUIRE(pthread_create(&thread, NULL, reload, ctl) == 0);
    do {
        cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "GET", "k1")), NKV_OK);
    } while (strstr(t_rig_diary(rig), "-LOADING") == NULL);
    pthread_join(thread, NULL);
    t_rig_diary_clear(rig);
    cr_assert_eq(t_ask_wait(t_ask_cmd(rig, "GET", "k1")), NKV_OK);
    cr_assert_not_null(strstr(t_rig_diary(rig), "=$some value"), "%s", t_rig_diary(rig));
    cr_assert_eq(t_rig_info(rig).reconnects, 0);
    t_rig_free(rig);
    t_ctl_close(ctl);
    t_server_stop(server);
}
