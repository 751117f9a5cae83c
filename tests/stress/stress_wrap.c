/* tests/stress/stress_wrap.c - many threads on a client over a connector of one's own, which
 * answers in any order, while keys change behind its back, through it, and while it vouches or not.
 *
 *      changer  changes a key in the store, then tells (unless nobody vouches at the moment)
 *      writer   sets a key through the client
 *      reader   what it gets is never older than what was told, or set, before it asked
 *      chunker  reads into memory of its own with deadlines and cancels: nobody writes there
 *               afterwards
 *      voucher  ends, begins, flushes
 *
 * A value is the key's version, which only grows.  Twice: through buffers, and punctual.
 * Meant for ThreadSanitizer.  NEARKV_STRESS_MS: how long (3000). */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/chunk.h"
#include "support/check.h"
#include "support/near.h"

#define KEYS     6
#define READERS  3
#define CHANGERS 2
#define WRITERS  1
#define CHUNKERS 2
#define THREADS  (READERS + CHANGERS + WRITERS + CHUNKERS + 1)
#define WIDTH    20 /* digits of a version */

static const char *const names[KEYS] = {"a", "b", "c", "d", "e", "f"};

static struct {
    pthread_mutex_t change; /* who changes it */
    atomic_long version;    /* in the store */
    atomic_long told;       /* no read that begins now may see less */
    long next;              /* guarded by change */
} keys[KEYS];

static nkv_client *client;
static nkv_voucher *voucher;
static pthread_rwlock_t vouching = PTHREAD_RWLOCK_INITIALIZER;
static bool silent; /* guarded by vouching */
static _Atomic bool go_on;
static _Atomic uint64_t reads, hits, late, changes, sets, chunks, ends, wrong, touched, failed;

/* ---- The store ------------------------------------------------------------------------------- */

static int key_of(nkv_str key)
{
    T_REQUIRE(key.len == 1 && key.data[0] >= 'a' && key.data[0] < 'a' + KEYS);
    return key.data[0] - 'a';
}

/* Some calls are slow, some change the order in which they come back. */
static void dawdle(uint64_t chance)
{
    if (chance % 4 == 0) {
        t_sleep_us((int64_t)(chance % 300));
    } else if (chance % 2 == 0) {
        (void)sched_yield();
    }
}

static uint64_t chance(void)
{
    static _Atomic uint64_t seeds = 1;
    t_rng rng;
    t_rng_init(&rng, atomic_fetch_add(&seeds, 1));
    return t_rng_next(&rng);
}

static nkv_status store_get(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                            nkv_error *error)
{
    (void)ud;
    (void)deadline_ns;
    (void)error;
    for (size_t i = 0; i < n; i++) {
        char text[WIDTH + 1];
        const long version = atomic_load(&keys[key_of(items[i].key)].version);
        (void)snprintf(text, sizeof text, "%0*ld", WIDTH, version);
        dawdle(chance());
        char *room = nkv_connector_room(&items[i], WIDTH);
        if (room != NULL) {
            memcpy(room, text, WIDTH / 2);
            dawdle(chance());
            memcpy(room + WIDTH / 2, text + WIDTH / 2, WIDTH - WIDTH / 2);
            items[i].status = NKV_OK;
        }
    }
    return NKV_OK;
}

static nkv_status store_exists(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                               nkv_error *error)
{
    (void)ud;
    (void)deadline_ns;
    (void)error;
    for (size_t i = 0; i < n; i++) {
        items[i].status = NKV_OK;
    }
    return NKV_OK;
}

static nkv_status store_put(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                            nkv_error *error)
{
    (void)ud;
    (void)deadline_ns;
    (void)error;
    for (size_t i = 0; i < n; i++) {
        char text[WIDTH + 1] = "";
        T_REQUIRE(items[i].value.len <= WIDTH);
        memcpy(text, items[i].value.data, items[i].value.len);
        const long version = strtol(text, NULL, 10);
        dawdle(chance());
        long now = atomic_load(&keys[key_of(items[i].key)].version);
        while (now < version &&
               !atomic_compare_exchange_weak(&keys[key_of(items[i].key)].version, &now, version)) {}
        items[i].status = NKV_OK;
    }
    return NKV_OK;
}

static nkv_status store_settle(void *ud, int64_t deadline_ns, nkv_error *error)
{
    (void)ud;
    (void)deadline_ns;
    (void)error;
    /* Changes are told while `vouching` is held for reading. */
    pthread_rwlock_wrlock(&vouching);
    pthread_rwlock_unlock(&vouching);
    return NKV_OK;
}

