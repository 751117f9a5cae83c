/* client/merge.h - what options, URL and environment say of clusters and sentinels, made one.
 *
 *      service_name  sentinel_timeout_ms   the option, else the URL's, else the environment's,
 *                                          else redismaster and 1000
 *      address_map   read_from             the option, else the URL's, else none and the primary
 *      topology_max_age_ms                 the URL's, else the option
 *      replica_max_ttl_ms                  the URL's, else the option, else max_ttl_ms
 *
 * Threads  [any]; see environment.h.                                                             */
#ifndef NKVI_CLIENT_MERGE_H
#define NKVI_CLIENT_MERGE_H

#include <nearkv/client.h>

#include "base/url.h"

/* Puts all of it into `options`, which borrow from `url` then.  The environment is looked at for
 * sentinels only, and what it says is kept in `url`.
 * Returns NKV_OK · NKV_EINVAL (error names option or variable and what is allowed) · NKV_ENOMEM. */
nkv_status nkvi_merge_topology(nkv_options *options, nkvi_url *url, nkv_error *error);

#endif
