/* bench/cluster_many.c - a client of hundreds of nodes: memory, threads, time; see cluster.h.
 *
 * The nodes are one process (cluster_fake.h), which shares the processors with the client: times
 * are of both.  What the client alone takes is memory, threads, and processor time. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/bench.h"
#include "bench/cluster.h"
#include "bench/cluster_fake.h"
#include "cli/latency.h"
#include "client/client_int.h"
#include "support/check.h"
#include "support/thread.h"

enum { PATIENCE_MS = 60000, CALM_MS = 2000, LOSS_MS = 1000, KEY_SIZE = 48, KIB = 1024 };

#define NODE_BYTES_MAX 64.0 /* KiB of a node, at most */

/* ---- What the process takes ------------------------------------------------------------------ */

static _Atomic int64_t allocated;

static void watch(void *block, size_t size, void *ud)
{
    (void)ud;
    int64_t usable = (int64_t)malloc_usable_size(block);
    atomic_fetch_add(&allocated, size > 0 ? usable : -usable);
}

typedef struct usage {
    double rss_kib, heap_kib;
    unsigned threads;
    double cpu_ms;
} usage;

static usage look(void)
{
    char line[160];
    usage now = {.heap_kib = (double)atomic_load(&allocated) / KIB};
    FILE *status = fopen("/proc/self/status", "r");
    T_REQUIRE(status != NULL);
    while (fgets(line, sizeof line, status) != NULL) {
        (void)sscanf(line, "VmRSS: %lf", &now.rss_kib);
        (void)sscanf(line, "Threads: %u", &now.threads);
    }
    fclose(status);
    struct rusage all;
    T_REQUIRE(getrusage(RUSAGE_SELF, &all) == 0);
    now.cpu_ms = (double)(all.ru_utime.tv_sec + all.ru_stime.tv_sec) * 1e3 +
                 (double)(all.ru_utime.tv_usec + all.ru_stime.tv_usec) * 1e-3;
    return now;
}

static void need_descriptors(unsigned nodes)
{
    struct rlimit limit;
    rlim_t need = (rlim_t)nodes * 4 + 256; /* two lanes here, as many there; the listeners */
    T_REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur >= need) {
        return;
    }
    limit.rlim_cur = need;
    limit.rlim_max = limit.rlim_max > need ? limit.rlim_max : need;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        T_DIE("%u nodes need %llu open files, which are not allowed (%s): ulimit -n, or --nodes",
              nodes, (unsigned long long)need, strerror(errno));
    }
}

/* ---- The client ------------------------------------------------------------------------------ */

typedef struct many {
    b_cluster *bench;
    b_fake *fake;
    unsigned primaries;
    nkv_client *client;
    uint64_t serial; /* of keys that nobody has asked for */
} many;

/* How many nodes vouch now. */
static unsigned vouching(const many *m)
{
    nkvi_connector *connector = m->client->connector;
    nkvi_peer *peers[4096];
    unsigned n = 0;
    size_t all = connector->ops->peers(connector, peers, sizeof peers / sizeof *peers);
    for (size_t i = 0; i < all; i++) {
        n += atomic_load(&peers[i]->owner->generation) % 2 == 1 &&
             atomic_load(&peers[i]->owner->fresh_until_ns) > b_wall_ns();
    }
    return n;
}

static double ms_since(int64_t begin_ns)
{
    return (double)(b_wall_ns() - begin_ns) * 1e-6;
}

/* Until so many nodes vouch; returns how long. */
static double wait_vouching(const many *m, unsigned nodes, int64_t begin_ns)
{
    while (vouching(m) < nodes) {
        if (ms_since(begin_ns) > PATIENCE_MS) {
            T_DIE("%u of %u nodes vouch after %d ms", vouching(m), nodes, PATIENCE_MS);
        }
        usleep(1000);
    }
    return ms_since(begin_ns);
}

/* A key of the slot that nobody has asked for. */
static nkv_str cold_key(uint64_t *serial, unsigned slot, char out[KEY_SIZE])
{
    char tag[T_CLUSTER_KEY_MAX];
    t_cluster_key((int)slot, tag);
    (void)snprintf(out, KEY_SIZE, "{%s}%llu", tag, (unsigned long long)(*serial)++);
    return nkv_cstr(out);
}

