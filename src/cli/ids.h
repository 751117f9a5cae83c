/* cli/ids.h - a set of numbers, that only grows. */
#ifndef NKVI_CLI_IDS_H
#define NKVI_CLI_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty. */
typedef struct nkvi_ids {
    uint64_t *slot; /* number + 1; 0: free.  UINT64_MAX itself is not taken. */
    size_t slots, n;
} nkvi_ids;

/* Returns whether `id`, which is below UINT64_MAX, is new. */
bool nkvi_ids_add(nkvi_ids *ids, uint64_t id);

/* The next member at or behind slot *at, in no order that means anything; *at is moved behind it.
 * false: there is none.  Begin with *at = 0.                                                     */
bool nkvi_ids_next(const nkvi_ids *ids, size_t *at, uint64_t *id);

void nkvi_ids_clear(nkvi_ids *ids);

#endif
