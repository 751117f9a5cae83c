/* support/topology_traffic.c - readers and writers that take notes.
 *
 * A reader notes what it got in its own notebook of the history. Writes are kept aside, and come
 * into the history at the end, when it is known which acknowledgements are forgiven.
 *
 * Invariants   key i is written by writer i % writers, in the order of its versions
 * Callers      live tests of clusters and sentinels                                              */

#include "support/topology_traffic.h"

#include "support/check.h"
#include "support/cluster.h"
#include "support/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_LEN = 40,
    KEY_ROOM = 48,
    FORGIVEN_MAX = 32,
    GROUP_READERS = 1,
    GROUP_OTHERS = 2,
    START_MS = 30000
};

typedef struct write_note {
    uint32_t key;
    uint64_t version;
    int64_t sent_ns;
    int64_t acked_ns; /* INT64_MAX: never                                                         */
} write_note;

typedef struct worker {
    t_load *load;
    pthread_t thread;
    nkv_client *client;
    int number; /* among the readers, or among the writers                                        */
    t_history_thread *notes;
    write_note *writes; /* of a writer                                                            */
    size_t write_count;
    size_t write_room;
    t_load_report report;
} worker;

/* When the last good operation on a key began. */
typedef struct key_state {
    char name[KEY_ROOM];
    _Atomic int64_t read_ns;
    _Atomic int64_t written_ns;
} key_state;

struct t_load {
    t_load_options options;
    nkv_client *client;
    nkv_client *other_client; /* NULL: none                                                       */
    t_history *history;
    key_state *keys;
    worker *workers; /* first the readers                                                         */
    int writers;     /* of both sorts                                                             */
    int64_t forgiven[FORGIVEN_MAX][2];
    int forgiven_count;
    atomic_bool stop;
    _Atomic int64_t mark_ns;
    _Atomic int64_t bad_ns; /* when the last call that failed or was slow ended                   */
    _Atomic int64_t good_ns;
    _Atomic int64_t good_server_ns;
    _Atomic int64_t gap_ns;
    _Atomic int64_t server_gap_ns;
};

/* ---- What an operation came to --------------------------------------------------------------- */

static void raise_to(_Atomic int64_t *highest, int64_t value)
{
    int64_t seen = atomic_load(highest);
    while (value > seen && !atomic_compare_exchange_weak(highest, &seen, value)) {}
}

static void note_good(t_load *load, int64_t now_ns, bool from_server)
{
    raise_to(&load->gap_ns, now_ns - atomic_exchange(&load->good_ns, now_ns));
    if (from_server) {
        raise_to(&load->server_gap_ns, now_ns - atomic_exchange(&load->good_server_ns, now_ns));
    }
}

static void note_error(worker *w, nkv_status status, const nkv_call *call)
{
    const int index = -(int)status < T_LOAD_STATUSES ? -(int)status : 0;
    if (w->report.errors[index]++ == 0) {
        (void)snprintf(w->report.first_text[index], T_LOAD_TEXT, "%.*s", T_LOAD_TEXT - 1,
                       call->error.text);
    }
}

/* What holds for reads and writes alike. */
static void note_end(worker *w, nkv_status status, const nkv_call *call, int64_t begin_ns)
{
    const int64_t now_ns = t_now_ns();
    const int64_t took_ms = (now_ns - begin_ns) / 1000000;
    w->report.call_ms = took_ms > w->report.call_ms ? took_ms : w->report.call_ms;
    if (status < 0 || took_ms >= T_LOAD_SLOW_MS) {
        raise_to(&w->load->bad_ns, now_ns);
    }
    if (status < 0) {
        note_error(w, status, call);
    } else {
        note_good(w->load, now_ns, call->from != NKV_FROM_CACHE);
    }
}

/* ---- Readers --------------------------------------------------------------------------------- */

static const char *from_text(nkv_from from)
{
    static const char *const texts[] = {"server", "cache", "joined", "local"};
    return texts[from];
}

