/* tests/stress/stress_reads.c - threads that start reads for which nobody waits, and cancel each
 * other's, while connections are killed.
 *
 *      starters    each a window of reads: any number of keys, level and deadline; now and then
 *                  done() starts some more
 *      canceller   cancels any of them at any moment: before, during or after their start and end
 *      killer      CLIENT KILL of all connections of the client
 *      writer      changes the keys
 *
 * Each ends once, with a result for every key, and no value is another key's. The clients are
 * destroyed with the windows full.
 *
 * Meant for ThreadSanitizer.  NEARKV_STRESS_MS: how long (3000).                                 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/near.h"
#include "support/reads.h"
#include "support/server.h"
#include "support/thread.h"

enum { STARTERS = 4, WINDOW = 12, KEYS = 100, MANY = 300, ROUNDS = 6 };

static t_server *server;
static nkv_client *client;
static atomic_bool go_on;
static atomic_ullong started, wrong, by_status[16];

/* A place for reads, one after the other. */
typedef struct place {
    pthread_mutex_t mu; /* held by who cancels, and by who replaces */
    t_reads *reads;     /* NULL: none yet */
    t_reads *more;      /* that done() has started, or NULL */
} place;

static place places[STARTERS][WINDOW];

/* ---- Reads ----------------------------------------------------------------------------------- */

/* "key:12" has a value that begins with "key:12 ". */
static void check_one(const t_reads *reads, size_t i)
{
    const nkv_result *result = &reads->results[i];
    const nkv_str key = reads->all.reads[i].query.key;
    bool fine = result->status != NKV_NOT_FOUND && result->status != NKV_MISS;
    if (result->status == NKV_OK) {
        const nkv_str value = nkv_value_str(result->value);
        fine = value.len > key.len && memcmp(value.data, key.data, key.len) == 0 &&
               value.data[key.len] == ' ';
    }
    atomic_fetch_add(&wrong, !fine);
    atomic_fetch_add(&by_status[result->status < 0 ? -result->status : 0], 1);
}

static void check_and_free(t_reads *reads)
{
    if (reads == NULL) {
        return;
    }
    t_reads_wait(reads);
    for (size_t i = 0; i < reads->all.n; i++) {
        check_one(reads, i);
    }
    t_reads_free(reads);
}

static void start_more(t_reads *reads)
{
    place *p = reads->ud;
    t_reads *more = t_reads_many(reads->client, "key:", 1 + reads->all.n / 2);
    p->more = more; /* looked at when the first are done */
    atomic_fetch_add(&started, 1);
    t_reads_start(more, 20);
}

static t_reads *new_reads(place *p, t_rng *rng)
{
    const size_t most = t_rng_below(rng, 10) == 0 ? MANY : 20;
    t_reads *reads = t_reads_many(client, "key:", 1 + t_rng_below(rng, most));
    reads->call.level = (nkv_level)(NKV_EVENTUAL + t_rng_below(rng, 3));
    reads->call.no_cache = t_rng_below(rng, 10) == 0;
    if (t_rng_below(rng, 4) == 0) {
        reads->then = start_more;
        reads->ud = p;
    }
    return reads;
}

