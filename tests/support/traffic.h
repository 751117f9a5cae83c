/* support/traffic.h - prefix traffic: requests that are chains of blocks, as chat prompts are.
 *
 * Made traffic has the shape of real conversations: most chains are new and used once; about four
 * in nine requests continue an earlier one, after a gap of a few hundred requests at the median,
 * with all its blocks and some more; one block in front is common to many. */

#ifndef T_SUPPORT_TRAFFIC_H
#define T_SUPPORT_TRAFFIC_H

#include "support/core_kit.h"

typedef struct t_traffic {
    size_t requests;
    size_t *from;     /* requests + 1: where in `blocks` each begins */
    uint64_t *blocks; /* numbers; equal ones are the same block after the same prefix */
    size_t distinct;
} t_traffic;

/* The same seed makes the same traffic. */
t_traffic t_traffic_make(size_t requests, uint64_t seed);

/* Reads JSON lines with an array "hash_ids". Ends the process if the file cannot be read. */
t_traffic t_traffic_load(const char *path);

void t_traffic_free(t_traffic *traffic);

/* Replays it on the cache: looks for the leading blocks of each request in one batch, then stores
 * all that were not found, the last one first. Returns the share of all blocks that was found, in
 * %. */
double t_traffic_replay(const t_traffic *traffic, t_kit *kit);

/* The same on a new cache that holds `percent` of the distinct blocks. */
double t_traffic_ratio(const t_traffic *traffic, nkv_policy policy, int strict,
                       nkv_index_kind index, double percent);

#endif