static nkv_status store_open(void *ud, nkv_voucher *given, nkv_error *error)
{
    (void)ud;
    (void)error;
    voucher = given;
    nkv_voucher_begin(voucher);
    return NKV_OK;
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *run_changer(void *ud)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed() + (uint64_t)(uintptr_t)ud);
    while (go_on) {
        const int k = (int)t_rng_below(&rng, KEYS);
        pthread_mutex_lock(&keys[k].change);
        pthread_rwlock_rdlock(&vouching);
        const long version = ++keys[k].next;
        atomic_store(&keys[k].version, version);
        if (!silent) {
            nkv_voucher_invalidate(voucher, nkv_cstr(names[k]));
        }
        atomic_store(&keys[k].told, version);
        pthread_rwlock_unlock(&vouching);
        pthread_mutex_unlock(&keys[k].change);
        changes++;
        t_sleep_us((int64_t)t_rng_below(&rng, 400));
    }
    return NULL;
}

static void *run_writer(void *ud)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed() + (uint64_t)(uintptr_t)ud);
    while (go_on) {
        const int k = (int)t_rng_below(&rng, KEYS);
        char text[WIDTH + 1];
        pthread_mutex_lock(&keys[k].change);
        const long version = ++keys[k].next;
        (void)snprintf(text, sizeof text, "%ld", version);
        nkv_call call;
        nkv_call_init(&call);
        call.timeout_ms = t_rng_below(&rng, 8) == 0 ? 1 : 10000;
        const nkv_status status = nkv_set(client, nkv_cstr(names[k]), nkv_cstr(text), 0, &call);
        if (status == NKV_OK) {
            atomic_store(&keys[k].told, version);
        }
        failed += status < 0 && status != NKV_ETIMEDOUT;
        pthread_mutex_unlock(&keys[k].change);
        sets++;
        t_sleep_us((int64_t)t_rng_below(&rng, 800));
    }
    return NULL;
}

static void judge(int k, long before, nkv_status status, nkv_value *value)
{
    if (status == NKV_OK) {
        const nkv_str bytes = nkv_value_str(value);
        const long version = strtol(bytes.data, NULL, 10);
        if (version < before || bytes.len != WIDTH) {
            (void)fprintf(stderr, "# key %s: %ld, but %ld was told\n", names[k], version, before);
            wrong++;
        }
    } else {
        late += status == NKV_ETIMEDOUT;
        failed += status != NKV_ETIMEDOUT;
    }
    nkv_value_release(value);
    reads++;
}

static void read_all(void)
{
    nkv_str all[KEYS];
    nkv_result results[KEYS];
    long before[KEYS];
    for (int k = 0; k < KEYS; k++) {
        all[k] = nkv_cstr(names[k]);
        before[k] = atomic_load(&keys[k].told);
    }
    (void)!nkv_mget(client, all, KEYS, NULL, results);
    for (int k = 0; k < KEYS; k++) {
        hits += results[k].from == NKV_FROM_CACHE;
        judge(k, before[k], results[k].status, results[k].value);
    }
}

static void *run_reader(void *ud)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed() + (uint64_t)(uintptr_t)ud);
    while (go_on) {
        if (t_rng_below(&rng, 10) == 0) {
            read_all();
            continue;
        }
        const int k = (int)t_rng_below(&rng, KEYS);
        nkv_call call;
        nkv_value *value;
        nkv_call_init(&call);
        call.level = t_rng_below(&rng, 20) == 0 ? NKV_BARRIER : NKV_EVENTUAL;
        call.timeout_ms = t_rng_below(&rng, 10) == 0 ? 1 : 10000;
        const long before = atomic_load(&keys[k].told);
        const nkv_status status = nkv_get(client, nkv_cstr(names[k]), &call, &value);
        hits += call.from == NKV_FROM_CACHE;
        judge(k, before, status, value);
    }
    return NULL;
}

typedef struct part {
    nkvi_chunk chunk;
    char buf[WIDTH];
    nkv_status status;
    atomic_int done;
} part;

static char *part_room(nkvi_chunk *chunk, size_t len)
{
    T_REQUIRE(len == WIDTH);
    return ((part *)(void *)chunk)->buf;
}

static void part_done(nkvi_chunk *chunk, nkv_status status, const nkv_reply *reply,
                      const nkv_error *error)
{
    part *p = (part *)(void *)chunk;
    (void)reply;
    (void)error;
    p->status = status;
    atomic_store(&p->done, 1);
}

static void read_chunk(t_rng *rng, int k)
{
    part p;
    nkvi_chunk *one[1] = {&p.chunk};
    memset(&p, 0, sizeof p);
    p.chunk.kind = NKVI_CHUNK_GET;
    p.chunk.key = nkv_cstr(names[k]);
    p.chunk.deadline_ns = nkvi_now_ns() + (int64_t)t_rng_below(rng, 2000000);
    p.chunk.room = part_room;
    p.chunk.done = part_done;
    nkvi_chunks_submit(client, one, 1);
    if (t_rng_below(rng, 3) == 0) {
        nkvi_chunk_cancel(&p.chunk);
    }
    while (atomic_load(&p.done) == 0) {
        (void)sched_yield();
    }
    if (p.status == NKV_OK) {
        for (size_t i = 0; i < WIDTH; i++) {
            wrong += p.buf[i] < '0' || p.buf[i] > '9';
        }
    }
    memset(&p, '?', sizeof p);
    t_sleep_us((int64_t)t_rng_below(rng, 500));
    for (size_t i = 0; i < sizeof p; i++) {
        touched += ((const volatile char *)&p)[i] != '?';
    }
    chunks++;
}

