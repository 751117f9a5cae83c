/* conn/sentinel.h - the topology of a primary with replicas that sentinels watch (see connector.h).
 *
 * Writes go to the primary, reads too unless read_from says otherwise; each server that is read
 * from is a peer with a tracked lane of its own.
 * Threads  create, destroy: [loop]. */
#ifndef NKVI_CONN_SENTINEL_H
#define NKVI_CONN_SENTINEL_H

#include "base/url.h"
#include "conn/connector.h"

typedef struct nkvi_sentinel_config {
    nkvi_connector_config base;        /* of the servers, without host and port */
    const nkvi_url_host *sentinels;    /* borrowed for the call */
    size_t sentinels_len;              /* at least one */
    const char *username, *password;   /* of the sentinels; NULL: none */
    const char *service, *address_map; /* address_map may be NULL; service lives longer */
    int64_t timeout_ms;                /* of a question to a sentinel */
    int64_t topology_max_age_ms;
    nkvi_url_read read_from;
} nkvi_sentinel_config;

/* Returns NKV_OK · NKV_EINVAL (the address map) · NKV_ENOMEM · as nkvi_lane_create. */
nkv_status nkvi_sentinel_create(const nkvi_sentinel_config *config, nkvi_connector **out,
                                nkv_error *error);

#endif
