/* tests/oom/base/test_oom_url.c - a URL is read when memory runs out: each allocation fails once.
 *
 * The allocations are counted in a first run and not written down here, so the code may change.  */

#include "base/url.h"

#include <criterion/criterion.h>
#include <stdbool.h>

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

static const char *const texts[] = {
    "redis://ann:pa%20ss@host:7000/3?db=2&timeout=1.5&client_name=me&max_idle=3",
    "unix://:pass@/run/redis.sock?client_name=a&client_name=b",
    "redis://[::1]:1",
    "redis-cluster://ann:pass@h1:1,h2:2,h1:1,[::1]:3/0?address_map=a=b&address_map=c=d",
    "redis-sentinel://:pass@h1:1,h2:2/service/2?service_name=other&client_name=me",
    "redis-sentinel://h?service_name=s&service_name=t",
};

Test(base_oom_url, every_failed_allocation_is_reported_and_leaves_nothing)
{
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        gate count = {0, -1};
        nkvi_url url, empty = {0};
        nkvi_mem_set_gate(fail_one, &count);
        cr_assert_eq(nkvi_url_parse(texts[t], &url, NULL), NKV_OK);
        nkvi_url_clear(&url);
        cr_assert_gt(count.calls, 0);

        for (int i = 0; i < count.calls; i++) {
            gate g = {0, i};
            nkv_error error;
            nkvi_mem_set_gate(fail_one, &g);
            nkv_status status = nkvi_url_parse(texts[t], &url, &error);
            nkvi_mem_set_gate(NULL, NULL);
            cr_assert_eq(status, NKV_ENOMEM, "%s: allocation %d", texts[t], i);
            cr_assert_eq(error.status, NKV_ENOMEM);
            cr_assert_eq(memcmp(&url, &empty, sizeof url), 0);
        }
    }
}

Test(base_oom_url, the_redacted_form_is_whole_or_not_there)
{
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        nkvi_url url;
        cr_assert_eq(nkvi_url_parse(texts[t], &url, NULL), NKV_OK);
        gate count = {0, -1};
        nkvi_mem_set_gate(fail_one, &count);
        char *whole = nkvi_url_redacted(&url);
        cr_assert_not_null(whole);
        for (int i = 0; i < count.calls; i++) {
            gate g = {0, i};
            nkvi_mem_set_gate(fail_one, &g);
            cr_assert_null(nkvi_url_redacted(&url), "%s: allocation %d", texts[t], i);
        }
        nkvi_mem_set_gate(NULL, NULL);
        nkvi_free(whole);
        nkvi_url_clear(&url);
    }
}
