/* base/hash.c - where the seed comes from. */
#include "base/hash.h"

#include <sys/random.h>
#include <time.h>

#include "base/clock.h"

uint64_t nkvi_random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        /* Early boot only: addresses and time are all there is to go by. */
        seed = nkvi_hash_mix((uint64_t)nkvi_now_ns(), (uint64_t)(uintptr_t)&seed);
    }
    return seed;
}
