/* support/near.c - calls of the client under test, and their answers as text.
 *
 * Invariants   a text is never longer than its room and always terminated
 * Callers      live, fake and stress tests of the client                                         */

#include "support/near.h"

#include "support/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ARGS_MAX = 64, READY_MS = 20000 };

/* ---- Answers as text ------------------------------------------------------------------------- */

typedef struct writer {
    char *out;
    size_t room;
    size_t len;
} writer;

static void put(writer *to, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && to->len + 1 < to->room; i++) {
        to->out[to->len++] = bytes[i];
    }
    to->out[to->len] = '\0';
}

static void put_text(writer *to, const char *text)
{
    put(to, text, strlen(text));
}

static void put_escaped(writer *to, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char hex[8];
        if (bytes[i] >= ' ' && bytes[i] <= '~') {
            put(to, &bytes[i], 1);
        } else {
            (void)snprintf(hex, sizeof hex, "\\x%02x", (unsigned char)bytes[i]);
            put_text(to, hex);
        }
    }
}

static void put_reply(writer *to, const nkv_reply *reply);

static void put_children(writer *to, const nkv_reply *reply, const char *open, const char *close)
{
    put_text(to, open);
    for (size_t i = 0; i < reply->elements; i++) {
        put_text(to, i > 0 ? " " : "");
        put_reply(to, &reply->element[i]);
    }
    put_text(to, close);
}

static void put_number(writer *to, const char *format, const nkv_reply *reply)
{
    char digits[64];
    if (reply->type == NKV_TYPE_DOUBLE) {
        (void)snprintf(digits, sizeof digits, "%.17g", reply->dval);
    } else {
        (void)snprintf(digits, sizeof digits, "%lld", (long long)reply->integer);
    }
    put_text(to, format);
    put_text(to, digits);
}

static void put_reply(writer *to, const nkv_reply *reply)
{
    switch (reply->type) {
    case NKV_TYPE_STRING:
        put_escaped(to, reply->str, reply->len);
        return;
    case NKV_TYPE_STATUS:
        put_text(to, "+");
        put_escaped(to, reply->str, reply->len);
        return;
    case NKV_TYPE_ERROR:
        put_text(to, "-");
        put_escaped(to, reply->str, reply->len);
        return;
    case NKV_TYPE_BIGNUM:
        put_text(to, "(");
        put_escaped(to, reply->str, reply->len);
        return;
    case NKV_TYPE_INTEGER:
        put_number(to, ":", reply);
        return;
    case NKV_TYPE_DOUBLE:
        put_number(to, ",", reply);
        return;
    case NKV_TYPE_BOOL:
        put_text(to, reply->integer != 0 ? "#t" : "#f");
        return;
    case NKV_TYPE_NIL:
        put_text(to, "_");
        return;
    case NKV_TYPE_ARRAY:
        put_children(to, reply, "[", "]");
        return;
    case NKV_TYPE_SET:
        put_children(to, reply, "~[", "]");
        return;
    case NKV_TYPE_PUSH:
        put_children(to, reply, ">[", "]");
        return;
    case NKV_TYPE_MAP:
        put_children(to, reply, "{", "}");
        return;
    case NKV_TYPE_VERBATIM:
        put_text(to, "=");
        put_text(to, reply->vtype);
        put_text(to, ":");
        put_escaped(to, reply->str, reply->len);
        return;
    }
    put_text(to, "?unknown type?");
}

void t_near_write(const nkv_reply *reply, char *out, size_t room)
{
    writer to = {.out = out, .room = room};
    T_REQUIRE(room > 0);
    out[0] = '\0';
    put_reply(&to, reply);
}

/* ---- Clients --------------------------------------------------------------------------------- */

nkv_options t_near_options(const char *url)
{
    nkv_options options;
    nkv_options_init(&options);
    options.url = url;
    options.bulk_at_once = 150; /* all of them, on however small a machine */
    return options;
}

nkv_client *t_near_start(const nkv_options *options)
{
    nkv_client *client = NULL;
    nkv_error error = {.status = NKV_OK};
    const nkv_status status = nkv_client_create(options, &client, &error);
    if (status != NKV_OK) {
        T_DIE("no client: %s (%s)", nkv_status_text(status), error.text);
    }
    return client;
}

