/* tests/stress/stress_freshness.c - many readers, outside writers, faults: no read is older than
 * allowed.
 *
 *      stress_freshness [SECONDS] [--readers N] [--writers N] [--server KIND] [--faults]
 *
 * Without arguments 4 s without and 4 s with faults. Readers mix levels, single keys and batches,
 * over two clients that share a cache, through a proxy; each also writes keys of its own and reads
 * them back at once. Writers are plain connections. Judged online (support/freshness.h):
 *
 *      BARRIER          never older than what was acknowledged before it began, never going back
 *      EVENTUAL, DRAIN  at most BOUND_MS behind; with faults max_idle more (that is what P1 allows)
 *      own writes       exactly the last one, at any level (P2)
 *      every call       ends within its timeout, SLACK_MS, and as long again as this machine let a
 *                       thread wait that only wanted to sleep (P4)
 *
 * The last line is "N passed, N failed".                                                         */

#include <nearkv/nearkv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/freshness.h"
#include "support/near.h"
#include "support/proxy.h"
#include "support/server.h"

enum {
    KEYS = 64,
    WRITTEN = 56, /* the others never exist                                                       */
    THREADS_MAX = 64,
    BATCH = 5,
    MAX_IDLE_MS = 500,
    BOUND_MS = 500, /* of a machine that is busy with much else                                   */
    FAULT_TIMEOUT_MS = 400,
    SLACK_MS = 500
};

typedef struct arguments {
    int seconds;
    int readers;
    int writers;
    const char *server;
    bool faults;
    bool both; /* first without, then with faults                                                 */
} arguments;

typedef struct counts {
    atomic_ullong reads[NKV_BARRIER + 1], hits[NKV_BARRIER + 1];
    atomic_ullong own_writes, own_lost, writes, failures, faults;
    atomic_ullong stale[NKV_BARRIER + 1], backwards, invented, own_stale, garbled;
    _Atomic int64_t longest_ms, stall_ms;
} counts;

typedef struct run {
    const arguments *arguments;
    t_server *server;
    t_proxy *proxy;
    nkv_client *clients[2];
    t_fresh *fresh;
    counts counts;
    atomic_bool stop;
} run;

typedef struct worker {
    run *run;
    int number;
    pthread_t thread;
    t_rng rng;
    uint64_t seen[KEYS]; /* the newest version that this thread has read                          */
    int own_key;         /* a new one after each write of which nobody knows what became          */
    uint64_t own_version;
} worker;

/* ---- Values ---------------------------------------------------------------------------------- */

static void key_name(char out[32], int key)
{
    (void)snprintf(out, 32, "fresh:%d", key);
}

/* "version:xxx…:version", of a length that changes with the version. */
static size_t make_value(char out[600], uint64_t version)
{
    const int fill = (int)(version * 37 % 500);
    return (size_t)snprintf(out, 600, "%llu:%0*d:%llu", (unsigned long long)version, fill + 1, 0,
                            (unsigned long long)version);
}

/* The version; false if the bytes are not exactly those of a value. */
static bool read_version(const nkv_value *value, uint64_t *version)
{
    char expected[600];
    const nkv_str got = nkv_value_str(value);
    if (got.data == NULL) {
        return false;
    }
    *version = strtoull(got.data, NULL, 10);
    return make_value(expected, *version) == got.len && memcmp(expected, got.data, got.len) == 0;
}

/* ---- Writers --------------------------------------------------------------------------------- */

static void *write_outside(void *ud)
{
    worker *w = ud;
    run *r = w->run;
    t_ctl *ctl = t_ctl_open(r->server);
    while (!atomic_load(&r->stop)) {
        char name[32];
        char value[600];
        const int writers = r->arguments->writers;
        const int key =
            (int)t_rng_below(&w->rng, (uint64_t)(WRITTEN / writers)) * writers + w->number;
        key_name(name, key);
        const uint64_t version = t_fresh_write(r->fresh, key);
        (void)make_value(value, version);
        t_ctl_ok(ctl, "SET", name, value);
        t_fresh_acked(r->fresh, key, version, t_now_ns());
        atomic_fetch_add(&r->counts.writes, 1);
        t_sleep_us((int64_t)t_rng_below(&w->rng, 400));
    }
    t_ctl_close(ctl);
    return NULL;
}

/* ---- Readers --------------------------------------------------------------------------------- */

