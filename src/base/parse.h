/* base/parse.h - numbers, sizes and durations as people write them.
 *
 *      number     42  -1
 *      size       4096  64kb  64KiB  1.5gb      as in redis.conf: 1k = 1000, 1kb = 1KiB = 1024
 *      duration   100ms  5s  2.5s  1m  2h  1d   without a unit: what the caller says
 *      real       99.5                          never in the locale's way, no exponent, no NaN
 *
 * Units in any case.  The whole text must be used up: no blanks, no sign but a leading minus.  An
 * error names the option and what is allowed; it does not repeat the text, which may be a secret in
 * the wrong place.
 * Returns   NKV_OK · NKV_EINVAL (*out is untouched).
 * Threads   [any].                                                                               */
#ifndef NKVI_BASE_PARSE_H
#define NKVI_BASE_PARSE_H

#include <stdint.h>

#include <nearkv/status.h>

/* What is allowed, both ends included. */
typedef struct nkvi_bound {
    const char *name; /* of the option, for the error                                             */
    int64_t min, max; /* in bytes or milliseconds; max INT64_MAX: as large as it can be written   */
} nkvi_bound;

nkv_status nkvi_parse_int(nkv_str text, const nkvi_bound *bound, int64_t *out, nkv_error *error);

/* A size in bytes.  With a negative bound->min, "-1" is read as -1 («no limit»); nothing else below
 * zero is a size.  Fractions need a unit and are cut to whole bytes.                             */
nkv_status nkvi_parse_bytes(nkv_str text, const nkvi_bound *bound, int64_t *out, nkv_error *error);

/* A duration in milliseconds; "-1" as above.  unit_ms: what a number without a unit counts (1000:
 * seconds).  Rounded up, so that the shortest time is not none at all.                           */
nkv_status nkvi_parse_ms(nkv_str text, int64_t unit_ms, const nkvi_bound *bound, int64_t *out,
                         nkv_error *error);

typedef struct nkvi_real_bound {
    const char *name;
    double min, max;
} nkvi_real_bound;

/* A decimal fraction of at most 15 digits; *out is the double next to it. */
nkv_status nkvi_parse_real(nkv_str text, const nkvi_real_bound *bound, double *out,
                           nkv_error *error);

#endif
