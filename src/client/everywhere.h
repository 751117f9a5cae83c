/* client/everywhere.h - commands without a key, where the keys are spread over several nodes.
 *
 *      DBSIZE                          every primary, at the same time: the answers add up
 *      KEYS                            … are put one behind the other
 *      FLUSHALL SCRIPT LOAD …          … are the same, or the first failure
 *      SCAN                            one primary after the other; the cursor says which
 *
 *      cursor    | number of the node + 1, 12 bits | its own cursor, 52 bits |     0: begin, or end
 *
 * Threads  [any] but the loop's own. */
#ifndef NKVI_CLIENT_EVERYWHERE_H
#define NKVI_CLIENT_EVERYWHERE_H

#include "client/plan.h"

/* Whether the command goes to more than one node of this client's. */
bool nkvi_everywhere_needed(const nkv_client *client, const nkvi_plan *plan);

/* As nkvi_data_call_wait.  NKV_EINVAL: the cursor is none of ours. */
nkv_status nkvi_everywhere_run(nkv_client *client, const nkvi_plan *plan, const nkv_argv *command,
                               int64_t deadline_ns, nkv_value **out, nkv_error *error);

#endif