static void judge(worker *w, int key, t_fresh_ask ask, nkv_level level, const nkv_value *value)
{
    counts *c = &w->run->counts;
    uint64_t version = 0;
    if (value != NULL && !read_version(value, &version)) {
        atomic_fetch_add(&c->garbled, 1);
        return;
    }
    const t_fresh_verdict verdict = t_fresh_end(w->run->fresh, key, &ask, level, version);
    atomic_fetch_add(&c->stale[level], verdict == T_FRESH_STALE);
    atomic_fetch_add(&c->backwards, verdict == T_FRESH_BACKWARDS);
    atomic_fetch_add(&c->invented, verdict == T_FRESH_INVENTED);
    w->seen[key] = version > w->seen[key] ? version : w->seen[key];
}

static void raise_to(_Atomic int64_t *max, int64_t value)
{
    int64_t old = atomic_load(max);
    while (value > old && !atomic_compare_exchange_weak(max, &old, value)) {}
}

static void note_call(worker *w, nkv_status status, int64_t begin_ns)
{
    raise_to(&w->run->counts.longest_ms, (t_now_ns() - begin_ns) / 1000000);
    atomic_fetch_add(&w->run->counts.failures, status < 0);
}

/* How much longer than wanted does a sleep of 5 ms take here? */
static void *watch_machine(void *ud)
{
    worker *w = ud;
    while (!atomic_load(&w->run->stop)) {
        const int64_t begin_ms = t_now_ms();
        t_sleep_ms(5);
        raise_to(&w->run->counts.stall_ms, t_now_ms() - begin_ms - 5);
    }
    return NULL;
}

static void count_answer(worker *w, nkv_level level, nkv_from from)
{
    atomic_fetch_add(&w->run->counts.reads[level], 1);
    atomic_fetch_add(&w->run->counts.hits[level], from == NKV_FROM_CACHE);
}

static void read_one(worker *w, nkv_client *client, nkv_level level)
{
    char name[32];
    const int key = (int)t_rng_below(&w->rng, KEYS);
    key_name(name, key);
    nkv_call call;
    nkv_call_init(&call);
    call.level = level;
    t_fresh_ask ask = t_fresh_begin(w->run->fresh, key, t_now_ns());
    ask.floor = w->seen[key];
    nkv_value *value = NULL;
    const nkv_status status = nkv_get(client, nkv_cstr(name), &call, &value);
    note_call(w, status, ask.begin_ns);
    if (status >= 0) {
        count_answer(w, level, call.from);
        judge(w, key, ask, level, value);
    }
    nkv_value_release(value);
}

static void read_batch(worker *w, nkv_client *client, nkv_level level)
{
    char names[BATCH][32];
    nkv_str keys[BATCH];
    int numbers[BATCH];
    t_fresh_ask asks[BATCH];
    nkv_result results[BATCH];
    nkv_call call;
    nkv_call_init(&call);
    call.level = level;
    for (int i = 0; i < BATCH; i++) {
        numbers[i] = (int)t_rng_below(&w->rng, KEYS);
        key_name(names[i], numbers[i]);
        keys[i] = nkv_cstr(names[i]);
        asks[i] = t_fresh_begin(w->run->fresh, numbers[i], t_now_ns());
        asks[i].floor = w->seen[numbers[i]];
    }
    const nkv_status status = nkv_mget(client, keys, BATCH, &call, results);
    note_call(w, status, asks[0].begin_ns);
    for (int i = 0; i < BATCH; i++) {
        if (results[i].status >= 0) {
            count_answer(w, level, results[i].from);
            judge(w, numbers[i], asks[i], level, results[i].value);
        }
        nkv_value_release(results[i].value);
    }
}

/* P2: writes the thread's own key through one client and reads it back, perhaps through the other
 * one. Nobody else writes it.                                                                    */
static void write_own(worker *w, nkv_client *writer, nkv_client *reader, nkv_level level)
{
    counts *c = &w->run->counts;
    char name[64];
    char value[600];
    (void)snprintf(name, sizeof name, "own:%d:%d", w->number, w->own_key);
    const size_t len = make_value(value, ++w->own_version);
    int64_t begin_ns = t_now_ns();
    nkv_status status = nkv_set(writer, nkv_cstr(name), nkv_str_make(value, len), 0, NULL);
    note_call(w, status, begin_ns);
    if (status < 0) { /* nobody knows whether and when it happens */
        w->own_key++;
        atomic_fetch_add(&c->own_lost, 1);
        return;
    }
    atomic_fetch_add(&c->own_writes, 1);
    nkv_call call;
    nkv_call_init(&call);
    call.level = level;
    for (int i = 0; i < 2; i++) {
        nkv_value *got = NULL;
        begin_ns = t_now_ns();
        status = nkv_get(reader, nkv_cstr(name), &call, &got);
        note_call(w, status, begin_ns);
        uint64_t version = 0;
        const bool right = got != NULL && read_version(got, &version) && version == w->own_version;
        atomic_fetch_add(&c->own_stale, status >= 0 && !right);
        nkv_value_release(got);
    }
}

