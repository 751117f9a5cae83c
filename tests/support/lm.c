/* support/lm.c - names and metadata by their description, and an outsider's commands.
 *
 * Callers      tests of LMCache's operations                                                     */

#include "support/lm.h"

#include <stdlib.h>

#include "support/check.h"

/* ---- Connectors ------------------------------------------------------------------------------ */

nkv_lmcache_options t_lm_options(nkv_lmcache_layout layout)
{
    nkv_lmcache_options options;
    nkv_lmcache_options_init(&options);
    options.layout = layout;
    return options;
}

nkv_lmcache *t_lm_make(nkv_client *client, const nkv_lmcache_options *options)
{
    nkv_lmcache *lm = NULL;
    nkv_error error = {.status = NKV_OK};
    const nkv_status status = nkv_lmcache_create(client, options, &lm, &error);
    if (status != NKV_OK) {
        T_DIE("no connector: %s (%s)", nkv_status_text(status), error.text);
    }
    return lm;
}

static const char *name_of(nkv_lmcache_layout layout)
{
    static const char *const names[] = {"plain suffix", "colon suffix", "hash tag", "single key"};
    T_REQUIRE((int)layout >= 0 && (int)layout < T_LM_LAYOUTS);
    return names[layout];
}

t_lm t_lm_open_with(t_server *server, const nkv_options *client, const nkv_lmcache_options *options)
{
    t_lm lm = {.server = server, .layout = options->layout};
    lm.pair = lm.layout != NKV_LMCACHE_SINGLE_KEY;
    lm.name = name_of(lm.layout);
    lm.ctl = t_ctl_open(server);
    lm.client = client != NULL ? t_near_open(client) : t_near_open_on(server);
    lm.lm = t_lm_make(lm.client, options);
    return lm;
}

t_lm t_lm_open(t_server *server, nkv_lmcache_layout layout)
{
    const nkv_lmcache_options options = t_lm_options(layout);
    return t_lm_open_with(server, NULL, &options);
}

void t_lm_close(t_lm *lm)
{
    nkv_lmcache_destroy(lm->lm);
    nkv_client_destroy(lm->client);
    t_ctl_close(lm->ctl);
    lm->lm = NULL;
    lm->client = NULL;
    lm->ctl = NULL;
}

static void each(t_server *server, void (*check)(t_lm *lm), int layouts)
{
    for (int layout = 0; layout < layouts; layout++) {
        t_lm lm = t_lm_open(server, (nkv_lmcache_layout)layout);
        t_ctl_ok(lm.ctl, "FLUSHALL");
        t_lm_sync(&lm);
        check(&lm);
        t_lm_close(&lm);
    }
}

void t_lm_each(t_server *server, void (*check)(t_lm *lm))
{
    each(server, check, T_LM_LAYOUTS);
}

void t_lm_each_pair(t_server *server, void (*check)(t_lm *lm))
{
    each(server, check, T_LM_PAIRS);
}

/* ---- Names and metadata ---------------------------------------------------------------------- */

t_arg t_lm_name(nkv_lmcache_layout layout, nkv_lmcache_part part, nkv_str key, char *out)
{
    static const char *const before[] = {"", "", "{", ""};
    static const char *const between[] = {"", ":", "}:", ""};
    const char *last = part == T_META ? "metadata" : "kv_bytes";
    if (layout == NKV_LMCACHE_SINGLE_KEY) {
        T_REQUIRE(part == T_KV);
        last = "";
    }
    const char *const parts[] = {before[layout], NULL, between[layout], last};
    size_t len = 0;
    for (size_t i = 0; i < 4; i++) {
        const nkv_str add = parts[i] == NULL ? key : nkv_cstr(parts[i]);
        T_REQUIRE(len + add.len <= T_LM_NAME_MAX);
        memcpy(out + len, add.data, add.len);
        len += add.len;
    }
    return T_ARG_BYTES(out, len);
}

t_bytes t_ints(const int32_t *ints, size_t count)
{
    t_bytes out = {.len = 4 * count};
    T_REQUIRE(out.len <= sizeof out.bytes);
    for (size_t i = 0; i < out.len; i++) {
        out.bytes[i] = (unsigned char)((uint32_t)ints[i / 4] >> (8 * (i % 4)));
    }
    return out;
}

