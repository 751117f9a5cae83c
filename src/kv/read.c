/* kv/read.c - reading: through the client's cache, then what the codec makes of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kv/names.h"
#include "kv/pack.h"

/* Counts what a read came to, one key of it. */
static void note(nkv_kv *kv, nkv_status status, nkv_from from, const nkv_value *value)
{
    if (status == NKV_OK) {
        nkvi_kv_count(kv, NKVI_KV_HITS, 1);
        nkvi_kv_count(kv, NKVI_KV_BYTES_READ, nkv_value_str(value).len);
        if (from == NKV_FROM_CACHE) {
            nkvi_kv_count(kv, NKVI_KV_LOCAL_HITS, 1);
        }
    } else if (status == NKV_NOT_FOUND) {
        nkvi_kv_count(kv, NKVI_KV_MISSES, 1);
    }
}

/* What a read of one key came to: decoded, counted, let pass if it failed and that is wanted. */
static nkv_status finish(nkv_kv *kv, nkv_call *call, nkv_call *own, nkv_status status,
                         nkv_value **out, bool again)
{
    if (status == NKV_OK) {
        status = nkvi_unpack(kv, *out, out, &own->error);
    } else {
        nkv_value_release(*out);
        *out = NULL;
    }
    if (status < 0 && nkvi_kv_passes(kv, status)) {
        if (call != NULL) {
            call->error = own->error;
        }
        status = NKV_NOT_FOUND;
    }
    if (status != NKV_NOT_FOUND || !again) {
        note(kv, status, own->from, *out);
    }
    return nkvi_kv_end(kv, call, status, own);
}

nkv_status nkvi_kv_read(nkv_kv *kv, nkv_str key, bool again, nkv_call *call, nkv_value **out)
{
    nkv_call own;
    nkvi_name name;
    *out = NULL;
    nkv_status status = nkvi_kv_begin(kv, call, &own);
    if (status != NKV_OK) {
        return status;
    }
    status = nkvi_name_open(kv, key, &name, &own.error);
    if (status != NKV_OK) {
        return nkvi_kv_fail(kv, call, &own.error);
    }
    status = nkv_get(kv->client, name.str, &own, out);
    nkvi_name_clear(&name);
    return finish(kv, call, &own, status, out, again);
}

nkv_status nkv_kv_get(nkv_kv *kv, nkv_str key, nkv_call *call, nkv_value **out)
{
    return nkvi_kv_read(kv, key, false, call, out);
}

nkv_status nkv_kv_getex(nkv_kv *kv, nkv_str key, int64_t ttl_ms, nkv_call *call, nkv_value **out)
{
    nkv_call own;
    nkvi_name name;
    int64_t ms = 0;
    char number[24];
    *out = NULL;
    nkv_status status = nkvi_kv_begin(kv, call, &own);
    if (status != NKV_OK) {
        return status;
    }
    status = nkvi_kv_ttl(kv, ttl_ms, &ms, &own.error);
    status = status == NKV_OK ? nkvi_name_open(kv, key, &name, &own.error) : status;
    if (status != NKV_OK) {
        return nkvi_kv_fail(kv, call, &own.error);
    }
    (void)snprintf(number, sizeof number, "%" PRId64, ms);
    bool none = ms == NKV_KV_TTL_NONE;
    const nkv_str argv[4] = {nkv_cstr("GETEX"), name.str, nkv_cstr(none ? "PERSIST" : "PX"),
                             nkv_cstr(number)};
    status = nkv_command(kv->client, none ? 3 : 4, argv, &own, out);
    nkvi_name_clear(&name);
    return finish(kv, call, &own, status, out, false);
}

/* ---- several keys ---------------------------------------------------------------------------- */

typedef nkv_status (*many_fn)(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                              nkv_result *results);

