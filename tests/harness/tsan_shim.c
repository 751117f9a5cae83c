/* tests/harness/tsan_shim.c - lets a Criterion program start under ThreadSanitizer.
 *
 * BoxFort, the sandbox below Criterion, maps a region at a fixed address, built so:
 *
 *      0x200000000000 + (rand_r() & 0x3fffff) * 2^24
 *
 * Most of that range belongs to ThreadSanitizer's shadow, so the program aborts before the first
 * test.  With the numbers given out here the address falls into the range that is left to
 * programs (0x550000000000 and up), and differs from call to call so that a second try can help.
 *
 * Linked by the Makefile under PROFILE=tsan only, in front of the C library's rand_r().          */

#include <stdatomic.h>
#include <stdlib.h>

__attribute__((visibility("default"))) int rand_r(unsigned int *seed)
{
    static atomic_uint calls;
    unsigned int step = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);

    return (int)(0x350100u + (step + *seed) % 0x4000u);
}
