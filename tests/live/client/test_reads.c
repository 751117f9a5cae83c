/* tests/live/client/test_reads.c - reads for which nobody waits (client/read_async.c), on real
 * servers: right answers, in time, whatever happens to the connection. */
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"
#include "support/reads.h"
#include "support/thread.h"

enum { LONG_MS = 60000, TIMEOUT_MS = 120, SLACK_MS = 400, MANY = 300 };

/* Every third key of PREFIX0.. is missing, the others are their own names. */
static void fill(const t_server *server, const char *prefix)
{
    t_ctl *ctl = t_ctl_open(server);
    for (int i = 0; i < MANY; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s%d", prefix, i);
        if (i % 3 != 2) {
            t_ctl_ok(ctl, "SET", key, key);
        }
    }
    t_ctl_close(ctl);
}

static void check_answers(const t_reads *reads, const char *when)
{
    for (size_t i = 0; i < reads->all.n; i++) {
        const nkv_result *result = &reads->results[i];
        cr_assert_eq(result->status, NKV_OK, "%s: key %zu: %s", when, i,
                     nkv_status_text(result->status));
        const nkv_str key = reads->all.reads[i].query.key;
        const nkv_str value = nkv_value_str(result->value);
        if (i % 3 == 2) {
            cr_assert_eq(nkv_value_reply(result->value).type, NKV_TYPE_NIL);
        } else {
            cr_assert(t_same_bytes(when, value.data, value.len, key.data, key.len));
        }
    }
}

static void read_now(t_reads *reads)
{
    t_reads_start(reads, LONG_MS);
    t_reads_wait(reads);
}

static nkv_client *open_through(t_proxy *proxy)
{
    const nkv_options options = t_near_options(t_proxy_url(proxy));
    return t_near_open(&options);
}

T_LIVE(client_live_reads, any_number_at_any_level)
{
    static const size_t counts[] = {1, 7, 64, MANY};
    fill(server, "n");
    for (size_t i = 0; i < 4; i++) {
        nkv_client *client = t_near_open_on(server);
        t_reads *reads = t_reads_many(client, "n", counts[i]);
        read_now(reads);
        check_answers(reads, "cold");
        cr_assert(t_reads_all_from(reads, NKV_FROM_SERVER));
        for (nkv_level level = NKV_EVENTUAL; level <= NKV_BARRIER; level++) {
            reads->call.level = level;
            read_now(reads);
            check_answers(reads, "warm");
            cr_assert(t_reads_all_from(reads, NKV_FROM_CACHE));
        }
        cr_assert_eq(t_near_stats(client).hits, 3 * counts[i]);
        cr_assert(t_near_identity(client));
        t_reads_free(reads);
        nkv_client_destroy(client);
    }
}

/* P3: what was acknowledged to anybody before the start is seen. */
T_LIVE(client_live_reads, a_barrier_sees_every_acknowledged_write)
{
    t_ctl *ctl = t_ctl_open(server);
    nkv_client *client = t_near_open_on(server);
    t_reads *reads = t_reads_of(client, "a", "b", "c");
    reads->call.level = NKV_BARRIER;
    for (int i = 0; i < 300; i++) {
        char value[16];
        char expected[64];
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok(ctl, "SET", "b", value);
        read_now(reads);
        (void)snprintf(expected, sizeof expected, "%d/server", i);
        cr_assert_not_null(strstr(t_reads_text(reads), expected), "%s", t_reads_text(reads));
    }
    t_reads_free(reads);
    nkv_client_destroy(client);
    t_ctl_close(ctl);
}

/* The tracked connection is cut at any place of the answers. */
T_LIVE(client_live_reads, a_cut_in_the_answers_is_not_seen)
{
    static const uint64_t places[] = {1, 30, 200, 1000, 3000};
    static const t_trigger armed = {
        .when = T_AFTER, .pattern = "TRACKING", .pattern_len = 8, .what = T_DO_NOTHING};
    fill(server, "cut");
    for (size_t i = 0; i < 5; i++) {
        t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
        const int first = t_proxy_on(proxy, 1, T_TO_SERVER, &armed);
        nkv_client *client = open_through(proxy);
        const int tracked = t_proxy_wait_fired(proxy, first, 0) ? 1 : 2;
        const t_trigger cut = {
            .when = T_AT_BYTES, .bytes = places[i], .what = T_DO_CUT, .cut = T_FIN};
        (void)t_proxy_on(proxy, tracked, T_TO_CLIENT, &cut);
        t_reads *reads = t_reads_many(client, "cut", MANY);
        read_now(reads);
        check_answers(reads, "cut");
        cr_assert_gt(t_near_stats(client).bypass[NKV_BYPASS_UNTRACKED], 0);
        cr_assert(t_near_identity(client));
        t_reads_free(reads);
        nkv_client_destroy(client);
        t_proxy_stop(proxy);
    }
}