static void read_key(worker *w, uint32_t key, bool barrier)
{
    key_state *k = &w->load->keys[key];
    nkv_call call;
    nkv_call_init(&call);
    call.level = barrier ? NKV_BARRIER : NKV_EVENTUAL;
    call.timeout_ms = w->load->options.timeout_ms;
    nkv_value *value = NULL;
    const int64_t begin_ns = t_now_ns();
    const nkv_status status = nkv_get(w->client, nkv_cstr(k->name), &call, &value);
    if (status >= 0) {
        const nkv_str bytes = value == NULL ? nkv_str_make(NULL, 0) : nkv_value_str(value);
        const t_history_got got = {
            .key = key,
            .version = value == NULL ? T_ABSENT : t_history_version(bytes.data, bytes.len, key),
            .level = barrier ? T_LEVEL_BARRIER : T_LEVEL_EVENTUAL,
            .from = from_text(call.from)};
        t_history_read(w->notes, begin_ns, got);
        w->report.reads++;
        w->report.hits += call.from == NKV_FROM_CACHE;
        atomic_store(&k->read_ns, begin_ns);
    } else {
        w->report.read_errors++;
    }
    note_end(w, status, &call, begin_ns);
    nkv_value_release(value);
}

static void *read_on(void *ud)
{
    worker *w = ud;
    const t_load_options *options = &w->load->options;
    t_rng rng;
    t_rng_init(&rng, t_run_seed() + (uint64_t)w->number);
    while (!atomic_load(&w->load->stop)) {
        const uint32_t key = (uint32_t)t_rng_below(&rng, (uint64_t)options->keys);
        read_key(w, key, (int)t_rng_below(&rng, 100) < options->barrier_percent);
        t_sleep_us(options->read_pause_us);
    }
    return NULL;
}

/* ---- Writers --------------------------------------------------------------------------------- */

static void add_write(worker *w, write_note note)
{
    if (w->write_count == w->write_room) {
        w->write_room = w->write_room == 0 ? 1024 : 2 * w->write_room;
        w->writes = realloc(w->writes, w->write_room * sizeof *w->writes);
        T_REQUIRE(w->writes != NULL);
    }
    w->writes[w->write_count++] = note;
}

static void write_key(worker *w, uint32_t key, uint64_t version)
{
    key_state *k = &w->load->keys[key];
    unsigned char value[VALUE_LEN];
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = w->load->options.timeout_ms;
    t_history_value(value, sizeof value, key, version);
    const int64_t begin_ns = t_now_ns();
    const nkv_status status =
        nkv_set(w->client, nkv_cstr(k->name), nkv_str_make(value, sizeof value), 0, &call);
    add_write(w, (write_note){.key = key,
                              .version = version,
                              .sent_ns = begin_ns,
                              .acked_ns = status >= 0 ? t_now_ns() : INT64_MAX});
    if (status >= 0) {
        w->report.writes++;
        atomic_store(&k->written_ns, begin_ns);
    } else {
        w->report.write_errors++;
        w->report.unknown_writes += status == NKV_ECONN || status == NKV_ETIMEDOUT;
    }
    note_end(w, status, &call, begin_ns);
}

static void *write_on(void *ud)
{
    worker *w = ud;
    const t_load *load = w->load;
    for (uint64_t version = 1; !atomic_load(&load->stop); version++) {
        for (int key = w->number; key < load->options.keys && !atomic_load(&load->stop);
             key += load->writers) {
            write_key(w, (uint32_t)key, version);
            t_sleep_us(load->options.write_pause_us);
        }
    }
    return NULL;
}

/* ---- Start ----------------------------------------------------------------------------------- */

static int choose(int value, int otherwise)
{
    return value == 0 ? otherwise : value < 0 ? 0 : value;
}

static nkv_client *make_client(const t_load_options *options)
{
    nkv_options settings;
    nkv_options_init(&settings);
    if (options->client != NULL) {
        settings = *options->client;
    }
    settings.url = options->url;
    nkv_client *client = NULL;
    nkv_error error = {.status = NKV_OK};
    nkv_status status = nkv_client_create(&settings, &client, &error);
    if (status == NKV_OK) {
        status = nkv_client_wait_ready(client, START_MS, &error);
    }
    if (status != NKV_OK) {
        T_DIE("no client of %s: %s: %s", options->url, nkv_status_text(status), error.text);
    }
    return client;
}

