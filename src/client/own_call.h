/* client/own_call.h - the commands that a connector of the user's own can do, without RESP.
 *
 *      SET key value [PX ms | EX s]     put            DEL, UNLINK key …    remove
 *      GET key                          get            EXISTS key …         exists
 *      PING                             ping           SCAN 0 [MATCH prefix*] [COUNT n] [TYPE t]
 *
 * Threads  [any]. */
#ifndef NKVI_CLIENT_OWN_CALL_H
#define NKVI_CLIENT_OWN_CALL_H

#include "client/data_call.h"

struct nkv_client;

/* Whether a connector can do the command, as far as that can be told from its words.
 * Returns NKV_OK · NKV_ENOTSUP (error says what it can). */
nkv_status nkvi_own_check(size_t argc, const nkv_str *argv, nkv_error *error);

/* As nkvi_data_call_send, by call->argv. */
void nkvi_own_call_send(struct nkv_client *client, nkvi_peer *peer, const nkvi_data_call *call,
                        nkvi_waiter *waiter);

/* Wakes the waiter once, perhaps before this returns, when everything that was acknowledged before
 * the call has been told: NKV_OK · NKV_ECONN (the connector cannot say) · NKV_ETIMEDOUT ·
 * NKV_ENOMEM · NKV_ECLOSED. */
void nkvi_own_settle(struct nkv_client *client, nkvi_peer *peer, int64_t deadline_ns,
                     nkvi_waiter *waiter);

#endif