/* P4 */
T_LIVE(client_live_reads, nothing_is_heard_and_they_end_in_time)
{
    fill(server, "late");
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_client *client = open_through(proxy);
    t_reads *warm = t_reads_many(client, "late", 3);
    read_now(warm);
    t_proxy_swallow(proxy, T_EVERY, T_BOTH_WAYS, true);
    for (nkv_level level = NKV_EVENTUAL; level <= NKV_BARRIER; level++) {
        t_reads *reads = t_reads_many(client, "late", 100);
        reads->call.level = level;
        const int64_t begin_ms = t_now_ms();
        t_reads_start(reads, TIMEOUT_MS);
        t_reads_wait(reads);
        const int64_t took_ms = t_now_ms() - begin_ms;
        cr_assert(took_ms >= TIMEOUT_MS - 1 && took_ms <= TIMEOUT_MS + SLACK_MS, "%lld ms",
                  (long long)took_ms);
        cr_assert_eq(reads->first, NKV_ETIMEDOUT);
        cr_assert_eq(t_reads_count(reads, NKV_ETIMEDOUT), level == NKV_BARRIER ? 100 : 97);
        t_reads_free(reads);
    }
    t_reads_free(warm);
    t_proxy_stop(proxy);
    nkv_client_destroy(client);
}

static void *cancel_in_thread(void *ud)
{
    t_reads_cancel(ud);
    return NULL;
}

/* Late answers of what was cancelled are kept, and disturb nobody. */
T_LIVE(client_live_reads, cancelled_while_the_answers_are_held)
{
    fill(server, "c");
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_client *client = open_through(proxy);
    t_reads *reads = t_reads_many(client, "c", MANY);
    t_proxy_hold(proxy, T_EVERY, T_TO_CLIENT);
    t_reads_start(reads, LONG_MS);
    pthread_t thread;
    t_thread_start(&thread, cancel_in_thread, reads);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    t_reads_wait(reads);
    cr_assert_eq(t_reads_count(reads, NKV_ECANCELED), MANY);
    t_proxy_release(proxy, T_EVERY, T_TO_CLIENT);
    T_WAIT_UNTIL(t_near_stats(client).inflight == 0, LONG_MS);
    t_reads *again = t_reads_many(client, "c", MANY);
    read_now(again);
    check_answers(again, "behind a cancel");
    cr_assert(t_reads_all_from(again, NKV_FROM_CACHE));
    cr_assert(t_near_identity(client));
    t_reads_free(reads);
    t_reads_free(again);
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
}

/* I8 */
T_LIVE(client_live_reads, a_client_with_many_of_them_is_destroyed)
{
    enum { READS = 50 };
    fill(server, "d");
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_client *client = open_through(proxy);
    t_reads *warm = t_reads_many(client, "d", 3);
    read_now(warm);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    t_reads *reads[READS];
    for (int i = 0; i < READS; i++) {
        reads[i] = t_reads_many(client, "d", (size_t)i + 4);
        reads[i]->call.level = (nkv_level)(NKV_EVENTUAL + i % 3);
        t_reads_start(reads[i], LONG_MS);
    }
    nkv_client_destroy(client);
    for (int i = 0; i < READS; i++) {
        cr_assert_eq(atomic_load(&reads[i]->done), 1);
        cr_assert_eq(reads[i]->first, NKV_ECLOSED);
        t_reads_free(reads[i]);
    }
    t_reads_free(warm);
    t_proxy_stop(proxy);
    cr_assert(t_fd_count() == fds && t_thread_count() == threads);
}

T_LIVE_PRIVATE(client_live_reads, the_server_is_killed_under_them)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    fill(server, "k");
    nkv_client *client = t_near_open_on(server);
    t_server_pause(server);
    t_reads *reads = t_reads_many(client, "k", MANY);
    t_reads_start(reads, LONG_MS);
    t_server_kill(server);
    t_reads_wait(reads);
    cr_assert_eq(t_reads_count(reads, NKV_ECONN), MANY);
    t_server_restart(server, NULL);
    T_WAIT_UNTIL(t_near_healthy(client), LONG_MS);
    fill(server, "k");
    read_now(reads);
    check_answers(reads, "behind a restart");
    cr_assert(t_near_identity(client));
    t_reads_free(reads);
    nkv_client_destroy(client);
    t_server_stop(server);
}
