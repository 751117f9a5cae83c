/* tests/live/lmcache/test_remove.c - remove, list and ping: LMCache's behaviour 24. */
#include <stdlib.h>

#include "support/check.h"
#include "support/live.h"
#include "support/lm.h"
#include "support/monitor.h"

/* ---- Remove ---------------------------------------------------------------------------------- */

static const char *remove_all(t_lm *lm, t_items *list)
{
    t_items_reset(list);
    cr_assert_eq(nkv_lmcache_remove(lm->lm, list->items, list->n, NULL), NKV_OK, "%s", lm->name);
    return t_items_text(list);
}

/* Per key: was one of the two there?  Both are gone afterwards, here too. */
static void check_remove(t_lm *lm)
{
    t_lm_chunks(lm, "both meta kv", 100);
    if (lm->pair) {
        (void)t_lm_int(lm, "DEL", nkv_cstr("meta"), T_KV);
        (void)t_lm_int(lm, "DEL", nkv_cstr("kv"), T_META);
    }
    t_items list = t_items_list("none1 both meta none2 kv");
    cr_assert_eq(t_lm_has(lm, nkv_cstr("both"), NKV_EVENTUAL, NULL), NKV_OK);
    cr_assert_str_eq(remove_all(lm, &list), "-++-+", "%s", lm->name);
    cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), 0, "%s", lm->name);
    for (size_t i = 0; i < list.n; i++) {
        cr_assert_eq(t_lm_has(lm, list.items[i].key, NKV_EVENTUAL, NULL), NKV_NOT_FOUND);
    }
    cr_assert_str_eq(remove_all(lm, &list), "-----", "%s", lm->name);
    t_items twice = t_items_list("both both");
    t_lm_chunks(lm, "both", 100);
    const char *text = remove_all(lm, &twice);
    cr_assert(text[0] == '+' || text[1] == '+', "%s: %s", lm->name, text);
    t_items_free(&twice);
    t_items_free(&list);
}

T_LIVE(lmcache_remove, case_24_tells_for_each_key_whether_it_was_there)
{
    t_lm_each(server, check_remove);
}

static void check_submitted(t_lm *lm)
{
    t_lm_chunks(lm, "a b d", 100);
    t_items list = t_items_list("a b c d");
    nkv_queue *queue = t_queue_new();
    nkv_ticket ticket = {.queue = queue};
    cr_assert_eq(nkv_lmcache_submit_remove(lm->lm, list.items, 4, &ticket), NKV_OK);
    const nkv_completion done = t_queue_next(queue);
    cr_assert(done.id == ticket.id && done.status == NKV_OK && done.prefix == 2 && done.found == 3);
    cr_assert_str_eq(t_items_text(&list), "++-+", "%s", lm->name);
    cr_assert_eq(t_ctl_int(lm->ctl, "DBSIZE"), 0, "%s", lm->name);
    nkv_queue_destroy(queue);
    t_items_free(&list);
}

T_LIVE(lmcache_remove, case_24_without_waiting)
{
    t_lm_each(server, check_submitted);
}

/* The first command of a kind that names this key, behind the verb; -1: none. */
static long first_naming(t_monitor *monitor, t_lm *lm, nkv_lmcache_part part, const char *key)
{
    char name[256];
    const t_arg arg = t_lm_name(lm->layout, part, nkv_cstr(key), name);
    name[arg.len] = '\0';
    for (size_t i = 0; i < t_monitor_count(monitor); i++) {
        const t_monitor_entry entry = t_monitor_entry_at(monitor, i);
        if (strcasecmp(entry.argv[0], "DEL") != 0 && strcasecmp(entry.argv[0], "UNLINK") != 0) {
            continue;
        }
        for (size_t a = 1; a < entry.argc; a++) {
            if (strcmp(entry.argv[a], name) == 0) {
                return (long)(i * 1000 + a);
            }
        }
    }
    return -1;
}

