/* client/everywhere.c - see everywhere.h. */
#include "client/everywhere.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/status.h"
#include "client/barrier.h"
#include "client/gather.h"
#include "client/write.h"

#define PRIMARIES_MAX 1024u
#define CURSOR_BITS   52u
#define CURSOR_MASK   ((UINT64_C(1) << CURSOR_BITS) - 1)

typedef enum joining { JOIN_NONE, JOIN_SUM, JOIN_LISTS, JOIN_FIRST, JOIN_SCAN } joining;

static joining joining_of(const nkvi_command *command)
{
    static const struct {
        const char *name;
        joining how;
    } rows[] = {{"DBSIZE", JOIN_SUM},
                {"KEYS", JOIN_LISTS},
                {"SCAN", JOIN_SCAN},
                {"FLUSHALL", JOIN_FIRST},
                {"FLUSHDB", JOIN_FIRST},
                {"SCRIPT|LOAD", JOIN_FIRST},
                {"SCRIPT|FLUSH", JOIN_FIRST},
                {"FUNCTION|LOAD", JOIN_FIRST},
                {"FUNCTION|FLUSH", JOIN_FIRST},
                {"FUNCTION|DELETE", JOIN_FIRST},
                {"FUNCTION|RESTORE", JOIN_FIRST}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(command->name, rows[i].name) == 0) {
            return rows[i].how;
        }
    }
    return JOIN_NONE;
}

bool nkvi_everywhere_needed(const nkv_client *client, const nkvi_plan *plan)
{
    return client->connector->ops->primaries != NULL && joining_of(plan->command) != JOIN_NONE;
}

/* ---- one node -------------------------------------------------------------------------------- */

static void send_to(nkv_client *client, const nkvi_plan *plan, const nkv_argv *command,
                    nkvi_peer *to, int64_t deadline_ns, nkvi_slot *slot)
{
    nkvi_buf bytes;
    nkvi_buf_init(&bytes);
    nkvi_buf_resp(&bytes, (size_t)command->argc, command->argv);
    const nkvi_data_call call = {.bytes = &bytes,
                                 .argv = command->argv,
                                 .argc = (size_t)command->argc,
                                 .replies = 1,
                                 .flush = plan->flush,
                                 .to = to,
                                 .resend = plan->resend,
                                 .intent = NKVI_TO_WRITE,
                                 .deadline_ns = deadline_ns};
    nkvi_data_call_send(client, &call, &slot->waiter);
}

/* ---- all at once ----------------------------------------------------------------------------- */

static nkv_value *seal(const nkv_reply *root)
{
    nkvi_draft draft;
    nkv_value *value = nkvi_draft_copy(&draft, root) ? nkvi_draft_seal(&draft) : NULL;
    nkvi_draft_clear(&draft);
    return value;
}

static nkv_value *join_lists(const nkvi_slot *slots, size_t n)
{
    size_t elements = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        elements += nkv_value_reply(slots[i].value).elements;
    }
    nkv_reply *children = nkvi_calloc(elements + 1, sizeof *children);
    if (children == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        nkv_reply list = nkv_value_reply(slots[i].value);
        for (size_t j = 0; j < list.elements; j++) {
            children[at++] = list.element[j];
        }
    }
    const nkv_reply root = {.type = NKV_TYPE_ARRAY, .elements = elements, .element = children};
    nkv_value *value = seal(&root);
    nkvi_free(children);
    return value;
}

static nkv_value *join(joining how, const nkvi_slot *slots, size_t n)
{
    nkv_reply root = {.type = NKV_TYPE_INTEGER};
    switch (how) {
    case JOIN_SUM:
        for (size_t i = 0; i < n; i++) {
            root.integer += nkv_value_reply(slots[i].value).integer;
        }
        return seal(&root);
    case JOIN_LISTS:
        return join_lists(slots, n);
    default:
        return nkv_value_retain(slots[0].value);
    }
}

