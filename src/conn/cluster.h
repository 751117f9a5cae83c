/* conn/cluster.h - the topology of a Redis or Valkey cluster (see connector.h).
 *
 * Every node that holds hash slots, or is a primary without any, is a peer with a tracked lane; the
 * other lanes connect when there is first something for them.
 * Threads  create, destroy: [loop]. */
#ifndef NKVI_CONN_CLUSTER_H
#define NKVI_CONN_CLUSTER_H

#include "base/url.h"
#include "conn/connector.h"

typedef struct nkvi_cluster_config {
    nkvi_connector_config base; /* without host and port */
    const nkvi_url_host *seeds; /* borrowed for the call */
    size_t seeds_len;           /* at least one */
    const char *address_map;    /* or NULL */
    int64_t topology_max_age_ms;
} nkvi_cluster_config;

/* Returns NKV_OK · NKV_EINVAL (the address map) · NKV_ENOMEM · as nkvi_lane_create. */
nkv_status nkvi_cluster_create(const nkvi_cluster_config *config, nkvi_connector **out,
                               nkv_error *error);

#endif
