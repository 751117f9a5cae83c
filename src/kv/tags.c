/* kv/tags.c - see tags.h. */
#include "kv/tags.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "kv/scan.h"

#define PAGE          "499" /* the last of the keys that are removed at a time */
#define TIDY_KEYS     16u   /* expired ones that are looked at when a tag is used */
#define TIDY_AFTER_MS 60000 /* their expiry is so long ago; clocks differ */
#define TIDY_AGAIN_MS 3600000

/* Forgets keys whose score is still what it was, or gives them another one.
 * KEYS: the set   ARGV: key, score, the new one or '' … */
static const char forget_script[] =
    "for i = 1, #ARGV, 3 do\n"
    "  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])\n"
    "  if score and tonumber(score) == tonumber(ARGV[i + 1]) then\n"
    "    if ARGV[i + 2] == '' then redis.call('ZREM', KEYS[1], ARGV[i])\n"
    "    else redis.call('ZADD', KEYS[1], ARGV[i + 2], ARGV[i]) end\n"
    "  end\n"
    "end";

static int64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* With an empty hash tag in front the braces of a tag mean nothing. */
static bool is_spoilt(nkv_str prefix)
{
    const char *open = prefix.len > 0 ? memchr(prefix.data, '{', prefix.len) : NULL;
    return open != NULL && open + 1 < prefix.data + prefix.len && open[1] == '}';
}

nkv_status nkvi_kv_tag_check(const nkv_kv *kv, nkv_str tag, nkv_error *error)
{
    if (kv->client->connector->hash_slots && is_spoilt(kv->options.prefix)) {
        return nkvi_fail(error, NKV_EINVAL,
                         "on a cluster there are no tags with a prefix that has {} in it: what a "
                         "tag needs would not be in one hash slot");
    }
    return tag.len > 0 && tag.data[0] != '}'
               ? NKV_OK
               : nkvi_fail(error, NKV_EINVAL,
                           "a tag is not empty and does not begin with '}' (its keys would not be "
                           "in one hash slot)");
}

/* prefix __tag__:{tag} + tail, to be cleared; tell by `failed`. */
static nkv_str tag_name(const nkv_kv *kv, nkv_str tag, const char *tail, nkvi_buf *out)
{
    nkvi_buf_init(out);
    nkvi_buf_append(out, kv->options.prefix.data, kv->options.prefix.len);
    nkvi_buf_text(out, NKVI_KV_TAG "{");
    nkvi_buf_append(out, tag.data, tag.len);
    nkvi_buf_text(out, "}");
    nkvi_buf_text(out, tail);
    return nkv_str_make(out->data, out->len);
}

static nkv_status no_memory(nkv_call *call)
{
    return nkvi_fail(&call->error, NKV_ENOMEM, "no memory for a tag");
}

/* ---- noting ---------------------------------------------------------------------------------- */

typedef struct numbers {
    char score[24], before[24], few[12];
} numbers;

static void numbers_make(const nkvi_how *how, numbers *out)
{
    const int64_t now = wall_ms();
    (void)snprintf(out->score, sizeof out->score, "+inf");
    if (how->ttl_ms != NKV_KV_TTL_NONE) {
        (void)snprintf(out->score, sizeof out->score, "%" PRId64, now + how->ttl_ms);
    }
    (void)snprintf(out->before, sizeof out->before, "%" PRId64, now - TIDY_AFTER_MS);
    (void)snprintf(out->few, sizeof out->few, "%u", TIDY_KEYS);
}

enum { RANGE_WORDS = 8 };

/* The words of two commands. */
typedef struct note {
    nkv_str *add; /* room for 2 + 2 words for each key */
    nkv_str range[RANGE_WORDS];
} note;

/* The commands that note keys and ask for a few that should have expired long ago:
 * ZADD set score key …, ZRANGEBYSCORE set -inf before WITHSCORES LIMIT 0 few. */
