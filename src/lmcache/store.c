/* lmcache/store.c - the handle, its options, list and ping; see store.h. */
#include "lmcache/store.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"

#define TIMEOUT_MS 10000
#define TTL_MAX_S  INT64_C(1000000000000)
#define SCAN_COUNT "512"

/* ---- the handle ------------------------------------------------------------------------------ */

void nkv_lmcache_options_init_sized(nkv_lmcache_options *options, size_t size)
{
    nkv_lmcache_options all;
    memset(&all, 0, sizeof all);
    all.timeout_ms = TIMEOUT_MS;
    memcpy(options, &all, size < sizeof all ? size : sizeof all);
    options->struct_size = size;
}

static nkv_status check_range(const char *name, int64_t value, int64_t most, nkv_error *error)
{
    return value >= 0 && value <= most
               ? NKV_OK
               : nkvi_fail(error, NKV_EINVAL, "option %s is %lld; allowed is 0 to %lld", name,
                           (long long)value, (long long)most);
}

static nkv_status check(const nkv_lmcache_options *options, nkv_error *error)
{
    nkv_status status = check_range("layout", (int)options->layout, NKV_LMCACHE_SINGLE_KEY, error);
    if (status == NKV_OK) {
        status = check_range("padding", (int)options->padding, NKV_LMCACHE_PAD_NONE, error);
    }
    if (status == NKV_OK) {
        status = check_range("groups", options->groups, NKV_LMCACHE_GROUPS_MAX, error);
    }
    if (status == NKV_OK) {
        status = check_range("ttl_s", options->ttl_s, TTL_MAX_S, error);
    }
    if (status == NKV_OK) {
        status = check_range("timeout_ms", options->timeout_ms, TTL_MAX_S, error);
    }
    if (status == NKV_OK) {
        status = check_range("verify_payload", options->verify_payload, 1, error);
    }
    if (status == NKV_OK) {
        status = check_range("cache_payloads", options->cache_payloads, 1, error);
    }
    if (status == NKV_OK) {
        status = check_range("one_by_one", options->one_by_one, 1, error);
    }
    if (status == NKV_OK) {
        status = check_range("chunk_bytes", options->chunk_bytes, (int64_t)NKV_VALUE_MAX, error);
    }
    if (status == NKV_OK && options->chunk_bytes > 0 && options->layout != NKV_LMCACHE_SINGLE_KEY) {
        status = nkvi_fail(error, NKV_EINVAL,
                           "option chunk_bytes is %lld; it is for the layout of a single key, the "
                           "others have metadata that says the size",
                           (long long)options->chunk_bytes);
    }
    return status;
}

nkv_status nkv_lmcache_create(nkv_client *client, const nkv_lmcache_options *options,
                              nkv_lmcache **out, nkv_error *error)
{
    nkv_lmcache_options all;
    *out = NULL;
    nkv_lmcache_options_init(&all);
    if (options != NULL) {
        size_t size = options->struct_size;
        if (size < offsetof(nkv_lmcache_options, padding)) {
            return nkvi_fail(error, NKV_EINVAL,
                             "options were not set up with nkv_lmcache_options_init()");
        }
        memcpy(&all, options, size < sizeof all ? size : sizeof all);
    }
    nkv_status status = check(&all, error);
    if (status != NKV_OK) {
        return status;
    }
    nkv_lmcache *lmcache = nkvi_alloc(sizeof *lmcache);
    if (lmcache == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for LMCache's operations");
    }
    *lmcache = (nkv_lmcache){.client = client, .options = all};
    *out = lmcache;
    return NKV_OK;
}

void nkv_lmcache_destroy(nkv_lmcache *lmcache)
{
    nkvi_free(lmcache);
}

/* ---- list and ping --------------------------------------------------------------------------- */

/* A command of a call that has `until_ns` for all of them. */
static nkv_status command_until(nkv_lmcache *lmcache, const nkv_argv *command, nkv_call *call,
                                int64_t until_ns, nkv_value **out)
{
    nkv_call own;
    nkv_call_init(&own);
    own.timeout_ms = nkvi_call_left_ms(until_ns);
    nkv_status status = nkv_command(lmcache->client, command->argc, command->argv, &own, out);
    return nkvi_call_done(call, status, own.from, &own.error);
}

int64_t nkvi_lmcache_deadline(const nkv_lmcache *lmcache, const nkv_call *call)
{
    int64_t ms = call != NULL && call->timeout_ms > 0 ? call->timeout_ms
                 : lmcache->options.timeout_ms > 0    ? lmcache->options.timeout_ms
                                                      : lmcache->client->options.timeout_ms;
    return nkvi_deadline_ns(nkvi_now_ns(), ms);
}

