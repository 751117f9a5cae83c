/* conn/standalone.c - the topology of one server: every key is its. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "conn/connector.h"

typedef struct standalone {
    nkvi_connector base;
    nkvi_connector_config config; /* its strings are the client's, which lives longer */
    nkvi_peer peer;
} standalone;

static nkvi_route standalone_route(nkvi_connector *connector, nkv_str key, nkvi_intent intent)
{
    (void)key;
    (void)intent;
    return (nkvi_route){.peer = &((standalone *)connector)->peer};
}

static size_t standalone_peers(nkvi_connector *connector, nkvi_peer **peers, size_t cap)
{
    if (cap > 0) {
        peers[0] = &((standalone *)connector)->peer;
    }
    return 1;
}

static void standalone_start(nkvi_connector *connector)
{
    nkvi_peer_start(&((standalone *)connector)->peer);
}

static void standalone_stop(nkvi_connector *connector)
{
    nkvi_peer_stop(&((standalone *)connector)->peer);
}

static void standalone_destroy(nkvi_connector *connector)
{
    standalone *self = (standalone *)connector;
    nkvi_peer_close(&self->peer, &self->config);
    nkvi_free(self);
}

static const nkvi_connector_ops standalone_ops = {
    .route = standalone_route,
    .peers = standalone_peers,
    .start = standalone_start,
    .stop = standalone_stop,
    .destroy = standalone_destroy,
};

nkv_status nkvi_standalone_create(const nkvi_connector_config *config, nkvi_connector **out,
                                  nkv_error *error)
{
    standalone *self = nkvi_calloc(1, sizeof *self);
    if (self == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a connector");
    }
    self->base.ops = &standalone_ops;
    self->config = *config;
    nkv_status status = nkvi_peer_open(&self->peer, &self->config, error);
    if (status != NKV_OK) {
        nkvi_free(self);
        return status;
    }
    *out = &self->base;
    return NKV_OK;
}
