/* kv/fresh.c - see fresh.h. */
#include "kv/fresh.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/status.h"

#define CLAIM_MS 30000   /* how long nobody else computes what one client has begun to */
#define KNOWN_MS 3600000 /* a value that does not expire is asked for again after that */

static nkv_status set_mark(nkv_kv *kv, nkv_str key, const char *text, int64_t ms, bool absent,
                           nkv_call *call)
{
    nkvi_name name;
    char number[24];
    nkv_value *reply = NULL;
    if (!nkvi_name_make(kv, NKVI_KV_FRESH, key, &name)) {
        return nkvi_fail(&call->error, NKV_ENOMEM, "no memory for a key");
    }
    (void)snprintf(number, sizeof number, "%" PRId64, ms);
    const nkv_str argv[6] = {nkv_cstr("SET"), name.str,         nkv_cstr(text),
                             nkv_cstr("PX"),  nkv_cstr(number), nkv_cstr("NX")};
    nkv_status status = nkv_command(kv->client, absent ? 6 : 5, argv, call, &reply);
    nkv_value_release(reply);
    nkvi_name_clear(&name);
    return status;
}

nkv_status nkvi_kv_mark_fresh(nkv_kv *kv, nkv_str key, int64_t ms, nkv_call *call)
{
    nkv_call own = *call;
    nkv_status status = set_mark(kv, key, "", ms, false, &own);
    call->error = status < 0 ? own.error : call->error;
    return status;
}

/* Without a mark: what the value's TTL says; a value that is fresh gets a mark, so that nobody has
 * to ask again. */
static bool ask_ttl(nkv_kv *kv, nkv_str key, nkv_call *call)
{
    int64_t left, fresh_ms = KNOWN_MS;
    if (nkv_kv_ttl(kv, key, call, &left) != NKV_OK) {
        return true;
    }
    if (left != NKV_KV_TTL_NONE) {
        fresh_ms = left - kv->options.stale_ms;
    }
    if (fresh_ms > 0) {
        nkv_status ignored = set_mark(kv, key, "", fresh_ms, true, call);
        (void)ignored;
    }
    return fresh_ms > 0;
}

bool nkvi_kv_is_fresh(nkv_kv *kv, nkv_str key, const nkv_call *call)
{
    nkvi_name name;
    nkv_result result = {.status = NKV_OK};
    nkv_call own = *call;
    if (kv->options.stale_ms == 0 || !nkvi_name_make(kv, NKVI_KV_FRESH, key, &name)) {
        return true;
    }
    nkv_status status = nkv_exists(kv->client, &name.str, 1, &own, &result);
    nkvi_name_clear(&name);
    return status < 0 || result.status != NKV_NOT_FOUND || ask_ttl(kv, key, &own);
}

bool nkvi_kv_claim(nkv_kv *kv, nkv_str key, bool again, const nkv_call *call)
{
    nkvi_name name;
    nkv_value *value = NULL;
    nkv_call own = *call;
    if (!again) {
        return set_mark(kv, key, "c", CLAIM_MS, true, &own) == NKV_OK;
    }
    if (!nkvi_name_make(kv, NKVI_KV_FRESH, key, &name)) {
        return false;
    }
    own.no_cache = 1;
    nkv_status status = nkv_get(kv->client, name.str, &own, &value);
    bool fresh = status == NKV_OK && nkv_value_str(value).len == 0; /* somebody else was faster */
    nkv_value_release(value);
    nkvi_name_clear(&name);
    own.no_cache = 0;
    return !fresh && status >= 0 && set_mark(kv, key, "c", CLAIM_MS, false, &own) == NKV_OK;
}
