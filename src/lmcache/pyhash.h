/* lmcache/pyhash.h - Python's hash() of integers and tuples, as CPython from 3.8 on has it.
 *
 * Neither depends on PYTHONHASHSEED.  An integer is reduced modulo the prime 2^61 - 1, its sign
 * kept; a tuple mixes the hashes of its items in the manner of xxHash.  -1 is CPython's word for an
 * error, so no hash is -1.  64 bits only, as LMCache runs on.
 * Threads  [any]. */
#ifndef NKVI_LMCACHE_PYHASH_H
#define NKVI_LMCACHE_PYHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NKVI_PYHASH_PRIME1 UINT64_C(11400714785074694791)
#define NKVI_PYHASH_PRIME2 UINT64_C(14029467366897019727)
#define NKVI_PYHASH_PRIME5 UINT64_C(2870177450012600261)

/* hash(None) from CPython 3.12 on; before, it was an address. */
#define NKVI_PYHASH_NONE INT64_C(0xFCA86420)

static inline int64_t nkvi_pyhash_number(bool negative, uint64_t number)
{
    int64_t rest = (int64_t)(number % ((UINT64_C(1) << 61) - 1));
    if (!negative) {
        return rest;
    }
    return rest == 1 ? -2 : -rest;
}

static inline int64_t nkvi_pyhash_int(int64_t value)
{
    return nkvi_pyhash_number(value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* A tuple, item by item: begin with NKVI_PYHASH_PRIME5, add the hash of each, end. */
static inline uint64_t nkvi_pyhash_add(uint64_t tuple, int64_t item)
{
    tuple += (uint64_t)item * NKVI_PYHASH_PRIME2;
    tuple = tuple << 31 | tuple >> 33;
    return tuple * NKVI_PYHASH_PRIME1;
}

static inline int64_t nkvi_pyhash_end(uint64_t tuple, size_t items)
{
    tuple += (uint64_t)items ^ (NKVI_PYHASH_PRIME5 ^ UINT64_C(3527539));
    return tuple == UINT64_MAX ? 1546275796 : (int64_t)tuple;
}

#endif
