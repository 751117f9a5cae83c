/* kv/write.c - writing: set, delete, touch; many keys travel together. */
#include "kv/write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/split.h"
#include "kv/fresh.h"
#include "kv/pack.h"
#include "kv/tags.h"

/* ---- how ------------------------------------------------------------------------------------- */

nkv_status nkvi_kv_how(nkv_kv *kv, const nkv_kv_set_options *given, nkvi_how *how, nkv_error *error)
{
    nkv_kv_set_options *all = &how->options;
    nkv_kv_set_options_init(all);
    how->ttl_ms = NKV_KV_TTL_NONE;
    how->until_ns = NKVI_NEVER;
    nkv_status status = nkvi_kv_settings(all, sizeof *all, given, "nkv_kv_set_options_init", error);
    if (status == NKV_OK && (unsigned)all->when > NKV_KV_IF_PRESENT) {
        status = nkvi_fail(error, NKV_EINVAL, "when is %d; allowed is 0 to 2", (int)all->when);
    }
    if (status == NKV_OK && all->keep_ttl && all->ttl_ms != NKV_KV_TTL_DEFAULT) {
        status = nkvi_fail(error, NKV_EINVAL, "ttl_ms and keep_ttl; allowed is one of them");
    }
    if (status == NKV_OK && !all->keep_ttl) {
        status = nkvi_kv_ttl(kv, all->ttl_ms, &how->ttl_ms, error);
    }
    how->fresh_ms = how->ttl_ms;
    for (size_t i = 0; status == NKV_OK && i < all->tags_len; i++) {
        status = nkvi_kv_tag_check(kv, all->tags[i], error);
    }
    return status;
}

size_t nkvi_kv_set_argv(const nkvi_how *how, nkv_str name, nkv_str value, nkvi_set_words *out)
{
    size_t n = 3;
    out->argv[0] = nkv_cstr("SET");
    out->argv[1] = name;
    out->argv[2] = value;
    if (how->options.keep_ttl) {
        out->argv[n++] = nkv_cstr("KEEPTTL");
    } else if (how->ttl_ms != NKV_KV_TTL_NONE) {
        (void)snprintf(out->number, sizeof out->number, "%" PRId64, how->ttl_ms);
        out->argv[n++] = nkv_cstr("PX");
        out->argv[n++] = nkv_cstr(out->number);
    }
    if (how->options.when != NKV_KV_ALWAYS) {
        out->argv[n++] = nkv_cstr(how->options.when == NKV_KV_IF_ABSENT ? "NX" : "XX");
    }
    return n;
}

/* A nil answer of SET says that the condition was not met. */
nkv_status nkvi_kv_set_status(const nkvi_how *how, nkv_status status)
{
    return status == NKV_NOT_FOUND && how->options.when == NKV_KV_IF_ABSENT ? NKV_MISS : status;
}

/* ---- one key --------------------------------------------------------------------------------- */

nkv_status nkvi_kv_set_large(nkv_kv *kv, nkv_str name, nkv_str value, const nkvi_how *how,
                             nkv_call *call)
{
    nkv_item item = {.key = name, .value = value};
    return nkv_batch_put(kv->client, &item, 1, how->ttl_ms > 0 ? how->ttl_ms : 0, call);
}

/* Sets the bytes, with the tags if there are any. */
static nkv_status set_bytes(nkv_kv *kv, nkv_str key, nkv_str name, nkv_str bytes,
                            const nkvi_how *how, nkv_call *call)
{
    nkvi_set_words words;
    nkv_value *reply = NULL;
    nkv_status status;
    if (how->options.tags_len > 0) {
        return nkvi_kv_set_tagged(kv, key, name, bytes, how, call);
    }
    if (nkvi_kv_is_plain(how) && bytes.len >= NKVI_KV_LARGE) {
        return nkvi_kv_set_large(kv, name, bytes, how, call);
    }
    size_t n = nkvi_kv_set_argv(how, name, bytes, &words);
    status = nkv_command(kv->client, (int)n, words.argv, call, &reply);
    nkv_value_release(reply);
    return nkvi_kv_set_status(how, status);
}

nkv_status nkvi_kv_set_value(nkv_kv *kv, nkv_str key, nkv_str value, const nkvi_how *how,
                             nkv_call *call)
{
    nkvi_name name;
    nkv_str bytes;
    nkv_value *held;
    nkv_status status = nkvi_pack(kv, value, &bytes, &held, &call->error);
    if (status == NKV_OK && !nkvi_name_make(kv, "", key, &name)) {
        nkv_value_release(held);
        status = nkvi_fail(&call->error, NKV_ENOMEM, "no memory for a key");
    }
    if (status != NKV_OK) {
        return status;
    }
    status = set_bytes(kv, key, name.str, bytes, how, call);
    nkvi_name_clear(&name);
    nkv_value_release(held);
    if (status == NKV_OK && kv->options.stale_ms > 0 && how->fresh_ms > 0) {
        nkvi_kv_step(call, how->until_ns);
        status = nkvi_kv_mark_fresh(kv, key, how->fresh_ms, call);
    }
    if (status == NKV_OK) {
        nkvi_kv_count(kv, NKVI_KV_SETS, 1);
        nkvi_kv_count(kv, NKVI_KV_BYTES_WRITTEN, value.len);
    }
    return status;
}

