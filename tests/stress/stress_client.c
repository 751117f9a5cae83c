/* tests/stress/stress_client.c - one client under many threads: the acceptance cases 54 and 55, and
 * destroying a client under load (I8).
 *
 *      stress_client [SCALE]      SCALE in percent of the full counts; default 100
 *
 * 54  Four threads, each with a key and an outside connection of its own, together 100 000 times:
 *     write outside, wait for the acknowledgement, read at BARRIER through the one client. None of
 *     them may be stale.
 * 55  Eight threads make a million reads each, while a writer changes the keys. It ends, every
 *     answer is a value that was written, and ThreadSanitizer has nothing to say.
 *
 * Under a sanitizer a fiftieth of that. The last line is "N passed, N failed".                   */

#include <nearkv/nearkv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/near.h"
#include "support/server.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 50
#else
#define SLOWER 1
#endif

enum { BARRIER_THREADS = 4, READ_THREADS = 8, READ_KEYS = 512 };

static int passed;
static int failed;

static void expect(bool good, const char *what)
{
    (void)printf("%s - %s\n", good ? "ok" : "FAILED", what);
    passed += good;
    failed += !good;
}

typedef struct worker {
    pthread_t thread;
    t_server *server;
    nkv_client *client;
    int number;
    int rounds;
    int stale;
    int wrong;
    uint64_t hits;
    atomic_bool *stop;
} worker;

/* ---- 54 -------------------------------------------------------------------------------------- */

static void *write_and_read(void *ud)
{
    worker *w = ud;
    t_ctl *ctl = t_ctl_open(w->server);
    char key[24];
    (void)snprintf(key, sizeof key, "barrier:%d", w->number);
    for (int i = 0; i < w->rounds; i++) {
        char value[24];
        (void)snprintf(value, sizeof value, "%d", i);
        t_ctl_ok(ctl, "SET", key, value);
        const t_answer answer = t_near_get_at(w->client, key, NKV_BARRIER);
        w->wrong += answer.status < 0;
        w->stale += answer.status >= 0 && strcmp(answer.text, value) != 0;
    }
    t_ctl_close(ctl);
    return NULL;
}

static void case_54(t_server *server, int scale)
{
    nkv_client *client = t_near_open_on(server);
    worker workers[BARRIER_THREADS];
    for (int i = 0; i < BARRIER_THREADS; i++) {
        workers[i] = (worker){
            .server = server, .client = client, .number = i, .rounds = 1000 * scale / 4 / SLOWER};
        T_REQUIRE(pthread_create(&workers[i].thread, NULL, write_and_read, &workers[i]) == 0);
    }
    int rounds = 0;
    int stale = 0;
    int wrong = 0;
    for (int i = 0; i < BARRIER_THREADS; i++) {
        T_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
        rounds += workers[i].rounds;
        stale += workers[i].stale;
        wrong += workers[i].wrong;
    }
    const nkv_stats stats = t_near_stats(client);
    (void)printf("54: %d barrier reads, %d stale, %d failed; %llu hits, %llu PINGs\n", rounds,
                 stale, wrong, (unsigned long long)stats.hits, (unsigned long long)stats.barriers);
    expect(stale == 0, "case 54: no BARRIER read is stale");
    expect(wrong == 0, "case 54: none fails");
    expect(t_near_identity(client), "case 54: the counters agree");
    nkv_client_destroy(client);
}

/* ---- 55 -------------------------------------------------------------------------------------- */

/* A value is its key's number and a version. */
static void *read_much(void *ud)
{
    worker *w = ud;
    t_rng rng;
    t_rng_init(&rng, t_run_seed() + (uint64_t)w->number);
    for (int i = 0; i < w->rounds; i++) {
        char key[24];
        const int k = (int)t_rng_below(&rng, READ_KEYS);
        const int len = snprintf(key, sizeof key, "read:%d", k);
        nkv_call call;
        nkv_call_init(&call);
        nkv_value *value = NULL;
        const nkv_status status = nkv_get(w->client, nkv_str_make(key, (size_t)len), &call, &value);
        w->wrong += status != NKV_OK || strtol(nkv_value_str(value).data, NULL, 10) != k;
        w->hits += call.from == NKV_FROM_CACHE;
        nkv_value_release(value);
    }
    return NULL;
}

static void write_key(t_ctl *ctl, int k, int version)
{
    char key[24];
    char value[40];
    (void)snprintf(key, sizeof key, "read:%d", k);
    (void)snprintf(value, sizeof value, "%d %d", k, version);
    t_ctl_ok(ctl, "SET", key, value);
}

