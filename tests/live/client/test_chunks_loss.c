/* tests/live/client/test_chunks_loss.c - chunks that do not come to their end by themselves:
 * deadlines, cancels, killed connections and servers, clients that are destroyed. */
#include "support/chunks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/bulk_op.h"
#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/near.h"
#include "support/proxy.h"

enum { N = 200, BYTES = 50000 };

static char *value;

/* Gets, sets and deletes of a few keys. */
static t_chunk *some(int i)
{
    static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4"};
    nkv_str key = nkv_cstr(keys[i % 5]);
    switch (i % 7) {
    case 0:
        return t_chunk_del(key);
    case 1:
    case 2:
        return t_chunk_set(key, nkv_str_make(value, BYTES), 0);
    default:
        return t_chunk_get(key, SIZE_MAX);
    }
}

static void make_some(t_chunk **chunks, int n)
{
    if (value == NULL) {
        value = t_op_bytes(BYTES, 3);
    }
    for (int i = 0; i < n; i++) {
        chunks[i] = some(i);
    }
}

/* Whether it is whole, if it says that all is well. */
static bool whole(const t_chunk *chunk)
{
    return chunk->status != NKV_OK || chunk->type != NKV_TYPE_STRING ||
           (chunk->len == BYTES && memcmp(chunk->room, value, BYTES) == 0);
}

/* The client works and has forgotten nothing that it should know, nor kept what it should not. */
static void all_is_well(nkv_client *client)
{
    nkv_str key = nkv_cstr("well");
    cr_assert(nkv_client_wait_ready(client, T_CHUNK_MS, NULL) == NKV_OK);
    t_chunk_is(t_chunk_run(client, t_chunk_set(key, nkv_cstr("good"), 0)), NKV_OK, NKV_TYPE_STATUS);
    cr_assert(t_says(t_near_get(client, "well"), "good"));
    t_near_sync(client);
    cr_assert(t_says(t_near_get(client, "well"), "good"));
    cr_assert(t_is(t_near_get(client, "well"), NKV_FROM_CACHE, "good"), "no write is open");
    cr_assert(t_near_identity(client));
}

static nkv_client *open_proxied(t_proxy *proxy, int64_t window)
{
    char *url = t_format("unix://%s", t_proxy_path(proxy));
    nkv_options options = t_near_options(url);
    options.bulk_window_bytes = window;
    nkv_client *client = t_near_open(&options);
    free(url);
    return client;
}

/* ---- Deadline and cancel --------------------------------------------------------------------- */

T_LIVE(client_chunks_loss, every_chunk_keeps_its_deadline)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_client *client = open_proxied(proxy, 1 << 20);
    t_chunk *chunks[N];
    make_some(chunks, N);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    for (int i = 0; i < N; i++) {
        t_chunk_within(chunks[i], 300);
    }
    int64_t begin_ms = t_now_ms();
    t_chunks_submit(client, chunks, N);
    for (int i = 0; i < N; i++) {
        t_chunk_is(t_chunk_wait(chunks[i]), NKV_ETIMEDOUT, NKV_TYPE_NIL);
    }
    cr_assert_lt(t_now_ms() - begin_ms, T_CHUNK_MS);
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    all_is_well(client);
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
}

T_LIVE(client_chunks_loss, every_chunk_can_be_cancelled)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    nkv_client *client = open_proxied(proxy, 1 << 20);
    t_chunk *chunks[N];
    make_some(chunks, N);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    t_chunks_submit(client, chunks, N);
    for (int i = 0; i < N; i++) {
        nkvi_chunk_cancel(&chunks[i]->chunk);
    }
    for (int i = 0; i < N; i++) {
        t_chunk_is(t_chunk_wait(chunks[i]), NKV_ECANCELED, NKV_TYPE_NIL);
    }
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    all_is_well(client);
    nkv_client_destroy(client);
    t_proxy_stop(proxy);
}

T_LIVE(client_chunks_loss, one_that_was_cancelled_before_it_came)
{
    nkv_client *client = t_near_open_on(server);
    t_chunk *set = t_chunk_set(nkv_cstr("k"), nkv_cstr("v"), 0);
    nkvi_chunk_cancel(&set->chunk);
    t_chunks_submit(client, &set, 1);
    t_chunk_is(set, NKV_ECANCELED, NKV_TYPE_NIL);
    cr_assert(t_says(t_near_get(client, "k"), "_"));
    all_is_well(client);
    nkv_client_destroy(client);
}

typedef struct race {
    t_chunk *chunks[N];
    uint64_t seed;
} race;

static void *cancel_some(void *arg)
{
    race *r = arg;
    t_rng rng;
    t_rng_init(&rng, r->seed);
    for (int i = 0; i < N / 2; i++) {
        nkvi_chunk_cancel(&r->chunks[t_rng_below(&rng, N)]->chunk);
    }
    return NULL;
}

