/* tests/stress/stress_lmcache.c - LMCache's operations under many threads: submitted and waited
 * for, cancelled, drained by anybody, beside outside writers and killed connections.
 *
 *      stress_lmcache [SECONDS] [SERVER]      default 5, and the first kind that is there
 *
 *      submitters --submit, cancel--> one queue --> drained by submitters and drainers
 *      callers    --blocking calls--> keys of their own: exactly what they wrote last (P2)
 *      outsider   --SET, DEL--> the same chunks      killer --CLIENT KILL--> our connections
 *
 * Judged:  every id comes exactly once · a value is one that somebody wrote of that key, whole, as
 * long as its version says, and as its metadata says · nothing beside it is written · no buffer is
 * touched once its completion was drained · no answer but those that the faults explain · at the
 * end what is known here is what is there, and nothing is left.
 *
 * The last line is "N passed, N failed".                                                         */

#include <nearkv/nearkv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/lm.h"

enum {
    SUBMITTERS = 3,
    DRAINERS = 1,
    CALLERS = 2,
    SLOTS = 24, /* batches that a submitter has under way at most */
    BATCH = 6,
    KEYS = 40, /* of each layout */
    SIZE_MAX_ = 40000,
    OWN_BASE = 1000,              /* keys of callers */
    CONNECTORS = 2 * T_LM_LAYOUTS /* each layout, and again with payloads kept and verified */
};

static int passed;
static int failed;

static void expect(bool good, const char *what)
{
    (void)printf("%s - %s\n", good ? "ok" : "FAILED", what);
    passed += good;
    failed += !good;
}

/* ---- What is shared -------------------------------------------------------------------------- */

typedef struct counts {
    atomic_ullong batches, completions, cancels, values, misses, failures, kills, outside, own;
    atomic_ullong twice, garbled, touched, strange, own_wrong;
} counts;

typedef struct run {
    t_server *server;
    nkv_client *client;
    nkv_lmcache *lms[CONNECTORS];
    nkv_queue *queue;
    atomic_bool stop, quiet; /* no new batches; and all are drained */
    atomic_ullong version;
    counts counts;
} run;

