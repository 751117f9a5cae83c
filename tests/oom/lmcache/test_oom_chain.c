/* tests/oom/lmcache/test_oom_chain.c - chains are made when memory runs out: each allocation of
 * ours fails once.  OpenSSL's own are not seen here. */
#include <nearkv/lmcache.h>

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

static nkv_status make(nkv_lmcache_algorithm algorithm, int fail_at, int *calls, nkv_error *error)
{
    nkv_lmcache_hash zero = nkv_lmcache_hash_uint(0);
    nkv_lmcache_chain_options options;
    nkv_lmcache_chain *chain;
    gate g = {0, fail_at};

    nkv_lmcache_chain_options_init(&options);
    options.algorithm = algorithm;
    options.root = algorithm == NKV_LMCACHE_CHAIN_SHA256 ? NULL : &zero;
    nkvi_mem_set_gate(fail_one, &g);
    nkv_status status = nkv_lmcache_chain_create(&options, &chain, error);
    nkvi_mem_set_gate(NULL, NULL);
    cr_assert_eq(chain != NULL, status == NKV_OK);
    nkv_lmcache_chain_destroy(chain);
    *calls = g.calls;
    return status;
}

Test(lmcache_oom_chain, every_failed_allocation_is_reported)
{
    for (int a = NKV_LMCACHE_CHAIN_BUILTIN; a <= NKV_LMCACHE_CHAIN_SHA256; a++) {
        nkv_error error;
        int count = 0, calls;
        cr_assert_eq(make((nkv_lmcache_algorithm)a, -1, &count, &error), NKV_OK);
        cr_assert_gt(count, 0);
        for (int i = 0; i < count; i++) {
            cr_assert_eq(make((nkv_lmcache_algorithm)a, i, &calls, &error), NKV_ENOMEM);
            cr_assert_eq(error.status, NKV_ENOMEM);
        }
    }
}

Test(lmcache_oom_chain, none_hash_reports_it_too)
{
    nkv_lmcache_hash hash = nkv_lmcache_hash_uint(1);
    nkv_error error;
    gate g = {0, 0};

    nkvi_mem_set_gate(fail_one, &g);
    cr_assert_eq(nkv_lmcache_none_hash(nkv_cstr("0"), &hash, &error), NKV_ENOMEM);
    nkvi_mem_set_gate(NULL, NULL);
    cr_assert_eq(error.status, NKV_ENOMEM);
    cr_assert(hash.kind == NKV_LMCACHE_HASH_INT && hash.number == 0);
}
