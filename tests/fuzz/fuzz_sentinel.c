/* tests/fuzz/fuzz_sentinel.c - any replies as those of sentinels, and as ROLE and INFO.
 *
 * Every reply of the stream is read as each of them.  What is understood is a host and a port that
 * can be connected to, and what is not leaves nothing behind. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conn/role.h"
#include "conn/sentinel_reply.h"
#include "support/check.h"
#include "support/replies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_endpoint(const nkvi_sentinel_address *at)
{
    T_REQUIRE(nkvi_host_valid(nkv_cstr(at->host)));
    T_REQUIRE(at->port >= 1 && at->port <= NKVI_PORT_MAX);
}

static void check_list(nkv_status status, nkvi_sentinel_list *list)
{
    T_REQUIRE(status == NKV_OK || (list->n == 0 && list->nodes == NULL));
    T_REQUIRE(list->n <= NKVI_SENTINEL_LIST_MAX);
    for (size_t i = 0; i < list->n; i++) {
        check_endpoint(&list->nodes[i].at);
    }
    nkvi_sentinel_list_clear(list);
}

static void check_answers(const nkv_reply *reply)
{
    nkvi_sentinel_address at;
    nkvi_sentinel_node node;
    nkvi_sentinel_list list;
    nkv_error error;

    if (nkvi_sentinel_address_parse(reply, &at, &error) == NKV_OK) {
        check_endpoint(&at);
    }
    if (nkvi_sentinel_primary_parse(reply, &node, &error) == NKV_OK) {
        check_endpoint(&node.at);
    }
    nkv_status status = nkvi_sentinel_replicas_parse(reply, &list, &error);
    check_list(status, &list);
    status = nkvi_sentinel_others_parse(reply, &list, &error);
    check_list(status, &list);
}

static bool within(nkv_str part, nkv_str whole)
{
    return part.data >= whole.data && part.data + part.len <= whole.data + whole.len;
}

static void check_event(const nkv_reply *reply)
{
    nkv_str channel, payload;
    nkvi_sentinel_event event;

    if (!nkvi_message_parse(reply, &channel, &payload) ||
        !nkvi_sentinel_event_parse(channel, payload, &event)) {
        return;
    }
    T_REQUIRE(event.service.len > 0 && within(event.service, payload));
    if (event.switched) {
        T_REQUIRE(event.refresh && within(event.to.new_host, payload));
        T_REQUIRE(nkvi_host_valid(event.to.new_host) && nkvi_host_valid(event.to.old_host));
        T_REQUIRE(event.to.new_port >= 1 && event.to.new_port <= NKVI_PORT_MAX);
    }
}

static void check_role(const nkv_reply *reply)
{
    nkvi_role role;
    nkvi_replication replication;

    T_REQUIRE(nkvi_role_parse(reply, &role) == (role.kind != NKVI_ROLE_UNKNOWN));
    T_REQUIRE(role.primary_port >= 0 && role.primary_port <= NKVI_PORT_MAX && role.offset >= -1);
    T_REQUIRE(nkvi_replication_parse(reply, &replication) ==
              (replication.kind != NKVI_ROLE_UNKNOWN));
    T_REQUIRE(strlen(replication.replid) < NKVI_REPLID_SIZE && replication.offset >= -1);
}

static void check(const nkv_reply *reply, void *ud)
{
    (void)ud;
    check_answers(reply);
    check_event(reply);
    check_role(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    t_replies(data, size, check, NULL);
    return 0;
}
