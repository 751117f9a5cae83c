/* client/random.h - random bits for sampling: fast, per thread, not for secrets.
 *
 * Threads  [any], no shared state. */
#ifndef NKVI_CLIENT_RANDOM_H
#define NKVI_CLIENT_RANDOM_H

#include <stdint.h>

uint64_t nkvi_random(void);

#endif
