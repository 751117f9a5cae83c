/* kv/kv.c - the handle, its options, and what all its calls share; see kv.h. */
#include "kv/kv.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "kv/refresh.h"

#define TTL_MAX_MS \
    INT64_C(1000000000000000) /* some 31,000 years; the server wants less than 2^63 */

/* ---- options --------------------------------------------------------------------------------- */

void nkv_kv_options_init_sized(nkv_kv_options *options, size_t size)
{
    nkv_kv_options all;
    memset(&all, 0, sizeof all);
    all.default_ttl_ms = NKV_KV_TTL_NONE;
    all.compress_above = -1;
    all.compress_level = 3;
    memcpy(options, &all, size < sizeof all ? size : sizeof all);
    options->struct_size = size;
}

void nkv_kv_set_options_init_sized(nkv_kv_set_options *options, size_t size)
{
    nkv_kv_set_options all;
    memset(&all, 0, sizeof all);
    all.ttl_ms = NKV_KV_TTL_DEFAULT;
    memcpy(options, &all, size < sizeof all ? size : sizeof all);
    options->struct_size = size;
}

void nkv_kv_clear_options_init_sized(nkv_kv_clear_options *options, size_t size)
{
    nkv_kv_clear_options all;
    memset(&all, 0, sizeof all);
    all.page = 1000;
    memcpy(options, &all, size < sizeof all ? size : sizeof all);
    options->struct_size = size;
}

nkv_status nkvi_kv_settings(void *all, size_t size, const void *given, const char *init,
                            nkv_error *error)
{
    size_t there = 0;
    if (given == NULL) {
        return NKV_OK;
    }
    memcpy(&there, given, sizeof there); /* every such struct begins with it */
    if (there < 2 * sizeof there) {
        return nkvi_fail(error, NKV_EINVAL, "a struct of options was not set up with %s()", init);
    }
    memcpy(all, given, there < size ? there : size);
    return NKV_OK;
}

static nkv_status check_range(const char *name, int64_t value, int64_t least, int64_t most,
                              nkv_error *error)
{
    return value >= least && value <= most
               ? NKV_OK
               : nkvi_fail(error, NKV_EINVAL, "option %s is %lld; allowed is %lld to %lld", name,
                           (long long)value, (long long)least, (long long)most);
}

static nkv_status check(const nkv_kv_options *options, nkv_error *error)
{
    const struct {
        const char *name;
        int64_t value, least, most;
    } rows[] = {{"ttl_jitter_percent", options->ttl_jitter_percent, 0, 50},
                {"timeout_ms", options->timeout_ms, 0, TTL_MAX_MS},
                {"stale_ms", options->stale_ms, 0, TTL_MAX_MS},
                {"compress_above", options->compress_above, -1, (int64_t)NKV_VALUE_MAX},
                {"compress_level", options->compress_level, 1, 19},
                {"fail_open", options->fail_open, 0, 1},
                {"forbid_flush", options->forbid_flush, 0, 1},
                {"prefix (bytes)", (int64_t)options->prefix.len, 0, 65536}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nkv_status status =
            check_range(rows[i].name, rows[i].value, rows[i].least, rows[i].most, error);
        if (status != NKV_OK) {
            return status;
        }
    }
    if (options->codec != NULL &&
        (options->codec->encode == NULL || options->codec->decode == NULL)) {
        return nkvi_fail(error, NKV_EINVAL, "option codec has no encode() or no decode()");
    }
    return options->default_ttl_ms == NKV_KV_TTL_NONE
               ? NKV_OK
               : check_range("default_ttl_ms (or NKV_KV_TTL_NONE)", options->default_ttl_ms, 1,
                             TTL_MAX_MS, error);
}

/* ---- the handle ------------------------------------------------------------------------------ */

static bool locks_make(nkv_kv *kv)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return false;
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    bool made = pthread_mutex_init(&kv->compute.mu, NULL) == 0;
    if (made && pthread_cond_init(&kv->compute.cond, &attr) != 0) {
        pthread_mutex_destroy(&kv->compute.mu);
        made = false;
    }
    pthread_condattr_destroy(&attr);
    return made;
}

nkv_status nkv_kv_create(nkv_client *client, const nkv_kv_options *options, nkv_kv **out,
                         nkv_error *error)
{
    nkv_kv_options all;
    *out = NULL;
    nkv_kv_options_init(&all);
    nkv_status status = nkvi_kv_settings(&all, sizeof all, options, "nkv_kv_options_init", error);
    if (status == NKV_OK) {
        status = check(&all, error);
    }
    if (status != NKV_OK) {
        return status;
    }
    nkv_kv *kv = nkvi_calloc(1, sizeof *kv + all.prefix.len + 1);
    if (kv == NULL || !locks_make(kv)) {
        nkvi_free(kv);
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a handle");
    }
    if (all.prefix.len > 0) {
        memcpy(kv->prefix, all.prefix.data, all.prefix.len);
    }
    kv->client = client;
    kv->options = all;
    kv->options.prefix = nkv_str_make(kv->prefix, all.prefix.len);
    kv->has_codec = all.codec != NULL;
    if (kv->has_codec) {
        kv->codec = *all.codec;
        kv->codec.name = kv->codec.name != NULL ? kv->codec.name : "(without a name)";
    }
    kv->options.codec = NULL;
    kv->seed = nkvi_random_seed();
    nkvi_list_init(&kv->compute.flights);
    *out = kv;
    return NKV_OK;
}

