/* bench/lmcache_trips.c - round trips, and what overtakes what; see lmcache.h.
 *
 * A proxy keeps every byte for 10 ms in each direction, so that a request takes as many times 20 ms
 * as it has round trips one behind the other; what the machine does beside it hardly shows. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/lmcache.h"
#include "client/client_int.h"
#include "tests/support/check.h"
#include "tests/support/ctl.h"
#include "tests/support/proxy.h"
#include "tests/support/server.h"

enum { KEYS = 128, BYTES = 64, DELAY_MS = 10, TIMES = 5, IDLE_MS = 600000 };

uint64_t b_sides_copied(const b_sides *sides)
{
    nkvi_bulk_info info;
    nkvi_connector *connector = sides->client->connector;
    const nkvi_route route = connector->ops->route(connector, nkv_cstr("k"), NKVI_TO_READ);
    nkvi_bulk_get_info(route.peer->bulk, &info);
    return info.copied;
}

/* ---- Round trips ----------------------------------------------------------------------------- */

/* One request. */
typedef struct request {
    const char *label;
    b_side side;
    b_task task;
    b_memory memory;
    double bar; /* at most; < 0: none is set */
} request;

static const request requests[] = {{"put", B_NEAR, B_PUT, B_COLD, 2},
                                   {"get", B_NEAR, B_GET_CHUNKS, B_COLD, 2},
                                   {"get known", B_NEAR, B_GET_CHUNKS, B_KNOWN, 2},
                                   {"contains first", B_NEAR, B_CONTAINS, B_COLD, 2},
                                   {"contains again", B_NEAR, B_CONTAINS, B_KNOWN, 0},
                                   {"prefix first", B_NEAR, B_PREFIX, B_COLD, 2},
                                   {"prefix again", B_NEAR, B_PREFIX, B_KNOWN, 0},
                                   {"put", B_PER_KEY, B_PUT, B_COLD, -1},
                                   {"get", B_PER_KEY, B_GET_CHUNKS, B_COLD, -1},
                                   {"contains", B_PER_KEY, B_CONTAINS, B_COLD, -1}};

/* What one time of a request was. */
typedef struct count {
    int64_t ns;
    long long reads; /* of the server */
    uint64_t writes; /* of lanes */
} count;

static uint64_t writes_of(const b_sides *sides)
{
    nkv_stats stats = {.struct_size = sizeof stats};
    T_REQUIRE(nkv_client_stats(sides->client, &stats) == NKV_OK);
    return stats.round_trips;
}

static count run_once(b_sides *sides, t_ctl *ctl, const request *r, b_chunks *chunks)
{
    if (r->memory == B_KNOWN) { /* here and not in between, where it would be counted */
        (void)b_sides_run(sides, r->side, B_PREFIX, B_COLD, chunks);
    }
    t_ctl_ok(ctl, "CONFIG", "RESETSTAT");
    count one = {.writes = writes_of(sides)};
    one.ns = b_sides_run(sides, r->side, r->task, r->memory, chunks);
    one.writes = writes_of(sides) - one.writes;
    one.reads = t_ctl_info_int(ctl, "stats", "total_reads_processed") - 1; /* that question */
    return one;
}

/* The median time; the counts of the last time. */
static count run_request(b_sides *sides, t_ctl *ctl, const request *r, b_chunks *chunks)
{
    double ns[TIMES];
    count last = {.ns = 0};
    size_t times = r->side == B_NEAR ? TIMES : 1;
    for (size_t i = 0; i < times; i++) {
        last = run_once(sides, ctl, r, chunks);
        ns[i] = (double)last.ns;
    }
    last.ns = (int64_t)b_median(ns, times);
    return last;
}

static void show_commands(t_ctl *ctl)
{
    static const char *const names[] = {"set",    "get", "pttl", "exists",
                                        "strlen", "del", "mget", "mset"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        long long calls = t_ctl_calls(ctl, names[i]);
        if (calls > 0) {
            printf(" %lld %s", calls, names[i]);
        }
    }
    printf("\n");
}

/* The connections of lanes are there before anything is counted. */
static void warm_up(b_sides *sides, b_chunks *chunks)
{
    for (int i = 0; i < 3; i++) {
        (void)b_sides_run(sides, B_NEAR, B_PUT, B_COLD, chunks);
        (void)b_sides_run(sides, B_NEAR, B_GET_CHUNKS, B_COLD, chunks);
    }
}

static double trip_ns(b_sides *sides)
{
    double ns[TIMES];
    for (size_t i = 0; i < TIMES; i++) {
        int64_t begin_ns = b_wall_ns();
        redisReply *reply = redisCommand(sides->hiredis, "PING");
        T_REQUIRE(reply != NULL);
        freeReplyObject(reply);
        ns[i] = (double)(b_wall_ns() - begin_ns);
    }
    return b_median(ns, TIMES);
}