static void *write_much(void *ud)
{
    worker *w = ud;
    t_ctl *ctl = t_ctl_open(w->server);
    t_rng rng;
    t_rng_init(&rng, t_run_seed());
    for (; !atomic_load(w->stop); w->rounds++) {
        write_key(ctl, (int)t_rng_below(&rng, READ_KEYS), w->rounds);
        t_sleep_us(50);
    }
    t_ctl_close(ctl);
    return NULL;
}

static void case_55(t_server *server, int scale)
{
    t_ctl *ctl = t_ctl_open(server);
    for (int k = 0; k < READ_KEYS; k++) {
        write_key(ctl, k, 0);
    }
    t_ctl_close(ctl);
    nkv_client *client = t_near_open_on(server);
    atomic_bool stop = false;
    worker writer = {.server = server, .stop = &stop};
    T_REQUIRE(pthread_create(&writer.thread, NULL, write_much, &writer) == 0);
    worker readers[READ_THREADS];
    const int64_t begin_ms = t_now_ms();
    for (int i = 0; i < READ_THREADS; i++) {
        readers[i] = (worker){.client = client, .number = i, .rounds = 10000 * scale / SLOWER};
        T_REQUIRE(pthread_create(&readers[i].thread, NULL, read_much, &readers[i]) == 0);
    }
    int wrong = 0;
    uint64_t hits = 0;
    uint64_t reads = 0;
    for (int i = 0; i < READ_THREADS; i++) {
        T_REQUIRE(pthread_join(readers[i].thread, NULL) == 0);
        wrong += readers[i].wrong;
        hits += readers[i].hits;
        reads += (uint64_t)readers[i].rounds;
    }
    atomic_store(&stop, true);
    T_REQUIRE(pthread_join(writer.thread, NULL) == 0);
    (void)printf("55: %llu reads in %lld ms, %llu hits, %d writes beside them, %d wrong\n",
                 (unsigned long long)reads, (long long)(t_now_ms() - begin_ms),
                 (unsigned long long)hits, writer.rounds, wrong);
    expect(wrong == 0, "case 55: every answer is one of its key");
    expect(hits > reads / 2 && writer.rounds > 0, "case 55: hits and writes mix");
    expect(t_near_stats(client).reads == reads && t_near_identity(client),
           "case 55: the counters agree");
    nkv_client_destroy(client);
}

/* ---- I8: destroyed while threads are in calls ------------------------------------------------ */

/* The client may be gone when the call returns: it touches the worker only. */
static void *call_once(void *ud)
{
    worker *w = ud;
    char key[24];
    (void)snprintf(key, sizeof key, "k%d", w->number);
    const t_answer answer = w->number == 0       ? t_near_get_at(w->client, "warm", NKV_BARRIER)
                            : w->number % 2 != 0 ? t_near(w->client, "SET", key, "v")
                                                 : t_near(w->client, "MGET", key, "x", key);
    w->wrong = answer.status != NKV_ECLOSED;
    return NULL;
}

/* A stopped server keeps all threads inside of their calls; each has something under way, so their
 * number tells when no call will begin any more.                                                 */
static void destroy_under_load(t_server *server, int rounds)
{
    enum { THREADS = 16 };
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    int wrong = 0;
    for (int round = 0; round < rounds; round++) {
        nkv_client *client = t_near_open_on(server);
        (void)t_near_get(client, "warm");
        t_server_pause(server);
        worker workers[THREADS];
        for (int i = 0; i < THREADS; i++) {
            workers[i] = (worker){.client = client, .number = i};
            T_REQUIRE(pthread_create(&workers[i].thread, NULL, call_once, &workers[i]) == 0);
        }
        T_WAIT_UNTIL(t_near_stats(client).inflight >= THREADS, 4000);
        nkv_client_destroy(client);
        t_server_resume(server);
        for (int i = 0; i < THREADS; i++) {
            T_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
            wrong += workers[i].wrong;
        }
    }
    expect(wrong == 0, "I8: every blocked call ends with NKV_ECLOSED");
    expect(t_fd_count() == fds && t_thread_count() == threads, "I8: nothing is left");
}

int main(int argc, char **argv)
{
    const int scale = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100;
    if (scale < 1 || scale > 100000) {
        T_DIE("a scale in percent is wanted, not \"%s\"", argv[1]);
    }
    t_server *server = t_server_start(NULL);
    case_54(server, scale);
    case_55(server, scale);
    destroy_under_load(server, 10);
    t_server_stop(server);
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
