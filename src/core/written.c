/* core/written.c - see written.h. */
#include "core/written.h"

#include <stddef.h>

#include "base/hash.h"

void nkvi_written_init(nkvi_written *written, uint64_t seed)
{
    written->seed = seed;
    atomic_init(&written->count, 1); /* what was written before anybody noted it */
    atomic_init(&written->all, 1);
    for (size_t i = 0; i < NKVI_WRITTEN_CELLS; i++) {
        atomic_init(&written->cells[i], 0);
    }
}

static size_t cell_of(const nkvi_written *written, nkv_str key)
{
    return (size_t)(nkvi_hash(key.data, key.len, written->seed) & (NKVI_WRITTEN_CELLS - 1));
}

/* Numbers only grow; of two writers the later one's stays. */
static void raise_to(_Atomic uint64_t *cell, uint64_t number)
{
    uint64_t now = atomic_load(cell);
    while (now < number && !atomic_compare_exchange_weak(cell, &now, number)) {}
}

void nkvi_written_note(nkvi_written *written, nkv_str key)
{
    raise_to(&written->cells[cell_of(written, key)], atomic_fetch_add(&written->count, 1) + 1);
}

void nkvi_written_note_all(nkvi_written *written)
{
    raise_to(&written->all, atomic_fetch_add(&written->count, 1) + 1);
}

uint64_t nkvi_written_now(const nkvi_written *written)
{
    return atomic_load(&written->count);
}

bool nkvi_written_since(const nkvi_written *written, nkv_str key, uint64_t mark)
{
    return atomic_load(&written->cells[cell_of(written, key)]) > mark ||
           atomic_load(&written->all) > mark;
}
