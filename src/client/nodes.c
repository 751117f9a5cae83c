/* client/nodes.c - see nodes.h. */
#include "client/nodes.h"

#include "client/data_call.h"
#include "client/gather.h"

size_t nkvi_nodes(nkv_client *client, nkvi_peer **peers, size_t cap)
{
    nkvi_connector *connector = client->connector;
    if (connector->hash_slots) {
        return connector->ops->peers(connector, peers, cap);
    }
    if (cap > 0) {
        peers[0] = nkvi_client_route(client, nkv_str_make("", 0), NKVI_TO_WRITE).peer;
    }
    return 1;
}

nkv_status nkvi_node_command(nkv_client *client, nkvi_peer *peer, const nkv_argv *command,
                             int64_t deadline_ns, nkv_value **out, nkv_error *error)
{
    nkvi_gather gather;
    nkvi_slot slot;
    nkvi_buf bytes;
    *out = NULL;
    nkv_status status = nkvi_client_enter_blocking(client, error);
    if (status != NKV_OK) {
        return status;
    }
    nkvi_buf_init(&bytes);
    nkvi_buf_resp(&bytes, (size_t)command->argc, command->argv);
    const nkvi_data_call call = {.bytes = &bytes,
                                 .argv = command->argv,
                                 .argc = (size_t)command->argc,
                                 .replies = 1,
                                 .to = peer,
                                 .intent = NKVI_TO_WRITE,
                                 .deadline_ns = deadline_ns};
    nkvi_gather_init(&gather);
    nkvi_slot_open(&slot, &gather);
    nkvi_data_call_send(client, &call, &slot.waiter);
    nkvi_gather_wait(&gather, &client->flights, deadline_ns);
    status = slot.status;
    if (status < 0) {
        *error = gather.error;
        error->status = status;
        nkv_value_release(slot.value);
    } else {
        *out = slot.value;
    }
    nkvi_gather_clear(&gather);
    nkvi_client_leave(client);
    return status;
}
