/* client/client.c - a client's life: made, entered, left, ended.
 *
 * Ending has an order that everything else relies on:
 *      1. closing is set: nobody enters any more.
 *      2. lanes are stopped on the loop: owners vouch for nothing, every request fails with
 *         NKV_ECLOSED, so every waiting caller wakes and leaves, and async calls are delivered.
 *      3. when nobody is left inside, lanes are freed on the loop, then the loop, then the rest. */
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "client/again.h"
#include "client/async.h"
#include "client/client_int.h"
#include "client/merge.h"
#include "client/options.h"
#include "client/read.h"
#include "conn/cluster.h"
#include "conn/foreign.h"
#include "conn/sentinel.h"

#define TIDY_ENTRIES 512u

/* ---- small things ---------------------------------------------------------------------------- */

bool nkvi_client_enter(nkv_client *client)
{
    atomic_fetch_add(&client->active, 1);
    if (atomic_load(&client->closing)) {
        atomic_fetch_sub(&client->active, 1);
        return false;
    }
    return true;
}

void nkvi_client_leave(nkv_client *client)
{
    atomic_fetch_sub(&client->active, 1);
}

nkv_status nkvi_client_enter_blocking(nkv_client *client, nkv_error *error)
{
    if (nkvi_loop_is_current(client->loop)) {
        return nkvi_fail(error, NKV_EDEADLK,
                         "a blocking call on the loop's own thread; use nkv_command_async there");
    }
    if (!nkvi_client_enter(client)) {
        return nkvi_fail(error, NKV_ECLOSED, "the client is being destroyed");
    }
    return NKV_OK;
}

int64_t nkvi_call_deadline(const nkv_client *client, const nkv_call *call)
{
    int64_t ms =
        call != NULL && call->timeout_ms > 0 ? call->timeout_ms : client->options.timeout_ms;
    return nkvi_deadline_ns(nkvi_now_ns(), ms);
}

int64_t nkvi_call_left_ms(int64_t until_ns)
{
    int64_t left_ns = until_ns - nkvi_now_ns();
    return left_ns > 0 ? left_ns / NKVI_NS_PER_MS + 1 : 1;
}

void nkvi_call_copy(nkv_call *copy, const nkv_call *call)
{
    nkv_call_init(copy);
    if (call != NULL) { /* a caller compiled against an older header has a shorter struct */
        memcpy(copy, call, call->struct_size < sizeof *copy ? call->struct_size : sizeof *copy);
        copy->struct_size = sizeof *copy;
    }
}

nkv_level nkvi_call_level(const nkv_client *client, const nkv_call *call)
{
    return call != NULL && call->level != NKV_LEVEL_DEFAULT ? call->level : client->options.level;
}