nkv_status nkv_kv_set(nkv_kv *kv, nkv_str key, nkv_str value, const nkv_kv_set_options *options,
                      nkv_call *call)
{
    nkv_call own;
    nkvi_how how;
    int64_t until_ns;
    nkv_status status = nkvi_kv_begin_steps(kv, call, &own, &until_ns);
    if (status != NKV_OK) {
        return status;
    }
    if (call != NULL) {
        call->error = own.error; /* none: what is there tells NKV_MISS from NKV_MISS */
    }
    status = nkvi_names_check(&key, 1, &own.error);
    if (status == NKV_OK) {
        status = nkvi_kv_how(kv, options, &how, &own.error);
    }
    if (status == NKV_OK) {
        how.until_ns = until_ns;
        nkvi_kv_outdate(kv, &key, 1);
        status = nkvi_kv_set_value(kv, key, value, &how, &own);
        nkvi_kv_outdate(kv, &key, 1);
    }
    if (status < 0 && nkvi_kv_passes(kv, status)) {
        if (call != NULL) {
            call->error = own.error;
        }
        status = NKV_MISS;
    }
    return nkvi_kv_end(kv, call, status, &own);
}

/* ---- delete, touch --------------------------------------------------------------------------- */

/* On a cluster, slot by slot. */
static nkv_status unlink_split(nkv_kv *kv, const nkv_str *names, size_t n, nkv_call *call,
                               int64_t *removed)
{
    nkv_status status = nkvi_client_enter_blocking(kv->client, &call->error);
    if (status != NKV_OK) {
        return status;
    }
    const nkvi_split split = {.name = nkv_cstr("UNLINK"),
                              .keys = names,
                              .n = n,
                              .writes = true,
                              .resend = kv->client->options.resend_writes != 0,
                              .deadline_ns = nkvi_call_deadline(kv->client, call)};
    status = nkvi_split_run(kv->client, &split, removed, &call->error);
    nkvi_client_leave(kv->client);
    return status;
}

nkv_status nkvi_kv_unlink(nkv_kv *kv, const nkv_str *names, size_t n, nkv_call *call,
                          int64_t *removed)
{
    *removed = 0;
    if (nkvi_split_needed(kv->client, names, n)) {
        return unlink_split(kv, names, n, call, removed);
    }
    nkv_str *argv = n < INT32_MAX ? nkvi_alloc((n + 1) * sizeof *argv) : NULL;
    nkv_value *reply = NULL;
    if (argv == NULL) {
        return nkvi_fail(&call->error, NKV_ENOMEM, "no memory for %zu keys", n);
    }
    argv[0] = nkv_cstr("UNLINK");
    memcpy(argv + 1, names, n * sizeof *argv);
    nkv_status status = nkv_command(kv->client, (int)n + 1, argv, call, &reply);
    if (status == NKV_OK) {
        *removed = nkv_value_reply(reply).integer;
    } else if (status == NKV_EREPLY && strncmp(call->error.text, "ERR unknown command", 19) == 0) {
        status = nkv_del(kv->client, names, n, call, removed); /* servers before 4.0 */
    }
    nkv_value_release(reply);
    nkvi_free(argv);
    return status;
}

nkv_status nkv_kv_delete(nkv_kv *kv, const nkv_str *keys, size_t n, nkv_call *call,
                         int64_t *removed)
{
    nkv_call own;
    int64_t gone = 0, until_ns;
    nkv_status status = nkvi_kv_begin_steps(kv, call, &own, &until_ns);
    if (removed != NULL) {
        *removed = 0;
    }
    if (status != NKV_OK || n == 0) {
        return status;
    }
    nkv_str *names = NULL;
    status = nkvi_names_check(keys, n, &own.error);
    if (status == NKV_OK) {
        names = nkvi_names_make(kv, "", keys, n);
        nkvi_kv_outdate(kv, keys, n);
        status = names != NULL ? nkvi_kv_unlink(kv, names, n, &own, &gone)
                               : nkvi_fail(&own.error, NKV_ENOMEM, "no memory for %zu keys", n);
        nkvi_kv_outdate(kv, keys, n);
    }
    nkvi_free(names);
    nkvi_kv_count(kv, NKVI_KV_DELETES, (uint64_t)gone);
    if (removed != NULL) {
        *removed = gone;
    }
    return nkvi_kv_end(kv, call, status, &own);
}

/* PERSIST answers 0 for a key that is not there, and for one that has no TTL. */
static nkv_status ask_existence(nkv_kv *kv, nkv_str name, nkv_call *call)
{
    const nkv_str argv[2] = {nkv_cstr("PTTL"), name};
    nkv_value *reply = NULL;
    nkv_status status = nkv_command(kv->client, 2, argv, call, &reply);
    if (status == NKV_OK && nkv_value_reply(reply).integer == -2) {
        status = NKV_NOT_FOUND;
    }
    nkv_value_release(reply);
    return status;
}

nkv_status nkv_kv_touch(nkv_kv *kv, nkv_str key, int64_t ttl_ms, nkv_call *call)
{
    nkv_call own;
    nkvi_name name;
    nkv_value *reply = NULL;
    int64_t ms = 0, until_ns;
    char number[24];
    nkv_status status = nkvi_kv_begin_steps(kv, call, &own, &until_ns);
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
    const nkv_str argv[3] = {nkv_cstr(none ? "PERSIST" : "PEXPIRE"), name.str, nkv_cstr(number)};
    status = nkv_command(kv->client, none ? 2 : 3, argv, &own, &reply);
    if (status == NKV_OK && nkv_value_reply(reply).integer == 0) {
        nkvi_kv_step(&own, until_ns);
        status = none ? ask_existence(kv, name.str, &own) : NKV_NOT_FOUND;
    }
    nkv_value_release(reply);
    nkvi_name_clear(&name);
    return nkvi_kv_end(kv, call, status, &own);
}
