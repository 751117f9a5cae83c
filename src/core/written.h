/* core/written.h - which keys were written since a moment, where others may be behind.
 *
 *      write returns           note(key): its cell gets the next number
 *      primary asked           mark = now(): whatever it says of itself covers writes up to here
 *      replica has come so far since(key, mark)?  no: the replica has the key as it was written
 *
 * A replica's answer is as old as the replica.  Whoever has written a key must not read an older
 * one from it (P2): until the replica has come as far as the primary had behind the write, the
 * primary is asked.  Two keys in one cell only cause it to be asked for longer.
 * Memory   Fixed: NKVI_WRITTEN_CELLS × 8 bytes.
 * Threads  [any], lock-free. */
#ifndef NKVI_CORE_WRITTEN_H
#define NKVI_CORE_WRITTEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <nearkv/status.h>

#define NKVI_WRITTEN_CELLS 4096u /* a power of two */

typedef struct nkvi_written {
    uint64_t seed;
    _Atomic uint64_t count; /* of writes */
    _Atomic uint64_t all;   /* the last one that may have been to any key */
    _Atomic uint64_t cells[NKVI_WRITTEN_CELLS];
} nkvi_written;

void nkvi_written_init(nkvi_written *written, uint64_t seed);

/* A write to the key, or to nobody knows which, is about to return. */
void nkvi_written_note(nkvi_written *written, nkv_str key);
void nkvi_written_note_all(nkvi_written *written);

/* Every write that has returned is before this. */
uint64_t nkvi_written_now(const nkvi_written *written);

/* Whether the key may have been written since the mark. */
bool nkvi_written_since(const nkvi_written *written, nkv_str key, uint64_t mark);

#endif