/* Reads a cold key of the slot; returns the number of the node that answered, -1: none did. */
static int ask(nkv_client *client, uint64_t *serial, unsigned slot, int64_t timeout_ms)
{
    char text[KEY_SIZE];
    nkv_value *value = NULL;
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = timeout_ms;
    nkv_status status = nkv_get(client, cold_key(serial, slot, text), &call, &value);
    if (status != NKV_OK) {
        return -1;
    }
    nkv_str answer = nkv_value_str(value);
    T_REQUIRE(answer.len == 4);
    int node = (answer.data[0] - '0') * 1000 + (answer.data[1] - '0') * 100 +
               (answer.data[2] - '0') * 10 + (answer.data[3] - '0');
    nkv_value_release(value);
    return node;
}

static unsigned first_slot(const many *m, unsigned node)
{
    unsigned slot = 0;
    while (b_fake_dealt(m->fake, slot) != node) {
        slot++;
    }
    return slot;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static void begin(many *m)
{
    b_fake_counts counts;
    usage before = look();
    int64_t begin_ns = b_wall_ns();
    nkv_options options;
    nkv_options_init(&options);
    options.url = b_fake_url(m->fake);
    T_REQUIRE(nkv_client_create(&options, &m->client, NULL) == NKV_OK);
    usage empty = look();
    T_REQUIRE(nkv_client_wait_ready(m->client, PATIENCE_MS, NULL) == NKV_OK);
    double ready_ms = ms_since(begin_ns);
    double all_ms = wait_vouching(m, m->primaries, begin_ns);
    usage after = look();
    b_fake_count(m->fake, &counts);
    printf("  until nkv_client_wait_ready() returns %26.1f ms\n", ready_ms);
    printf("  until all %4u nodes vouch %38.1f ms, %.1f ms of the processor\n", m->primaries,
           all_ms, after.cpu_ms - before.cpu_ms);
    printf("  connections %52llu, %llu CLUSTER SLOTS or SHARDS, %.1f MB of answers\n",
           (unsigned long long)counts.open, (unsigned long long)counts.maps,
           (double)counts.bytes * 1e-6);
    printf("  threads, beyond the loop's %37d", (int)(after.threads - empty.threads));
    b_cluster_bar(m->bench, (double)(after.threads - empty.threads), 0);
}

/* Memory once the first answers are digested and asked for again. */
static void rest(many *m, const usage *before)
{
    b_fake_counts first, last;
    sleep(2);
    usage begin = look();
    b_fake_count(m->fake, &first);
    int64_t begin_ns = b_wall_ns();
    sleep(m->bench->idle_s);
    usage end = look();
    b_fake_count(m->fake, &last);
    double seconds = ms_since(begin_ns) * 1e-3, nodes = m->primaries;
    double rss_kib = (end.rss_kib - before->rss_kib) / nodes;
    printf("  resident memory for each node %34.1f KiB", rss_kib);
    b_cluster_bar(m->bench, rss_kib, NODE_BYTES_MAX);
    printf("  of these allocated by nearkv %35.1f KiB\n",
           (end.heap_kib - before->heap_kib) / nodes);
    double cpu_ms = end.cpu_ms - begin.cpu_ms;
    double maps = (double)(last.maps - first.maps);
    printf("  processor time while nobody asks %31.1f ms a second\n", cpu_ms / seconds);
    printf("      %.0f maps a second, %.2f ms each; %.0f commands, %.2f MB a second\n",
           maps / seconds, cpu_ms / maps, (double)(last.commands - first.commands) / seconds,
           (double)(last.bytes - first.bytes) * 1e-6 / seconds);
    printf("      the nodes: %.1f ms a second\n",
           (double)(last.cpu_ns - first.cpu_ns) * 1e-6 / seconds);
    b_result("cluster_node_kib", rss_kib, "KiB", true);
    b_result("cluster_idle_ms", cpu_ms / seconds, "ms/s", true);
}

/* Slots change hands: how soon a read finds the new holder by MOVED, and how soon one that is not
 * asked for is noticed. */
static void refresh(many *m)
{
    double told_ms[16];
    size_t times = sizeof told_ms / sizeof *told_ms;
    unsigned slot = 0, to = 0;
    for (size_t i = 0; i < times; i++) {
        slot = first_slot(m, (unsigned)i);
        to = m->primaries - 1 - (unsigned)i;
        T_REQUIRE(ask(m->client, &m->serial, slot, PATIENCE_MS) == (int)i);
        b_fake_give(m->fake, slot, to);
        int64_t begin_ns = b_wall_ns();
        T_REQUIRE(ask(m->client, &m->serial, slot, PATIENCE_MS) == (int)to);
        told_ms[i] = ms_since(begin_ns);
    }
    printf("  a slot has moved: a read that is told so (MOVED) %15.2f ms\n",
           b_median(told_ms, times));
    char text[KEY_SIZE];
    slot = first_slot(m, m->primaries / 2);
    nkv_str key = cold_key(&m->serial, slot, text);
    const nkvi_peer *holder = nkvi_client_route(m->client, key, NKVI_TO_READ).peer;
    b_fake_give(m->fake, slot, m->primaries / 2 + 1);
    int64_t begin_ns = b_wall_ns();
    while (nkvi_client_route(m->client, key, NKVI_TO_READ).peer == holder &&
           ms_since(begin_ns) < PATIENCE_MS) {
        usleep(100);
    }
    printf("      known without a read after %35.0f ms\n", ms_since(begin_ns));
}

/* Reads of all nodes but one, by a thread of its own. */
typedef struct reader {
    const many *m;
    unsigned lost;
    _Atomic int phase; /* 0: before, 1: since the loss, 2: the end */
    nkvi_latency times[2];
    uint64_t failed;
} reader;

static void *read_others(void *ud)
{
    reader *r = ud;
    uint64_t serial = UINT64_C(1) << 40;
    int phase;
    for (unsigned i = 0; (phase = atomic_load(&r->phase)) < 2; i++) {
        unsigned slot = i * 61 % T_CLUSTER_SLOTS;
        if (b_fake_dealt(r->m->fake, slot) == r->lost) {
            continue;
        }
        int64_t begin_ns = b_wall_ns();
        bool answered = ask(r->m->client, &serial, slot, PATIENCE_MS) >= 0;
        nkvi_latency_add(&r->times[phase], b_wall_ns() - begin_ns);
        r->failed += !answered;
    }
    return NULL;
}

static void show_reader(const reader *r)
{
    static const char *const when[] = {"before", "since"};
    for (int i = 0; i < 2; i++) {
        printf("      reads of the others %-7s p50 %8.0f us, p99 %8.0f us, max %8.0f us; %llu\n",
               when[i], (double)nkvi_latency_percentile(&r->times[i], 50) * 1e-3,
               (double)nkvi_latency_percentile(&r->times[i], 99) * 1e-3,
               (double)r->times[i].max_ns * 1e-3, (unsigned long long)r->times[i].n);
    }
    if (r->failed > 0) {
        printf("      %llu of them failed\n", (unsigned long long)r->failed);
    }
}

/* One node is gone; after a second another has its slots. */
static void lose(many *m)
{
    static reader r;
    pthread_t thread;
    memset(&r, 0, sizeof r);
    r.m = m;
    r.lost = m->primaries / 3;
    unsigned heir = r.lost + 1, slot = first_slot(m, r.lost) + 1; /* the first may have moved */
    T_REQUIRE(ask(m->client, &m->serial, slot, PATIENCE_MS) == (int)r.lost);
    t_thread_start(&thread, read_others, &r);
    usleep(CALM_MS * 1000);
    atomic_store(&r.phase, 1);
    b_fake_kill(m->fake, r.lost);
    usleep(LOSS_MS * 1000);
    b_fake_take_over(m->fake, r.lost, heir);
    int64_t begin_ns = b_wall_ns();
    while (ask(m->client, &m->serial, slot, 50) != (int)heir && ms_since(begin_ns) < PATIENCE_MS) {}
    double back_ms = ms_since(begin_ns);
    usleep(CALM_MS / 2 * 1000);
    atomic_store(&r.phase, 2);
    T_REQUIRE(pthread_join(thread, NULL) == 0);
    printf("  a node is lost: its keys are read again, since another has them %.0f ms\n", back_ms);
    show_reader(&r);
    b_result("cluster_heir_ms", back_ms, "ms", true);
}

void b_cluster_many(b_cluster *bench, bool replicas)
{
    many m = {.bench = bench, .primaries = replicas ? bench->nodes / 2 : bench->nodes};
    need_descriptors(bench->nodes);
    printf("\nsimulated: %u primaries, %u replicas\n", m.primaries, bench->nodes - m.primaries);
    m.fake = b_fake_start(m.primaries, replicas);
    (void)malloc_trim(0);
    nkvi_mem_set_watch(watch, NULL);
    usage before = look();
    begin(&m);
    rest(&m, &before);
    refresh(&m);
    lose(&m);
    nkv_client_destroy(m.client);
    nkvi_mem_set_watch(NULL, NULL);
    b_fake_stop(m.fake);
}
