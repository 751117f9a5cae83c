/* conn/foreign.c - see foreign.h: life, and the topology of one peer.
 *
 * Ending    stop: nothing is vouched for, operations end.  wait: the table's functions have
 *           returned, then close().  destroy: on the loop, when what they posted there has run. */
#include "conn/foreign.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "conn/foreign_impl.h"

#define CALLS_MAX 1024u
#define WATCH_MS  50 /* how late an event of silence may come */

typedef struct foreign_connector {
    nkvi_connector base;
    nkvi_peer peer;
    nkvi_foreign foreign;
    nkvi_ticker *ticker;
} foreign_connector;

/* ============ The table ============ */

#define LEAST_SIZE (offsetof(nkv_connector, exists) + sizeof(nkv_connector_fn))

nkv_status nkvi_foreign_check(const nkv_connector *table, nkv_error *error)
{
    if (table->struct_size < LEAST_SIZE) {
        return nkvi_fail(error, NKV_EINVAL,
                         "connector: struct_size is %zu; it must be sizeof(nkv_connector)",
                         table->struct_size);
    }
    if (table->name == NULL || table->name[0] == '\0') {
        return nkvi_fail(error, NKV_EINVAL, "connector: name is missing");
    }
    if (table->get == NULL || table->exists == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "connector %s: %s is missing", table->name,
                         table->get == NULL ? "get" : "exists");
    }
    if (table->calls_max > CALLS_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "connector %s: calls_max is %u; allowed is up to %u",
                         table->name, table->calls_max, CALLS_MAX);
    }
    return NKV_OK;
}

/* Takes a copy, also of an older, shorter struct.  false: memory. */
static bool take_table(nkvi_foreign *foreign, const nkv_connector *table)
{
    size_t size = table->struct_size;
    memcpy(&foreign->table, table, size < sizeof foreign->table ? size : sizeof foreign->table);
    foreign->name = nkvi_strndup(table->name, strlen(table->name));
    foreign->table.name = foreign->name != NULL ? foreign->name : "";
    return foreign->name != NULL;
}

bool nkvi_foreign_may_vouch(const nkvi_foreign *foreign)
{
    return foreign->table.open != NULL;
}

const char *nkvi_foreign_name(const nkvi_foreign *foreign)
{
    return foreign->name;
}

nkv_status nkvi_foreign_open(nkvi_foreign *foreign, nkv_error *error)
{
    nkv_error said = {.status = NKV_OK};
    nkv_status status = NKV_OK;
    if (foreign->table.open != NULL) {
        status = foreign->table.open(foreign->table.ud, &foreign->voucher, &said);
    }
    foreign->opened = status >= 0;
    if (status < 0) {
        (void)nkvi_fail(error, status, "%s: %s", foreign->name,
                        said.text[0] != '\0' ? said.text : nkv_status_text(status));
    }
    return status < 0 ? status : NKV_OK;
}

/* ============ The topology ============ */

static foreign_connector *of(nkvi_connector *connector)
{
    return NKVI_CONTAINER(connector, foreign_connector, base);
}

static nkvi_route foreign_route(nkvi_connector *connector, nkv_str key, nkvi_intent intent)
{
    (void)key;
    (void)intent;
    return (nkvi_route){.peer = &of(connector)->peer};
}

static size_t foreign_peers(nkvi_connector *connector, nkvi_peer **peers, size_t cap)
{
    if (cap > 0) {
        peers[0] = &of(connector)->peer;
    }
    return 1;
}

static void on_tick(void *ud)
{
    nkvi_voucher_watch(&((foreign_connector *)ud)->foreign);
}

static void foreign_start(nkvi_connector *connector)
{
    (void)connector; /* threads are made when they are needed */
}

static void foreign_stop(nkvi_connector *connector)
{
    foreign_connector *self = of(connector);
    nkvi_ticker_stop(self->ticker);
    self->ticker = NULL;
    nkvi_voucher_close(&self->foreign);
    nkvi_foreign_stop(&self->foreign);
}

static void foreign_wait(nkvi_connector *connector)
{
    nkvi_foreign *foreign = &of(connector)->foreign;
    nkvi_foreign_join(foreign);
    if (foreign->opened && foreign->table.close != NULL) {
        foreign->table.close(foreign->table.ud);
    }
    foreign->opened = false;
}

static void peer_close(foreign_connector *self)
{
    const nkvi_connector_config *config = &self->foreign.config;
    if (self->peer.owner != NULL) {
        nkvi_peer_owner_close(config, self->peer.owner);
    }
    if (self->peer.user != NULL) {
        config->handler.on_close(config->handler.ud, &self->peer);
    }
}

static void connector_free(foreign_connector *self)
{
    nkvi_ticker_stop(self->ticker);
    nkvi_voucher_clear(&self->foreign);
    nkvi_foreign_queue_clear(&self->foreign);
    peer_close(self);
    nkvi_free(self->foreign.name);
    nkvi_free(self);
}

static void foreign_destroy(nkvi_connector *connector)
{
    foreign_connector *self = of(connector);
    foreign_stop(connector); /* a client that never came to life was not stopped */
    foreign_wait(connector);
    connector_free(self);
}

static const nkvi_connector_ops foreign_ops = {
    .route = foreign_route,
    .peers = foreign_peers,
    .start = foreign_start,
    .stop = foreign_stop,
    .wait = foreign_wait,
    .destroy = foreign_destroy,
};

/* false: memory; what there is is in self. */
static bool build(foreign_connector *self, const nkvi_foreign_config *config)
{
    nkvi_foreign *foreign = &self->foreign;
    const nkv_connector *table = config->table;
    foreign->config = config->base;
    foreign->peer = &self->peer;
    bool named = take_table(foreign, table);
    foreign->calls_max = table->calls_max > 0 ? table->calls_max : config->calls_max;
    foreign->batch_max =
        foreign->table.batch_max > 0 ? foreign->table.batch_max : config->batch_max;
    foreign->window_bytes = config->window_bytes;
    bool queued = nkvi_foreign_queue_init(foreign);
    nkvi_voucher_init(foreign);
    self->peer.foreign = foreign;
    self->peer.handler = &foreign->config.handler;
    if (!named || !queued ||
        !foreign->config.handler.on_open(foreign->config.handler.ud, &self->peer)) {
        return false;
    }
    if (foreign->config.tracked) {
        self->peer.owner = nkvi_peer_owner_open(&foreign->config);
        foreign->voucher.owner = self->peer.owner;
    }
    self->ticker = nkvi_ticker_start(foreign->config.loop, WATCH_MS, on_tick, self);
    return self->ticker != NULL && (self->peer.owner != NULL || !foreign->config.tracked);
}

nkv_status nkvi_foreign_create(const nkvi_foreign_config *config, nkvi_connector **out,
                               nkv_error *error)
{
    nkv_status status = nkvi_foreign_check(config->table, error);
    foreign_connector *self = status == NKV_OK ? nkvi_calloc(1, sizeof *self) : NULL;
    if (status != NKV_OK) {
        return status;
    }
    if (self == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a connector");
    }
    self->base.ops = &foreign_ops;
    if (!build(self, config)) {
        connector_free(self);
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a connector");
    }
    *out = &self->base;
    return NKV_OK;
}