nkv_status nkv_kv_open(const nkv_options *client_options, const nkv_kv_options *options,
                       nkv_kv **out, nkv_error *error)
{
    nkv_client *client;
    *out = NULL;
    nkv_status status = nkv_client_create(client_options, &client, error);
    if (status != NKV_OK) {
        return status;
    }
    status = nkv_kv_create(client, options, out, error);
    if (*out == NULL) {
        nkv_client_destroy(client);
        return status;
    }
    (*out)->own_client = true;
    return NKV_OK;
}

void nkv_kv_close(nkv_kv *kv)
{
    pthread_mutex_lock(&kv->compute.mu);
    atomic_store(&kv->closed, true);
    pthread_cond_broadcast(&kv->compute.cond);
    pthread_mutex_unlock(&kv->compute.mu);
}

void nkv_kv_destroy(nkv_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    nkv_kv_close(kv);
    nkvi_refresh_destroy(kv->refresh);
    if (kv->own_client) {
        nkv_client_destroy(kv->client);
    }
    pthread_cond_destroy(&kv->compute.cond);
    pthread_mutex_destroy(&kv->compute.mu);
    nkvi_free(kv);
}

nkv_client *nkv_kv_client(nkv_kv *kv)
{
    return kv->client;
}

/* ---- calls ----------------------------------------------------------------------------------- */

nkv_status nkvi_kv_begin(nkv_kv *kv, nkv_call *call, nkv_call *own)
{
    nkv_error error;
    nkvi_call_copy(own, call);
    if (own->timeout_ms == 0) {
        own->timeout_ms = kv->options.timeout_ms;
    }
    own->error = (nkv_error){.status = NKV_OK};
    if (atomic_load_explicit(&kv->closed, memory_order_relaxed)) {
        (void)nkvi_fail(&error, NKV_ECLOSED, "the key-value handle was closed");
        return nkvi_call_done(call, NKV_ECLOSED, NKV_FROM_LOCAL, &error);
    }
    return NKV_OK;
}

nkv_status nkvi_kv_begin_steps(nkv_kv *kv, nkv_call *call, nkv_call *own, int64_t *until_ns)
{
    nkv_status status = nkvi_kv_begin(kv, call, own);
    if (status != NKV_OK) {
        return status;
    }
    *until_ns = nkvi_call_deadline(kv->client, own);
    status = nkvi_client_enter_blocking(kv->client, &own->error);
    if (status != NKV_OK) {
        return nkvi_kv_fail(kv, call, &own->error);
    }
    nkvi_client_leave(kv->client);
    return NKV_OK;
}

nkv_status nkvi_kv_end(nkv_kv *kv, nkv_call *call, nkv_status status, const nkv_call *own)
{
    if (status < 0) {
        nkvi_kv_count(kv, NKVI_KV_ERRORS, 1);
    }
    return nkvi_call_done(call, status, own->from, &own->error);
}

nkv_status nkvi_kv_fail(nkv_kv *kv, nkv_call *call, const nkv_error *error)
{
    nkvi_kv_count(kv, NKVI_KV_ERRORS, 1);
    return nkvi_call_done(call, error->status, NKV_FROM_LOCAL, error);
}

/* What the caller did wrong, or no server is to blame for, is never let pass. */
bool nkvi_kv_passes(nkv_kv *kv, nkv_status status)
{
    bool passes = kv->options.fail_open &&
                  (status == NKV_ETIMEDOUT || status == NKV_ECONN || status == NKV_EREPLY ||
                   status == NKV_EPROTO || status == NKV_EBUSY || status == NKV_ENOMEM ||
                   status == NKV_EDECODE);
    if (passes) {
        nkvi_kv_count(kv, NKVI_KV_ERRORS, 1);
        nkvi_kv_count(kv, NKVI_KV_FAILED_OPEN, 1);
    }
    return passes;
}

nkv_status nkvi_kv_ttl(nkv_kv *kv, int64_t ttl_ms, int64_t *ms, nkv_error *error)
{
    *ms = ttl_ms == NKV_KV_TTL_DEFAULT ? kv->options.default_ttl_ms : ttl_ms;
    if (*ms == NKV_KV_TTL_NONE) {
        return NKV_OK;
    }
    nkv_status status =
        check_range("ttl_ms (or NKV_KV_TTL_NONE, NKV_KV_TTL_DEFAULT)", *ms, 1, TTL_MAX_MS, error);
    if (status == NKV_OK && kv->options.ttl_jitter_percent > 0) {
        uint64_t draw = atomic_fetch_add_explicit(&kv->draws, 1, memory_order_relaxed);
        uint64_t random = nkvi_hash(&draw, sizeof draw, kv->seed);
        double part = ((double)(random >> 11) / (double)(UINT64_C(1) << 52) - 1.0) *
                      kv->options.ttl_jitter_percent / 100.0;
        *ms += (int64_t)((double)*ms * part);
        *ms = *ms > 0 ? *ms : 1;
    }
    return status;
}

nkv_status nkvi_kv_command(nkv_kv *kv, const nkv_argv *command, int64_t until_ns, nkv_value **out,
                           nkv_error *error)
{
    nkv_call own;
    nkv_call_init(&own);
    own.timeout_ms = nkvi_call_left_ms(until_ns);
    nkv_status status = nkv_command(kv->client, command->argc, command->argv, &own, out);
    if (status < 0) {
        *error = own.error;
    }
    return status;
}
