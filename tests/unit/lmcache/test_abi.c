/* tests/unit/lmcache/test_abi.c - sizes of structs by name. */
#include <criterion/criterion.h>
#include <nearkv/abi.h>
#include <nearkv/nearkv.h>

Test(lmcache_abi, sizes_by_name)
{
    cr_assert_eq(nkv_struct_size("nkv_str"), sizeof(nkv_str));
    cr_assert_eq(nkv_struct_size("nkv_options"), sizeof(nkv_options));
    cr_assert_eq(nkv_struct_size("nkv_item"), sizeof(nkv_item));
    cr_assert_eq(nkv_struct_size("nkv_completion"), sizeof(nkv_completion));
    cr_assert_eq(nkv_struct_size("nkv_lmcache_meta"), sizeof(nkv_lmcache_meta));
    cr_assert_eq(nkv_struct_size("nkv_lmcache_options"), sizeof(nkv_lmcache_options));
}

Test(lmcache_abi, no_struct_of_that_name)
{
    cr_assert_eq(nkv_struct_size(""), 0);
    cr_assert_eq(nkv_struct_size("nkv_ite"), 0);
    cr_assert_eq(nkv_struct_size("nkv_items"), 0);
    cr_assert_eq(nkv_struct_size("nkv_client"), 0); /* a handle: nobody needs its size */
}
