/* base/hash.h - XXH3 with a random seed, so that nobody outside can choose colliding keys.
 *
 * Threads  [any].                                                                                */
#ifndef NKVI_BASE_HASH_H
#define NKVI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* 64 random bits from the kernel; asked once per cache or table, not per key. */
uint64_t nkvi_random_seed(void);

static inline uint64_t nkvi_hash(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

/* Mixes a second hash or number into a first one. */
static inline uint64_t nkvi_hash_mix(uint64_t hash, uint64_t other)
{
    uint64_t x = (hash ^ (other + UINT64_C(0x9E3779B97F4A7C15))) * UINT64_C(0xD6E8FEB86659FD93);
    return x ^ (x >> 32);
}

#endif
