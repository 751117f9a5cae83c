/* tests/oom/conn/test_oom_address_map.c - a map of addresses when memory runs out. */
#include "conn/address_map.h"

#include <criterion/criterion.h>

#include "base/mem.h"

typedef struct gate {
    int calls, fail_at;
} gate;

static bool fail_one(size_t size, void *ud)
{
    gate *g = ud;

    (void)size;
    return g->calls++ != g->fail_at;
}

static nkv_status parse(gate *g, nkvi_address_map **map, nkv_error *error)
{
    nkvi_mem_set_gate(fail_one, g);
    nkv_status status = nkvi_address_map_parse("a:1=b:2,c=[::1],*=d", map, error);
    nkvi_mem_set_gate(NULL, NULL);
    return status;
}

Test(conn_oom_address_map, every_failed_allocation_is_reported_and_leaves_nothing)
{
    gate count = {0, -1};
    nkvi_address_map *map;
    cr_assert_eq(parse(&count, &map, NULL), NKV_OK);
    nkvi_address_map_free(map);
    cr_assert_gt(count.calls, 0);

    for (int i = 0; i < count.calls; i++) {
        gate g = {0, i};
        nkv_error error;
        cr_assert_eq(parse(&g, &map, &error), NKV_ENOMEM, "allocation %d", i);
        cr_assert_eq(error.status, NKV_ENOMEM);
        cr_assert_null(map);
    }
}
