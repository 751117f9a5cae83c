/* tests/live/client/test_review_large.c - very large batches take time in proportion. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "support/live.h"
#include "support/near.h"

enum { KEYS = 30000, KEY_ROOM = 16 };

/* 30 000 misses: about a second, and ten and more where each
 * looks at all others. */
T_LIVE(client_large, a_batch_of_30000_misses_is_no_quadratic_matter)
{
    nkv_client *client = t_near_open_on(server);
    char(*names)[KEY_ROOM] = malloc(KEYS * sizeof *names);
    nkv_str *keys = malloc(KEYS * sizeof *keys);
    nkv_result *results = malloc(KEYS * sizeof *results);
    for (int i = 0; i < KEYS; i++) {
        const int len = snprintf(names[i], sizeof names[i], "key:%d", i);
        keys[i] = nkv_str_make(names[i], (size_t)len);
    }
    nkv_call call;
    nkv_call_init(&call);
    call.timeout_ms = 60000;
    const int64_t before_ns = nkvi_now_ns();
    cr_assert_eq(nkv_mget(client, keys, KEYS, &call, results), NKV_OK);
    const int64_t took_ms = (nkvi_now_ns() - before_ns) / NKVI_NS_PER_MS;
    cr_assert_lt(took_ms, 5000);
    nkv_client_destroy(client);
    free(results);
    free(keys);
    free(names);
}