/* One result: decoded, let pass, counted.  Returns its failure, or NKV_OK. */
static nkv_status finish_one(nkv_kv *kv, nkv_result *result, bool values, nkv_error *error)
{
    nkv_error own = {.status = NKV_OK};
    if (result->status == NKV_OK && result->value != NULL) {
        result->status = nkvi_unpack(kv, result->value, &result->value, &own);
        if (result->status < 0) {
            *error = own;
        }
    }
    if (result->status < 0 && nkvi_kv_passes(kv, result->status)) {
        nkv_value_release(result->value);
        result->value = NULL;
        result->status = NKV_NOT_FOUND;
    }
    if (result->status < 0) {
        nkvi_kv_count(kv, NKVI_KV_ERRORS, 1);
    } else if (values) {
        note(kv, result->status, result->from, result->value);
    }
    return result->status < 0 ? result->status : NKV_OK;
}

static nkv_status read_many(nkv_kv *kv, many_fn read, const nkv_str *keys, size_t n, nkv_call *call,
                            nkv_result *results)
{
    nkv_call own;
    nkv_status status = nkvi_kv_begin(kv, call, &own);
    for (size_t i = 0; i < n; i++) {
        results[i] = (nkv_result){.status = status};
    }
    if (status != NKV_OK || n == 0) {
        return status;
    }
    nkv_str *names = NULL;
    status = nkvi_names_check(keys, n, &own.error);
    if (status == NKV_OK) {
        names = nkvi_names_make(kv, "", keys, n);
        status =
            names != NULL ? NKV_OK : nkvi_fail(&own.error, NKV_ENOMEM, "no memory for %zu keys", n);
    }
    if (status != NKV_OK) {
        for (size_t i = 0; i < n; i++) {
            results[i].status = status;
        }
        return nkvi_kv_fail(kv, call, &own.error);
    }
    (void)read(kv->client, names, n, &own, results);
    nkvi_free(names);
    status = NKV_OK;
    for (size_t i = 0; i < n; i++) {
        nkv_error error = own.error;
        nkv_status one = finish_one(kv, &results[i], read == nkv_mget, &error);
        if (status == NKV_OK && one != NKV_OK) {
            status = one;
            own.error = error;
        }
    }
    return nkvi_call_done(call, status, own.from, &own.error);
}

nkv_status nkv_kv_mget(nkv_kv *kv, const nkv_str *keys, size_t n, nkv_call *call,
                       nkv_result *results)
{
    return read_many(kv, nkv_mget, keys, n, call, results);
}

nkv_status nkv_kv_exists(nkv_kv *kv, const nkv_str *keys, size_t n, nkv_call *call,
                         nkv_result *results)
{
    return read_many(kv, nkv_exists, keys, n, call, results);
}

/* ---- time to live ---------------------------------------------------------------------------- */

nkv_status nkv_kv_ttl(nkv_kv *kv, nkv_str key, nkv_call *call, int64_t *ttl_ms)
{
    nkv_call own;
    nkvi_name name;
    nkv_value *value = NULL;
    *ttl_ms = NKV_KV_TTL_NONE;
    nkv_status status = nkvi_kv_begin(kv, call, &own);
    if (status != NKV_OK) {
        return status;
    }
    status = nkvi_name_open(kv, key, &name, &own.error);
    if (status != NKV_OK) {
        return nkvi_kv_fail(kv, call, &own.error);
    }
    const nkv_str argv[2] = {nkv_cstr("PTTL"), name.str};
    status = nkv_command(kv->client, 2, argv, &own, &value);
    nkvi_name_clear(&name);
    if (status == NKV_OK) {
        int64_t left = nkv_value_reply(value).integer;
        status = left == -2 ? NKV_NOT_FOUND : NKV_OK;
        *ttl_ms = left >= 0 ? left : NKV_KV_TTL_NONE;
    }
    nkv_value_release(value);
    if (status < 0 && nkvi_kv_passes(kv, status)) {
        if (call != NULL) {
            call->error = own.error;
        }
        status = NKV_NOT_FOUND;
    }
    return nkvi_kv_end(kv, call, status, &own);
}