nkv_client *t_near_open(const nkv_options *options)
{
    nkv_client *client = t_near_start(options);
    nkv_error error = {.status = NKV_OK};
    const nkv_status status = nkv_client_wait_ready(client, READY_MS, &error);
    if (status != NKV_OK) {
        T_DIE("not armed: %s (%s)", nkv_status_text(status), error.text);
    }
    return client;
}

nkv_client *t_near_open_on(const t_server *server)
{
    const nkv_options options = t_near_options(t_server_unix_url(server));
    return t_near_open(&options);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Takes the value's reference. */
static t_answer make_answer(nkv_status status, nkv_value *value, const nkv_call *call,
                            int64_t begin_ms)
{
    t_answer answer = {.status = status, .from = call->from, .took_ms = t_now_ms() - begin_ms};
    if (status < 0) {
        answer.error = call->error;
    }
    if (value != NULL) {
        const nkv_reply reply = nkv_value_reply(value);
        t_near_write(&reply, answer.text, sizeof answer.text);
        nkv_value_release(value);
    } else if (status == NKV_NOT_FOUND) {
        (void)snprintf(answer.text, sizeof answer.text, "_");
    }
    return answer;
}

t_answer t_near_get_with(nkv_client *client, const char *key, nkv_call *call)
{
    const int64_t begin_ms = t_now_ms();
    nkv_call own;
    if (call == NULL) {
        nkv_call_init(&own);
        call = &own;
    }
    nkv_value *value = NULL;
    const nkv_status status = nkv_get(client, nkv_cstr(key), call, &value);
    T_REQUIRE(status == NKV_OK ? value != NULL : value == NULL);
    return make_answer(status, value, call, begin_ms);
}

t_answer t_near_get(nkv_client *client, const char *key)
{
    return t_near_get_with(client, key, NULL);
}

t_answer t_near_get_at(nkv_client *client, const char *key, nkv_level level)
{
    nkv_call call;
    nkv_call_init(&call);
    call.level = level;
    return t_near_get_with(client, key, &call);
}

t_answer t_near_argv(nkv_client *client, nkv_call *call, const char *const *argv)
{
    const int64_t begin_ms = t_now_ms();
    nkv_call own;
    if (call == NULL) {
        nkv_call_init(&own);
        call = &own;
    }
    nkv_str args[ARGS_MAX];
    int argc = 0;
    for (; argv[argc] != NULL; argc++) {
        T_REQUIRE(argc < ARGS_MAX);
        args[argc] = nkv_cstr(argv[argc]);
    }
    nkv_value *value = NULL;
    const nkv_status status = nkv_command(client, argc, args, call, &value);
    T_REQUIRE(status < 0 || value != NULL);
    return make_answer(status, value, call, begin_ms);
}

struct t_pending {
    pthread_t thread;
    nkv_client *client;
    nkv_call call;
    const char *argv[ARGS_MAX + 1];
    t_answer answer;
    atomic_bool done;
};

static void *run_pending(void *ud)
{
    t_pending *pending = ud;
    pending->answer = t_near_argv(pending->client, &pending->call, pending->argv);
    atomic_store(&pending->done, true);
    return NULL;
}

t_pending *t_near_begin_argv(nkv_client *client, const nkv_call *call, const char *const *argv)
{
    t_pending *pending = calloc(1, sizeof *pending);
    T_REQUIRE(pending != NULL);
    pending->client = client;
    if (call != NULL) {
        pending->call = *call;
    } else {
        nkv_call_init(&pending->call);
    }
    for (size_t i = 0; argv[i] != NULL; i++) {
        T_REQUIRE(i < ARGS_MAX);
        pending->argv[i] = t_format("%s", argv[i]);
    }
    T_REQUIRE(pthread_create(&pending->thread, NULL, run_pending, pending) == 0);
    return pending;
}

bool t_near_is_done(t_pending *pending)
{
    return atomic_load(&pending->done);
}

t_answer t_near_end(t_pending *pending)
{
    T_REQUIRE(pthread_join(pending->thread, NULL) == 0);
    const t_answer answer = pending->answer;
    for (size_t i = 0; pending->argv[i] != NULL; i++) {
        free((void *)(uintptr_t)pending->argv[i]);
    }
    free(pending);
    return answer;
}

nkv_status t_near_set(nkv_client *client, const char *key, const char *value)
{
    return nkv_set(client, nkv_cstr(key), nkv_cstr(value), 0, NULL);
}

void t_near_sync(nkv_client *client)
{
    const t_answer answer = t_near_get_at(client, "t:sync", NKV_BARRIER);
    if (answer.status < 0) {
        T_DIE("no barrier: %s (%s)", nkv_status_text(answer.status), answer.error.text);
    }
}

/* ---- Judging --------------------------------------------------------------------------------- */

static const char *from_name(nkv_from from)
{
    static const char *const names[] = {"server", "cache", "joined", "local"};
    return (unsigned)from < 4 ? names[from] : "nowhere";
}

static bool complain(const t_answer *got, const char *wanted_text, const char *wanted_from)
{
    (void)fprintf(stderr, "wanted \"%s\" from %s, got \"%s\" from %s (%s%s%s, %lld ms)\n",
                  wanted_text, wanted_from, got->text, from_name(got->from),
                  nkv_status_text(got->status), got->status < 0 ? ": " : "", got->error.text,
                  (long long)got->took_ms);
    return false;
}

bool t_is(t_answer got, nkv_from from, const char *text)
{
    if (got.status < 0 || got.from != from || strcmp(got.text, text) != 0) {
        return complain(&got, text, from_name(from));
    }
    return true;
}

bool t_says(t_answer got, const char *text)
{
    if (got.status < 0 || strcmp(got.text, text) != 0) {
        return complain(&got, text, "anywhere");
    }
    return true;
}

bool t_failed(t_answer got, nkv_status status, const char *part)
{
    if (got.status != status || strstr(got.error.text, part) == NULL) {
        (void)fprintf(stderr, "wanted \"%s\" with \"%s\"; ", nkv_status_text(status), part);
        return complain(&got, "an error", "the server");
    }
    return true;
}

/* ---- Questions ------------------------------------------------------------------------------- */

nkv_stats t_near_stats(nkv_client *client)
{
    nkv_stats stats = {.struct_size = sizeof stats};
    T_REQUIRE(nkv_client_stats(client, &stats) == NKV_OK);
    return stats;
}

static uint64_t sum_bypasses(const nkv_stats *stats)
{
    uint64_t sum = 0;
    for (int i = 0; i < NKV_BYPASS_COUNT; i++) {
        sum += stats->bypass[i];
    }
    return sum;
}

uint64_t t_near_bypasses(nkv_client *client)
{
    const nkv_stats stats = t_near_stats(client);
    return sum_bypasses(&stats);
}

bool t_near_identity(nkv_client *client)
{
    const nkv_stats stats = t_near_stats(client);
    const uint64_t sum =
        stats.hits + stats.misses + stats.coalesced + sum_bypasses(&stats) + stats.failures;
    if (stats.reads == sum) {
        return true;
    }
    (void)fprintf(
        stderr,
        "reads %llu, but hits %llu + misses %llu + coalesced %llu + bypass %llu + failures %llu\n",
        (unsigned long long)stats.reads, (unsigned long long)stats.hits,
        (unsigned long long)stats.misses, (unsigned long long)stats.coalesced,
        (unsigned long long)sum_bypasses(&stats), (unsigned long long)stats.failures);
    return false;
}

nkv_node_health t_near_node(nkv_client *client)
{
    nkv_node_health node = {.generation = 0};
    size_t count = 0;
    T_REQUIRE(nkv_client_health(client, NULL, &node, 1, &count) == NKV_OK && count == 1);
    return node;
}

bool t_near_healthy(nkv_client *client)
{
    int healthy = -1;
    size_t count = 0;
    T_REQUIRE(nkv_client_health(client, &healthy, NULL, 0, &count) == NKV_OK);
    T_REQUIRE(healthy == 0 || healthy == 1);
    return healthy == 1;
}
