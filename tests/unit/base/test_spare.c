/* tests/unit/base/test_spare.c - blocks that are kept for the next who asks. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/spare.h"
#include "support/check.h"

Test(base_spare, a_block_is_used_again_where_it_is_large_enough)
{
    nkvi_spare spare = {{NULL}};
    char *first = nkvi_spare_take(&spare, 1000);
    cr_assert_not_null(first);
    cr_assert_eq((uintptr_t)first % _Alignof(max_align_t), 0);
    memset(first, 1, 1000);
    nkvi_spare_give(&spare, first);
    char *again = nkvi_spare_take(&spare, 900);
    cr_assert_eq(again, first);
    nkvi_spare_give(&spare, again);
    char *larger = nkvi_spare_take(&spare, 1001);
    cr_assert_not_null(larger);
    memset(larger, 1, 1001);
    nkvi_spare_give(&spare, larger);
    nkvi_spare_give(&spare, NULL);
    nkvi_spare_clear(&spare);
}

Test(base_spare, what_is_too_large_or_too_much_is_not_kept)
{
    nkvi_spare spare = {{NULL}};
    void *blocks[NKVI_SPARE_BLOCKS + 2];
    for (unsigned i = 0; i < NKVI_SPARE_BLOCKS + 2; i++) {
        blocks[i] = nkvi_spare_take(&spare, 100);
        cr_assert_not_null(blocks[i]);
    }
    void *huge = nkvi_spare_take(&spare, NKVI_SPARE_BYTES + 1);
    cr_assert_not_null(huge);
    nkvi_spare_give(&spare, huge);
    for (unsigned i = 0; i < NKVI_SPARE_BLOCKS; i++) {
        cr_assert_null(spare.blocks[i]);
    }
    for (unsigned i = 0; i < NKVI_SPARE_BLOCKS + 2; i++) {
        nkvi_spare_give(&spare, blocks[i]);
    }
    for (unsigned i = 0; i < NKVI_SPARE_BLOCKS; i++) {
        cr_assert_not_null(spare.blocks[i]);
    }
    nkvi_spare_clear(&spare);
    nkvi_spare_clear(&spare);
    cr_assert_null(nkvi_spare_take(&spare, SIZE_MAX));
}

enum { ROUNDS = 20000, THREADS = 4 };

static void *take_and_give(void *arg)
{
    nkvi_spare *spare = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t len = 1 + (i * 37) % 500;
        unsigned char *block = nkvi_spare_take(spare, len);
        T_REQUIRE(block != NULL);
        memset(block, (int)(i & 255), len);
        for (size_t at = 0; at < len; at++) {
            T_REQUIRE(block[at] == (i & 255));
        }
        nkvi_spare_give(spare, block);
    }
    return NULL;
}

/* Nobody gets a block that another has. */
Test(base_spare, of_several_threads)
{
    nkvi_spare spare = {{NULL}};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        T_REQUIRE(pthread_create(&threads[i], NULL, take_and_give, &spare) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        T_REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    nkvi_spare_clear(&spare);
}