static void *run_chunker(void *ud)
{
    t_rng rng;
    t_rng_init(&rng, t_run_seed() + (uint64_t)(uintptr_t)ud);
    while (go_on) {
        read_chunk(&rng, (int)t_rng_below(&rng, KEYS));
    }
    return NULL;
}

static void *run_voucher(void *ud)
{
    t_rng rng;
    (void)ud;
    t_rng_init(&rng, t_run_seed());
    while (go_on) {
        t_sleep_us((int64_t)t_rng_below(&rng, 5000));
        nkv_voucher_heard(voucher);
        if (t_rng_below(&rng, 4) == 0) {
            nkv_voucher_flush(voucher, "now and then");
        }
        pthread_rwlock_wrlock(&vouching);
        silent = true;
        nkv_voucher_end(voucher, "for a moment");
        pthread_rwlock_unlock(&vouching);
        t_sleep_us((int64_t)t_rng_below(&rng, 500));
        pthread_rwlock_wrlock(&vouching);
        silent = false;
        nkv_voucher_begin(voucher);
        pthread_rwlock_unlock(&vouching);
        ends++;
    }
    return NULL;
}

/* ---- A run ----------------------------------------------------------------------------------- */

static void run_for(int64_t ms)
{
    static const struct {
        void *(*run)(void *ud);
        int n;
    } kinds[] = {{run_reader, READERS},
                 {run_changer, CHANGERS},
                 {run_writer, WRITERS},
                 {run_chunker, CHUNKERS},
                 {run_voucher, 1}};
    pthread_t threads[THREADS];
    size_t n = 0;
    go_on = true;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int j = 0; j < kinds[i].n; j++) {
            void *number = (void *)(uintptr_t)(n + 1);
            T_REQUIRE(pthread_create(&threads[n++], NULL, kinds[i].run, number) == 0);
        }
    }
    t_sleep_ms(ms);
    go_on = false;
    for (size_t i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void run_client(bool punctual, int64_t ms)
{
    const nkv_connector table = {.struct_size = sizeof table,
                                 .name = "stress",
                                 .batch_max = 3,
                                 .punctual = punctual,
                                 .get = store_get,
                                 .exists = store_exists,
                                 .put = store_put,
                                 .settle = store_settle,
                                 .open = store_open};
    nkv_error error;
    if (nkv_client_wrap(&table, NULL, &client, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
    run_for(ms);
    nkv_client_destroy(client);
}

static void *run_nothing(void *ud)
{
    return ud;
}

static bool tell(bool good, const char *what)
{
    printf("%s - %s\n", good ? "ok" : "not ok", what);
    return good;
}

int main(void)
{
    const char *ms = getenv("NEARKV_STRESS_MS");
    pthread_t thread;
    T_REQUIRE(pthread_create(&thread, NULL, run_nothing, NULL) == 0);
    pthread_join(thread, NULL); /* a sanitizer has started its own helper by now */
    const int fds = t_fd_count(), running = t_thread_count();
    for (int k = 0; k < KEYS; k++) {
        T_REQUIRE(pthread_mutex_init(&keys[k].change, NULL) == 0);
    }
    run_client(false, (ms != NULL ? strtol(ms, NULL, 10) : 3000) / 2);
    run_client(true, (ms != NULL ? strtol(ms, NULL, 10) : 3000) / 2);
    printf("# %llu reads, %llu hits, %llu late, %llu changes, %llu sets, %llu chunks, %llu ends, "
           "%llu wrong, %llu touched, %llu failed\n",
           (unsigned long long)reads, (unsigned long long)hits, (unsigned long long)late,
           (unsigned long long)changes, (unsigned long long)sets, (unsigned long long)chunks,
           (unsigned long long)ends, (unsigned long long)wrong, (unsigned long long)touched,
           (unsigned long long)failed);
    bool good = tell(wrong == 0, "no read was older than what was told or set before it");
    good = tell(touched == 0, "no memory was touched after its operation had ended") && good;
    good = tell(failed == 0, "nothing failed but what was late") && good;
    good = tell(t_fd_count() == fds && t_thread_count() == running, "nothing is left") && good;
    good = tell(hits > 20 && changes > 20 && sets > 20 && chunks > 20 && ends > 5,
                "there was something to get wrong") &&
           good;
    return good ? 0 : 1;
}
