/* client/random.c - splitmix64, seeded once per thread (Steele, Lea, Flood 2014). */
#include "client/random.h"

#include "base/hash.h"

uint64_t nkvi_random(void)
{
    static _Thread_local uint64_t state; /* 0: not seeded yet */
    if (state == 0) {
        state = nkvi_random_seed() | 1;
    }
    uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}