/* Ends what the place held, and gives it new ones, which may be cancelled before they start. */
static t_reads *replace(place *p, t_rng *rng)
{
    if (p->reads != NULL) {
        t_reads_wait(p->reads);
    }
    pthread_mutex_lock(&p->mu);
    t_reads *old = p->reads;
    t_reads *more = p->more;
    p->more = NULL;
    p->reads = rng != NULL ? new_reads(p, rng) : NULL;
    t_reads *now = p->reads;
    pthread_mutex_unlock(&p->mu);
    check_and_free(old);
    check_and_free(more);
    return now;
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *start_much(void *ud)
{
    place *mine = ud;
    t_rng rng;
    t_rng_init(&rng, t_run_seed() + (uint64_t)(mine - &places[0][0]));
    while (atomic_load(&go_on)) {
        place *p = &mine[t_rng_below(&rng, WINDOW)];
        t_reads *reads = replace(p, &rng);
        atomic_fetch_add(&started, 1);
        t_reads_start(reads, 1 + (int64_t)t_rng_below(&rng, 300));
        if (t_rng_below(&rng, 8) == 0) {
            t_reads_cancel(reads);
        }
    }
    return NULL;
}

static void *cancel_much(void *ud)
{
    t_rng rng;
    (void)ud;
    t_rng_init(&rng, t_run_seed() + 77);
    while (atomic_load(&go_on)) {
        place *p = &places[t_rng_below(&rng, STARTERS)][t_rng_below(&rng, WINDOW)];
        pthread_mutex_lock(&p->mu);
        if (p->reads != NULL) {
            t_reads_cancel(p->reads);
        }
        pthread_mutex_unlock(&p->mu);
        t_sleep_us((int64_t)t_rng_below(&rng, 200));
    }
    return NULL;
}

static void *kill_much(void *ud)
{
    t_ctl *ctl = t_ctl_open(server);
    t_rng rng;
    (void)ud;
    t_rng_init(&rng, t_run_seed() + 78);
    while (atomic_load(&go_on)) {
        t_sleep_ms(5 + (int64_t)t_rng_below(&rng, 60));
        (void)t_ctl_kill_type(ctl, "normal");
    }
    t_ctl_close(ctl);
    return NULL;
}

static void write_key(t_ctl *ctl, uint64_t k, uint64_t version)
{
    char key[24];
    char value[64];
    (void)snprintf(key, sizeof key, "key:%llu", (unsigned long long)k);
    (void)snprintf(value, sizeof value, "%s %llu", key, (unsigned long long)version);
    t_ctl_ok(ctl, "SET", key, value);
}

/* The killer may kill the connection of the writer as well: so it has one for each write. */
static void *write_much(void *ud)
{
    t_rng rng;
    (void)ud;
    t_rng_init(&rng, t_run_seed() + 79);
    while (atomic_load(&go_on)) {
        char key[24];
        char value[64];
        (void)snprintf(key, sizeof key, "key:%d", (int)t_rng_below(&rng, KEYS));
        (void)snprintf(value, sizeof value, "%s %llu", key, (unsigned long long)t_rng_next(&rng));
        t_ctl *ctl = t_ctl_open_path(t_server_path(server), NULL, NULL);
        if (ctl != NULL) {
            (void)t_ctl_try(ctl, "SET", key, value);
            t_ctl_close(ctl);
        }
        t_sleep_us(200);
    }
    return NULL;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static void one_round(bool destroy_full, int64_t ms)
{
    pthread_t threads[STARTERS + 3];
    client = t_near_open_on(server);
    atomic_store(&go_on, true);
    for (int i = 0; i < STARTERS; i++) {
        t_thread_start(&threads[i], start_much, places[i]);
    }
    t_thread_start(&threads[STARTERS], cancel_much, NULL);
    t_thread_start(&threads[STARTERS + 1], kill_much, NULL);
    t_thread_start(&threads[STARTERS + 2], write_much, NULL);
    t_sleep_ms(ms);
    atomic_store(&go_on, false);
    for (int i = 0; i < STARTERS + 3; i++) {
        T_REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    nkv_client *old = client;
    if (destroy_full) {
        nkv_client_destroy(old);
    }
    for (int i = 0; i < STARTERS * WINDOW; i++) {
        (void)replace(&places[i / WINDOW][i % WINDOW], NULL);
    }
    if (!destroy_full) {
        T_REQUIRE(t_near_identity(old));
        nkv_client_destroy(old);
    }
}

int main(void)
{
    const char *text = getenv("NEARKV_STRESS_MS");
    const int64_t ms = text != NULL ? strtol(text, NULL, 10) : 3000;
    server = t_server_start(NULL);
    t_ctl *ctl = t_ctl_open(server);
    for (uint64_t k = 0; k < MANY; k++) {
        write_key(ctl, k, 0);
    }
    t_ctl_close(ctl);
    for (int i = 0; i < STARTERS * WINDOW; i++) {
        T_REQUIRE(pthread_mutex_init(&places[i / WINDOW][i % WINDOW].mu, NULL) == 0);
    }
    int fds = 0;
    int threads = 0;
    for (int round = 0; round < ROUNDS; round++) {
        one_round(round % 2 == 0, ms / ROUNDS);
        fds = round == 0 ? t_fd_count() : fds; /* a sanitizer has its own from now on */
        threads = round == 0 ? t_thread_count() : threads;
    }
    const bool clean = t_fd_count() == fds && t_thread_count() == threads;
    (void)printf("%llu started; keys:", atomic_load(&started));
    for (int i = 0; i < 16; i++) {
        if (atomic_load(&by_status[i]) > 0) {
            (void)printf(" %llu %s,", atomic_load(&by_status[i]), nkv_status_text((nkv_status)-i));
        }
    }
    (void)printf(" %llu wrong\n", atomic_load(&wrong));
    const bool seen = atomic_load(&by_status[0]) > 0 && atomic_load(&by_status[-NKV_ECANCELED]) > 0;
    const int failed = (atomic_load(&wrong) > 0) + !clean + !seen;
    t_server_stop(server);
    (void)printf("%d passed, %d failed\n", 3 - failed, failed);
    return failed == 0 ? 0 : 1;
}
