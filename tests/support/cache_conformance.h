/* support/cache_conformance.h - is this table a cache? For nkv_cache_ops of one's own.
 *
 *      static void *make(void) { return calloc(1, sizeof(my_cache)); }
 *      ...
 *      T_REQUIRE(nkv_cache_conformance(&my_ops, make, stdout) == 0);
 *
 * What is asked of a table (nearkv/cache.h): after put, get finds that answer or nothing; after
 * invalidate and reset it finds nothing that was put before; spaces, keys and commands are told
 * apart by all their bytes; references are taken and given back; all of it from many threads. A
 * table may forget at any time, but one that keeps nothing at all is not a cache.
 *
 * Threads    Calls the table from threads of its own, too; they are gone when it returns.        */

#ifndef T_SUPPORT_CACHE_CONFORMANCE_H
#define T_SUPPORT_CACHE_CONFORMANCE_H

#include <nearkv/cache.h>
#include <stdio.h>

/* Runs every check on tables that `make` makes; each gets one call of ops->destroy (which must be
 * there, or leak). Writes "ok - …" or "not ok - …: why" for each to `out` (NULL: nowhere) and
 * returns how many failed.                                                                       */
int nkv_cache_conformance(const nkv_cache_ops *ops, void *(*make)(void), FILE *out);

#endif