static void note_commands(const numbers *with, nkv_str set, const nkv_str *keys, size_t n,
                          note *words, nkv_argv out[2])
{
    const nkv_str range[RANGE_WORDS] = {nkv_cstr("ZRANGEBYSCORE"),
                                        set,
                                        nkv_cstr("-inf"),
                                        nkv_cstr(with->before),
                                        nkv_cstr("WITHSCORES"),
                                        nkv_cstr("LIMIT"),
                                        nkv_cstr("0"),
                                        nkv_cstr(with->few)};
    memcpy(words->range, range, sizeof range);
    words->add[0] = nkv_cstr("ZADD");
    words->add[1] = set;
    for (size_t i = 0; i < n; i++) {
        words->add[2 + 2 * i] = nkv_cstr(with->score);
        words->add[3 + 2 * i] = keys[i];
    }
    out[0] = (nkv_argv){(int)(2 + 2 * n), words->add};
    out[1] = (nkv_argv){RANGE_WORDS, words->range};
}

/* The pairs of an answer of ZRANGEBYSCORE, [[key, score] …], or without the inner brackets; returns
 * how many. */
static size_t take_pairs(const nkv_reply *pairs, nkv_str keys[TIDY_KEYS], nkv_str scores[TIDY_KEYS])
{
    size_t n = 0, at = 0, all = pairs->type == NKV_TYPE_ARRAY ? pairs->elements : 0;
    bool nested = all > 0 && pairs->element[0].type == NKV_TYPE_ARRAY;
    for (; n < TIDY_KEYS && at + (nested ? 1 : 2) <= all; n++) {
        const nkv_reply *pair = nested ? pairs->element[at].element : &pairs->element[at];
        if (nested && pairs->element[at].elements != 2) {
            break;
        }
        keys[n] = nkv_str_make(pair[0].str, pair[0].len);
        scores[n] = nkv_str_make(pair[1].str, pair[1].len);
        at += nested ? 1 : 2;
    }
    return n;
}

/* Of the expired ones, those that are not there any more are forgotten; the others were given more
 * time, and are looked at again later.  What fails here is done the next time. */
static void tidy(nkv_kv *kv, nkv_str set, const nkv_reply *expired, const nkv_call *call)
{
    nkv_str keys[TIDY_KEYS], scores[TIDY_KEYS], argv[4 + 3 * TIDY_KEYS];
    nkv_result results[TIDY_KEYS];
    char later[24];
    size_t n = take_pairs(expired, keys, scores), argc = 4;
    nkv_str *names = n > 0 ? nkvi_names_make(kv, "", keys, n) : NULL;
    nkv_call own = *call;
    if (names == NULL) {
        return;
    }
    own.no_cache = 1;
    (void)snprintf(later, sizeof later, "%" PRId64, wall_ms() + TIDY_AGAIN_MS);
    argv[0] = nkv_cstr("EVAL");
    argv[1] = nkv_cstr(forget_script);
    argv[2] = nkv_cstr("1");
    argv[3] = set;
    if (nkv_exists(kv->client, names, n, &own, results) == NKV_OK) {
        for (size_t i = 0; i < n; i++) {
            argv[argc++] = keys[i];
            argv[argc++] = scores[i];
            argv[argc++] = nkv_cstr(results[i].status == NKV_NOT_FOUND ? "" : later);
        }
        nkv_value *reply = NULL;
        nkv_status ignored = nkv_command(kv->client, (int)argc, argv, &own, &reply);
        (void)ignored;
        nkv_value_release(reply);
    }
    nkvi_free(names);
}

/* What the answers of a transaction come to: the first error, or the last one's. */
static nkv_status judge(const nkv_reply *answers, size_t n, nkv_error *error)
{
    if (answers->type != NKV_TYPE_ARRAY || answers->elements != n) {
        return nkvi_fail(error, NKV_EPROTO, "EXEC answered something else than %zu answers", n);
    }
    for (size_t i = 0; i < n; i++) {
        if (answers->element[i].type == NKV_TYPE_ERROR) {
            return nkvi_fail(error, NKV_EREPLY, "%s", answers->element[i].str);
        }
    }
    return answers->element[n - 1].type == NKV_TYPE_NIL ? NKV_NOT_FOUND : NKV_OK;
}

