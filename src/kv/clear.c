/* kv/clear.c - removing and counting all that a prefix has. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "conn/hash_slot.h"
#include "kv/scan.h"
#include "kv/write.h"

/* ---- clear ----------------------------------------------------------------------------------- */

static bool is_own(const nkv_kv *kv, nkv_str name)
{
    const size_t before = kv->options.prefix.len;
    nkv_str key = nkv_str_make(name.data + before, name.len - before);
    return nkvi_begins(key, nkv_cstr(NKVI_KV_TAG)) || nkvi_begins(key, nkv_cstr(NKVI_KV_FRESH));
}

static nkv_status unlink_some(nkvi_scan *scan, const nkv_str *names, size_t n, int64_t *removed)
{
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = nkvi_call_left_ms(nkvi_scan_step_ns(scan));
    *removed = 0;
    nkv_status status = n > 0 ? nkvi_kv_unlink(scan->kv, names, n, &call, removed) : NKV_OK;
    if (status < 0) {
        *scan->error = call.error;
    }
    return status < 0 ? status : NKV_OK;
}

/* Keys of the library's own are removed as well, but not counted. */
static nkv_status clear_page(nkvi_scan *scan, const nkv_str *names, size_t n)
{
    nkv_str *sorted = nkvi_alloc((n + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return nkvi_fail(scan->error, NKV_ENOMEM, "no memory for a page of %zu keys", n);
    }
    size_t users = 0, own = n;
    for (size_t i = 0; i < n; i++) {
        if (is_own(scan->kv, names[i])) {
            sorted[--own] = names[i];
        } else {
            sorted[users++] = names[i];
        }
    }
    int64_t removed, uncounted;
    nkv_status status = unlink_some(scan, sorted, users, &removed);
    scan->progress.removed += removed;
    nkvi_kv_count(scan->kv, NKVI_KV_DELETES, (uint64_t)removed);
    if (status == NKV_OK) {
        status = unlink_some(scan, sorted + users, n - users, &uncounted);
    }
    nkvi_free(sorted);
    return status;
}

static nkv_status flush(const nkvi_scan *scan, nkv_error *error)
{
    nkv_kv *kv = scan->kv;
    const nkv_str argv[2] = {nkv_cstr("FLUSHDB"), nkv_cstr("ASYNC")};
    nkv_call call;
    nkv_value *value = NULL;
    if (kv->options.forbid_flush) {
        return nkvi_fail(error, NKV_EREFUSED,
                         "the prefix is empty, so clear() would flush the database, and "
                         "forbid_flush forbids it");
    }
    nkv_call_init(&call);
    call.timeout_ms =
        scan->options.timeout_ms > 0 ? scan->options.timeout_ms : kv->options.timeout_ms;
    nkv_status status = nkv_command(kv->client, 2, argv, &call, &value);
    nkv_value_release(value);
    if (status < 0) {
        *error = call.error;
    }
    return status;
}

static nkv_status begin(nkv_kv *kv, const nkv_kv_clear_options *given, nkvi_scan *scan,
                        nkv_error *error)
{
    *scan = (nkvi_scan){.kv = kv, .beginning = kv->options.prefix, .error = error};
    if (atomic_load_explicit(&kv->closed, memory_order_relaxed)) {
        return nkvi_fail(error, NKV_ECLOSED, "the key-value handle was closed");
    }
    return nkvi_scan_options(given, &scan->options, error);
}

static nkv_status finish(nkv_kv *kv, nkv_status status, const nkv_error *own, nkv_error *error)
{
    if (status < 0 && status != NKV_ECLOSED) {
        nkvi_kv_count(kv, NKVI_KV_ERRORS, 1);
    }
    if (status < 0 && error != NULL) {
        *error = *own;
    }
    return status;
}

nkv_status nkv_kv_clear(nkv_kv *kv, const nkv_kv_clear_options *options, nkv_error *error,
                        int64_t *removed)
{
    nkv_error own = {.status = NKV_OK};
    nkvi_scan scan;
    nkv_status status = begin(kv, options, &scan, &own);
    bool flushes = kv->options.prefix.len == 0;
    if (status == NKV_OK) {
        scan.page = clear_page;
        nkvi_kv_outdate(kv, NULL, 0);
        status = flushes ? flush(&scan, scan.error) : nkvi_scan_run(&scan);
        nkvi_kv_outdate(kv, NULL, 0);
    }
    if (removed != NULL) {
        *removed = flushes && status == NKV_OK ? -1 : scan.progress.removed;
    }
    return finish(kv, status, &own, error);
}

/* ---- count ----------------------------------------------------------------------------------- */

/* Keys of each slot, from the scans that it was seen in.  A slot that is not done, nor on its way
 * to another node, when a pass ends, begins anew. */
typedef struct counting {
    int64_t of_slot[NKVI_KV_SLOTS];
    nkvi_slots done_before;
} counting;

static nkv_status count_page(nkvi_scan *scan, const nkv_str *names, size_t n)
{
    counting *self = scan->ud;
    bool slots = scan->kv->client->connector->hash_slots;
    for (size_t i = 0; i < n; i++) {
        unsigned slot = slots ? nkvi_hash_slot(names[i]) : 0;
        if (!is_own(scan->kv, names[i]) && !nkvi_slots_has(&self->done_before, slot)) {
            self->of_slot[slot]++;
        }
    }
    return NKV_OK;
}

static void count_pass(nkvi_scan *scan, bool begins)
{
    counting *self = scan->ud;
    if (begins) {
        self->done_before = scan->coverage.done;
        return;
    }
    for (unsigned i = 0; i < NKVI_KV_SLOTS; i++) {
        if (!nkvi_slots_has(&scan->coverage.done, i) &&
            !nkvi_slots_has(&scan->coverage.waiting, i)) {
            self->of_slot[i] = 0;
        }
    }
}

nkv_status nkv_kv_count(nkv_kv *kv, const nkv_kv_clear_options *options, nkv_error *error,
                        int64_t *count)
{
    nkv_error own = {.status = NKV_OK};
    nkvi_scan scan;
    *count = 0;
    nkv_status status = begin(kv, options, &scan, &own);
    counting *self = nkvi_calloc(1, sizeof *self);
    if (self == NULL) {
        status = nkvi_fail(&own, NKV_ENOMEM, "no memory for counters");
    } else if (status == NKV_OK) {
        scan.page = count_page;
        scan.pass = count_pass;
        scan.ud = self;
        status = nkvi_scan_run(&scan);
        for (unsigned i = 0; i < NKVI_KV_SLOTS; i++) {
            *count += self->of_slot[i];
        }
    }
    nkvi_free(self);
    return finish(kv, status, &own, error);
}
