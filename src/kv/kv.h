/* kv/kv.h - what a handle is made of; for src/kv only.
 *
 *      kv.c       the handle, its options, counters          names.h    keys as the server has them
 *      read.c     get, mget, exists, ttl, getex              pack.h     codec and compression
 *      write.c    set, mset, delete, touch                   coverage.h what a scan has seen
 *      clear.c    clear, count                               tags.c     which keys have a tag
 *      compute.c  get_or_compute, one for all                refresh.h  computing in the background
 *
 * Locks  compute.mu, then the refresher's; nothing else is taken under them. */
#ifndef NKVI_KV_KV_H
#define NKVI_KV_KV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <nearkv/batch.h>
#include <nearkv/kv.h>

#include "base/buf.h"
#include "base/list.h"
#include "client/client_int.h"

#define NKVI_KV_TAG   "__tag__:"
#define NKVI_KV_FRESH "__fresh__:"

typedef enum nkvi_kv_counter {
    NKVI_KV_HITS,
    NKVI_KV_LOCAL_HITS,
    NKVI_KV_MISSES,
    NKVI_KV_SETS,
    NKVI_KV_DELETES,
    NKVI_KV_ERRORS,
    NKVI_KV_FAILED_OPEN,
    NKVI_KV_COMPUTED,
    NKVI_KV_JOINED,
    NKVI_KV_STALE,
    NKVI_KV_BYTES_READ,
    NKVI_KV_BYTES_WRITTEN,
    NKVI_KV_COUNTERS
} nkvi_kv_counter;

struct nkv_kv {
    nkv_client *client;
    bool own_client;
    bool has_codec;
    nkv_kv_codec codec;
    nkv_kv_options options; /* prefix points behind the struct */
    _Atomic bool closed;
    _Atomic uint64_t draws; /* random numbers so far */
    uint64_t seed;
    _Atomic uint64_t counts[NKVI_KV_COUNTERS];
    struct {
        pthread_mutex_t mu;
        pthread_cond_t cond; /* a value is there, or the handle was closed */
        nkvi_list flights;
    } compute;
    struct nkvi_refresh *refresh; /* NULL: not needed so far; guarded by compute.mu */
    char prefix[];
};

static inline void nkvi_kv_count(nkv_kv *kv, nkvi_kv_counter which, uint64_t n)
{
    (void)atomic_fetch_add_explicit(&kv->counts[which], n, memory_order_relaxed);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Begins a call: a copy of the caller's choices, with the handle's deadline.  Returns NKV_OK ·
 * NKV_ECLOSED (told to the caller). */
nkv_status nkvi_kv_begin(nkv_kv *kv, nkv_call *call, nkv_call *own);

/* The same for a call of several steps, or one that waits by itself: *until_ns is the deadline of
 * all of them.  NKV_EDEADLK as well. */
nkv_status nkvi_kv_begin_steps(nkv_kv *kv, nkv_call *call, nkv_call *own, int64_t *until_ns);

/* The next step has what is left. */
static inline void nkvi_kv_step(nkv_call *own, int64_t until_ns)
{
    own->timeout_ms = nkvi_call_left_ms(until_ns);
}

/* Keys of this handle are written, or about to be: what is being computed for them is of no use any
 * more.  keys NULL: all of them. */
void nkvi_kv_outdate(nkv_kv *kv, const nkv_str *keys, size_t n);

/* Ends one: tells the caller, counts a failure, returns status. */
nkv_status nkvi_kv_end(nkv_kv *kv, nkv_call *call, nkv_status status, const nkv_call *own);

/* The same of a failure that has only a text. */
nkv_status nkvi_kv_fail(nkv_kv *kv, nkv_call *call, const nkv_error *error);

/* Whether a failure is let pass, which is counted then: the server could not answer. */
bool nkvi_kv_passes(nkv_kv *kv, nkv_status status);

/* A time to live as the caller gave it: *ms > 0, or NKV_KV_TTL_NONE; with the handle's jitter.
 * Returns NKV_OK · NKV_EINVAL. */
nkv_status nkvi_kv_ttl(nkv_kv *kv, int64_t ttl_ms, int64_t *ms, nkv_error *error);

/* A command whose answer is not cached, within a deadline. */
nkv_status nkvi_kv_command(nkv_kv *kv, const nkv_argv *command, int64_t until_ns, nkv_value **out,
                           nkv_error *error);

/* nkv_kv_get(); again: the caller has asked for the key just now, so a miss was counted. */
nkv_status nkvi_kv_read(nkv_kv *kv, nkv_str key, bool again, nkv_call *call, nkv_value **out);

/* Settings of a call that may be of an older, shorter struct; {0} is none. */
nkv_status nkvi_kv_settings(void *all, size_t size, const void *given, const char *init,
                            nkv_error *error);

#endif