/* Metadata first, so that nobody finds metadata whose payload is going. */
static void check_order(t_lm *lm)
{
    t_items list = t_items_new("k", 100);
    t_items_values(&list, 1000);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 100, NULL), NKV_OK);
    t_monitor *monitor = t_monitor_start(lm->server);
    cr_assert_eq(nkv_lmcache_remove(lm->lm, list.items, 100, NULL), NKV_OK);
    t_monitor_sync(monitor);
    for (size_t i = 0; i < 100; i++) {
        const long meta = first_naming(monitor, lm, T_META, list.keys[i]);
        const long kv = first_naming(monitor, lm, T_KV, list.keys[i]);
        cr_assert(meta >= 0 && kv > meta, "%s: metadata at %ld, payload at %ld", lm->name, meta,
                  kv);
    }
    t_monitor_stop(monitor);
    t_items_free(&list);
}

T_LIVE(lmcache_remove, case_24_metadata_goes_first)
{
    t_lm_each_pair(server, check_order);
}

/* ---- List ------------------------------------------------------------------------------------ */

typedef struct seen {
    size_t calls;
    size_t stop_at; /* 0: never */
    size_t strange;
    unsigned times[1000]; /* by the number behind the last ':' */
} seen;

static int see(nkv_str key, void *ud)
{
    seen *s = ud;
    s->calls++;
    const char *at = memchr(key.data, ':', key.len);
    const size_t begin = at == NULL ? key.len : (size_t)(at - key.data) + 1;
    char digits[16] = "";
    if (begin < key.len && key.len - begin < sizeof digits) {
        memcpy(digits, key.data + begin, key.len - begin);
    }
    char *end = digits;
    const unsigned long number = strtoul(digits, &end, 10);
    if (digits[0] == '\0' || *end != '\0' || number >= 1000) {
        s->strange++;
    } else {
        s->times[number]++;
    }
    return s->stop_at != 0 && s->calls >= s->stop_at;
}

/* All K of a prefix, with metadata, none else; patterns in a prefix are letters like others. */
static void check_list(t_lm *lm)
{
    enum { N = 700 };
    t_items list = t_items_new("l*[a-z]?:", N);
    t_items other = t_items_new("lxa1:", 50);
    t_items_values(&list, 10);
    t_items_values(&other, 10);
    cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, N, NULL), NKV_OK);
    cr_assert_eq(nkv_lmcache_put(lm->lm, other.items, 50, NULL), NKV_OK);
    t_ctl_ok(lm->ctl, "RPUSH", "l*[a-z]?:list", "x");
    if (lm->pair) {
        (void)t_lm_int(lm, "DEL", list.items[3].key, T_META); /* a payload alone is none */
        t_ctl_ok(lm->ctl, "SET", "l*[a-z]?:unrelated", "x");
    }
    seen s = {.calls = 0};
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_lmcache_list(lm->lm, nkv_cstr("l*[a-z]?:"), see, &s, &call), NKV_OK, "%s: %s",
                 lm->name, call.error.text);
    cr_assert_eq(s.strange, 0, "%s: %zu keys that are none", lm->name, s.strange);
    for (size_t i = 0; i < N; i++) {
        const bool there = !lm->pair || i != 3;
        cr_assert_eq(s.times[i] > 0, there, "%s: key %zu came %u times", lm->name, i, s.times[i]);
    }
    s = (seen){.stop_at = 5};
    cr_assert_eq(nkv_lmcache_list(lm->lm, nkv_cstr("l*[a-z]?:"), see, &s, NULL), NKV_OK);
    cr_assert_eq(s.calls, 5, "%s: %zu calls", lm->name, s.calls);
    s = (seen){.calls = 0};
    cr_assert_eq(nkv_lmcache_list(lm->lm, nkv_cstr(""), see, &s, NULL), NKV_OK);
    cr_assert_geq(s.calls, N + 50 - 1, "%s: %zu calls", lm->name, s.calls);
    s = (seen){.calls = 0};
    cr_assert_eq(nkv_lmcache_list(lm->lm, nkv_cstr("nothing like it"), see, &s, NULL), NKV_OK);
    cr_assert_eq(s.calls, 0);
    t_items_free(&other);
    t_items_free(&list);
}

T_LIVE(lmcache_remove, list_brings_every_key_of_a_prefix)
{
    t_lm_each(server, check_list);
}

