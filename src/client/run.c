/* client/run.c - nkv_command: any command, by its plan (plan.h).
 *
 *      cached   -> hit, or the slow path of read.c
 *      split    -> MGET and EXISTS of several keys: key by key, then put together again
 *      writes   -> data lane, keys forgotten before and after; a barrier if the keys cannot be told
 *      others   -> data lane
 */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "client/everywhere.h"
#include "client/plan.h"
#include "client/read.h"
#include "client/reply.h"
#include "client/split.h"
#include "client/write.h"

static nkv_status finish_value(nkv_call *call, nkv_status status, nkv_from from,
                               const nkv_error *error, nkv_value *value)
{
    if (status == NKV_OK && value != NULL && nkv_value_reply(value).type == NKV_TYPE_NIL) {
        status = NKV_NOT_FOUND;
    }
    return nkvi_call_done(call, status, from, error);
}

/* ---- cached ---------------------------------------------------------------------------------- */

static nkv_status run_cached(nkv_client *client, nkvi_plan *plan, size_t argc, const nkv_str *argv,
                             nkv_call *call, nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    bool quick = nkvi_read_hits_allowed(client, call) &&
                 nkvi_read_filter(client, call, plan->key, argc, argv) == NKV_BYPASS_COUNT;
    if (quick && nkvi_read_hit(client, &plan->query, out)) {
        return finish_value(call, NKV_OK, NKV_FROM_CACHE, NULL, *out);
    }
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    nkvi_read read = {
        .query = plan->query, .argc = argc, .argv = argv, .fields_at = plan->fields_at};
    nkv_result result;
    status = nkvi_read_many(client, &read, 1, call, &result, &error);
    nkvi_client_leave(client);
    *out = result.value;
    return finish_value(call, status, result.from, &error, result.value);
}

/* ---- split ----------------------------------------------------------------------------------- */

static nkv_value *integer_value(int64_t number)
{
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    draft.root.type = NKV_TYPE_INTEGER;
    draft.root.integer = number;
    return nkvi_draft_seal(&draft);
}

/* One array of the answers; MGET answers nil for what is no string. */
static nkv_value *array_value(const nkv_result *results, size_t n)
{
    nkv_reply *children = nkvi_calloc(n > 0 ? n : 1, sizeof *children);
    if (children == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        children[i].type = NKV_TYPE_NIL;
        if (results[i].status == NKV_OK) {
            children[i] = nkv_value_reply(results[i].value);
        }
    }
    nkv_reply root = {.type = NKV_TYPE_ARRAY, .elements = n, .element = children};
    nkvi_draft draft;
    nkvi_draft_init(&draft);
    nkv_value *value = nkvi_draft_copy(&draft, &root) ? nkvi_draft_seal(&draft) : NULL;
    nkvi_draft_clear(&draft);
    nkvi_free(children);
    return value;
}

/* Whether a key's failure is MGET's nil: the key holds something that is no string. */
static bool is_wrong_type(const nkv_result *result)
{
    nkv_reply reply;
    if (result->status != NKV_EREPLY || result->value == NULL) {
        return false;
    }
    reply = nkv_value_reply(result->value);
    return nkvi_reply_has_code(&reply, "WRONGTYPE");
}

/* The call may have been told of a wrong type, which is no failure of MGET. */
static nkv_status explain_split(nkv_call *call, const nkv_result *failed)
{
    nkv_error error;
    if (failed->status == NKV_EREPLY && failed->value != NULL) {
        nkv_reply reply = nkv_value_reply(failed->value);
        (void)nkvi_reply_fail(&error, &reply);
    } else if (call == NULL || call->error.status == failed->status) {
        return failed->status;
    } else {
        (void)nkvi_fail(&error, failed->status, "%s", nkv_status_text(failed->status));
    }
    return nkvi_call_done(call, failed->status, NKV_FROM_SERVER, &error);
}

static nkv_status split_mget(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                             nkv_result *results, nkv_value **out)
{
    nkv_status status = nkv_mget(client, keys, n, call, results);
    const nkv_result *failed = NULL;
    for (size_t i = 0; status < 0 && failed == NULL && i < n; i++) {
        failed = results[i].status < 0 && !is_wrong_type(&results[i]) ? &results[i] : NULL;
    }
    if (failed == NULL) {
        status = NKV_OK; /* wrong types at most */
        *out = array_value(results, n);
    } else {
        status = explain_split(call, failed);
    }
    for (size_t i = 0; i < n; i++) {
        nkv_value_release(results[i].value);
    }
    return status;
}

static nkv_status split_exists(nkv_client *client, const nkv_str *keys, size_t n, nkv_call *call,
                               nkv_result *results, nkv_value **out)
{
    nkv_status status = nkv_exists(client, keys, n, call, results);
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += results[i].status == NKV_OK;
    }
    if (status == NKV_OK) {
        *out = integer_value(sum);
    }
    return status;
}

