/* tests/unit/io/test_ring.c - order is kept while the ring turns and grows. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "io/ring.h"
#include "support/check.h"

static void push(nkvi_ring *ring, uint64_t number)
{
    cr_assert(nkvi_ring_reserve(ring));
    nkvi_ring_push(ring, (nkvi_slot){.begin = number});
}

/* A queue of numbers beside it says what must come out. */
Test(io_ring, keeps_order_while_it_turns_and_grows)
{
    nkvi_ring ring;
    t_rng rng;
    uint64_t in = 0, out = 0;
    t_rng_init(&rng, t_run_seed());
    nkvi_ring_init(&ring);
    for (int round = 0; round < 2000; round++) {
        for (uint64_t n = t_rng_below(&rng, round % 100 == 0 ? 300 : 20); n > 0; n--) {
            push(&ring, in++);
        }
        for (uint64_t n = t_rng_below(&rng, 25); n > 0 && ring.len > 0; n--) {
            cr_assert_eq(nkvi_ring_at(&ring, 0)->begin, out);
            nkvi_ring_pop(&ring);
            out++;
        }
        cr_assert_eq(ring.len, in - out);
        if (ring.len > 0) {
            cr_assert_eq(nkvi_ring_at(&ring, ring.len - 1)->begin, in - 1);
        }
    }
    nkvi_ring_clear(&ring);
}

static bool no_memory(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    return false;
}

Test(io_ring, without_memory_it_stays_as_it_was)
{
    nkvi_ring ring;
    nkvi_ring_init(&ring);
    push(&ring, 0);
    while (ring.len < ring.cap) {
        push(&ring, ring.len);
    }
    nkvi_mem_set_gate(no_memory, NULL);
    cr_assert_not(nkvi_ring_reserve(&ring));
    nkvi_mem_set_gate(NULL, NULL);
    cr_assert_eq(nkvi_ring_at(&ring, ring.len - 1)->begin, ring.len - 1);
    cr_assert(nkvi_ring_reserve(&ring));
    cr_assert_eq(nkvi_ring_at(&ring, 0)->begin, 0);
    nkvi_ring_clear(&ring);
}

Test(io_ring, swaps_whole)
{
    nkvi_ring a, b;
    nkvi_ring_init(&a);
    nkvi_ring_init(&b);
    push(&a, 7);
    nkvi_ring_swap(&a, &b);
    cr_assert_eq(a.len, 0);
    cr_assert_eq(nkvi_ring_at(&b, 0)->begin, 7);
    nkvi_ring_clear(&a);
    nkvi_ring_clear(&b);
}