static void show_requests(b_sides *sides, t_ctl *ctl, b_table *table)
{
    b_chunks chunks;
    b_chunks_make(&chunks, BYTES, KEYS, "r");
    b_sides_fill(sides, &chunks);
    warm_up(sides, &chunks);
    double trip = trip_ns(sides);
    printf("\nrequests of %d keys of %d bytes; one round trip takes %.1f ms\n", KEYS, BYTES,
           trip * 1e-6);
    printf("%-26s %12s %14s %14s  %s\n", "", "round trips", "lanes' writes", "server's reads",
           "commands at the server");
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        const request *r = &requests[i];
        char text[64];
        count c = run_request(sides, ctl, r, &chunks);
        double trips = (double)c.ns / trip;
        (void)snprintf(text, sizeof text, "%s %s", b_side_names[r->side], r->label);
        printf("%-26s %12.2f %14llu %14lld ", text, trips, (unsigned long long)c.writes, c.reads);
        show_commands(ctl);
        if (r->bar >= 0) { /* half a round trip is for the machine */
            printf("%-26s bar: at most %.0f: %s\n", "", r->bar,
                   b_judge(table, trips < r->bar + 0.5));
        }
        (void)fflush(stdout);
    }
    b_chunks_free(&chunks);
}

void b_trips(const char *kind, unsigned lanes, b_table *table)
{
    b_sides sides;
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_proxy *proxy = t_proxy_start((t_addr){.path = t_server_path(server)}, false);
    t_proxy_delay(proxy, T_EVERY, T_BOTH_WAYS, DELAY_MS);
    t_ctl *ctl = t_ctl_open(server);
    b_sides_open(&sides, (t_addr){.path = t_proxy_path(proxy)}, t_proxy_url(proxy), lanes, 0);
    show_requests(&sides, ctl, table);
    b_sides_close(&sides);
    t_ctl_close(ctl);
    t_proxy_stop(proxy);
    t_server_stop(server);
}

/* ---- Overtaking ------------------------------------------------------------------------------ */

/* Puts, and behind them a lookup of each kind. */
typedef struct race {
    nkv_queue *queue;
    nkv_item *items;
    size_t puts;
    nkv_item lookups[2];
    uint64_t ids[2];
    size_t behind[2]; /* puts that had ended before the lookup did */
    double ms[2];     /* from its submission */
} race;

static void submit(const b_sides *sides, race *r, nkv_call *call)
{
    nkv_ticket ticket = {.queue = r->queue, .call = call};
    for (size_t i = 0; i < r->puts; i++) {
        T_REQUIRE(nkv_lmcache_submit_put(sides->lmcache, &r->items[i], 1, &ticket) == NKV_OK);
    }
    T_REQUIRE(nkv_submit_exists(sides->client, &r->lookups[0], 1, &ticket) == NKV_OK);
    r->ids[0] = ticket.id;
    T_REQUIRE(nkv_lmcache_submit_contains(sides->lmcache, &r->lookups[1], 1, &ticket) == NKV_OK);
    r->ids[1] = ticket.id;
}

static void drain(race *r)
{
    int64_t begin_ns = b_wall_ns();
    for (size_t left = r->puts + 2, puts = 0; left > 0;) {
        nkv_completion done[16];
        T_REQUIRE(nkv_queue_wait(r->queue, 120000) == NKV_OK);
        size_t n = nkv_queue_drain(r->queue, done, 16);
        left -= n;
        for (size_t i = 0; i < n; i++) {
            T_REQUIRE(done[i].status == NKV_OK);
            bool lookup = done[i].id == r->ids[0] || done[i].id == r->ids[1];
            puts += !lookup;
            if (lookup) {
                size_t which = done[i].id == r->ids[1];
                r->behind[which] = puts;
                r->ms[which] = (double)(b_wall_ns() - begin_ns) * 1e-6;
            }
        }
    }
}

void b_overtake(const b_sides *sides, b_table *table, size_t bytes, size_t puts)
{
    enum { NAME = 48 };
    static const char *const names[] = {"EXISTS", "contains"};
    race r = {.puts = puts, .items = calloc(puts + 1, sizeof(nkv_item))};
    char *text = calloc(puts + 1, NAME), *memory = malloc(bytes);
    T_REQUIRE(r.items != NULL && text != NULL && memory != NULL &&
              nkv_queue_create(&r.queue, NULL) == NKV_OK);
    memset(memory, 'o', bytes);
    for (size_t i = 0; i <= puts; i++) { /* the last one is what is looked up */
        (void)snprintf(text + i * NAME, NAME, "overtaken@%zu", i);
        r.items[i].key = nkv_cstr(text + i * NAME);
        r.items[i].value = nkv_str_make(memory, i < puts ? bytes : BYTES);
    }
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = IDLE_MS;
    T_REQUIRE(nkv_lmcache_put(sides->lmcache, &r.items[puts], 1, &call) == NKV_OK);
    nkv_client_reset(sides->client);
    char name[2 * NAME];
    (void)snprintf(name, sizeof name, "overtaken@%zukv_bytes", puts);
    r.lookups[0].key = nkv_cstr(name);
    r.lookups[1].key = r.items[puts].key;
    submit(sides, &r, &call);
    drain(&r);
    for (int i = 0; i < 2; i++) {
        printf("%s behind %zu puts of %zu MiB: answered after %.1f ms, when %zu had ended, bar %zu:"
               " %s\n",
               names[i], puts, bytes >> 20, r.ms[i], r.behind[i], puts / 2,
               b_judge(table, r.behind[i] < puts / 2));
    }
    nkv_queue_destroy(r.queue);
    free(r.items);
    free(text);
    free(memory);
}