static uint64_t bump(atomic_ullong *counter)
{
    return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static unsigned long long of(atomic_ullong *counter)
{
    return atomic_load(counter);
}

/* A version's size: 8 bytes at least, so that it can be read from the value. */
static size_t size_of(uint64_t version)
{
    return 8 + (size_t)(version * 2654435761u % (version % 7 == 0 ? SIZE_MAX_ - 8 : 900));
}

/* ---- Slots: batches of a submitter ----------------------------------------------------------- */

typedef enum kind { GET, GET_PREFIX, PUT, CONTAINS, REMOVE, KINDS } kind;

typedef struct slot {
    _Atomic int open; /* 1 from before submit until it was drained and judged */
    _Atomic uint64_t id;
    kind kind;
    t_items list;
    atomic_bool cancelled;
    bool small[BATCH];   /* a buffer that is too small for most */
    bool refused[BATCH]; /* alloc() says no */
    void *gave[BATCH];
    size_t gave_len[BATCH];
    struct place {
        struct slot *slot;
        size_t i;
    } places[BATCH];
} slot;

typedef struct worker {
    run *run;
    int number;
    pthread_t thread;
    t_rng rng;
    slot *slots;
} worker;

static void *alloc_for(nkv_item *item)
{
    struct place *place = item->ud;
    slot *s = place->slot;
    if (s->refused[place->i]) {
        return NULL;
    }
    s->gave[place->i] = malloc(item->len + 1);
    s->gave_len[place->i] = item->len;
    return s->gave[place->i];
}

/* Memory of every kind for the items of a get. */
static void lend(worker *w, slot *s)
{
    for (size_t i = 0; i < BATCH; i++) {
        nkv_item *item = &s->list.items[i];
        const uint64_t how = t_rng_below(&w->rng, 4);
        s->small[i] = how == 1;
        s->refused[i] = false;
        item->alloc = NULL;
        item->buf = NULL;
        item->cap = 0;
        if (how < 2) {
            t_item_buf(&s->list, i, how == 0 ? SIZE_MAX_ : 100);
        } else if (how == 2) {
            s->refused[i] = t_rng_below(&w->rng, 8) == 0;
            s->places[i] = (struct place){s, i};
            item->alloc = alloc_for;
            item->ud = &s->places[i];
        }
    }
}

static void name_keys(worker *w, slot *s)
{
    const uint64_t first = t_rng_below(&w->rng, KEYS);
    for (size_t i = 0; i < BATCH; i++) {
        char key[32];
        const uint64_t number =
            t_rng_below(&w->rng, 8) == 0 ? t_rng_below(&w->rng, KEYS) : (first + i) % KEYS;
        const int len = snprintf(key, sizeof key, "k%llu", (unsigned long long)number);
        t_item_key(&s->list, i, key, (size_t)len);
    }
}

static nkv_status submit_kind(slot *s, nkv_lmcache *lm, nkv_ticket *ticket)
{
    nkv_item *items = s->list.items;
    switch (s->kind) {
    case GET:
        return nkv_lmcache_submit_get(lm, items, BATCH, ticket);
    case GET_PREFIX:
        return nkv_lmcache_submit_get_prefix(lm, items, BATCH, ticket);
    case PUT:
        return nkv_lmcache_submit_put(lm, items, BATCH, ticket);
    case CONTAINS:
        return nkv_lmcache_submit_contains(lm, items, BATCH, ticket);
    default:
        return nkv_lmcache_submit_remove(lm, items, BATCH, ticket);
    }
}

static nkv_status submit(worker *w, slot *s, nkv_lmcache *lm, uint64_t *id)
{
    nkv_call call;
    nkv_call_init(&call);
    call.level = t_rng_below(&w->rng, 4) == 0 ? NKV_BARRIER : NKV_EVENTUAL;
    call.timeout_ms = t_rng_below(&w->rng, 20) == 0 ? 3 : 0;
    nkv_ticket ticket = {.queue = w->run->queue, .call = &call, .ud = s};
    const nkv_status status = submit_kind(s, lm, &ticket);
    *id = ticket.id;
    return status;
}

static void begin(worker *w, slot *s)
{
    run *r = w->run;
    for (size_t i = 0; i < s->list.n; i++) {
        /* Since its last completion nobody has written to its buffers. */
        if (s->list.guards[i].block != NULL && !t_item_untouched(&s->list, i)) {
            bump(&r->counts.touched);
        }
    }
    t_items_free(&s->list);
    s->list = t_items_new("", BATCH);
    t_items_metas(&s->list);
    s->kind = (kind)t_rng_below(&w->rng, KINDS);
    if (s->kind == REMOVE && t_rng_below(&w->rng, 3) != 0) {
        s->kind = GET;
    }
    name_keys(w, s);
    if (s->kind == GET || s->kind == GET_PREFIX) {
        lend(w, s);
    }
    if (s->kind == PUT) {
        for (size_t i = 0; i < BATCH; i++) {
            const uint64_t version = 1 + bump(&r->version);
            t_item_value(&s->list, i, size_of(version), version);
            s->list.items[i].meta = NULL;
        }
    }
    atomic_store(&s->cancelled, false);
    atomic_store(&s->id, 0);
    atomic_store(&s->open, 1);
    uint64_t id = 0;
    const nkv_status status = submit(w, s, r->lms[t_rng_below(&w->rng, CONNECTORS)], &id);
    if (status != NKV_OK) {
        bump(&r->counts.strange);
        (void)fprintf(stderr, "submit: %s\n", nkv_status_text(status));
        atomic_store(&s->open, 0);
        return;
    }
    bump(&r->counts.batches);
    if (t_rng_below(&w->rng, 10) == 0) {
        /* It may have ended, and the slot be another's by then only if we reuse it: we do not. */
        atomic_store(&s->cancelled, true);
        if (t_rng_below(&w->rng, 2) == 0) {
            t_sleep_us((int64_t)t_rng_below(&w->rng, 200));
        }
        (void)nkv_queue_cancel(r->queue, id);
        bump(&r->counts.cancels);
    }
}

/* ---- Judging --------------------------------------------------------------------------------- */

/* A value that was read: of this key, whole, of its version's size. */
static bool is_value(const void *bytes, size_t len, nkv_str key)
{
    if (len < 8) {
        return false;
    }
    const uint64_t version = t_value_version(bytes, len, key);
    return version != UINT64_MAX && len == size_of(version);
}

static void judge_value(run *r, slot *s, size_t i)
{
    const nkv_item *item = &s->list.items[i];
    const bool by_buf = item->buf != NULL;
    const void *bytes = by_buf ? item->buf : NULL;
    bump(&r->counts.values);
    if (!by_buf && item->held != NULL) {
        const nkv_str held = nkv_value_str(item->held);
        bytes = held.len == item->len ? held.data : NULL;
    }
    bool good = bytes != NULL && is_value(bytes, item->len, item->key);
    good = good && (!by_buf || item->held == NULL);
    good =
        good && (item->alloc == NULL || (item->buf == s->gave[i] && item->len == s->gave_len[i]));
    if (!good) {
        bump(&r->counts.garbled);
        (void)fprintf(stderr, "garbled: %.*s, %zu bytes\n", (int)item->key.len, item->key.data,
                      item->len);
    }
}

/* Is this an answer that the faults explain? */
static bool is_explained(const slot *s, size_t i)
{
    switch (s->list.items[i].status) {
    case NKV_OK:
    case NKV_NOT_FOUND:
    case NKV_ECONN:
    case NKV_ETIMEDOUT:
        return true;
    case NKV_ESIZE:
        return s->small[i] && s->list.items[i].len > 100;
    case NKV_ENOMEM:
        return s->refused[i];
    case NKV_ECANCELED:
        return atomic_load(&s->cancelled);
    default:
        return false;
    }
}

static void judge_item(run *r, slot *s, size_t i)
{
    const nkv_status status = s->list.items[i].status;
    const bool reads = s->kind == GET || s->kind == GET_PREFIX;
    if (!is_explained(s, i)) {
        bump(&r->counts.strange);
        (void)fprintf(stderr, "strange: kind %d, %s\n", (int)s->kind, nkv_status_text(status));
    }
    if (status == NKV_OK && reads) {
        judge_value(r, s, i);
    } else if (status != NKV_OK && s->list.items[i].held != NULL) {
        bump(&r->counts.strange);
    }
    bump(status == NKV_NOT_FOUND ? &r->counts.misses : &r->counts.failures);
    if (s->list.guards[i].block != NULL && !t_item_guarded(&s->list, i)) {
        bump(&r->counts.garbled);
    }
}

/* The counts of a completion are those of its items. */
static bool adds_up(slot *s, const nkv_completion *done)
{
    const char *text = t_items_text(&s->list);
    size_t found = 0;
    for (size_t i = 0; i < BATCH; i++) {
        found += text[i] == '+';
    }
    const bool fine = strspn(text, "+-") == BATCH;
    return done->prefix == strspn(text, "+") && done->found == found &&
           (done->status >= 0) == fine && (done->status >= 0 || done->error.text[0] != '\0');
}

static void judge(run *r, const nkv_completion *done)
{
    slot *s = done->ud;
    bump(&r->counts.completions);
    if (atomic_load(&s->open) != 1 || atomic_exchange(&s->id, done->id) != 0) {
        bump(&r->counts.twice);
        return;
    }
    if (!adds_up(s, done)) {
        bump(&r->counts.strange);
        (void)fprintf(stderr, "kind %d: %s, prefix %zu, found %zu: %s\n", (int)s->kind,
                      nkv_status_text(done->status), done->prefix, done->found,
                      t_items_text(&s->list));
    }
    for (size_t i = 0; i < BATCH; i++) {
        judge_item(r, s, i);
        free(s->gave[i]);
        s->gave[i] = NULL;
    }
    t_items_reset(&s->list); /* the pattern again: whoever writes now is found out */
    atomic_store(&s->open, 0);
}

static size_t drain(run *r)
{
    nkv_completion done[5];
    const size_t n = nkv_queue_drain(r->queue, done, 5);
    for (size_t i = 0; i < n; i++) {
        judge(r, &done[i]);
    }
    return n;
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *submit_and_drain(void *ud)
{
    worker *w = ud;
    while (!atomic_load(&w->run->stop)) {
        slot *s = &w->slots[t_rng_below(&w->rng, SLOTS)];
        if (atomic_load(&s->open) == 0) {
            begin(w, s);
        } else {
            (void)drain(w->run);
        }
    }
    return NULL;
}

static void *drain_only(void *ud)
{
    worker *w = ud;
    while (!atomic_load(&w->run->quiet)) {
        if (nkv_queue_wait(w->run->queue, 5) != NKV_OK) {
            t_sleep_us(500);
        }
        (void)drain(w->run);
    }
    return NULL;
}

/* Keys of its own: what it wrote last is what it reads, at any level (P2). */
static void own_round(worker *w, nkv_lmcache *lm, t_items *list)
{
    run *r = w->run;
    const uint64_t version = 1 + bump(&r->version);
    t_items_reset(list);
    list->items[0].meta = NULL;
    t_item_value(list, 0, size_of(version), version);
    bump(&r->counts.own);
    if (nkv_lmcache_put(lm, list->items, 1, NULL) != NKV_OK) {
        return; /* nobody knows what became of it */
    }
    nkv_item item = {.key = list->items[0].key};
    nkv_status status = nkv_lmcache_contains(lm, &item, 1, NULL);
    const bool there = status < 0 || item.status == NKV_OK;
    list->items[0].buf = NULL;
    status = nkv_lmcache_get(lm, list->items, 1, NULL);
    const bool same =
        status < 0 || (list->items[0].status == NKV_OK && list->items[0].len == size_of(version) &&
                       t_item_has_version(list, 0, version));
    bool gone = true;
    if (t_rng_below(&w->rng, 3) == 0 && nkv_lmcache_remove(lm, &item, 1, NULL) == NKV_OK) {
        item = (nkv_item){.key = list->items[0].key};
        gone = nkv_lmcache_contains(lm, &item, 1, NULL) < 0 || item.status == NKV_NOT_FOUND;
    }
    if (!there || !same || !gone) {
        bump(&r->counts.own_wrong);
        (void)fprintf(stderr, "own: %s%s%s\n", there ? "" : "not there ",
                      same ? "" : "other bytes ", gone ? "" : "not gone");
    }
}

static void *call_only(void *ud)
{
    worker *w = ud;
    t_items list = t_items_new("", 1);
    while (!atomic_load(&w->run->stop)) {
        char key[32];
        const int len = snprintf(key, sizeof key, "own%llu",
                                 (unsigned long long)(OWN_BASE * (unsigned)w->number) +
                                     (unsigned long long)t_rng_below(&w->rng, 4));
        t_item_key(&list, 0, key, (size_t)len);
        own_round(w, w->run->lms[t_rng_below(&w->rng, CONNECTORS)], &list);
    }
    t_items_free(&list);
    return NULL;
}

/* A connection that no killer knows of. */
static t_lm outside_of(run *r, nkv_lmcache_layout layout, t_ctl *ctl)
{
    return (t_lm){.server = r->server,
                  .ctl = ctl,
                  .layout = layout,
                  .pair = layout != NKV_LMCACHE_SINGLE_KEY,
                  .name = "outsider"};
}

static void *write_outside(void *ud)
{
    worker *w = ud;
    t_ctl *ctl = t_ctl_open(w->run->server);
    while (!atomic_load(&w->run->stop)) {
        t_lm lm = outside_of(w->run, (nkv_lmcache_layout)t_rng_below(&w->rng, T_LM_LAYOUTS), ctl);
        char key[32];
        (void)snprintf(key, sizeof key, "k%llu", (unsigned long long)t_rng_below(&w->rng, KEYS));
        const uint64_t what = t_rng_below(&w->rng, 8);
        if (what < 2) {
            (void)t_lm_int(&lm, "DEL", nkv_cstr(key), lm.pair && what == 0 ? T_META : T_KV);
        } else {
            const uint64_t version = 1 + bump(&w->run->version);
            t_lm_chunk_version(&lm, nkv_cstr(key), size_of(version), version);
        }
        bump(&w->run->counts.outside);
        t_sleep_us((int64_t)t_rng_below(&w->rng, 300));
    }
    t_ctl_close(ctl);
    return NULL;
}

static void *kill_connections(void *ud)
{
    worker *w = ud;
    t_ctl *ctl = t_ctl_open(w->run->server);
    while (!atomic_load(&w->run->stop)) {
        size_t count = 0;
        t_client_info *clients = t_ctl_clients(ctl, &count);
        const size_t i = count > 0 ? (size_t)t_rng_below(&w->rng, count) : 0;
        if (count > 0 && strcmp(clients[i].name, "stress") == 0) {
            (void)t_ctl_kill_id(ctl, clients[i].id);
            bump(&w->run->counts.kills);
        }
        free(clients);
        t_sleep_ms(5 + (int64_t)t_rng_below(&w->rng, 30));
    }
    t_ctl_close(ctl);
    return NULL;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void start(run *r, worker *w, int number, void *(*fn)(void *ud))
{
    *w = (worker){.run = r, .number = number};
    t_rng_init(&w->rng, t_run_seed() + (uint64_t)number);
    if (fn == submit_and_drain) {
        w->slots = calloc(SLOTS, sizeof *w->slots);
        T_REQUIRE(w->slots != NULL);
    }
    T_REQUIRE(pthread_create(&w->thread, NULL, fn, w) == 0);
}

static void join(worker *w)
{
    T_REQUIRE(pthread_join(w->thread, NULL) == 0);
}

static size_t open_slots(const worker *submitters)
{
    size_t open = 0;
    for (int i = 0; i < SUBMITTERS; i++) {
        for (int s = 0; s < SLOTS; s++) {
            open += atomic_load(&submitters[i].slots[s].open) != 0;
        }
    }
    return open;
}

static void free_slots(run *r, worker *w)
{
    for (int i = 0; i < SLOTS; i++) {
        for (size_t k = 0; k < w->slots[i].list.n; k++) {
            if (w->slots[i].list.guards[k].block != NULL &&
                !t_item_untouched(&w->slots[i].list, k)) {
                bump(&r->counts.touched);
            }
        }
        t_items_free(&w->slots[i].list);
    }
    free(w->slots);
}

/* In the end what is known here is what is there, key by key. */
static size_t disagreements(run *r)
{
    size_t wrong = 0;
    t_ctl *ctl = t_ctl_open(r->server);
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = outside_of(r, (nkv_lmcache_layout)layout, ctl);
        lm.lm = r->lms[layout];
        for (int k = 0; k < KEYS; k++) {
            char key[32];
            (void)snprintf(key, sizeof key, "k%d", k);
            const bool there = t_lm_int(&lm, "EXISTS", nkv_cstr(key), lm.pair ? T_META : T_KV) == 1;
            const nkv_status wants = there ? NKV_OK : NKV_NOT_FOUND;
            wrong += t_lm_has(&lm, nkv_cstr(key), NKV_BARRIER, NULL) != wants;
            wrong += t_lm_has(&lm, nkv_cstr(key), NKV_EVENTUAL, NULL) != wants;
        }
    }
    t_ctl_close(ctl);
    return wrong;
}

static void report(run *r)
{
    counts *c = &r->counts;
    (void)printf("%llu batches, %llu completions, %llu cancelled, %llu values, %llu misses; "
                 "%llu own writes, %llu outside writes, %llu connections killed\n",
                 of(&c->batches), of(&c->completions), of(&c->cancels), of(&c->values),
                 of(&c->misses), of(&c->own), of(&c->outside), of(&c->kills));
    expect(of(&c->batches) == of(&c->completions) && of(&c->twice) == 0,
           "case 23: every batch ends exactly once");
    expect(of(&c->garbled) == 0, "every value is whole, and of its key");
    expect(of(&c->touched) == 0, "nobody touches a buffer after its completion");
    expect(of(&c->strange) == 0, "every answer is explained by the faults");
    expect(of(&c->own_wrong) == 0, "P2: own writes are read");
    expect(of(&c->values) > 100 && of(&c->misses) > 100 && of(&c->kills) > 5,
           "there was something to see");
}

static void open_run(run *r, t_server *server)
{
    r->server = server;
    nkv_options options = t_near_options(t_server_unix_url(server));
    options.client_name = "stress";
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 10;
    r->client = t_near_open(&options);
    for (int i = 0; i < CONNECTORS; i++) {
        nkv_lmcache_options lm = t_lm_options((nkv_lmcache_layout)(i % T_LM_LAYOUTS));
        lm.cache_payloads = lm.verify_payload = i >= T_LM_LAYOUTS;
        r->lms[i] = t_lm_make(r->client, &lm);
    }
    r->queue = t_queue_new();
}

static void close_run(run *r)
{
    nkv_queue_destroy(r->queue);
    for (int i = 0; i < CONNECTORS; i++) {
        nkv_lmcache_destroy(r->lms[i]);
    }
    nkv_client_destroy(r->client);
}

static void run_all(t_server *server, int64_t seconds)
{
    static run r;
    static worker submitters[SUBMITTERS], drainers[DRAINERS], callers[CALLERS], outsider, killer;
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    open_run(&r, server);
    for (int i = 0; i < SUBMITTERS; i++) {
        start(&r, &submitters[i], i, submit_and_drain);
    }
    for (int i = 0; i < CALLERS; i++) {
        start(&r, &callers[i], 10 + i, call_only);
    }
    for (int i = 0; i < DRAINERS; i++) {
        start(&r, &drainers[i], 20 + i, drain_only);
    }
    start(&r, &outsider, 30, write_outside);
    start(&r, &killer, 31, kill_connections);
    t_sleep_ms(1000 * seconds);
    atomic_store(&r.stop, true);
    join(&killer);
    join(&outsider);
    for (int i = 0; i < CALLERS; i++) {
        join(&callers[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        join(&submitters[i]);
    }
    const int64_t end_ms = t_now_ms() + 30000;
    while (open_slots(submitters) > 0 && t_now_ms() < end_ms) {
        t_sleep_ms(1);
    }
    expect(open_slots(submitters) == 0, "case 13: every batch has ended");
    atomic_store(&r.quiet, true);
    for (int i = 0; i < DRAINERS; i++) {
        join(&drainers[i]);
    }
    expect(nkv_queue_wait(r.queue, 0) == NKV_NOT_FOUND, "the queue knows of nothing more");
    T_WAIT_UNTIL(t_near_healthy(r.client), 10000);
    expect(disagreements(&r) == 0, "P3: in the end what is known here is what is there");
    expect(t_near_identity(r.client), "the counters agree");
    close_run(&r);
    for (int i = 0; i < SUBMITTERS; i++) {
        free_slots(&r, &submitters[i]);
    }
    report(&r);
    expect(t_fd_count() == fds && t_thread_count() == threads, "I8: nothing is left");
}

/* ---- I8: the end in the middle of everything ------------------------------------------------- */

/* Connector, client and queue go while batches are under way, in every order that is allowed. */
static void end_in_the_middle(t_server *server, int rounds)
{
    enum { OPEN = 8 };
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    size_t wrong = 0;
    for (int round = 0; round < rounds; round++) {
        run r = {.stop = false};
        t_items lists[OPEN];
        open_run(&r, server);
        for (int i = 0; i < OPEN; i++) {
            nkv_ticket ticket = {.queue = r.queue};
            nkv_lmcache *lm = r.lms[i % CONNECTORS];
            lists[i] = t_items_new("k", 8);
            t_items_values(&lists[i], 100000);
            const nkv_status status = i % 2 == 0
                                          ? nkv_lmcache_submit_put(lm, lists[i].items, 8, &ticket)
                                          : nkv_lmcache_submit_get(lm, lists[i].items, 8, &ticket);
            wrong += status != NKV_OK;
        }
        if (round % 3 == 0) {
            close_run(&r);
        } else {
            for (int c = 0; c < CONNECTORS; c++) {
                nkv_lmcache_destroy(r.lms[c]);
            }
            if (round % 3 == 1) {
                nkv_queue_destroy(r.queue);
                nkv_client_destroy(r.client);
            } else {
                nkv_client_destroy(r.client);
                nkv_completion done[OPEN];
                t_queue_take(r.queue, done, OPEN);
                for (int i = 0; i < OPEN; i++) {
                    wrong += done[i].status != NKV_OK && done[i].status != NKV_ECLOSED;
                }
                nkv_queue_destroy(r.queue);
            }
        }
        for (int i = 0; i < OPEN; i++) {
            t_items_free(&lists[i]);
        }
    }
    expect(wrong == 0, "I8: the end in the middle is told as such");
    expect(t_fd_count() == fds && t_thread_count() == threads, "I8: nothing is left of it");
}

static void *nothing(void *ud)
{
    return ud;
}

int main(int argc, char **argv)
{
    const long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 5;
    if (seconds < 1 || seconds > 100000) {
        T_DIE("a number of seconds is wanted, not \"%s\"", argv[1]);
    }
    t_server *server = t_server_start(&(t_server_options){.kind = argc > 2 ? argv[2] : NULL});
    /* A sanitizer has a thread of its own as soon as there is a second one. */
    pthread_t first;
    T_REQUIRE(pthread_create(&first, NULL, nothing, NULL) == 0 && pthread_join(first, NULL) == 0);
    run_all(server, seconds);
    end_in_the_middle(server, 15);
    t_server_stop(server);
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