static nkv_status note_one(nkv_kv *kv, nkv_str tag, const nkv_str *keys, size_t n,
                           const numbers *with, nkv_call *call)
{
    nkvi_buf buf;
    note words = {.add = n < INT32_MAX / 4 ? nkvi_alloc((2 + 2 * n) * sizeof(nkv_str)) : NULL};
    nkv_argv commands[2];
    nkv_value *value = NULL;
    nkv_str set = tag_name(kv, tag, "", &buf);
    nkv_status status = NKV_OK;
    if (words.add == NULL || buf.failed) {
        status = no_memory(call);
    } else {
        note_commands(with, set, keys, n, &words, commands);
        status = nkv_transaction(kv->client, commands, 2, call, &value);
    }
    if (status == NKV_OK) {
        nkv_reply answers = nkv_value_reply(value);
        status = judge(&answers, 2, &call->error);
        if (status == NKV_OK) {
            tidy(kv, set, &answers.element[1], call);
        }
    }
    nkv_value_release(value);
    nkvi_free(words.add);
    nkvi_buf_clear(&buf);
    return status;
}

nkv_status nkvi_kv_tag_keys(nkv_kv *kv, const nkv_str *keys, size_t n, const nkvi_how *how,
                            nkv_call *call)
{
    nkv_status status = NKV_OK;
    numbers with;
    numbers_make(how, &with);
    for (size_t i = 0; status == NKV_OK && i < how->options.tags_len; i++) {
        nkvi_kv_step(call, how->until_ns);
        status = note_one(kv, how->options.tags[i], keys, n, &with, call);
    }
    return status;
}

/* ---- setting --------------------------------------------------------------------------------- */

/* Whether a transaction may hold the key and its tags. */
static bool in_one_place(const nkv_kv *kv)
{
    nkv_str prefix = kv->options.prefix;
    const char *open = prefix.len > 0 ? memchr(prefix.data, '{', prefix.len) : NULL;
    const char *end = prefix.data + prefix.len;
    const char *close = open != NULL ? memchr(open, '}', (size_t)(end - open)) : NULL;
    return !kv->client->connector->hash_slots || (close != NULL && close > open + 1);
}

typedef struct tagged {
    nkv_argv commands[2 * NKVI_TAGS_TOGETHER + 1];
    nkv_str add[NKVI_TAGS_TOGETHER][4];
    note notes[NKVI_TAGS_TOGETHER];
    nkvi_buf names[NKVI_TAGS_TOGETHER];
    nkvi_set_words words;
    numbers with;
} tagged;

static bool tagged_make(nkv_kv *kv, nkv_str key, nkv_str name, nkv_str bytes, const nkvi_how *how,
                        tagged *out)
{
    const size_t n = how->options.tags_len;
    bool made = true;
    numbers_make(how, &out->with);
    for (size_t i = 0; i < n; i++) {
        nkv_str set = tag_name(kv, how->options.tags[i], "", &out->names[i]);
        made = made && !out->names[i].failed;
        out->notes[i].add = out->add[i];
        note_commands(&out->with, set, &key, 1, &out->notes[i], &out->commands[2 * i]);
    }
    size_t argc = nkvi_kv_set_argv(how, name, bytes, &out->words);
    out->commands[2 * n] = (nkv_argv){(int)argc, out->words.argv};
    return made;
}

static nkv_status set_in_transaction(nkv_kv *kv, const tagged *all, size_t tags,
                                     const nkvi_how *how, nkv_call *call)
{
    nkv_value *value = NULL;
    nkv_status status = nkv_transaction(kv->client, all->commands, 2 * tags + 1, call, &value);
    if (status == NKV_OK) {
        nkv_reply answers = nkv_value_reply(value);
        status = judge(&answers, 2 * tags + 1, &call->error);
        for (size_t i = 0; status >= 0 && i < tags; i++) {
            tidy(kv, all->add[i][1], &answers.element[2 * i + 1], call);
        }
        status = nkvi_kv_set_status(how, status);
    }
    nkv_value_release(value);
    return status;
}

