/* tests/live/kv/scenarios_compute.c - one computes, the others wait; stale while computed anew. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "scenarios.h"
#include "support/check.h"

enum { THREADS = 16 };

typedef struct maker {
    _Atomic int made, running, most;
    int slow_ms;
    int64_t ttl_ms;
    nkv_status status; /* what it returns */
    nkv_kv *kv;        /* asks itself; or NULL */
    nkv_status itself;
} maker;

static nkv_status make(nkv_str key, nkv_value **out, nkv_kv_set_options *how, nkv_error *error,
                       void *ud)
{
    maker *self = ud;
    char text[64];
    (void)error;
    int running = atomic_fetch_add(&self->running, 1) + 1;
    if (running > atomic_load(&self->most)) {
        atomic_store(&self->most, running);
    }
    int n = atomic_fetch_add(&self->made, 1) + 1;
    if (self->kv != NULL) {
        nkv_value *value;
        const nkv_kv_maker by = {.compute = make, .ud = ud};
        self->itself = nkv_kv_get_or_compute(self->kv, key, &by, NULL, &value);
    }
    t_sleep_ms(self->slow_ms);
    (void)atomic_fetch_sub(&self->running, 1);
    if (self->status != NKV_OK) {
        return self->status;
    }
    if (self->ttl_ms != 0) {
        how->ttl_ms = self->ttl_ms;
    }
    (void)snprintf(text, sizeof text, "made %d", n);
    *out = nkv_value_from_bytes(text, strlen(text));
    return NKV_OK;
}

typedef struct asker {
    nkv_kv *kv;
    maker *how;
    nkv_status status;
    int64_t timeout_ms;
    char text[256];
} asker;

static void *ask(void *ud)
{
    asker *self = ud;
    nkv_value *value;
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = self->timeout_ms;
    const nkv_kv_maker by = {.compute = make, .ud = self->how};
    self->status = nkv_kv_get_or_compute(self->kv, nkv_cstr("k"), &by, &call, &value);
    (void)snprintf(self->text, sizeof self->text, "%s",
                   value != NULL ? nkv_value_str(value).data : call.error.text);
    nkv_value_release(value);
    return NULL;
}

