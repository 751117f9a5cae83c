/* client/nodes.h - asking one server and no other, for what is to be done on each of them.
 *
 * Threads  [any] but the loop's own. */
#ifndef NKVI_CLIENT_NODES_H
#define NKVI_CLIENT_NODES_H

#include "client/client_int.h"

/* The servers that hold keys: of a cluster those of its nodes that are known, in any order, of
 * anything else the one that is written to.  At most `cap` are stored; returns how many there
 * are. */
size_t nkvi_nodes(nkv_client *client, nkvi_peer **peers, size_t cap);

/* One command that writes no key, on the server's data lane.  Not of a wrapped client.  Returns
 * NKV_OK (*out: a reference, nil included) · NKV_EREPLY (error has its text) · NKV_ETIMEDOUT ·
 * NKV_ECONN · NKV_EBUSY · NKV_ENOMEM · NKV_ECLOSED · NKV_EDEADLK. */
nkv_status nkvi_node_command(nkv_client *client, nkvi_peer *peer, const nkv_argv *command,
                             int64_t deadline_ns, nkv_value **out, nkv_error *error);

#endif
