/* client/split.h - a command about many keys, where servers take only keys of one hash slot.
 *
 *      DEL k l m n   -->   DEL k m   to the node of one slot
 *                          DEL l n   to that of another, at the same time      the answers add up
 *
 * Threads  [any] but the loop's own. */
#ifndef NKVI_CLIENT_SPLIT_H
#define NKVI_CLIENT_SPLIT_H

#include "client/client_int.h"

/* Whether the keys lie in several hash slots. */
bool nkvi_split_needed(const nkv_client *client, const nkv_str *keys, size_t n);

/* A command whose arguments are keys, and whose answer is a number (DEL, UNLINK, TOUCH). */
typedef struct nkvi_split {
    nkv_str name;
    const nkv_str *keys;
    size_t n; /* > 0 */
    bool writes;
    bool resend; /* see data_call.h */
    int64_t deadline_ns;
} nkvi_split;

/* *sum: of the answers, also of those that there were before a failure.  The caller has entered the
 * client.  Returns NKV_OK, or the first failure, as nkvi_data_call_send: the parts for other slots
 * may have been executed. */
nkv_status nkvi_split_run(nkv_client *client, const nkvi_split *split, int64_t *sum,
                          nkv_error *error);

#endif