static void ask_all(nkv_kv *kv, maker *how, asker askers[THREADS])
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (asker){.kv = kv, .how = how};
        T_REQUIRE(pthread_create(&threads[i], NULL, ask, &askers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        T_REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
}

static const char *ask_once(nkv_kv *kv, maker *how)
{
    static asker one;
    one = (asker){.kv = kv, .how = how};
    (void)ask(&one);
    cr_expect_eq(one.status, NKV_OK, "%s", one.text);
    return one.text;
}

void kv_computes_once(const place *at)
{
    nkv_kv *kv = place_open(at, "once:");
    maker how = {.slow_ms = 100, .ttl_ms = 60000};
    asker askers[THREADS];
    nkv_kv_stats stats;
    ask_all(kv, &how, askers);
    for (int i = 0; i < THREADS; i++) {
        cr_expect_eq(askers[i].status, NKV_OK);
        cr_expect_str_eq(askers[i].text, "made 1");
    }
    cr_expect_eq(atomic_load(&how.made), 1);
    cr_expect_str_eq(place_seen(at, "once:k"), "made 1");
    cr_expect_gt(place_pttl(at, "once:k"), 50000);
    cr_expect_str_eq(ask_once(kv, &how), "made 1");
    nkv_kv_stats_get(kv, &stats);
    cr_expect_eq(stats.computed, 1);
    cr_expect_leq(stats.joined, THREADS - 1);
    t_ctl_ok(place_ctl(at, "once:k"), "DEL", "once:k");
    T_WAIT_UNTIL(strcmp(ask_once(kv, &how), "made 2") == 0, 2000);
    nkv_kv_destroy(kv);
}

/* Whoever waits gets the failure too, and the next one tries again; nobody waits for ever. */
void kv_computing_fails(const place *at)
{
    nkv_kv *kv = place_open(at, "fails:");
    maker how = {.slow_ms = 100, .status = NKV_EINVAL};
    asker askers[THREADS];
    ask_all(kv, &how, askers);
    for (int i = 0; i < THREADS; i++) {
        cr_expect_eq(askers[i].status, NKV_EINVAL);
        cr_expect_str_eq(askers[i].text, "compute(): invalid argument");
    }
    cr_expect_eq(atomic_load(&how.most), 1);
    cr_expect_str_eq(place_seen(at, "fails:k"), "_");
    how.status = NKV_OK;
    how.slow_ms = 1500;
    asker slow = {.kv = kv, .how = &how};
    asker hasty = {.kv = kv, .how = &how, .timeout_ms = 150};
    pthread_t leader;
    T_REQUIRE(pthread_create(&leader, NULL, ask, &slow) == 0);
    T_WAIT_UNTIL(atomic_load(&how.running) == 1, 2000);
    int64_t begin_ms = t_now_ms();
    (void)ask(&hasty);
    cr_expect_eq(hasty.status, NKV_ETIMEDOUT, "%s", hasty.text);
    cr_expect_lt(t_now_ms() - begin_ms, 1200);
    T_REQUIRE(pthread_join(leader, NULL) == 0);
    cr_expect_eq(slow.status, NKV_OK);
    nkv_kv_destroy(kv);
}

/* The value is past its time: its mark is gone, and it has no more than stale_ms to live. */
static void make_stale(const place *at)
{
    t_ctl_ok(place_ctl(at, "stale:k"), "PEXPIRE", "stale:k", "50000");
    t_ctl_ok(place_ctl(at, "stale:__fresh__:k"), "DEL", "stale:__fresh__:k");
}

void kv_stale_while_computed_anew(const place *at)
{
    nkv_kv_options options = place_options("stale:");
    options.stale_ms = 60000;
    nkv_kv *kv = place_open_with(at, &options);
    nkv_kv *other = place_open_with(at, &options);
    maker how = {.ttl_ms = 100000};
    nkv_kv_stats stats;
    cr_expect_str_eq(ask_once(kv, &how), "made 1");
    cr_expect_str_eq(ask_once(other, &how), "made 1");
    cr_expect_gt(place_pttl(at, "stale:k"), 150000);
    cr_expect_leq(place_pttl(at, "stale:__fresh__:k"), 100000);
    how.slow_ms = 300;
    make_stale(at);
    T_WAIT_UNTIL(strcmp(ask_once(kv, &how), "made 1") == 0 && atomic_load(&how.made) == 2, 3000);
    cr_expect_str_eq(ask_once(other, &how), "made 1"); /* at once, though it is being computed */
    T_WAIT_UNTIL(strcmp(ask_once(other, &how), "made 2") == 0, 3000);
    T_WAIT_UNTIL(strcmp(ask_once(kv, &how), "made 2") == 0, 3000);
    cr_expect_eq(atomic_load(&how.made), 2); /* one of both */
    nkv_kv_stats_get(kv, &stats);
    cr_expect_geq(stats.stale, 1);
    make_stale(at); /* a write wins over what is computed in the background, too */
    T_WAIT_UNTIL(strcmp(ask_once(kv, &how), "made 2") == 0 && atomic_load(&how.running) == 1, 3000);
    cr_expect_eq(place_set(kv, "k", "by hand"), NKV_OK);
    T_WAIT_UNTIL(atomic_load(&how.running) == 0, 3000);
    t_sleep_ms(100);
    cr_expect_str_eq(place_seen(at, "stale:k"), "by hand");
    nkv_kv_destroy(kv);
    nkv_kv_destroy(other);
}

/* What somebody has set is not past its time, however short that is. */
void kv_what_was_set_is_fresh(const place *at)
{
    nkv_kv_options options = place_options("set:");
    options.stale_ms = 60000;
    nkv_kv *kv = place_open_with(at, &options);
    maker how = {.ttl_ms = 1000};
    nkv_kv_item item = {.key = nkv_cstr("k"), .value = nkv_cstr("many")};
    nkv_kv_set_options set;
    nkv_kv_set_options_init(&set);
    set.ttl_ms = 30000;
    cr_expect_eq(place_set_ttl(kv, "k", "by hand", 30000), NKV_OK);
    cr_expect_str_eq(ask_once(kv, &how), "by hand");
    cr_expect_eq(place_set(kv, "k", "for ever"), NKV_OK);
    t_ctl_ok(place_ctl(at, "set:__fresh__:k"), "DEL", "set:__fresh__:k");
    cr_expect_str_eq(ask_once(kv, &how), "for ever");
    cr_expect_eq(nkv_kv_mset(kv, &item, 1, &set, NULL), NKV_OK);
    cr_expect_str_eq(ask_once(kv, &how), "many");
    t_sleep_ms(50);
    cr_expect_eq(atomic_load(&how.made), 0);
    nkv_kv_destroy(kv);
}

/* A write while a value is computed wins, and nobody who asks behind it gets the old one. */
void kv_a_write_outdates_what_is_computed(const place *at)
{
    nkv_kv *kv = place_open(at, "out:");
    const nkv_str key = nkv_cstr("k");
    maker how = {.slow_ms = 300};
    asker slow = {.kv = kv, .how = &how};
    pthread_t leader;
    T_REQUIRE(pthread_create(&leader, NULL, ask, &slow) == 0);
    T_WAIT_UNTIL(atomic_load(&how.running) == 1, 2000);
    cr_expect_eq(place_set(kv, "k", "by hand"), NKV_OK);
    cr_expect_str_eq(ask_once(kv, &how), "by hand");
    T_REQUIRE(pthread_join(leader, NULL) == 0);
    cr_expect_str_eq(slow.text, "made 1"); /* he asked before */
    cr_expect_str_eq(place_seen(at, "out:k"), "by hand");
    cr_expect_eq(nkv_kv_delete(kv, &key, 1, NULL, NULL), NKV_OK);
    T_REQUIRE(pthread_create(&leader, NULL, ask, &slow) == 0);
    T_WAIT_UNTIL(atomic_load(&how.running) == 1, 2000);
    cr_expect_eq(nkv_kv_delete(kv, &key, 1, NULL, NULL), NKV_OK);
    cr_expect_str_eq(ask_once(kv, &how), "made 3");
    T_REQUIRE(pthread_join(leader, NULL) == 0);
    cr_expect_str_eq(slow.text, "made 2");
    cr_expect_str_eq(place_seen(at, "out:k"), "made 3");
    nkv_kv_destroy(kv);
}

void kv_computing_in_itself(const place *at)
{
    nkv_kv *kv = place_open(at, "self:");
    maker how = {.kv = kv};
    cr_expect_str_eq(ask_once(kv, &how), "made 1");
    cr_expect_eq(how.itself, NKV_EDEADLK);
    nkv_kv_destroy(kv);
}