static void *read_and_judge(void *ud)
{
    worker *w = ud;
    while (!atomic_load(&w->run->stop)) {
        nkv_client *client = w->run->clients[t_rng_below(&w->rng, 2)];
        const uint64_t dice = t_rng_below(&w->rng, 20);
        const nkv_level level = dice < 14 ? NKV_EVENTUAL : dice < 17 ? NKV_DRAIN : NKV_BARRIER;
        switch (t_rng_below(&w->rng, 16)) {
        case 0:
            write_own(w, w->run->clients[t_rng_below(&w->rng, 2)], client, level);
            break;
        case 1:
        case 2:
            read_batch(w, client, level);
            break;
        default:
            read_one(w, client, level);
            break;
        }
    }
    return NULL;
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void kill_tracked(run *r, t_ctl *ctl)
{
    for (int i = 0; i < 2; i++) {
        const nkv_node_health node = t_near_node(r->clients[i]);
        if (node.client_id > 0) {
            (void)t_ctl_kill_id(ctl, node.client_id);
        }
    }
}

static void make_fault(run *r, t_ctl *ctl, uint64_t which)
{
    switch (which) {
    case 0:
        kill_tracked(r, ctl);
        break;
    case 1:
        t_proxy_cut(r->proxy, T_EVERY, T_RST);
        break;
    case 2: /* late, and all at once */
        t_proxy_hold(r->proxy, T_EVERY, T_TO_CLIENT);
        t_sleep_ms(150);
        t_proxy_release(r->proxy, T_EVERY, T_TO_CLIENT);
        break;
    case 3: /* half-open, until the client gives it up */
        t_proxy_swallow(r->proxy, T_EVERY, T_BOTH_WAYS, true);
        t_sleep_ms(3 * MAX_IDLE_MS);
        t_proxy_swallow(r->proxy, T_EVERY, T_BOTH_WAYS, false);
        t_proxy_cut(r->proxy, T_EVERY, T_FIN); /* what was swallowed has put it out of step */
        break;
    case 4:
        t_server_pause(r->server);
        t_sleep_ms(1000);
        t_server_resume(r->server);
        break;
    default: /* in pieces for a while */
        t_proxy_chop(r->proxy, T_EVERY, T_TO_CLIENT, 7);
        t_sleep_ms(100);
        t_proxy_chop(r->proxy, T_EVERY, T_TO_CLIENT, 0);
        break;
    }
    atomic_fetch_add(&r->counts.faults, 1);
}

static void *make_faults(void *ud)
{
    worker *w = ud;
    t_ctl *ctl = t_ctl_open(w->run->server);
    for (uint64_t i = 0; !atomic_load(&w->run->stop); i++) {
        t_sleep_ms(150 + (int64_t)t_rng_below(&w->rng, 150));
        /* One of each in turn at first, so that a short run has them all. */
        make_fault(w->run, ctl, i < 6 ? i : t_rng_below(&w->rng, 6));
    }
    t_ctl_close(ctl);
    return NULL;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void open_clients(run *r)
{
    nkv_options options = t_near_options(t_proxy_url(r->proxy));
    options.max_idle_ms = MAX_IDLE_MS;
    options.backoff_min_ms = 5;
    options.backoff_max_ms = 50;
    if (r->arguments->faults) {
        options.timeout_ms = FAULT_TIMEOUT_MS;
    }
    r->clients[0] = t_near_open(&options);
    T_REQUIRE(nkv_client_share(r->clients[0], &r->clients[1], NULL) == NKV_OK);
    T_REQUIRE(nkv_client_wait_ready(r->clients[1], 10000, NULL) == NKV_OK);
}

static void start(worker *w, run *r, int number, void *(*fn)(void *ud))
{
    memset(w, 0, sizeof *w);
    w->run = r;
    w->number = number;
    t_rng_init(&w->rng, t_run_seed() + (uint64_t)number * 7919 + (fn == write_outside));
    T_REQUIRE(pthread_create(&w->thread, NULL, fn, w) == 0);
}

static int passed;
static int failed;

static void expect(bool good, const char *what)
{
    (void)printf("%s - %s\n", good ? "ok" : "FAILED", what);
    passed += good;
    failed += !good;
}

#define COUNT(counter) ((unsigned long long)atomic_load(&r->counts.counter))

static void report(run *r)
{
    static const char *const names[] = {"", "EVENTUAL", "DRAIN", "BARRIER"};
    const bool faults = r->arguments->faults;
    (void)printf("%d s, %d readers, %d writers, %s%s: %llu outside writes, %llu own, %llu faults, "
                 "%llu calls failed, longest %lld ms (stalls of %lld ms)\n",
                 r->arguments->seconds, r->arguments->readers, r->arguments->writers,
                 t_server_kind_name(r->server), faults ? ", faults" : "", COUNT(writes),
                 COUNT(own_writes), COUNT(faults), COUNT(failures),
                 (long long)atomic_load(&r->counts.longest_ms),
                 (long long)atomic_load(&r->counts.stall_ms));
    bool enough = true;
    for (int level = NKV_EVENTUAL; level <= NKV_BARRIER; level++) {
        (void)printf("%-8s  %10llu reads, %10llu hits, %llu too old; oldest %.3f ms\n",
                     names[level], COUNT(reads[level]), COUNT(hits[level]), COUNT(stale[level]),
                     (double)t_fresh_age_max_ns(r->fresh, (nkv_level)level) / 1e6);
        enough = enough && COUNT(reads[level]) > 20 && COUNT(hits[level]) > 0;
    }
    expect(enough, "every level was read, and hit");
    expect(COUNT(stale[NKV_BARRIER]) == 0, "no BARRIER read misses an acknowledged write (P3)");
    expect(COUNT(backwards) == 0, "no BARRIER read goes back");
    expect(COUNT(stale[NKV_EVENTUAL]) + COUNT(stale[NKV_DRAIN]) == 0,
           "no EVENTUAL or DRAIN read is older than the bound (P1)");
    expect(COUNT(own_stale) == 0 && COUNT(own_writes) > 0, "own writes are read back (P2)");
    expect(COUNT(garbled) == 0 && COUNT(invented) == 0, "every answer is one that was written");
    expect(faults || COUNT(failures) == 0, "nothing fails without a fault");
    expect(!faults || COUNT(faults) > 0, "there were faults if there should be");
    const int64_t timeout_ms = faults ? FAULT_TIMEOUT_MS : 5000;
    expect(atomic_load(&r->counts.longest_ms) <=
               timeout_ms + SLACK_MS + 2 * atomic_load(&r->counts.stall_ms),
           "calls end in time (P4)");
    expect(t_near_identity(r->clients[0]) && t_near_identity(r->clients[1]),
           "the counters agree with each other");
}

static void run_once(const arguments *a)
{
    static worker workers[THREADS_MAX];
    run *r = calloc(1, sizeof *r);
    T_REQUIRE(r != NULL);
    r->arguments = a;
    r->server = t_server_start(&(t_server_options){.kind = a->server});
    r->proxy = t_proxy_start((t_addr){.path = t_server_path(r->server)}, false);
    r->fresh = t_fresh_new(KEYS, ((a->faults ? MAX_IDLE_MS : 0) + BOUND_MS) * INT64_C(1000000));
    open_clients(r);
    int count = 0;
    start(&workers[count++], r, 0, watch_machine);
    for (int i = 0; i < a->writers; i++) {
        start(&workers[count++], r, i, write_outside);
    }
    for (int i = 0; i < a->readers; i++) {
        start(&workers[count++], r, i, read_and_judge);
    }
    if (a->faults) {
        start(&workers[count++], r, 0, make_faults);
    }
    t_sleep_ms((int64_t)a->seconds * 1000);
    atomic_store(&r->stop, true);
    for (int i = 0; i < count; i++) {
        T_REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
    }
    report(r);
    nkv_client_destroy(r->clients[1]);
    nkv_client_destroy(r->clients[0]);
    t_fresh_free(r->fresh);
    t_proxy_stop(r->proxy);
    t_server_stop(r->server);
    free(r);
}

static int number(const char *text, int max)
{
    char *end = NULL;
    const long value = text != NULL ? strtol(text, &end, 10) : 0;
    if (value < 1 || value > max || *end != '\0') {
        T_DIE("a number from 1 to %d is wanted, not \"%s\"", max, text != NULL ? text : "");
    }
    return (int)value;
}

int main(int argc, char **argv)
{
    arguments a = {.seconds = 4, .readers = 8, .writers = 2, .both = argc == 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--readers") == 0) {
            a.readers = number(argv[++i], THREADS_MAX / 2);
        } else if (strcmp(argv[i], "--writers") == 0) {
            a.writers = number(argv[++i], 8);
        } else if (strcmp(argv[i], "--server") == 0) {
            a.server = argv[++i];
        } else if (strcmp(argv[i], "--faults") == 0) {
            a.faults = true;
        } else {
            a.seconds = number(argv[i], 86400);
        }
    }
    run_once(&a);
    if (a.both) {
        a.faults = true;
        run_once(&a);
    }
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
