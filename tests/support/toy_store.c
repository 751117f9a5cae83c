/* support/toy_store.c - the list, its orders, and its faults.
 *
 * Callers      tests of nkv_client_wrap() and of the conformance suite                           */

#include "support/toy_store.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/thread.h"

enum { SOON_MS = 20000, TELL_AFTER_MS = 3 };

typedef struct entry {
    struct entry *next;
    char *key, *value;
    size_t key_len, value_len;
    int64_t until_ms; /* 0: for ever */
} entry;

/* A change that the telling thread will tell. */
typedef struct change {
    struct change *next;
    nkv_str key;
    int64_t at_ms;
} change;

struct t_store {
    pthread_mutex_t mu;
    pthread_cond_t moved;
    entry *entries;
    t_store_fault fault;
    bool silent;
    nkv_voucher *voucher;
    int opened, running, at_once;
    bool hold_first[T_STORE_KINDS], hold[T_STORE_KINDS];
    int held[T_STORE_KINDS], calls[T_STORE_KINDS], items[T_STORE_KINDS];
    char fail_key[64], fail_text[64];
    nkv_status fail_status, fail_calls[T_STORE_KINDS];
    int64_t deadline_ns;
    void *room;
    change *changes; /* oldest first */
    bool telling, closing;
    pthread_t teller;
    pthread_t lingering[16]; /* of T_STORE_LEAVES_THREAD                                          */
    size_t lingering_len;
};

/* ---- The list -------------------------------------------------------------------------------- */

static char *copy(nkv_str bytes)
{
    char *out = malloc(bytes.len + 1);
    T_REQUIRE(out != NULL);
    if (bytes.len > 0) {
        memcpy(out, bytes.data, bytes.len);
    }
    out[bytes.len] = '\0';
    return out;
}

static bool same_key(const t_store *store, const entry *e, nkv_str key)
{
    if (store->fault == T_STORE_TEXT_KEYS) {
        key.len = key.len > 0 ? strnlen(key.data, key.len) : 0;
        return strnlen(e->key, e->key_len) == key.len && memcmp(e->key, key.data, key.len) == 0;
    }
    if (e->key_len != key.len) {
        return false;
    }
    for (size_t i = 0; i < key.len; i++) {
        const char a = e->key[i], b = key.data[i];
        const bool any = store->fault == T_STORE_ANY_CASE;
        if (any ? tolower((unsigned char)a) != tolower((unsigned char)b) : a != b) {
            return false;
        }
    }
    return true;
}

/* The link that leads to the key, or to the end.  @locks mu held */
static entry **find(t_store *store, nkv_str key)
{
    entry **at = &store->entries;
    while (*at != NULL && !same_key(store, *at, key)) {
        at = &(*at)->next;
    }
    if (*at != NULL && (*at)->until_ms > 0 && t_now_ms() >= (*at)->until_ms) {
        entry *gone = *at;
        *at = gone->next;
        free(gone->key);
        free(gone->value);
        free(gone);
        return find(store, key);
    }
    return at;
}

/* @locks mu held */
static bool drop(t_store *store, nkv_str key)
{
    entry **at = find(store, key);
    entry *e = *at;
    if (e == NULL) {
        return false;
    }
    *at = e->next;
    free(e->key);
    free(e->value);
    free(e);
    return true;
}

/* @locks mu held */
static void set(t_store *store, nkv_str key, nkv_str value, int64_t ttl_ms)
{
    if (store->fault == T_STORE_KEEPS_FIRST && *find(store, key) != NULL) {
        return;
    }
    (void)drop(store, key);
    entry *e = calloc(1, sizeof *e);
    T_REQUIRE(e != NULL);
    e->key = copy(key);
    e->key_len = key.len;
    e->value = copy(value);
    e->value_len = store->fault == T_STORE_CUTS && value.len > 4096 ? 4096 : value.len;
    e->until_ms = ttl_ms > 0 && store->fault != T_STORE_FOREVER ? t_now_ms() + ttl_ms : 0;
    e->next = store->entries;
    store->entries = e;
}

/* ---- Standing still -------------------------------------------------------------------------- */

/* @locks mu held */
static void stand(t_store *store, const bool *hold, t_store_kind kind)
{
    if (!hold[kind]) {
        return;
    }
    store->held[kind]++;
    pthread_cond_broadcast(&store->moved);
    while (hold[kind]) {
        pthread_cond_wait(&store->moved, &store->mu);
    }
    store->held[kind]--;
}

