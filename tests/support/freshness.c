/* support/freshness.c - versions, and when they were acknowledged.
 *
 * A key keeps the times of its last ACKS acknowledgements in a ring. A reader whose version has
 * fallen out of the ring is older than all that is in it, and is judged by the oldest.
 *
 * Invariants   acked <= begun; acks[v % ACKS] is the time of v for the last ACKS versions up to
 * acked Callers      stress programs */

#include "support/freshness.h"

#include "support/check.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { ACKS = 4096, LEVELS = NKV_BARRIER + 1 };

typedef struct key_times {
    _Atomic uint64_t begun;
    _Atomic uint64_t acked;
    _Atomic int64_t acks[ACKS];
} key_times;

struct t_fresh {
    int64_t bound_ns;
    int keys;
    _Atomic int64_t age_max_ns[LEVELS];
    key_times key[];
};

t_fresh *t_fresh_new(int keys, int64_t bound_ns)
{
    t_fresh *fresh = calloc(1, sizeof *fresh + (size_t)keys * sizeof(key_times));
    T_REQUIRE(fresh != NULL);
    fresh->bound_ns = bound_ns;
    fresh->keys = keys;
    return fresh;
}

void t_fresh_free(t_fresh *fresh)
{
    free(fresh);
}

uint64_t t_fresh_write(t_fresh *fresh, int key)
{
    T_REQUIRE(key >= 0 && key < fresh->keys);
    return atomic_fetch_add(&fresh->key[key].begun, 1) + 1;
}

void t_fresh_acked(t_fresh *fresh, int key, uint64_t version, int64_t now_ns)
{
    key_times *k = &fresh->key[key];
    T_REQUIRE(version == atomic_load(&k->acked) + 1 && version <= atomic_load(&k->begun));
    atomic_store(&k->acks[version % ACKS], now_ns);
    atomic_store(&k->acked, version);
}

t_fresh_ask t_fresh_begin(t_fresh *fresh, int key, int64_t now_ns)
{
    T_REQUIRE(key >= 0 && key < fresh->keys);
    return (t_fresh_ask){.begin_ns = now_ns, .acked = atomic_load(&fresh->key[key].acked)};
}

static void note_age(t_fresh *fresh, nkv_level level, int64_t age_ns)
{
    int64_t max_ns = atomic_load(&fresh->age_max_ns[level]);
    while (age_ns > max_ns &&
           !atomic_compare_exchange_weak(&fresh->age_max_ns[level], &max_ns, age_ns)) {}
}

t_fresh_verdict t_fresh_end(t_fresh *fresh, int key, const t_fresh_ask *ask, nkv_level level,
                            uint64_t version)
{
    key_times *k = &fresh->key[key];
    T_REQUIRE(level > NKV_LEVEL_DEFAULT && level <= NKV_BARRIER);
    if (version > atomic_load(&k->begun)) {
        return T_FRESH_INVENTED;
    }
    if (level == NKV_BARRIER && version < ask->floor) {
        return T_FRESH_BACKWARDS;
    }
    if (version >= ask->acked) {
        return T_FRESH_GOOD;
    }
    /* The oldest time that is still known of a version newer than the one read. */
    uint64_t newer = version + 1;
    const uint64_t kept_from = ask->acked > ACKS / 2 ? ask->acked - ACKS / 2 : 1;
    newer = newer < kept_from ? kept_from : newer;
    const int64_t age_ns = ask->begin_ns - atomic_load(&k->acks[newer % ACKS]);
    note_age(fresh, level, age_ns);
    return level == NKV_BARRIER || age_ns > fresh->bound_ns ? T_FRESH_STALE : T_FRESH_GOOD;
}

int64_t t_fresh_age_max_ns(t_fresh *fresh, nkv_level level)
{
    return atomic_load(&fresh->age_max_ns[level]);
}