nkv_status nkv_lmcache_ping(nkv_lmcache *lmcache, nkv_call *call)
{
    nkv_str argv[1] = {nkv_cstr("PING")};
    const nkv_argv ping = {1, argv};
    nkv_value *reply;
    nkv_status status =
        command_until(lmcache, &ping, call, nkvi_lmcache_deadline(lmcache, call), &reply);
    nkv_value_release(reply);
    return status;
}

/* A pattern for the names of all K that begin with `prefix`. */
static void write_pattern(const nkv_lmcache *lmcache, nkv_str prefix, nkvi_buf *out)
{
    const nkv_lmcache_options *options = &lmcache->options;
    static const char *const before[] = {"", "", "{", ""};
    static const char *const behind[] = {"*metadata", "*:metadata", "*}:metadata", "*"};
    nkvi_buf_append(out, before[options->layout], strlen(before[options->layout]));
    for (size_t i = 0; i < prefix.len; i++) {
        if (strchr("*?[]\\^", prefix.data[i]) != NULL && prefix.data[i] != '\0') {
            nkvi_buf_append(out, "\\", 1);
        }
        nkvi_buf_append(out, &prefix.data[i], 1);
    }
    /* A connector of the user's own scans by prefix alone; what does not fit is left out here. */
    const char *tail = lmcache->client->wrapped ? "*" : behind[options->layout];
    nkvi_buf_append(out, tail, strlen(tail));
}

typedef struct listing {
    nkv_lmcache *lmcache;
    nkv_lmcache_each_fn each;
    void *ud;
    char cursor[24];
    bool done;
} listing;

/* Hands out the keys of one answer of SCAN: [cursor, [names]]. */
static nkv_status hand_out(listing *self, const nkv_reply *reply, nkv_error *error)
{
    if (reply->type != NKV_TYPE_ARRAY || reply->elements != 2 ||
        reply->element[0].type != NKV_TYPE_STRING || reply->element[0].len >= sizeof self->cursor ||
        reply->element[1].type != NKV_TYPE_ARRAY) {
        return nkvi_fail(error, NKV_EPROTO, "the answer of SCAN is not a cursor and an array");
    }
    memcpy(self->cursor, reply->element[0].str, reply->element[0].len + 1);
    self->done = strcmp(self->cursor, "0") == 0;
    for (size_t i = 0; i < reply->element[1].elements; i++) {
        const nkv_reply *text = &reply->element[1].element[i];
        nkv_lmcache_layout layout = self->lmcache->options.layout;
        nkv_lmcache_name name;
        bool fits = text->type == NKV_TYPE_STRING &&
                    nkv_lmcache_name_parse(nkv_str_make(text->str, text->len), layout, &name,
                                           NULL) == NKV_OK &&
                    (name.part == NKV_LMCACHE_METADATA || layout == NKV_LMCACHE_SINGLE_KEY);
        if (fits && self->each(name.key, self->ud) != 0) {
            self->done = true;
            return NKV_OK;
        }
    }
    return NKV_OK;
}

nkv_status nkv_lmcache_list(nkv_lmcache *lmcache, nkv_str prefix, nkv_lmcache_each_fn each,
                            void *ud, nkv_call *call)
{
    listing self = {.lmcache = lmcache, .each = each, .ud = ud, .cursor = "0"};
    nkv_error error = {.status = NKV_OK};
    nkv_status status = NKV_OK;
    int64_t until_ns = nkvi_lmcache_deadline(lmcache, call);
    nkvi_buf pattern;
    nkvi_buf_init(&pattern);
    write_pattern(lmcache, prefix, &pattern);
    if (pattern.failed) {
        status = nkvi_call_done(
            call, nkvi_fail(&error, NKV_ENOMEM, "no memory for a pattern of %zu bytes", prefix.len),
            NKV_FROM_LOCAL, &error);
    }
    while (status == NKV_OK && !self.done) {
        nkv_str argv[8] = {nkv_cstr("SCAN"),  nkv_cstr(self.cursor),
                           nkv_cstr("MATCH"), nkv_str_make(pattern.data, pattern.len),
                           nkv_cstr("COUNT"), nkv_cstr(SCAN_COUNT),
                           nkv_cstr("TYPE"),  nkv_cstr("string")};
        nkv_value *value;
        const nkv_argv scan = {8, argv};
        status = command_until(lmcache, &scan, call, until_ns, &value);
        if (status == NKV_OK) {
            nkv_reply reply = nkv_value_reply(value);
            status = nkvi_call_done(call, hand_out(&self, &reply, &error), NKV_FROM_SERVER, &error);
        }
        nkv_value_release(value);
    }
    nkvi_buf_clear(&pattern);
    return status;
}