/* Every function of the table begins and ends with these.  begin returns with mu held. */
static void begin(t_store *store, t_store_kind kind, size_t n, int64_t deadline_ns)
{
    pthread_mutex_lock(&store->mu);
    store->calls[kind]++;
    store->items[kind] = (int)n;
    store->deadline_ns = deadline_ns;
    store->running++;
    store->at_once = store->running > store->at_once ? store->running : store->at_once;
    stand(store, store->hold_first, kind);
}

static void end(t_store *store, t_store_kind kind)
{
    stand(store, store->hold, kind);
    store->running--;
    pthread_mutex_unlock(&store->mu);
}

/* The failure that was ordered for the call as a whole, or NKV_OK. */
static nkv_status whole(const t_store *store, t_store_kind kind, nkv_error *error)
{
    if (store->fail_calls[kind] == NKV_OK) {
        return NKV_OK;
    }
    error->status = store->fail_calls[kind];
    (void)snprintf(error->text, sizeof error->text, "%s", store->fail_text);
    return store->fail_calls[kind];
}

static bool fails(const t_store *store, nkv_connector_item *item)
{
    const size_t len = strlen(store->fail_key);
    if (store->fail_status == NKV_OK || item->key.len != len ||
        memcmp(item->key.data, store->fail_key, len) != 0) {
        return false;
    }
    (void)nkv_connector_fail(item, store->fail_status,
                             store->fail_text[0] != '\0' ? store->fail_text : NULL);
    return true;
}

/* ---- The table ------------------------------------------------------------------------------- */

static void mix(const t_store *store, nkv_connector_item *items, size_t n, size_t *first,
                size_t *second)
{
    (void)items;
    const bool mixed = store->fault == T_STORE_SHUFFLES && n > 1;
    *first = mixed ? 1 : 0;
    *second = mixed ? 0 : 1;
}

static int64_t left(const entry *e)
{
    if (e->until_ms == 0) {
        return -1;
    }
    const int64_t ms = e->until_ms - t_now_ms();
    return ms > 0 ? ms : 0;
}

static void get_one(t_store *store, nkv_connector_item *item, nkv_str key)
{
    const entry *e = *find(store, key);
    if (fails(store, item)) {
        return;
    }
    if (e == NULL || (e->value_len == 0 && store->fault == T_STORE_NO_EMPTY)) {
        item->status = NKV_NOT_FOUND;
        return;
    }
    void *room = nkv_connector_room(item, e->value_len);
    if (room != NULL) {
        store->room = room;
        memcpy(room, e->value, e->value_len);
        item->ttl_ms = left(e);
        item->status = NKV_OK;
    }
}

static nkv_status store_get(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                            nkv_error *error)
{
    t_store *store = ud;
    begin(store, T_STORE_GET, n, deadline_ns);
    const nkv_status status = whole(store, T_STORE_GET, error);
    size_t first, second;
    mix(store, items, n, &first, &second);
    for (size_t i = 0; i < n && status == NKV_OK; i++) {
        const size_t from = i == 0 ? first : i == 1 ? second : i;
        if (i == 0 || store->fault != T_STORE_FIRST_ONLY) {
            get_one(store, &items[i], items[from].key);
        }
    }
    end(store, T_STORE_GET);
    return status;
}

static nkv_status store_exists(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                               nkv_error *error)
{
    t_store *store = ud;
    begin(store, T_STORE_EXISTS, n, deadline_ns);
    const nkv_status status = whole(store, T_STORE_EXISTS, error);
    for (size_t i = 0; i < n && status == NKV_OK; i++) {
        const entry *e = *find(store, items[i].key);
        if (!fails(store, &items[i])) {
            items[i].status = e != NULL ? NKV_OK : NKV_NOT_FOUND;
            items[i].ttl_ms = e != NULL ? left(e) : -1;
        }
    }
    end(store, T_STORE_EXISTS);
    return status;
}

