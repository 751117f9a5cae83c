/* client/write.c - SET, DEL and transactions. */
#include "client/write.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/barrier.h"
#include "client/gather.h"
#include "client/plan.h"
#include "client/split.h"

nkv_status nkvi_data_call_wait(nkv_client *client, const nkvi_data_call *call, nkv_value **out,
                               nkv_error *error)
{
    nkvi_gather gather;
    nkvi_slot slot;
    nkvi_gather_init(&gather);
    nkvi_slot_open(&slot, &gather);
    nkvi_data_call_send(client, call, &slot.waiter);
    nkvi_gather_wait(&gather, &client->flights, call->deadline_ns);
    if (slot.status < 0) {
        *error = gather.error;
        if (call->flush) {
            nkvi_write_unsure(client, slot.status); /* the loop may not know yet that it is over */
        }
    }
    *out = slot.value;
    nkvi_gather_clear(&gather);
    return slot.status;
}

nkv_status nkvi_settled(nkv_client *client, const nkvi_data_call *call, nkv_status status,
                        nkv_value **out, nkv_error *error)
{
    nkv_error why = {.status = NKV_OK};
    if (status != NKV_OK && status != NKV_EREPLY) {
        nkvi_write_unsure(client, status);
        return status;
    }
    nkvi_route route = nkvi_client_route(client, call->route_by, NKVI_TO_WRITE);
    nkv_status settled = nkvi_write_settle(client, route.peer, call->deadline_ns, &why);
    if (settled == NKV_OK) {
        return status;
    }
    nkvi_write_unsure(client, NKV_OK);
    nkv_value_release(*out);
    *out = NULL;
    *error = why;
    return settled;
}

/* Sends one command that writes `keys`, all at the peer of the first. */
static nkv_status write_command(nkv_client *client, const nkv_argv *command, const nkv_str *keys,
                                size_t keys_len, nkv_call *call, nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    *out = NULL;
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    if (!client->wrapped) {
        nkvi_buf_resp(&bytes, (size_t)command->argc, command->argv);
    }
    nkvi_data_call data = {.bytes = &bytes,
                           .argv = command->argv,
                           .argc = (size_t)command->argc,
                           .replies = 1,
                           .keys = keys,
                           .keys_len = keys_len,
                           .route_by = keys[0],
                           .intent = NKVI_TO_WRITE,
                           .resend = client->options.resend_writes != 0,
                           .deadline_ns = nkvi_call_deadline(client, call)};
    nkvi_count_add(&client->counters, NKVI_C_WRITES, 1);
    status = nkvi_data_call_wait(client, &data, out, &error);
    nkvi_client_leave(client);
    return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
}

nkv_status nkv_set(nkv_client *client, nkv_str key, nkv_str value, int64_t ttl_ms, nkv_call *call)
{
    nkv_error error;
    if (ttl_ms < 0) {
        (void)nkvi_fail(&error, NKV_EINVAL, "ttl_ms is %lld; allowed is 0 (no expiry) or more",
                        (long long)ttl_ms);
        return nkvi_call_done(call, NKV_EINVAL, NKV_FROM_LOCAL, &error);
    }
    char ttl[24];
    int digits = snprintf(ttl, sizeof ttl, "%lld", (long long)ttl_ms);
    nkv_str argv[5] = {nkv_cstr("SET"), key, value, nkv_cstr("PX"),
                       nkv_str_make(ttl, (size_t)digits)};
    nkv_value *reply;
    const nkv_argv set = {ttl_ms > 0 ? 5 : 3, argv};
    nkv_status status = write_command(client, &set, &key, 1, call, &reply);
    nkv_value_release(reply);
    return status;
}

static nkv_status del_split(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                            int64_t *removed)
{
    nkv_error error = {.status = NKV_OK};
    int64_t sum = 0;
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    const nkvi_split split = {.name = nkv_cstr("DEL"),
                              .keys = keys,
                              .n = n,
                              .writes = true,
                              .resend = client->options.resend_writes != 0,
                              .deadline_ns = nkvi_call_deadline(client, call)};
    nkvi_count_add(&client->counters, NKVI_C_WRITES, 1);
    status = nkvi_split_run(client, &split, &sum, &error);
    nkvi_client_leave(client);
    if (removed != NULL) {
        *removed = sum;
    }
    return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
}

nkv_status nkv_del(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                   int64_t *removed)
{
    if (removed != NULL) {
        *removed = 0;
    }
    if (n == 0) {
        return nkvi_call_done(call, NKV_OK, NKV_FROM_LOCAL, NULL);
    }
    if (nkvi_split_needed(client, keys, n)) {
        return del_split(client, keys, n, call, removed);
    }
    nkv_error error;
    nkv_str *argv = n < INT32_MAX ? nkvi_alloc((n + 1) * sizeof *argv) : NULL;
    if (argv == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory to delete %zu keys", n);
        return nkvi_call_done(call, NKV_ENOMEM, NKV_FROM_LOCAL, &error);
    }
    argv[0] = nkv_cstr("DEL");
    memcpy(argv + 1, keys, n * sizeof *argv);
    nkv_value *reply;
    const nkv_argv del = {(int)n + 1, argv};
    nkv_status status = write_command(client, &del, keys, n, call, &reply);
    if (status == NKV_OK && removed != NULL) {
        *removed = nkv_value_reply(reply).integer;
    }
    nkv_value_release(reply);
    nkvi_free(argv);
    return status;
}