static nkv_status set_in_steps(nkv_kv *kv, nkv_str key, nkv_str name, nkv_str bytes,
                               const nkvi_how *how, nkv_call *call)
{
    nkvi_set_words words;
    nkv_value *reply = NULL;
    nkv_status status = nkvi_kv_tag_keys(kv, &key, 1, how, call);
    if (status != NKV_OK) {
        return status;
    }
    nkvi_kv_step(call, how->until_ns);
    if (nkvi_kv_is_plain(how) && bytes.len >= NKVI_KV_LARGE) {
        status = nkvi_kv_set_large(kv, name, bytes, how, call);
    } else {
        size_t argc = nkvi_kv_set_argv(how, name, bytes, &words);
        status = nkv_command(kv->client, (int)argc, words.argv, call, &reply);
    }
    status = nkvi_kv_set_status(how, status);
    nkv_value_release(reply);
    if (status == NKV_OK) {
        status = nkvi_kv_tag_keys(kv, &key, 1, how, call);
    }
    return status;
}

nkv_status nkvi_kv_set_tagged(nkv_kv *kv, nkv_str key, nkv_str name, nkv_str bytes,
                              const nkvi_how *how, nkv_call *call)
{
    const size_t tags = how->options.tags_len;
    bool large = nkvi_kv_is_plain(how) && bytes.len >= NKVI_KV_LARGE;
    if (large || !in_one_place(kv) || tags > NKVI_TAGS_TOGETHER) {
        return set_in_steps(kv, key, name, bytes, how, call);
    }
    tagged *all = nkvi_alloc(sizeof *all);
    if (all == NULL) {
        return no_memory(call);
    }
    nkv_status status = tagged_make(kv, key, name, bytes, how, all)
                            ? set_in_transaction(kv, all, tags, how, call)
                            : no_memory(call);
    for (size_t i = 0; i < tags; i++) {
        nkvi_buf_clear(&all->names[i]);
    }
    nkvi_free(all);
    return status;
}

/* ---- invalidating ---------------------------------------------------------------------------- */

typedef struct invalidation {
    nkv_kv *kv;
    nkv_str tag, list; /* the name of the list of those that are under way */
    nkv_call *call;
    int64_t until_ns, removed;
} invalidation;

/* Asks whoever is written to, also where replicas are read from: *out is the answer itself. */
static nkv_status ask(invalidation *self, const nkv_argv *command, nkv_value **value,
                      nkv_reply *out)
{
    *out = (nkv_reply){.type = NKV_TYPE_NIL};
    nkvi_kv_step(self->call, self->until_ns);
    nkv_status status = nkv_transaction(self->kv->client, command, 1, self->call, value);
    if (status == NKV_OK) {
        nkv_reply answers = nkv_value_reply(*value);
        status = judge(&answers, 1, &self->call->error);
        *out = status == NKV_OK ? answers.element[0] : *out;
    }
    return status < 0 ? status : NKV_OK;
}

/* The keys of a page are removed, then forgotten. */
static nkv_status remove_keys(invalidation *self, nkv_str gone, const nkv_reply *page)
{
    const size_t n = page->elements;
    nkv_str *argv = nkvi_alloc((n + 2) * sizeof *argv), *names = NULL;
    nkv_value *reply = NULL;
    int64_t some = 0;
    for (size_t i = 0; argv != NULL && i < n; i++) {
        argv[i + 2] = nkv_str_make(page->element[i].str, page->element[i].len);
    }
    names = argv != NULL ? nkvi_names_make(self->kv, "", argv + 2, n) : NULL;
    nkv_status status = names != NULL ? NKV_OK : no_memory(self->call);
    if (status == NKV_OK) {
        nkvi_kv_step(self->call, self->until_ns);
        status = nkvi_kv_unlink(self->kv, names, n, self->call, &some);
        self->removed += some;
    }
    if (status == NKV_OK) {
        argv[0] = nkv_cstr("ZREM");
        argv[1] = gone;
        nkvi_kv_step(self->call, self->until_ns);
        status = nkv_command(self->kv->client, (int)n + 2, argv, self->call, &reply);
    }
    nkv_value_release(reply);
    nkvi_free(argv);
    nkvi_free(names);
    return status < 0 ? status : NKV_OK;
}

