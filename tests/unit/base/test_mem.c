/* tests/unit/base/test_mem.c - allocation behind the gate. */

#include "base/mem.h"

#include <criterion/criterion.h>
#include <nearkv/status.h>

typedef struct count {
    int calls;
    int fail_at; /* the call that fails; -1: none */
    size_t last_size;
} count;

static bool counting(size_t size, void *ud)
{
    count *c = ud;

    c->last_size = size;
    return c->calls++ != c->fail_at;
}

Test(base_mem, the_gate_sees_every_kind_of_allocation_and_can_fail_it)
{
    count c = {0, -1, 0};

    nkvi_mem_set_gate(counting, &c);
    void *a = nkvi_alloc(10);
    void *b = nkvi_calloc(3, 7);
    cr_assert_eq(c.last_size, 21);
    a = nkvi_realloc(a, 100);
    void *d = nkvi_alloc_aligned(64, 128);
    char *e = nkvi_strndup("ab\0c", 4);
    cr_assert_eq(c.calls, 5);
    cr_assert(a != NULL && b != NULL && d != NULL && e != NULL);
    cr_assert_eq((uintptr_t)d % 64, 0);
    cr_assert_eq(memcmp(e, "ab\0c\0", 5), 0);
    for (int i = 0; i < 21; i++) {
        cr_assert_eq(((char *)b)[i], 0);
    }

    c.fail_at = 0;
    c.calls = 0;
    cr_assert_null(nkvi_alloc(1));
    c.calls = 0;
    cr_assert_null(nkvi_calloc(1, 1));
    c.calls = 0;
    cr_assert_null(nkvi_realloc(a, 1000), "the old block stays");
    c.calls = 0;
    cr_assert_null(nkvi_alloc_aligned(64, 64));
    c.calls = 0;
    cr_assert_null(nkvi_strndup("x", 1));
    nkvi_mem_set_gate(NULL, NULL);

    nkvi_free(a);
    nkvi_free(b);
    nkvi_free(d);
    nkvi_free(e);
    nkvi_free(NULL);
    nkv_free(NULL);
}

Test(base_mem, sizes_that_overflow_give_nothing)
{
    volatile size_t half = SIZE_MAX / 2 + 1; /* volatile: the compiler would warn */

    cr_assert_null(nkvi_calloc(half, 2));
    cr_assert_null(nkvi_strndup("x", SIZE_MAX));
}

Test(base_mem, an_empty_string_may_come_from_nowhere)
{
    char *copy = nkvi_strndup(NULL, 0);

    cr_assert_str_eq(copy, "");
    nkvi_free(copy);
}