/* While they are submitted, under way, and ending. */
T_LIVE(client_chunks_loss, cancels_at_any_moment)
{
    enum { ROUNDS = 60 };
    nkv_client *client = t_near_open_on(server);
    race r;
    int ok = 0, cancelled = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        make_some(r.chunks, N);
        r.seed = t_run_seed() + (uint64_t)round;
        T_REQUIRE(pthread_create(&thread, NULL, cancel_some, &r) == 0);
        t_chunks_submit(client, r.chunks, N);
        pthread_join(thread, NULL);
        for (int i = 0; i < N; i++) {
            t_chunk *chunk = t_chunk_wait(r.chunks[i]);
            cr_assert(whole(chunk) && (chunk->status == NKV_OK || chunk->status == NKV_ECANCELED ||
                                       chunk->status == NKV_ECONN),
                      "%d: %s", chunk->status, chunk->text);
            ok += chunk->status == NKV_OK;
            cancelled += chunk->status == NKV_ECANCELED;
            t_chunk_drop(chunk);
        }
    }
    cr_assert(ok > 0 && cancelled > 0, "%d ended, %d cancelled", ok, cancelled);
    all_is_well(client);
    nkv_client_destroy(client);
}

/* ---- Loss ------------------------------------------------------------------------------------ */

static void end_all(t_chunk **chunks, int n, int *ok)
{
    for (int i = 0; i < n; i++) {
        t_chunk *chunk = t_chunk_wait(chunks[i]);
        cr_assert(whole(chunk) && (chunk->status == NKV_OK || chunk->status == NKV_ECONN), "%d: %s",
                  chunk->status, chunk->text);
        *ok += chunk->status == NKV_OK;
        t_chunk_drop(chunk);
    }
}

T_LIVE(client_chunks_loss, case_13_connections_killed_in_mid_batch)
{
    enum { ROUNDS = 30 };
    nkv_client *client = t_near_open_on(server);
    t_ctl *ctl = t_ctl_open(server);
    int ok = 0;
    for (int round = 0; round < ROUNDS; round++) {
        t_chunk *chunks[N];
        make_some(chunks, N);
        t_chunks_submit(client, chunks, N);
        t_sleep_us(round * 200);
        (void)t_ctl_int(ctl, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        end_all(chunks, N, &ok);
    }
    cr_assert_gt(ok, N, "hardly any was answered: %d", ok);
    all_is_well(client);
    t_ctl_close(ctl);
    nkv_client_destroy(client);
}

T_LIVE_PRIVATE(client_chunks_loss, case_13_a_server_killed_in_mid_batch)
{
    enum { ROUNDS = 4 };
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    nkv_client *client = t_near_open_on(server);
    int ok = 0;
    for (int round = 0; round < ROUNDS; round++) {
        t_chunk *chunks[N];
        make_some(chunks, N);
        t_chunks_submit(client, chunks, N);
        t_sleep_us(round * 1000);
        t_server_kill(server);
        end_all(chunks, N, &ok);
        t_server_restart(server, NULL);
        all_is_well(client);
    }
    nkv_client_destroy(client);
    t_server_stop(server);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* Behaviour 14: when destroy returns every chunk has ended, and nothing is left. */
T_LIVE(client_chunks_loss, case_14_destroy_ends_all)
{
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    const int threads = t_thread_count(), fds = t_fd_count();
    nkv_client *client = open_proxied(proxy, 1 << 20);
    t_chunk *chunks[N];
    make_some(chunks, N);
    t_proxy_hold(proxy, T_EVERY, T_BOTH_WAYS);
    t_chunks_submit(client, chunks, N);
    nkv_client_destroy(client);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(atomic_load(&chunks[i]->done), 1);
        t_chunk_is(chunks[i], NKV_ECLOSED, NKV_TYPE_NIL);
    }
    cr_assert_eq(t_thread_count(), threads);
    t_proxy_release(proxy, T_EVERY, T_BOTH_WAYS);
    T_WAIT_UNTIL(t_proxy_open(proxy) == 0 && t_fd_count() == fds, T_CHUNK_MS);
    t_proxy_stop(proxy);
}

T_LIVE(client_chunks_loss, a_client_without_chunks_has_no_threads_for_them)
{
    const int threads = t_thread_count();
    nkv_client *client = t_near_open_on(server);
    cr_assert(t_says(t_near_get(client, "k"), "_"));
    cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
    cr_assert_eq(t_thread_count(), threads + 1, "its loop");
    t_chunk_is(t_chunk_run(client, t_chunk_get(nkv_cstr("k"), SIZE_MAX)), NKV_OK, NKV_TYPE_STRING);
    cr_assert_eq(t_thread_count(), threads + 2);
    nkv_client_destroy(client);
    cr_assert_eq(t_thread_count(), threads);
}