/* One invalidation, perhaps somebody else's, is carried out. */
static nkv_status finish_gone(invalidation *self, nkv_str id)
{
    nkvi_buf buf;
    bool more = true;
    nkv_status status = NKV_OK;
    (void)tag_name(self->kv, self->tag, ":gone:", &buf);
    nkvi_buf_append(&buf, id.data, id.len);
    if (buf.failed) {
        status = no_memory(self->call);
    }
    nkv_str gone = nkv_str_make(buf.data, buf.len);
    const nkv_str range[4] = {nkv_cstr("ZRANGE"), gone, nkv_cstr("0"), nkv_cstr(PAGE)};
    const nkv_str forget[3] = {nkv_cstr("SREM"), self->list, id};
    const nkv_argv ask_page = {4, range}, ask_forget = {3, forget};
    while (status == NKV_OK && more) {
        nkv_value *value = NULL;
        nkv_reply page;
        status = ask(self, &ask_page, &value, &page);
        more = status == NKV_OK && page.elements > 0;
        if (more) {
            status = remove_keys(self, gone, &page);
        }
        if (status == NKV_OK && nkvi_now_ns() >= self->until_ns) {
            status = nkvi_fail(&self->call->error, NKV_ETIMEDOUT,
                               "not all keys are removed yet; again goes on from here");
        }
        nkv_value_release(value);
    }
    if (status == NKV_OK) {
        nkv_value *value = NULL;
        nkv_reply reply;
        status = ask(self, &ask_forget, &value, &reply);
        nkv_value_release(value);
    }
    nkvi_buf_clear(&buf);
    return status;
}

/* Parts what was noted until now from what is noted later. */
static nkv_status begin_gone(invalidation *self)
{
    nkv_kv *kv = self->kv;
    nkvi_buf set_buf, gone_buf;
    char id[40];
    nkv_value *value = NULL;
    uint64_t draw = atomic_fetch_add_explicit(&kv->draws, 1, memory_order_relaxed);
    (void)snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, kv->seed,
                   (uint64_t)nkvi_hash(&draw, sizeof draw, kv->seed));
    nkv_str set = tag_name(kv, self->tag, "", &set_buf);
    (void)tag_name(kv, self->tag, ":gone:", &gone_buf);
    nkvi_buf_text(&gone_buf, id);
    nkv_status status = set_buf.failed || gone_buf.failed ? no_memory(self->call) : NKV_OK;
    if (status == NKV_OK) {
        const nkv_str rename[3] = {nkv_cstr("RENAME"), set,
                                   nkv_str_make(gone_buf.data, gone_buf.len)};
        const nkv_str add[3] = {nkv_cstr("SADD"), self->list, nkv_cstr(id)};
        const nkv_argv commands[2] = {{3, add}, {3, rename}};
        nkvi_kv_step(self->call, self->until_ns);
        status = nkv_transaction(kv->client, commands, 2, self->call, &value);
    }
    if (status == NKV_OK) {
        nkv_reply answers = nkv_value_reply(value);
        status = judge(&answers, 2, &self->call->error);
        if (status == NKV_EREPLY && strncmp(self->call->error.text, "ERR no such key", 15) == 0) {
            status = NKV_OK; /* nothing has the tag */
        }
    }
    nkv_value_release(value);
    nkvi_buf_clear(&set_buf);
    nkvi_buf_clear(&gone_buf);
    return status;
}