nkv_status nkvi_call_done(nkv_call *call, nkv_status status, nkv_from from, const nkv_error *error)
{
    if (call != NULL) {
        call->from = from;
        if (status < 0 && error != NULL) {
            call->error = *error;
            call->error.status = status;
        }
    }
    return status;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* Copies a string into the block at *at and advances it; NULL stays NULL. */
static const char *keep(char **at, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

static size_t kept_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

/* Owns every string of the options, so that the caller's may go. */
static nkv_status keep_strings(nkv_client *client, nkv_error *error)
{
    nkv_options *options = &client->options;
    const char **const texts[] = {&options->url,
                                  &options->username,
                                  &options->password,
                                  &options->client_name,
                                  &options->service_name,
                                  &options->sentinel_username,
                                  &options->sentinel_password,
                                  &options->address_map};
    const size_t texts_len = sizeof texts / sizeof texts[0];
    size_t size = options->prefixes_len * sizeof(char *);
    for (size_t i = 0; i < texts_len; i++) {
        size += kept_size(*texts[i]);
    }
    for (size_t i = 0; i < options->prefixes_len; i++) {
        size += kept_size(options->prefixes[i]);
    }
    client->strings_size = size;
    client->strings = nkvi_alloc(size > 0 ? size : 1);
    if (client->strings == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a client");
    }
    const char **prefixes = (const char **)(void *)client->strings;
    char *at = client->strings + options->prefixes_len * sizeof(char *);
    for (size_t i = 0; i < options->prefixes_len; i++) {
        prefixes[i] = keep(&at, options->prefixes[i]);
    }
    options->prefixes = options->prefixes_len > 0 ? prefixes : NULL;
    for (size_t i = 0; i < texts_len; i++) {
        *texts[i] = keep(&at, *texts[i]);
    }
    return NKV_OK;
}

/* Whom the options speak of. */
static nkv_status take_url(nkv_client *client, nkv_error *error)
{
    const char *url = client->options.url;
    if (client->wrapped) {
        return url == NULL ? NKV_OK
                           : nkvi_fail(error, NKV_EINVAL,
                                       "option url is given; a wrapped connector has none");
    }
    nkv_status status =
        nkvi_url_parse(url != NULL ? url : "redis://localhost:6379/0", &client->url, error);
    if (status == NKV_OK && client->url.scheme == NKVI_SCHEME_REDISS) {
        status = nkvi_fail(error, NKV_ENOTSUP,
                           "rediss:// needs TLS, which this version does not have; use redis:// or "
                           "unix://, or a TLS tunnel on this machine");
    }
    return status;
}

static nkv_status take_options(nkv_client *client, const nkv_options *options, nkv_error *error)
{
    nkv_options_init(&client->options);
    if (options != NULL) {
        if (options->struct_size < offsetof(nkv_options, url) + sizeof(options->url)) {
            return nkvi_fail(error, NKV_EINVAL, "options were not set up with nkv_options_init()");
        }
        size_t size = options->struct_size < sizeof client->options ? options->struct_size
                                                                    : sizeof client->options;
        memcpy(&client->options, options, size);
    }
    nkv_status status = nkvi_options_check(&client->options, error);
    if (status == NKV_OK) {
        status = keep_strings(client, error);
    }
    return status == NKV_OK ? take_url(client, error) : status;
}

/* Options that the URL gives, where the struct does not. */
static void merge_url(nkv_client *client)
{
    nkv_options *options = &client->options;
    const nkvi_url *url = &client->url;
    options->username = options->username != NULL ? options->username : url->username;
    options->password = options->password != NULL ? options->password : url->password;
    options->client_name = options->client_name != NULL ? options->client_name : url->client_name;
    options->client_name = options->client_name != NULL ? options->client_name : "nearkv";
    options->level = options->level != NKV_LEVEL_DEFAULT ? options->level : NKV_EVENTUAL;
    options->db = options->db >= 0 ? options->db : url->db;
    options->timeout_ms = url->timeout_ms > 0 ? url->timeout_ms : options->timeout_ms;
    options->connect_timeout_ms =
        url->connect_timeout_ms > 0 ? url->connect_timeout_ms : options->connect_timeout_ms;
    options->max_idle_ms = url->max_idle_ms > 0 ? url->max_idle_ms : options->max_idle_ms;
}

/* What else decides which servers these are, and whose answers are as good: the texts with their
 * lengths, because two names must never be one. */
static void name_topology(const nkv_client *client, nkvi_buf *name)
{
    const nkv_options *options = &client->options;
    const bool sentinel = client->url.topology == NKVI_SENTINEL;
    const char *const texts[] = {sentinel ? options->service_name : NULL, options->address_map};
    for (size_t i = 0; client->url.topology != NKVI_STANDALONE && i < 2; i++) {
        const char *text = texts[i] != NULL ? texts[i] : "";
        nkvi_buf_printf(name, "|%zu:%s", strlen(text), text);
    }
    if (sentinel) {
        nkvi_buf_printf(name, "|%d", (int)options->read_from);
    }
}

/* Who shares answers: the server, database and user, or the connector. */
static void name_space(const nkv_client *client, const nkv_connector *own, nkvi_buf *name)
{
    const nkv_options *options = &client->options;
    if (own != NULL) {
        nkvi_buf_printf(name, "own:%s", own->name);
        return;
    }
    if (client->url.scheme == NKVI_SCHEME_UNIX) {
        /* The length, because a path may have any byte in it, and two names must never be one. */
        nkvi_buf_printf(name, "unix:%zu:%s", strlen(client->url.path), client->url.path);
    } else {
        static const char *const kinds[] = {
            [NKVI_STANDALONE] = "tcp", [NKVI_CLUSTER] = "cluster", [NKVI_SENTINEL] = "sentinel"};
        nkvi_buf_text(name, kinds[client->url.topology]);
        for (size_t i = 0; i < client->url.hosts_len; i++) {
            nkvi_buf_printf(name, ":%s:%d", client->url.hosts[i].host, client->url.hosts[i].port);
        }
        name_topology(client, name);
    }
    nkvi_buf_printf(name, "|%d|%s", options->db,
                    options->username != NULL ? options->username : "");
}

static nkv_status take_cache(nkv_client *client, const nkv_connector *own, nkv_error *error)
{
    const nkv_options *options = &client->options;
    if (options->no_cache) {
        return NKV_OK;
    }
    if (options->cache != NULL) {
        client->cache = nkv_cache_retain(options->cache);
    } else {
        nkv_status status = nkv_cache_create(&options->cache_options, &client->cache, error);
        if (status != NKV_OK) {
            return status;
        }
    }
    nkvi_buf name;
    nkvi_buf_init(&name);
    name_space(client, own, &name);
    bool opened =
        !name.failed && nkvi_cache_space_open(client->cache, nkv_str_make(name.data, name.len),
                                              &client->space, &client->fence);
    nkvi_buf_clear(&name);
    if (!opened) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a space of the cache");
    }
    client->caching = true;
    client->plain = options->prefixes_len == 0 && options->cacheable == NULL;
    return NKV_OK;
}

static nkvi_connector_config connector_config(nkv_client *client)
{
    const nkv_options *options = &client->options;
    nkvi_connector_config config;
    memset(&config, 0, sizeof config);
    config.loop = client->loop;
    config.tracked = client->caching;
    config.owners = &client->owners;
    config.written = client->written;
    config.handler = (nkvi_peer_handler){.on_open = nkvi_client_on_open,
                                         .on_close = nkvi_client_on_close,
                                         .on_push = nkvi_client_on_push,
                                         .on_change = nkvi_client_on_change,
                                         .on_state = nkvi_client_on_state,
                                         .on_told = nkvi_client_on_told,
                                         .ud = client};
    config.lane.endpoint = (nkvi_endpoint){.path = client->url.path,
                                           .host = client->url.host,
                                           .port = client->url.port,
                                           .username = options->username,
                                           .password = options->password,
                                           .db = options->db,
                                           .client_name = options->client_name};
    config.bulk_lanes = (unsigned)options->bulk_connections;
    config.bulk_at_once = (unsigned)options->bulk_at_once;
    config.bulk_window_bytes = (size_t)options->bulk_window_bytes;
    config.lane.cache = client->cache;
    config.lane.connect_timeout_ms = options->connect_timeout_ms;
    config.lane.max_idle_ms = options->max_idle_ms;
    config.lane.audit_ms = options->audit_ms;
    config.lane.backoff_min_ms = options->backoff_min_ms;
    config.lane.backoff_max_ms = options->backoff_max_ms;
    config.lane.inflight_max = options->inflight_max;
    config.lane.inflight_bytes_max = options->inflight_bytes_max;
    config.lane.reply_bytes_max = options->reply_bytes_max;
    return config;
}

/* [loop] */
static void tick(void *ud)
{
    nkv_client *client = ud;
    int64_t now_ns = nkvi_loop_now_ns(client->loop);
    nkvi_pauses_wake(client, NKV_OK);
    nkvi_asyncs_expire(client, now_ns);
    nkvi_reads_expire(client, now_ns);
    if (client->caching) {
        (void)nkvi_cache_tidy(client->cache, now_ns, TIDY_ENTRIES);
    }
}

typedef struct opening {
    nkv_client *client;
    const nkv_connector *own; /* NULL: a server */
    nkv_status status;
    nkv_error *error;
} opening;

static nkv_status open_foreign(nkv_client *client, const nkv_connector *own, nkv_error *error)
{
    const nkv_options *options = &client->options;
    const nkvi_foreign_config config = {.base = connector_config(client),
                                        .table = own,
                                        .batch_max = (size_t)options->chunk_size,
                                        .calls_max = (unsigned)options->bulk_connections,
                                        .window_bytes = (size_t)options->bulk_window_bytes};
    return nkvi_foreign_create(&config, &client->connector, error);
}

static nkv_status open_cluster(nkv_client *client, nkv_error *error)
{
    const nkv_options *options = &client->options;
    const nkvi_cluster_config config = {.base = connector_config(client),
                                        .seeds = client->url.hosts,
                                        .seeds_len = client->url.hosts_len,
                                        .address_map = options->address_map,
                                        .topology_max_age_ms = options->topology_max_age_ms};
    return nkvi_cluster_create(&config, &client->connector, error);
}

/* Where replicas are read from, it is noted what is written (P2). */
static nkv_status note_writes(nkv_client *client, nkv_error *error)
{
    if (client->options.read_from <= NKV_READ_PRIMARY) {
        return NKV_OK;
    }
    if (client->caching) {
        client->written = nkvi_cache_written(client->cache);
    } else {
        client->written = client->own_written = nkvi_alloc(sizeof *client->own_written);
        if (client->own_written != NULL) {
            nkvi_written_init(client->own_written, nkvi_random_seed());
        }
    }
    return client->written != NULL ? NKV_OK
                                   : nkvi_fail(error, NKV_ENOMEM, "no memory for a client");
}

static nkv_status open_sentinel(nkv_client *client, nkv_error *error)
{
    const nkv_options *options = &client->options;
    nkv_status status = note_writes(client, error);
    if (status != NKV_OK) {
        return status;
    }
    const nkvi_sentinel_config config = {.base = connector_config(client),
                                         .sentinels = client->url.hosts,
                                         .sentinels_len = client->url.hosts_len,
                                         .username = options->sentinel_username,
                                         .password = options->sentinel_password,
                                         .service = options->service_name,
                                         .address_map = options->address_map,
                                         .timeout_ms = options->sentinel_timeout_ms,
                                         .topology_max_age_ms = options->topology_max_age_ms,
                                         .read_from = (nkvi_url_read)options->read_from};
    return nkvi_sentinel_create(&config, &client->connector, error);
}

static nkv_status open_connector(nkv_client *client, const nkv_connector *own, nkv_error *error)
{
    if (own != NULL) {
        return open_foreign(client, own, error);
    }
    if (client->url.topology == NKVI_CLUSTER) {
        return open_cluster(client, error);
    }
    if (client->url.topology == NKVI_SENTINEL) {
        return open_sentinel(client, error);
    }
    const nkvi_connector_config config = connector_config(client);
    return nkvi_standalone_create(&config, &client->connector, error);
}

/* [loop] */
static void open_on_loop(void *ud)
{
    opening *open = ud;
    nkv_client *client = open->client;
    open->status = open_connector(client, open->own, open->error);
    if (open->status != NKV_OK) {
        return;
    }
    client->ticker = nkvi_ticker_start(client->loop, NKVI_TICK_MS, tick, client);
    if (client->ticker == NULL) {
        open->status = nkvi_fail(open->error, NKV_ENOMEM, "no memory for a timer");
        client->connector->ops->destroy(client->connector);
        client->connector = NULL;
        return;
    }
    client->connector->ops->start(client->connector);
}

/* Frees what a client owns besides its loop and lanes. */
static void client_free(nkv_client *client)
{
    nkv_cache_release(client->cache);
    nkvi_free(client->own_written);
    nkvi_url_clear(&client->url);
    if (client->strings != NULL) {
        explicit_bzero(client->strings, client->strings_size); /* passwords are among them */
        nkvi_free(client->strings);
    }
    nkvi_flights_clear(&client->flights);
    nkvi_spare_clear(&client->spare);
    (void)pthread_cond_destroy(&client->state_cond);
    (void)pthread_mutex_destroy(&client->state_mu);
    nkvi_free(client);
}

static nkv_status client_open(nkv_client *client, const nkv_connector *own,
                              const nkv_options *options, nkv_error *error)
{
    nkv_status status = take_options(client, options, error);
    if (status != NKV_OK) {
        return status;
    }
    merge_url(client);
    status = nkvi_merge_topology(&client->options, &client->url, error);
    if (status == NKV_OK) { /* what the URL gave is bound by the same */
        status = nkvi_options_check(&client->options, error);
    }
    if (status != NKV_OK) {
        return status;
    }
    client->coarse_slack_ns = nkvi_clock_coarse_slack();
    status = take_cache(client, own, error);
    if (status == NKV_OK) {
        status = nkvi_loop_create(client->options.loop, &client->loop, error);
    }
    if (status == NKV_OK) {
        opening open = {client, own, NKV_OK, error};
        nkvi_loop_call(client->loop, open_on_loop, &open);
        status = open.status;
        if (status != NKV_OK) {
            nkvi_loop_destroy(client->loop);
        }
    }
    return status;
}

static nkv_status client_make(const nkv_connector *own, const nkv_options *options,
                              nkv_client **out, nkv_error *error)
{
    *out = NULL;
    nkv_client *client = nkvi_alloc_aligned(64, (sizeof *client + 63) / 64 * 64);
    if (client == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a client");
    }
    memset(client, 0, sizeof *client);
    (void)pthread_mutex_init(&client->state_mu, NULL);
    (void)pthread_cond_init(&client->state_cond, NULL);
    nkvi_flights_init(&client->flights);
    nkvi_list_init(&client->asyncs);
    nkvi_list_init(&client->reads);
    nkvi_list_init(&client->pauses);
    client->wrapped = own != NULL;
    nkv_status status = client_open(client, own, options, error);
    if (status != NKV_OK) {
        client_free(client);
        return status;
    }
    *out = client;
    return NKV_OK;
}

nkv_status nkv_client_create(const nkv_options *options, nkv_client **out, nkv_error *error)
{
    return client_make(NULL, options, out, error);
}

nkv_status nkv_client_wrap(const nkv_connector *connector, const nkv_options *options,
                           nkv_client **out, nkv_error *error)
{
    nkv_client *client = NULL;
    nkv_status status = nkvi_foreign_check(connector, error);
    if (status == NKV_OK) {
        status = client_make(connector, options, &client, error);
    }
    if (client != NULL) {
        nkvi_route route = nkvi_client_route(client, nkv_cstr(""), NKVI_TO_WRITE);
        status = nkvi_foreign_open(route.peer->foreign, error);
    }
    if (status != NKV_OK) {
        nkv_client_destroy(client);
        client = NULL;
    }
    *out = client;
    return status;
}

nkv_status nkv_client_share(nkv_client *client, nkv_client **out, nkv_error *error)
{
    *out = NULL;
    if (client->wrapped) {
        return nkvi_fail(error, NKV_ENOTSUP,
                         "this client wraps a connector, which has one client: wrap a second "
                         "connector on nkv_client_cache()");
    }
    nkv_options options = client->options;
    options.cache = client->cache;
    return nkv_client_create(&options, out, error);
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* [loop] */
static void stop_on_loop(void *ud)
{
    nkv_client *client = ud;
    nkvi_ticker_stop(client->ticker);
    nkvi_pauses_wake(client, NKV_ECLOSED);
    client->connector->ops->stop(client->connector);
}

/* [loop] */
static void destroy_on_loop(void *ud)
{
    nkv_client *client = ud;
    client->connector->ops->destroy(client->connector);
}

void nkv_client_destroy(nkv_client *client)
{
    if (client == NULL) {
        return;
    }
    atomic_store(&client->closing, true);
    nkvi_client_on_state(client, NULL); /* wakes nkv_client_wait_ready */
    nkvi_loop_call(client->loop, stop_on_loop, client);
    while (atomic_load(&client->active) > 0) {
        /* Waiting callers were woken with NKV_ECLOSED; async calls are being delivered by the
         * loop. */
        nkvi_loop_flush(client->loop);
        (void)sched_yield();
    }
    if (client->connector->ops->wait != NULL) {
        client->connector->ops->wait(client->connector);
        nkvi_loop_flush(client->loop); /* what the last calls have posted */
    }
    nkvi_loop_call(client->loop, destroy_on_loop, client);
    nkvi_loop_destroy(client->loop);
    client_free(client);
}

/* ---- the local side -------------------------------------------------------------------------- */

void nkv_client_invalidate(nkv_client *client, nkv_str key)
{
    if (client->caching) {
        uint32_t spaces = nkvi_cache_write_begin(client->cache, key);
        nkvi_cache_write_end(client->cache, key, spaces);
    }
}

void nkv_client_reset(nkv_client *client)
{
    if (client->caching) {
        nkvi_cache_flush_own(client->cache);
        nkv_cache_reset(client->cache);
        nkvi_count_add(&client->counters, NKVI_C_FLUSHES, 1);
        nkv_event event = {
            .type = NKV_EVENT_FLUSH, .cause = NKV_FLUSH_RESET, .text = "reset by the client"};
        nkvi_event_emit(client, &event);
    }
}

nkv_cache *nkv_client_cache(nkv_client *client)
{
    return client->caching ? nkv_cache_retain(client->cache) : NULL;
}

uint32_t nkv_client_space(const nkv_client *client)
{
    return client->space;
}