static int collect_one(nkv_str key, void *ud)
{
    nkv_str *out = ud;
    char *copy = malloc(key.len + 1);
    T_REQUIRE(copy != NULL);
    memcpy(copy, key.data, key.len);
    free((char *)(uintptr_t)out->data);
    *out = nkv_str_make(copy, key.len);
    return 0;
}

/* A key of any bytes comes back as it is, and can be used at once. */
static void check_list_bytes(t_lm *lm)
{
    static const char *const keys[] = {"a b", "a\r\nb", "\\x*", "[", "{}", "a{b}c"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        t_items list = t_items_new("", 1);
        t_item_key(&list, 0, keys[i], strlen(keys[i]));
        t_item_value(&list, 0, 10, 0);
        cr_assert_eq(nkv_lmcache_put(lm->lm, list.items, 1, NULL), NKV_OK);
        nkv_str got = {NULL, 0};
        cr_assert_eq(nkv_lmcache_list(lm->lm, list.items[0].key, collect_one, &got, NULL), NKV_OK);
        cr_assert(t_same_bytes(lm->name, got.data, got.len, keys[i], strlen(keys[i])));
        free((char *)(uintptr_t)got.data);
        cr_assert_eq(nkv_lmcache_remove(lm->lm, list.items, 1, NULL), NKV_OK);
        t_items_free(&list);
    }
}

T_LIVE(lmcache_remove, list_of_keys_of_any_bytes)
{
    t_lm_each(server, check_list_bytes);
}

/* ---- Ping and close -------------------------------------------------------------------------- */

static void check_ping(t_lm *lm)
{
    cr_assert_eq(nkv_lmcache_ping(lm->lm, NULL), NKV_OK, "%s", lm->name);
    nkv_call call;
    nkv_call_init(&call);
    cr_assert_eq(nkv_lmcache_ping(lm->lm, &call), NKV_OK, "%s", call.error.text);
}

T_LIVE(lmcache_remove, ping_answers)
{
    t_lm_each(server, check_ping);
}

T_LIVE_PRIVATE(lmcache_remove, ping_of_a_server_that_is_gone_or_stopped)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_lm lm = t_lm_open(server, NKV_LMCACHE_PLAIN_SUFFIX);
    cr_assert_eq(nkv_lmcache_ping(lm.lm, NULL), NKV_OK);
    t_server_pause(server);
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 200;
    const int64_t begin_ms = t_now_ms();
    cr_assert_eq(nkv_lmcache_ping(lm.lm, &call), NKV_ETIMEDOUT, "%s", call.error.text);
    cr_assert_lt(t_now_ms() - begin_ms, 2000);
    t_server_resume(server);
    t_ctl_close(lm.ctl);
    lm.ctl = NULL;
    t_server_kill(server);
    call.timeout_ms = 2000;
    const nkv_status status = nkv_lmcache_ping(lm.lm, &call);
    cr_assert(status == NKV_ECONN || status == NKV_ETIMEDOUT, "%s", nkv_status_text(status));
    t_lm_close(&lm);
    t_server_stop(server);
}

/* Case 14: nothing of a connector is left, whatever it has done. */
T_LIVE(lmcache_remove, case_14_nothing_is_left)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    for (int layout = 0; layout < T_LM_LAYOUTS; layout++) {
        t_lm lm = t_lm_open(server, (nkv_lmcache_layout)layout);
        check_ping(&lm);
        check_remove(&lm);
        t_items list = t_items_new("k", 30);
        t_items_values(&list, 30000);
        cr_assert_eq(nkv_lmcache_put(lm.lm, list.items, 30, NULL), NKV_OK);
        t_items_free(&list);
        t_lm_close(&lm);
        cr_assert_eq(t_fd_count(), fds, "layout %d: %d descriptors", layout, t_fd_count() - fds);
        cr_assert_eq(t_thread_count(), threads, "layout %d", layout);
        t_ctl *ctl = t_ctl_open(server);
        t_ctl_ok(ctl, "FLUSHALL");
        t_ctl_close(ctl);
    }
}