static nkv_status invalidate(invalidation *self)
{
    const nkv_str argv[2] = {nkv_cstr("SMEMBERS"), self->list};
    const nkv_argv members = {2, argv};
    nkv_value *value = NULL;
    nkv_reply ids = {.type = NKV_TYPE_NIL};
    nkvi_kv_outdate(self->kv, NULL, 0);
    nkv_status status = begin_gone(self);
    if (status == NKV_OK) {
        status = ask(self, &members, &value, &ids);
    }
    for (size_t i = 0; status == NKV_OK && i < ids.elements; i++) {
        status = finish_gone(self, nkv_str_make(ids.element[i].str, ids.element[i].len));
    }
    nkvi_kv_outdate(self->kv, NULL, 0);
    nkv_value_release(value);
    return status;
}

nkv_status nkv_kv_invalidate_tag(nkv_kv *kv, nkv_str tag, nkv_call *call, int64_t *removed)
{
    nkv_call own;
    nkvi_buf buf;
    invalidation self = {.kv = kv, .tag = tag, .call = &own};
    nkv_status status = nkvi_kv_begin_steps(kv, call, &own, &self.until_ns);
    if (removed != NULL) {
        *removed = 0;
    }
    if (status != NKV_OK) {
        return status;
    }
    status = nkvi_kv_tag_check(kv, tag, &own.error);
    self.list = tag_name(kv, tag, ":gone", &buf);
    if (status == NKV_OK) {
        status = buf.failed ? no_memory(&own) : invalidate(&self);
    }
    nkvi_buf_clear(&buf);
    nkvi_kv_count(kv, NKVI_KV_DELETES, (uint64_t)self.removed);
    if (removed != NULL) {
        *removed = self.removed;
    }
    return nkvi_kv_end(kv, call, status, &own);
}

/* ---- listing --------------------------------------------------------------------------------- */

typedef struct listing {
    nkv_kv_each_tag_fn each;
    void *ud;
    bool ended;
} listing;

/* Hands out those of a page that are tags' sets: prefix __tag__:{…} and nothing behind. */
static nkv_status list_page(nkvi_scan *scan, const nkv_str *names, size_t n)
{
    listing *self = scan->ud;
    nkv_status status = NKV_OK;
    for (size_t i = 0; status == NKV_OK && !self->ended && i < n; i++) {
        const nkv_str argv[2] = {nkv_cstr("ZCARD"), names[i]};
        const nkv_argv card = {2, argv};
        nkv_value *value = NULL;
        if (names[i].data[names[i].len - 1] != '}') {
            continue; /* an invalidation's */
        }
        status = nkvi_kv_command(scan->kv, &card, nkvi_scan_step_ns(scan), &value, scan->error);
        if (status == NKV_OK && nkv_value_reply(value).integer > 0) {
            nkv_str tag = nkv_str_make(names[i].data + scan->beginning.len,
                                       names[i].len - scan->beginning.len - 1);
            self->ended = self->each(tag, nkv_value_reply(value).integer, self->ud) != 0;
        }
        nkv_value_release(value);
    }
    return status == NKV_OK && self->ended ? NKV_ECANCELED : status;
}

nkv_status nkv_kv_tags(nkv_kv *kv, nkv_kv_each_tag_fn each, void *ud, nkv_call *call)
{
    nkv_call own;
    nkvi_buf beginning;
    listing self = {.each = each, .ud = ud};
    int64_t until_ns;
    nkv_status status = nkvi_kv_begin_steps(kv, call, &own, &until_ns);
    if (status != NKV_OK) {
        return status;
    }
    nkvi_buf_init(&beginning);
    nkvi_buf_append(&beginning, kv->options.prefix.data, kv->options.prefix.len);
    nkvi_buf_text(&beginning, NKVI_KV_TAG "{");
    nkvi_scan scan = {.kv = kv,
                      .beginning = nkv_str_make(beginning.data, beginning.len),
                      .page = list_page,
                      .ud = &self,
                      .error = &own.error};
    status =
        beginning.failed ? no_memory(&own) : nkvi_scan_options(NULL, &scan.options, &own.error);
    if (status == NKV_OK) {
        scan.options.timeout_ms = nkvi_call_left_ms(until_ns);
        status = nkvi_scan_run(&scan);
    }
    nkvi_buf_clear(&beginning);
    return nkvi_kv_end(kv, call, self.ended ? NKV_OK : status, &own);
}