static void name_keys(t_load *load)
{
    static _Atomic int loads;
    const int id = atomic_fetch_add(&loads, 1);
    const int count = load->options.keys;
    load->keys = calloc((size_t)count, sizeof *load->keys);
    T_REQUIRE(load->keys != NULL);
    for (int i = 0; i < count; i++) {
        char tag[T_CLUSTER_KEY_MAX];
        t_cluster_key((int)((int64_t)i * T_CLUSTER_SLOTS / count), tag);
        if (i % 2 == 0) {
            (void)snprintf(load->keys[i].name, KEY_ROOM, "load%d:{%s}", id, tag);
        } else {
            (void)snprintf(load->keys[i].name, KEY_ROOM, "load%d:%d", id, i);
        }
    }
}

const char *t_load_key(const t_load *load, int number)
{
    T_REQUIRE(number >= 0 && number < load->options.keys);
    return load->keys[number].name;
}

static void start_workers(t_load *load, int own_writers)
{
    const int readers = load->options.readers;
    load->workers = calloc((size_t)(readers + load->writers), sizeof *load->workers);
    T_REQUIRE(load->workers != NULL);
    for (int i = 0; i < readers + load->writers; i++) {
        worker *w = &load->workers[i];
        const bool reads = i < readers;
        w->load = load;
        w->number = reads ? i : i - readers;
        w->client = reads || w->number < own_writers ? load->client : load->other_client;
        w->notes = t_history_thread_new(load->history,
                                        w->client == load->client ? GROUP_READERS : GROUP_OTHERS);
        t_thread_start(&w->thread, reads ? read_on : write_on, w);
    }
}

t_load *t_load_start(const t_load_options *options)
{
    t_load *load = calloc(1, sizeof *load);
    T_REQUIRE(load != NULL);
    load->options = *options;
    t_load_options *o = &load->options;
    o->readers = choose(o->readers, 2);
    o->writers = choose(o->writers, 1);
    o->other_writers = choose(o->other_writers, 1);
    o->keys = choose(o->keys, 128);
    o->read_pause_us = choose(o->read_pause_us, 200);
    o->write_pause_us = choose(o->write_pause_us, 1000);
    load->writers = o->writers + o->other_writers;
    T_REQUIRE(o->readers > 0 && load->writers > 0 && o->keys >= load->writers);
    load->client = make_client(o);
    load->other_client = o->other_writers > 0 ? make_client(o) : NULL;
    load->history = t_history_create();
    name_keys(load);
    atomic_store(&load->good_ns, t_now_ns());
    atomic_store(&load->good_server_ns, t_now_ns());
    t_load_mark(load);
    (void)t_run_seed(); /* said once, by this thread */
    start_workers(load, o->writers);
    if (t_load_wait_service(load, START_MS) < 0) {
        const t_load_report report = t_load_stop(load);
        t_load_print(&report, stderr);
        T_DIE("not every key could be written and read");
    }
    return load;
}

/* ---- While it runs --------------------------------------------------------------------------- */

nkv_client *t_load_client(t_load *load)
{
    return load->client;
}

void t_load_mark(t_load *load)
{
    atomic_store(&load->mark_ns, t_now_ns());
}

static bool all_since(t_load *load, int64_t since_ns)
{
    for (int i = 0; i < load->options.keys; i++) {
        if (atomic_load(&load->keys[i].read_ns) < since_ns ||
            atomic_load(&load->keys[i].written_ns) < since_ns) {
            return false;
        }
    }
    return true;
}

int64_t t_load_wait_service(t_load *load, int64_t timeout_ms)
{
    const int64_t since_ns = t_now_ns();
    while (!all_since(load, since_ns)) {
        if (t_now_ns() - since_ns > timeout_ms * 1000000) {
            return -1;
        }
        t_sleep_ms(1);
    }
    return (t_now_ns() - since_ns) / 1000000;
}

