/* conn/hash_slot.h - which of a cluster's 16384 slots a key belongs to.
 *
 *      slot = CRC16(key) mod 16384         XMODEM: polynomial 0x1021, from 0, nothing reflected
 *
 * If a '{' stands in the key, and a '}' somewhere behind the first one, and something between them,
 * only that is hashed: so keys are put into one slot on purpose.
 *
 *      user:{42}:name   42          foo{}{bar}   all of it
 *      foo{{bar}}zap    {bar        foo{bar      all of it
 *
 * Threads  [any]: pure; no table is made at run time. */
#ifndef NKVI_CONN_HASH_SLOT_H
#define NKVI_CONN_HASH_SLOT_H

#include "core/cache.h"

/* Below NKVI_HASH_SLOTS (core/cache.h).  O(key.len); any bytes, none at all is slot 0. */
uint16_t nkvi_hash_slot(nkv_str key);

#endif