static nkv_status store_put(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                            nkv_error *error)
{
    t_store *store = ud;
    begin(store, T_STORE_PUT, n, deadline_ns);
    const nkv_status status = whole(store, T_STORE_PUT, error);
    const bool loses = store->fault == T_STORE_NOT_THREADED && store->running > 1;
    for (size_t i = 0; i < n && status == NKV_OK; i++) {
        if (!fails(store, &items[i])) {
            items[i].status = NKV_OK;
            if (!loses) {
                set(store, items[i].key, items[i].value, items[i].ttl_ms);
            }
        }
    }
    if (store->fault == T_STORE_NOT_THREADED) {
        pthread_mutex_unlock(&store->mu);
        t_sleep_us(200); /* so that others come at once */
        pthread_mutex_lock(&store->mu);
    }
    end(store, T_STORE_PUT);
    return status;
}

static nkv_status store_remove(void *ud, nkv_connector_item *items, size_t n, int64_t deadline_ns,
                               nkv_error *error)
{
    t_store *store = ud;
    begin(store, T_STORE_REMOVE, n, deadline_ns);
    const nkv_status status = whole(store, T_STORE_REMOVE, error);
    for (size_t i = 0; i < n && status == NKV_OK; i++) {
        if (!fails(store, &items[i])) {
            const bool there = store->fault == T_STORE_REMOVES_NONE
                                   ? *find(store, items[i].key) != NULL
                                   : drop(store, items[i].key);
            items[i].status =
                there || store->fault == T_STORE_REMOVED_ALWAYS ? NKV_OK : NKV_NOT_FOUND;
        }
    }
    end(store, T_STORE_REMOVE);
    return status;
}

static nkv_status store_scan(void *ud, nkv_str prefix, nkv_connector_scan *scan,
                             int64_t deadline_ns, nkv_error *error)
{
    t_store *store = ud;
    begin(store, T_STORE_SCAN, 1, deadline_ns);
    const nkv_status status = whole(store, T_STORE_SCAN, error);
    for (const entry *e = store->entries; e != NULL && status == NKV_OK; e = e->next) {
        const bool fits = e->key_len >= prefix.len &&
                          (prefix.len == 0 || memcmp(e->key, prefix.data, prefix.len) == 0);
        if ((fits || store->fault == T_STORE_SCANS_ALL) &&
            (nkv_connector_add(scan, nkv_str_make(e->key, e->key_len)) != 0 ||
             store->fault == T_STORE_SCANS_ONE)) {
            break;
        }
    }
    end(store, T_STORE_SCAN);
    return status;
}

static nkv_status store_ping(void *ud, int64_t deadline_ns, nkv_error *error)
{
    t_store *store = ud;
    begin(store, T_STORE_PING, 0, deadline_ns);
    const nkv_status status = whole(store, T_STORE_PING, error);
    end(store, T_STORE_PING);
    return status;
}

static nkv_status store_settle(void *ud, int64_t deadline_ns, nkv_error *error)
{
    t_store *store = ud;
    begin(store, T_STORE_SETTLE, 0, deadline_ns);
    const nkv_status status = whole(store, T_STORE_SETTLE, error);
    while (store->changes != NULL && store->fault != T_STORE_SETTLES_EARLY) {
        pthread_cond_wait(&store->moved, &store->mu);
    }
    end(store, T_STORE_SETTLE);
    return status;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void tell_one(t_store *store, nkv_voucher *voucher, nkv_str key)
{
    switch (store->fault) {
    case T_STORE_TELLS_NOTHING:
        return;
    case T_STORE_TELLS_OTHERS:
        nkv_voucher_invalidate(voucher, nkv_cstr("quite another"));
        return;
    default:
        nkv_voucher_invalidate(voucher, key);
        return;
    }
}

static void *tell_all(void *ud)
{
    t_store *store = ud;
    pthread_mutex_lock(&store->mu);
    while (!store->closing || store->changes != NULL) {
        change *first = store->changes;
        if (first == NULL || (t_now_ms() < first->at_ms && !store->closing)) {
            struct timespec until = t_deadline_after_ms(first == NULL ? 20 : 1);
            (void)pthread_cond_timedwait(&store->moved, &store->mu, &until);
            if (store->changes == NULL && store->voucher != NULL) {
                nkv_voucher_heard(store->voucher);
            }
            continue;
        }
        nkv_voucher *voucher = store->voucher;
        pthread_mutex_unlock(&store->mu);
        tell_one(store, voucher, first->key);
        pthread_mutex_lock(&store->mu);
        store->changes = first->next; /* only now: settle waits for it */
        free((char *)first->key.data);
        free(first);
        pthread_cond_broadcast(&store->moved);
    }
    pthread_mutex_unlock(&store->mu);
    return NULL;
}

void t_store_change_and_tell(t_store *store, nkv_str key, const nkv_str *value)
{
    change *last = calloc(1, sizeof *last);
    T_REQUIRE(last != NULL);
    last->key = nkv_str_make(copy(key), key.len);
    last->at_ms = t_now_ms() + TELL_AFTER_MS;
    pthread_mutex_lock(&store->mu);
    if (value != NULL) {
        set(store, key, *value, 0);
    } else {
        (void)drop(store, key);
    }
    change **at = &store->changes;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = last;
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->mu);
}