static unsigned nibble(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, digit, 16);
    T_REQUIRE(at != NULL);
    return (unsigned)(at - digits);
}

t_bytes t_hex(const char *hex)
{
    t_bytes out = {.len = 0};
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ') {
            continue;
        }
        T_REQUIRE(out.len < sizeof out.bytes && hex[1] != '\0');
        out.bytes[out.len++] = (unsigned char)(nibble(hex[0]) << 4 | nibble(hex[1]));
        hex++;
    }
    return out;
}

t_bytes t_lm_plain(size_t len)
{
    return T_INTS((int32_t)len, 5, 0, (int32_t)len, 0, 0, 0);
}

/* ---- The outsider ---------------------------------------------------------------------------- */

/* A command on one name, with one more argument if `last` is not NULL. */
static redisReply *command(t_lm *lm, const char *word, nkv_str key, nkv_lmcache_part part,
                           const t_arg *last)
{
    char *room = malloc(T_LM_NAME_MAX);
    T_REQUIRE(room != NULL);
    t_arg args[3] = {T_ARG_BYTES(word, strlen(word)), t_lm_name(lm->layout, part, key, room)};
    if (last != NULL) {
        args[2] = *last;
    }
    redisReply *reply = t_ctl_args(lm->ctl, last != NULL ? 3 : 2, args);
    free(room);
    T_REQUIRE(reply != NULL);
    return reply;
}

void t_lm_lay(t_lm *lm, nkv_str key, nkv_lmcache_part part, const void *bytes, size_t len)
{
    const t_arg value = T_ARG_BYTES(bytes, len);
    redisReply *reply = command(lm, "SET", key, part, &value);
    if (reply->type != REDIS_REPLY_STATUS) {
        T_DIE("the outsider's SET: %s", reply->str != NULL ? reply->str : "no status");
    }
    freeReplyObject(reply);
}

void t_lm_chunk_version(t_lm *lm, nkv_str key, size_t len, uint64_t version)
{
    char *value = malloc(len + 1);
    T_REQUIRE(value != NULL);
    t_value_fill(value, len, key, version);
    t_lm_lay(lm, key, T_KV, value, len);
    free(value);
    if (lm->pair) {
        const t_bytes meta = t_lm_plain(len);
        t_lm_lay(lm, key, T_META, meta.bytes, meta.len);
    }
}

void t_lm_chunk(t_lm *lm, nkv_str key, size_t len)
{
    t_lm_chunk_version(lm, key, len, 0);
}

void t_lm_chunks(t_lm *lm, const char *list, size_t len)
{
    t_items keys = t_items_list(list);
    for (size_t i = 0; i < keys.n; i++) {
        t_lm_chunk(lm, keys.items[i].key, len);
    }
    t_items_free(&keys);
}

long long t_lm_int(t_lm *lm, const char *word, nkv_str key, nkv_lmcache_part part)
{
    redisReply *reply = command(lm, word, key, part, NULL);
    if (reply->type != REDIS_REPLY_INTEGER) {
        T_DIE("the outsider's %s: %s", word, reply->str != NULL ? reply->str : "no integer");
    }
    const long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

bool t_lm_holds(t_lm *lm, nkv_str key, nkv_lmcache_part part, const void *bytes, size_t len)
{
    redisReply *reply = command(lm, "GET", key, part, NULL);
    const bool same = reply->type == REDIS_REPLY_STRING &&
                      t_same_bytes(lm->name, reply->str, reply->len, bytes, len);
    if (reply->type != REDIS_REPLY_STRING) {
        (void)fprintf(stderr, "%s, %.*s: no string is there\n", lm->name, (int)key.len, key.data);
    }
    freeReplyObject(reply);
    return same;
}

/* ---- The connector --------------------------------------------------------------------------- */

nkv_status t_lm_has(t_lm *lm, nkv_str key, nkv_level level, nkv_from *from)
{
    nkv_item item = {.key = key};
    nkv_call call;
    nkv_call_init(&call);
    call.level = level;
    const nkv_status status = nkv_lmcache_contains(lm->lm, &item, 1, &call);
    if (from != NULL) {
        *from = item.from;
    }
    return status < 0 ? status : item.status;
}

void t_lm_sync(t_lm *lm)
{
    t_near_sync(lm->client);
}