/* ---- transactions ---------------------------------------------------------------------------- */

/* What the commands of a transaction write. */
typedef struct key_set {
    nkvi_buf buf; /* of nkv_str */
    bool flush;
    bool once;     /* one of them must not be executed twice */
    bool settle;   /* one of them may write keys that it does not name */
    nkv_str first; /* of all keys, also of those that are read; empty: none */
} key_set;

/* A transaction is executed by one node. */
static nkv_status check_slot(const nkv_client *client, const key_set *set, const nkvi_plan *plan,
                             size_t at, nkv_error *error)
{
    const nkv_str first[2] = {set->first, plan->key};
    bool script =
        nkvi_command_is_script(plan->command); /* what it declares is the server's affair */
    if (nkvi_split_needed(client, first, 2) ||
        (!script && nkvi_split_needed(client, plan->keys, plan->keys_len))) {
        return nkvi_fail(error, NKV_EINVAL,
                         "command %zu of the transaction: a key in another hash slot; in a cluster "
                         "all keys of a transaction have one slot, as those with the same {tag}",
                         at + 1);
    }
    return NKV_OK;
}

static nkv_status collect(const nkv_client *client, key_set *set, const nkv_argv *command,
                          size_t at, nkv_error *error)
{
    if (command->argc < 1) {
        return nkvi_fail(error, NKV_EINVAL, "command %zu of the transaction is empty", at + 1);
    }
    nkvi_plan plan;
    nkv_status status = nkvi_plan_make(client, (size_t)command->argc, command->argv, &plan, error);
    if (status == NKV_EREFUSED) {
        status = nkvi_fail(error, NKV_EREFUSED, "command %zu of the transaction, %s: %s", at + 1,
                           plan.command->name, plan.command->reason);
    }
    if (status == NKV_OK && plan.key.len > 0) {
        set->first = set->first.len > 0 ? set->first : plan.key;
        status = check_slot(client, set, &plan, at, error);
    }
    set->once = set->once || !plan.resend;
    if (status == NKV_OK && plan.writes) {
        set->flush = set->flush || plan.flush;
        set->settle = set->settle || plan.settle;
        nkvi_buf_append(&set->buf, plan.keys, plan.keys_len * sizeof *plan.keys);
    }
    nkvi_plan_clear(&plan);
    return status;
}

static nkv_status transaction_bytes(const nkv_client *client, const nkv_argv *commands, size_t n,
                                    nkvi_buf *bytes, key_set *set, nkv_error *error)
{
    nkv_str multi = nkv_cstr("MULTI"), exec = nkv_cstr("EXEC");
    nkvi_buf_resp(bytes, 1, &multi);
    for (size_t i = 0; i < n; i++) {
        nkv_status status = collect(client, set, &commands[i], i, error);
        if (status != NKV_OK) {
            return status;
        }
        nkvi_buf_resp(bytes, (size_t)commands[i].argc, commands[i].argv);
    }
    nkvi_buf_resp(bytes, 1, &exec);
    if (bytes->failed || set->buf.failed) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for a transaction of %zu commands", n);
    }
    return NKV_OK;
}

nkv_status nkv_transaction(nkv_client *client, const nkv_argv *commands, size_t n, nkv_call *call,
                           nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    *out = NULL;
    if (client->wrapped) {
        (void)nkvi_fail(&error, NKV_ENOTSUP, "a wrapped connector has no transactions");
        return nkvi_call_done(call, NKV_ENOTSUP, NKV_FROM_LOCAL, &error);
    }
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    nkvi_buf bytes;
    key_set set = {.flush = false};
    nkvi_buf_init(&bytes);
    nkvi_buf_init(&set.buf);
    status = n < 1000000 ? transaction_bytes(client, commands, n, &bytes, &set, &error)
                         : nkvi_fail(&error, NKV_EINVAL,
                                     "a transaction of %zu commands; allowed are "
                                     "fewer than 1000000",
                                     n);
    if (status == NKV_OK) {
        nkv_str *keys = (nkv_str *)(void *)set.buf.data;
        nkvi_data_call data = {.bytes = &bytes,
                               .replies = (unsigned)n + 2,
                               .keys = keys,
                               .keys_len = set.buf.len / sizeof *keys,
                               .flush = set.flush,
                               .route_by = set.first,
                               .opaque = set.settle,
                               .resend = !set.once,
                               .intent = NKVI_TO_WRITE,
                               .deadline_ns = nkvi_call_deadline(client, call)};
        nkvi_count_add(&client->counters, NKVI_C_WRITES, 1);
        status = nkvi_data_call_wait(client, &data, out, &error);
        if (set.settle) {
            status = nkvi_settled(client, &data, status, out, &error);
        }
    }
    nkvi_buf_clear(&bytes);
    nkvi_buf_clear(&set.buf);
    nkvi_client_leave(client);
    return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
}