/* The first that failed, or NKV_OK; *out is its answer, if it was one. */
static nkv_status first_failure(const nkvi_slot *slots, size_t n, nkv_value **out)
{
    for (size_t i = 0; i < n; i++) {
        if (slots[i].status < 0) {
            *out = slots[i].value != NULL ? nkv_value_retain(slots[i].value) : NULL;
            return slots[i].status;
        }
    }
    return NKV_OK;
}

static nkv_status run_all(nkv_client *client, const nkvi_plan *plan, const nkv_argv *command,
                          int64_t deadline_ns, nkv_value **out, nkv_error *error)
{
    nkvi_peer *peers[PRIMARIES_MAX];
    size_t n = client->connector->ops->primaries(client->connector, peers, NULL, PRIMARIES_MAX);
    if (n > PRIMARIES_MAX) {
        return nkvi_fail(error, NKV_ENOTSUP, "%zu primaries; %s reaches up to %u", n,
                         plan->command->name, PRIMARIES_MAX);
    }
    if (n == 0) {
        return nkvi_fail(error, NKV_ECONN, "no node of the cluster is known yet");
    }
    nkvi_slot *slots = nkvi_alloc(n * sizeof *slots);
    if (slots == NULL) {
        return nkvi_fail(error, NKV_ENOMEM, "no memory for %zu answers", n);
    }
    nkvi_gather gather;
    nkvi_gather_init(&gather);
    for (size_t i = 0; i < n; i++) {
        nkvi_slot_open(&slots[i], &gather);
        send_to(client, plan, command, peers[i], deadline_ns, &slots[i]);
    }
    nkvi_gather_wait(&gather, &client->flights, deadline_ns);
    nkv_status status = first_failure(slots, n, out);
    if (status < 0) {
        *error = gather.error;
        error->status = status;
        if (plan->flush) {
            nkvi_write_unsure(client, status);
        }
    } else {
        *out = join(joining_of(plan->command), slots, n);
        status = *out != NULL ? NKV_OK : nkvi_fail(error, NKV_ENOMEM, "no memory for an answer");
    }
    for (size_t i = 0; i < n; i++) {
        nkv_value_release(slots[i].value);
    }
    nkvi_gather_clear(&gather);
    nkvi_free(slots);
    return status;
}

/* ---- one after the other --------------------------------------------------------------------- */

/* The node that a cursor speaks of: that number, or the next one that there is, which is *number
 * then; NULL: there is none.  *more: the number of the one behind it, or 0. */
static nkvi_peer *node_at(nkv_client *client, uint64_t *number, uint64_t *more)
{
    nkvi_peer *peers[PRIMARIES_MAX], *found = NULL;
    uint32_t numbers[PRIMARIES_MAX];
    size_t n = client->connector->ops->primaries(client->connector, peers, numbers, PRIMARIES_MAX);
    *more = 0;
    for (size_t i = 0; i < n && i < PRIMARIES_MAX && *more == 0; i++) {
        if (found != NULL) {
            *more = numbers[i] + 1u;
        } else if (numbers[i] + 1u >= *number) {
            found = peers[i];
            *number = numbers[i] + 1u;
        }
    }
    return found;
}