static nkv_status store_open(void *ud, nkv_voucher *voucher, nkv_error *error)
{
    t_store *store = ud;
    pthread_mutex_lock(&store->mu);
    const nkv_status status = whole(store, T_STORE_PING, error);
    if (status == NKV_OK) {
        store->voucher = voucher;
        store->opened++;
        store->closing = false;
        if (!store->silent) {
            nkv_voucher_begin(voucher);
            t_thread_start(&store->teller, tell_all, store);
            store->telling = true;
        }
    }
    pthread_mutex_unlock(&store->mu);
    return status;
}

static void *linger(void *ud)
{
    t_store *store = ud;
    pthread_mutex_lock(&store->mu);
    while (store->fault == T_STORE_LEAVES_THREAD) {
        pthread_cond_wait(&store->moved, &store->mu);
    }
    pthread_mutex_unlock(&store->mu);
    return NULL;
}

static void store_close(void *ud)
{
    t_store *store = ud;
    pthread_mutex_lock(&store->mu);
    T_REQUIRE(store->running == 0);
    const bool telling = store->telling;
    store->closing = true;
    store->telling = false;
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->mu);
    if (telling) {
        T_REQUIRE(pthread_join(store->teller, NULL) == 0);
    }
    pthread_mutex_lock(&store->mu);
    store->voucher = NULL;
    store->opened--;
    if (store->fault == T_STORE_LEAVES_THREAD) {
        T_REQUIRE(store->lingering_len < sizeof store->lingering / sizeof store->lingering[0]);
        t_thread_start(&store->lingering[store->lingering_len++], linger, store);
    }
    pthread_mutex_unlock(&store->mu);
}

nkv_connector t_store_table(t_store *store)
{
    return (nkv_connector){.struct_size = sizeof(nkv_connector),
                           .name = "toy:store",
                           .ud = store,
                           .get = store_get,
                           .exists = store_exists,
                           .put = store_put,
                           .remove = store_remove,
                           .scan = store_scan,
                           .ping = store_ping,
                           .settle = store_settle,
                           .open = store_open,
                           .close = store_close};
}

/* ---- Orders ---------------------------------------------------------------------------------- */

t_store *t_store_new(void)
{
    t_store *store = calloc(1, sizeof *store);
    T_REQUIRE(store != NULL);
    T_REQUIRE(pthread_mutex_init(&store->mu, NULL) == 0);
    t_cond_init(&store->moved);
    return store;
}

void t_store_free(t_store *store)
{
    T_REQUIRE(store->opened == 0 && store->running == 0);
    t_store_set_fault(store, T_STORE_RIGHT);
    for (size_t i = 0; i < store->lingering_len; i++) {
        T_REQUIRE(pthread_join(store->lingering[i], NULL) == 0);
    }
    while (store->entries != NULL) {
        (void)drop(store, nkv_str_make(store->entries->key, store->entries->key_len));
    }
    (void)pthread_cond_destroy(&store->moved);
    (void)pthread_mutex_destroy(&store->mu);
    free(store);
}

void t_store_set_fault(t_store *store, t_store_fault fault)
{
    pthread_mutex_lock(&store->mu);
    store->fault = fault;
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->mu);
}

void t_store_be_silent(t_store *store)
{
    store->silent = true;
}

nkv_voucher *t_store_voucher(t_store *store)
{
    pthread_mutex_lock(&store->mu);
    nkv_voucher *voucher = store->voucher;
    pthread_mutex_unlock(&store->mu);
    return voucher;
}

