/* tests/oom/conn/test_oom_cluster_view.c - a cluster's map is read when memory runs out: each
 * allocation fails once.
 *
 * The allocations are counted in a first run and not written down here, so the code may change.  */
#include "conn/cluster_view.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
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

static nkv_status parse(const nkv_reply *reply, gate *g, nkvi_cluster_view *view, nkv_error *error)
{
    nkvi_mem_set_gate(fail_one, g);
    nkv_status status = nkvi_cluster_view_parse(reply, view, error);
    nkvi_mem_set_gate(NULL, NULL);
    return status;
}

/* Forty ranges of forty nodes: both lists grow. */
static nkvi_draft forty(void)
{
    nkvi_buf buf;
    nkvi_buf_init(&buf);
    nkvi_buf_text(&buf, "*40\r\n");
    for (int i = 0; i < 40; i++) {
        nkvi_buf_printf(&buf, "*3\r\n:%d\r\n:%d\r\n*3\r\n+h\r\n:7\r\n+id%d\r\n", i, i, i);
    }
    char *text = nkvi_buf_take(&buf, &(size_t){0});
    nkvi_draft reply = t_reply(text);
    nkvi_free(text);
    return reply;
}

Test(conn_oom_cluster_view, every_failed_allocation_is_reported_and_leaves_nothing)
{
    nkvi_draft reply = forty();
    gate count = {0, -1};
    nkvi_cluster_view view, empty = {0};
    cr_assert_eq(parse(&reply.root, &count, &view, NULL), NKV_OK);
    nkvi_cluster_view_clear(&view);
    cr_assert_gt(count.calls, 4);

    for (int i = 0; i < count.calls; i++) {
        gate g = {0, i};
        nkv_error error;
        cr_assert_eq(parse(&reply.root, &g, &view, &error), NKV_ENOMEM, "allocation %d", i);
        cr_assert_eq(error.status, NKV_ENOMEM);
        cr_assert_eq(memcmp(&view, &empty, sizeof view), 0);
    }
    nkvi_draft_clear(&reply);
}