/* The answer with our cursor instead of the node's. */
static nkv_value *with_cursor(const nkv_value *answer, uint64_t number, uint64_t more,
                              nkv_error *error)
{
    nkv_reply root = nkv_value_reply(answer);
    char text[24];
    uint64_t cursor = 0;
    bool fits = root.type == NKV_TYPE_ARRAY && root.elements == 2 &&
                root.element[0].len < sizeof text && root.element[0].str != NULL;
    for (size_t i = 0; fits && i < root.element[0].len; i++) {
        char c = root.element[0].str[i];
        fits = c >= '0' && c <= '9' && cursor <= CURSOR_MASK / 10;
        cursor = cursor * 10 + (uint64_t)(c - '0');
    }
    if (!fits || cursor > CURSOR_MASK) {
        (void)nkvi_fail(error, NKV_EPROTO, "the answer of SCAN has no cursor below 2^52");
        return NULL;
    }
    if (cursor != 0) {
        cursor |= number << CURSOR_BITS;
    } else if (more != 0) {
        cursor = more << CURSOR_BITS;
    }
    int len = snprintf(text, sizeof text, "%" PRIu64, cursor);
    nkv_reply children[2] = {{.type = NKV_TYPE_STRING, .str = text, .len = (size_t)len},
                             root.element[1]};
    const nkv_reply own = {.type = NKV_TYPE_ARRAY, .elements = 2, .element = children};
    nkv_value *value = seal(&own);
    if (value == NULL) {
        (void)nkvi_fail(error, NKV_ENOMEM, "no memory for an answer");
    }
    return value;
}

static nkv_status parse_cursor(const nkv_argv *command, uint64_t *cursor, nkv_error *error)
{
    nkv_str text = command->argc > 1 ? command->argv[1] : nkv_str_make("", 0);
    *cursor = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c < '0' || c > '9' || *cursor > (UINT64_MAX - (uint64_t)(c - '0')) / 10) {
            return nkvi_fail(error, NKV_EINVAL, "SCAN: the cursor is no number of 64 bits");
        }
        *cursor = *cursor * 10 + (uint64_t)(c - '0');
    }
    return NKV_OK;
}

static nkv_status scan(nkv_client *client, const nkvi_plan *plan, const nkv_argv *command,
                       int64_t deadline_ns, nkv_value **out, nkv_error *error)
{
    uint64_t cursor, more;
    nkv_status status = parse_cursor(command, &cursor, error);
    if (status != NKV_OK) {
        return status;
    }
    uint64_t asked = cursor >> CURSOR_BITS, number = asked;
    nkvi_peer *peer = node_at(client, &number, &more);
    if (asked != 0 && number != asked) {
        return nkvi_fail(error, NKV_EINVAL,
                         "SCAN: the node of this cursor is not there, or holds no slots any more; "
                         "begin again");
    }
    nkv_str *argv = nkvi_alloc((size_t)command->argc * sizeof *argv);
    if (peer == NULL || argv == NULL) {
        nkvi_free(argv);
        return peer == NULL ? nkvi_fail(error, cursor == 0 ? NKV_ECONN : NKV_EINVAL,
                                        "SCAN: no node of the cluster is known for this cursor")
                            : nkvi_fail(error, NKV_ENOMEM, "no memory for a command");
    }
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRIu64, cursor & CURSOR_MASK);
    memcpy(argv, command->argv, (size_t)command->argc * sizeof *argv);
    if (command->argc > 1) {
        argv[1] = nkv_str_make(text, (size_t)len);
    }
    const nkv_argv own = {command->argc, argv};
    nkvi_gather gather;
    nkvi_slot slot;
    nkvi_gather_init(&gather);
    nkvi_slot_open(&slot, &gather);
    send_to(client, plan, &own, peer, deadline_ns, &slot);
    nkvi_gather_wait(&gather, &client->flights, deadline_ns);
    *out = slot.value;
    status = slot.status;
    if (status < 0) {
        *error = gather.error;
    } else {
        *out = with_cursor(slot.value, number, more, error);
        nkv_value_release(slot.value);
        status = *out != NULL ? NKV_OK : error->status;
    }
    nkvi_gather_clear(&gather);
    nkvi_free(argv);
    return status;
}

nkv_status nkvi_everywhere_run(nkv_client *client, const nkvi_plan *plan, const nkv_argv *command,
                               int64_t deadline_ns, nkv_value **out, nkv_error *error)
{
    bool scans = joining_of(plan->command) == JOIN_SCAN;
    return scans ? scan(client, plan, command, deadline_ns, out, error)
                 : run_all(client, plan, command, deadline_ns, out, error);
}