void t_store_change_bytes(t_store *store, nkv_str key, const nkv_str *value)
{
    pthread_mutex_lock(&store->mu);
    if (value != NULL) {
        set(store, key, *value, 0);
    } else {
        (void)drop(store, key);
    }
    pthread_mutex_unlock(&store->mu);
}

void t_store_change(t_store *store, const char *key, const char *value)
{
    const nkv_str bytes = nkv_cstr(value);
    t_store_change_bytes(store, nkv_cstr(key), value != NULL ? &bytes : NULL);
}

void t_store_expire(t_store *store, const char *key, int64_t ttl_ms)
{
    pthread_mutex_lock(&store->mu);
    entry *e = *find(store, nkv_cstr(key));
    T_REQUIRE(e != NULL);
    e->until_ms = ttl_ms < 0 ? 0 : t_now_ms() + ttl_ms;
    pthread_mutex_unlock(&store->mu);
}

void t_store_tell(t_store *store, const char *key)
{
    nkv_voucher_invalidate(t_store_voucher(store), nkv_cstr(key));
}

bool t_store_has(t_store *store, const char *key, const char *value)
{
    pthread_mutex_lock(&store->mu);
    const entry *e = *find(store, nkv_cstr(key));
    const bool has =
        e != NULL && e->value_len == strlen(value) && memcmp(e->value, value, e->value_len) == 0;
    pthread_mutex_unlock(&store->mu);
    return has;
}

void t_store_hold(t_store *store, t_store_kind kind)
{
    pthread_mutex_lock(&store->mu);
    store->hold[kind] = true;
    pthread_mutex_unlock(&store->mu);
}

void t_store_hold_first(t_store *store, t_store_kind kind)
{
    pthread_mutex_lock(&store->mu);
    store->hold_first[kind] = true;
    pthread_mutex_unlock(&store->mu);
}

void t_store_await(t_store *store, t_store_kind kind, int n)
{
    struct timespec until = t_deadline_after_ms(SOON_MS);
    pthread_mutex_lock(&store->mu);
    while (store->held[kind] < n) {
        if (pthread_cond_timedwait(&store->moved, &store->mu, &until) != 0) {
            T_DIE("%d calls stand still, not %d", store->held[kind], n);
        }
    }
    pthread_mutex_unlock(&store->mu);
}

void t_store_go(t_store *store)
{
    pthread_mutex_lock(&store->mu);
    memset(store->hold, 0, sizeof store->hold);
    memset(store->hold_first, 0, sizeof store->hold_first);
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->mu);
}

void t_store_fail(t_store *store, const char *key, nkv_status status, const char *text)
{
    pthread_mutex_lock(&store->mu);
    (void)snprintf(store->fail_key, sizeof store->fail_key, "%s", key);
    (void)snprintf(store->fail_text, sizeof store->fail_text, "%s", text != NULL ? text : "");
    store->fail_status = status;
    pthread_mutex_unlock(&store->mu);
}

void t_store_fail_calls(t_store *store, t_store_kind kind, nkv_status status, const char *text)
{
    pthread_mutex_lock(&store->mu);
    (void)snprintf(store->fail_text, sizeof store->fail_text, "%s", text != NULL ? text : "");
    store->fail_calls[kind] = status;
    pthread_mutex_unlock(&store->mu);
}

static int read_number(t_store *store, const int *number)
{
    pthread_mutex_lock(&store->mu);
    const int out = *number;
    pthread_mutex_unlock(&store->mu);
    return out;
}

int t_store_calls(t_store *store, t_store_kind kind)
{
    return read_number(store, &store->calls[kind]);
}

int t_store_items(t_store *store, t_store_kind kind)
{
    return read_number(store, &store->items[kind]);
}

int t_store_at_once(t_store *store)
{
    return read_number(store, &store->at_once);
}

int t_store_opened(t_store *store)
{
    return read_number(store, &store->opened);
}

int64_t t_store_deadline_ns(t_store *store)
{
    pthread_mutex_lock(&store->mu);
    const int64_t out = store->deadline_ns;
    pthread_mutex_unlock(&store->mu);
    return out;
}

void *t_store_room(t_store *store)
{
    pthread_mutex_lock(&store->mu);
    void *out = store->room;
    pthread_mutex_unlock(&store->mu);
    return out;
}