static nkv_status run_split(nkv_client *client, const nkvi_plan *plan, size_t argc,
                            const nkv_str *argv, nkv_call *call, nkv_value **out)
{
    nkv_error error;
    size_t n = argc - 1;
    nkv_result *results = n < SIZE_MAX / 64 ? nkvi_alloc(n * sizeof *results) : NULL;
    if (results == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory for %zu answers", n);
        return nkvi_call_done(call, NKV_ENOMEM, NKV_FROM_LOCAL, &error);
    }
    bool mget = strcmp(plan->command->name, "MGET") == 0;
    nkv_status status = mget ? split_mget(client, argv + 1, n, call, results, out)
                             : split_exists(client, argv + 1, n, call, results, out);
    nkvi_free(results);
    if (status == NKV_OK && *out == NULL) {
        (void)nkvi_fail(&error, NKV_ENOMEM, "no memory for %zu answers", n);
        return nkvi_call_done(call, NKV_ENOMEM, NKV_FROM_LOCAL, &error);
    }
    return status;
}

/* ---- everything else ------------------------------------------------------------------------- */

static void count_pass(nkv_client *client, const nkvi_plan *plan, nkv_status status)
{
    if (plan->writes) {
        nkvi_count_add(&client->counters, NKVI_C_WRITES, 1);
    } else if (plan->command->klass != NKVI_COMMAND_OTHER) {
        nkvi_count_add(&client->counters, NKVI_C_READS, 1);
        nkvi_count_add(&client->counters,
                       status < 0 ? NKVI_C_FAILURES : NKVI_C_BYPASS + NKV_BYPASS_NOT_CACHEABLE, 1);
    }
}

static nkv_status run_pass(nkv_client *client, const nkvi_plan *plan, size_t argc,
                           const nkv_str *argv, nkv_call *call, nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    if (!client->wrapped) {
        nkvi_buf_resp(&bytes, argc, argv);
    }
    nkvi_data_call data = {.bytes = &bytes,
                           .argv = argv,
                           .argc = argc,
                           .replies = 1,
                           .keys = plan->keys,
                           .keys_len = plan->writes ? plan->keys_len : 0,
                           .flush = plan->flush,
                           .route_by = plan->key,
                           .intent = plan->intent,
                           .opaque = plan->settle,
                           .resend = plan->resend,
                           .deadline_ns = nkvi_call_deadline(client, call)};
    status = nkvi_data_call_wait(client, &data, out, &error);
    if (plan->settle) {
        status = nkvi_settled(client, &data, status, out, &error);
    }
    count_pass(client, plan, status);
    nkvi_client_leave(client);
    return finish_value(call, status, NKV_FROM_SERVER, &error, *out);
}

/* Commands that are only a list of keys, whose numbers can be added up. */
static bool is_key_list(const nkvi_plan *plan)
{
    static const char *const names[] = {"DEL", "UNLINK", "TOUCH"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(plan->command->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static nkv_status run_by_slot(nkv_client *client, const nkvi_plan *plan, size_t argc,
                              const nkv_str *argv, nkv_call *call, nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    int64_t sum = 0;
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    const nkvi_split split = {.name = argv[0],
                              .keys = argv + 1,
                              .n = argc - 1,
                              .writes = plan->writes,
                              .resend = plan->resend,
                              .deadline_ns = nkvi_call_deadline(client, call)};
    status = nkvi_split_run(client, &split, &sum, &error);
    count_pass(client, plan, status);
    nkvi_client_leave(client);
    *out = status == NKV_OK ? integer_value(sum) : NULL;
    if (status == NKV_OK && *out == NULL) {
        status = nkvi_fail(&error, NKV_ENOMEM, "no memory for an answer");
    }
    return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
}

static nkv_status run_everywhere(nkv_client *client, const nkvi_plan *plan, const nkv_argv *command,
                                 nkv_call *call, nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    nkv_status status = nkvi_client_enter_blocking(client, &error);
    if (status != NKV_OK) {
        return nkvi_call_done(call, status, NKV_FROM_SERVER, &error);
    }
    status =
        nkvi_everywhere_run(client, plan, command, nkvi_call_deadline(client, call), out, &error);
    count_pass(client, plan, status);
    nkvi_client_leave(client);
    return finish_value(call, status, NKV_FROM_SERVER, &error, *out);
}

nkv_status nkv_command(nkv_client *client, int argc, const nkv_str *argv, nkv_call *call,
                       nkv_value **out)
{
    nkv_error error = {.status = NKV_OK};
    *out = NULL;
    if (argc < 1) {
        (void)nkvi_fail(&error, NKV_EINVAL, "argc is %d; a command has at least its name", argc);
        return nkvi_call_done(call, NKV_EINVAL, NKV_FROM_LOCAL, &error);
    }
    nkvi_plan plan;
    nkv_status status = nkvi_plan_make(client, (size_t)argc, argv, &plan, &error);
    if (status != NKV_OK) {
        status = nkvi_call_done(call, status, NKV_FROM_LOCAL, &error);
    } else if (plan.cached) {
        status = run_cached(client, &plan, (size_t)argc, argv, call, out);
    } else if (plan.split) {
        status = run_split(client, &plan, (size_t)argc, argv, call, out);
    } else if (nkvi_everywhere_needed(client, &plan)) {
        const nkv_argv command = {argc, argv};
        status = run_everywhere(client, &plan, &command, call, out);
    } else if (argc > 2 && is_key_list(&plan) &&
               nkvi_split_needed(client, argv + 1, (size_t)argc - 1)) {
        status = run_by_slot(client, &plan, (size_t)argc, argv, call, out);
    } else {
        status = run_pass(client, &plan, (size_t)argc, argv, call, out);
    }
    nkvi_plan_clear(&plan);
    return status;
}
