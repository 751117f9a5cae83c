/* cli/ids.c - a set of numbers, that only grows.
 *
 * Open addressing with linear probing, never more than half full.                                */
#include "cli/ids.h"

#include <assert.h>
#include <stdlib.h>

#include "cli/must.h"

static size_t place_of(const nkvi_ids *ids, uint64_t id)
{
    uint64_t mixed = (id + 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(mixed ^ mixed >> 32) & (ids->slots - 1);

    while (ids->slot[at] != 0 && ids->slot[at] != id + 1) {
        at = (at + 1) & (ids->slots - 1);
    }
    return at;
}

static void grow(nkvi_ids *ids)
{
    nkvi_ids larger = {.slots = ids->slots > 0 ? ids->slots * 2 : 1024};

    larger.slot = nkvi_must_alloc(larger.slots, sizeof *larger.slot);
    for (size_t i = 0; i < ids->slots; i++) {
        if (ids->slot[i] != 0) {
            larger.slot[place_of(&larger, ids->slot[i] - 1)] = ids->slot[i];
        }
    }
    larger.n = ids->n;
    free(ids->slot);
    *ids = larger;
}

bool nkvi_ids_add(nkvi_ids *ids, uint64_t id)
{
    assert(id < UINT64_MAX);
    if ((ids->n + 1) * 2 > ids->slots) {
        grow(ids);
    }
    size_t at = place_of(ids, id);
    if (ids->slot[at] != 0) {
        return false;
    }
    ids->slot[at] = id + 1;
    ids->n++;
    return true;
}

bool nkvi_ids_next(const nkvi_ids *ids, size_t *at, uint64_t *id)
{
    while (*at < ids->slots && ids->slot[*at] == 0) {
        (*at)++;
    }
    if (*at == ids->slots) {
        return false;
    }
    *id = ids->slot[(*at)++] - 1;
    return true;
}

void nkvi_ids_clear(nkvi_ids *ids)
{
    free(ids->slot);
    *ids = (nkvi_ids){0};
}