void t_load_forgive(t_load *load, int64_t from_ns, int64_t to_ns)
{
    T_REQUIRE(load->forgiven_count < FORGIVEN_MAX);
    load->forgiven[load->forgiven_count][0] = from_ns;
    load->forgiven[load->forgiven_count++][1] = to_ns;
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool is_forgiven(const t_load *load, int64_t acked_ns)
{
    for (int i = 0; i < load->forgiven_count; i++) {
        if (acked_ns >= load->forgiven[i][0] && acked_ns <= load->forgiven[i][1]) {
            return true;
        }
    }
    return false;
}

static void note_writes(const t_load *load, const worker *w)
{
    for (size_t i = 0; i < w->write_count; i++) {
        const write_note *note = &w->writes[i];
        t_history_write_at(w->notes, note->key, note->version, note->sent_ns,
                           is_forgiven(load, note->acked_ns) ? INT64_MAX : note->acked_ns);
    }
}

static void add_report(t_load_report *sum, const t_load_report *one)
{
    sum->reads += one->reads;
    sum->hits += one->hits;
    sum->writes += one->writes;
    sum->unknown_writes += one->unknown_writes;
    sum->read_errors += one->read_errors;
    sum->write_errors += one->write_errors;
    sum->call_ms = one->call_ms > sum->call_ms ? one->call_ms : sum->call_ms;
    for (int i = 0; i < T_LOAD_STATUSES; i++) {
        if (sum->errors[i] == 0) {
            memcpy(sum->first_text[i], one->first_text[i], T_LOAD_TEXT);
        }
        sum->errors[i] += one->errors[i];
    }
}

static void free_load(t_load *load)
{
    nkv_client_destroy(load->other_client);
    nkv_client_destroy(load->client);
    for (int i = 0; i < load->options.readers + load->writers; i++) {
        free(load->workers[i].writes);
    }
    t_history_destroy(load->history);
    free(load->workers);
    free(load->keys);
    free(load);
}

t_load_report t_load_stop(t_load *load)
{
    const t_load_options *o = &load->options;
    t_load_report report = {.reads = 0};
    atomic_store(&load->stop, true);
    for (int i = 0; i < o->readers + load->writers; i++) {
        worker *w = &load->workers[i];
        T_REQUIRE(pthread_join(w->thread, NULL) == 0);
        note_writes(load, w);
        add_report(&report, &w->report);
    }
    const int64_t now_ns = t_now_ns();
    raise_to(&load->gap_ns, now_ns - atomic_load(&load->good_ns));
    raise_to(&load->server_gap_ns, now_ns - atomic_load(&load->good_server_ns));
    report.gap_ms = atomic_load(&load->gap_ns) / 1000000;
    report.server_gap_ms = atomic_load(&load->server_gap_ns) / 1000000;
    const int64_t disturbed_ns = atomic_load(&load->bad_ns) - atomic_load(&load->mark_ns);
    report.disturbed_ms = disturbed_ns > 0 ? disturbed_ns / 1000000 : 0;
    const int64_t bound_ns = o->bound_ms < 0 ? -1 : o->bound_ms * 1000000;
    const t_history_rules rules = {.bound_ns = {bound_ns, bound_ns, 0},
                                   .no_own_writes = o->no_own_writes,
                                   .monotonic = o->monotonic,
                                   .absent_is_fine = o->absent_is_fine};
    report.verdict = t_history_judge(load->history, &rules, stderr);
    report.wrong = t_history_errors(&report.verdict);
    free_load(load);
    return report;
}

void t_load_print(const t_load_report *report, FILE *out)
{
    (void)fprintf(out, "%llu reads, %llu hits, %llu writes, %llu of unknown end\n",
                  (unsigned long long)report->reads, (unsigned long long)report->hits,
                  (unsigned long long)report->writes, (unsigned long long)report->unknown_writes);
    for (int i = 0; i < T_LOAD_STATUSES; i++) {
        if (report->errors[i] > 0) {
            (void)fprintf(out, "%llu of «%s», first: %s\n", (unsigned long long)report->errors[i],
                          nkv_status_text((nkv_status)-i), report->first_text[i]);
        }
    }
    (void)fprintf(out,
                  "ms: longest call %lld, gap %lld, without cache %lld, disturbed for %lld\n"
                  "stale %zu, own writes %zu, backwards %zu, future %zu, unknown %zu\n",
                  (long long)report->call_ms, (long long)report->gap_ms,
                  (long long)report->server_gap_ms, (long long)report->disturbed_ms,
                  report->verdict.stale, report->verdict.own_write, report->verdict.backwards,
                  report->verdict.future, report->verdict.unknown);
}
