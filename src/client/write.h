/* client/write.h - sending on the data lane and waiting for it.
 *
 * Threads  [any] but the loop's own. */
#ifndef NKVI_CLIENT_WRITE_H
#define NKVI_CLIENT_WRITE_H

#include "client/client_int.h"
#include "client/data_call.h"

/* Sends the call and waits; *out is a reference or NULL.  The caller has entered the client.
 * Returns as nkvi_data_call_send. */
nkv_status nkvi_data_call_wait(nkv_client *client, const nkvi_data_call *call, nkv_value **out,
                               nkv_error *error);

/* Settles (barrier.h) a write that ended with `status`.  Returns `status`, or why it could not be
 * settled: then the answer, *out, is given up. */
nkv_status nkvi_settled(nkv_client *client, const nkvi_data_call *call, nkv_status status,
                        nkv_value **out, nkv_error *error);

#endif
