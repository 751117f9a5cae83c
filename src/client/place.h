/* client/place.h - where a value that is read goes: the caller's memory, or a block of ours.
 *
 *      size is known --> room: item.buf (cap) | item.alloc() | a block --> arrived or dropped
 *
 * Threads  One thread at a time. */
#ifndef NKVI_CLIENT_PLACE_H
#define NKVI_CLIENT_PLACE_H

#include <nearkv/batch.h>

#include "core/cache.h"

typedef struct nkvi_place {
    nkv_item *item;
    nkv_cache *cache;  /* large blocks are buffers of this one; NULL: of nobody */
    nkvi_draft draft;  /* the block, until it has arrived; nil: there is none */
    nkv_status status; /* NKV_OK; why there is no room: NKV_ESIZE · NKV_ENOMEM */
} nkvi_place;

void nkvi_place_init(nkvi_place *place, nkv_item *item);

/* Memory for a value of `len` bytes, or NULL: see status. */
char *nkvi_place_room(nkvi_place *place, size_t len);

/* The whole value is there: the item's outcome. */
void nkvi_place_arrived(nkvi_place *place);

/* The same for a value that lies elsewhere, and is copied where there is memory of the caller's. */
void nkvi_place_copy(nkvi_place *place, nkv_value *value);

/* It will not come: gives back what was made. */
void nkvi_place_drop(nkvi_place *place);

#endif
