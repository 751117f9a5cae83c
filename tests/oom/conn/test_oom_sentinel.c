/* tests/oom/conn/test_oom_sentinel.c - sentinels' lists when memory runs out. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "conn/sentinel_reply.h"
#include "support/replies.h"

typedef struct gate {
    int calls, fail_at;
} gate;

static bool fail_one(size_t size, void *ud)
{
    gate *g = ud;

    (void)size;
    return g->calls++ != g->fail_at;
}

static nkv_status parse(const nkv_reply *reply, gate *g, nkvi_sentinel_list *list, nkv_error *error)
{
    nkvi_mem_set_gate(fail_one, g);
    nkv_status status = nkvi_sentinel_replicas_parse(reply, list, error);
    nkvi_mem_set_gate(NULL, NULL);
    return status;
}

Test(conn_oom_sentinel, every_failed_allocation_is_reported_and_leaves_nothing)
{
    nkvi_draft reply = t_reply_kept("sentinel/redis_replicas_3");
    gate count = {0, -1};
    nkvi_sentinel_list list;
    cr_assert_eq(parse(&reply.root, &count, &list, NULL), NKV_OK);
    nkvi_sentinel_list_clear(&list);
    cr_assert_gt(count.calls, 0);

    for (int i = 0; i < count.calls; i++) {
        gate g = {0, i};
        nkv_error error;
        cr_assert_eq(parse(&reply.root, &g, &list, &error), NKV_ENOMEM, "allocation %d", i);
        cr_assert_eq(error.status, NKV_ENOMEM);
        cr_assert(list.n == 0 && list.nodes == NULL);
    }
    nkvi_draft_clear(&reply);
}
