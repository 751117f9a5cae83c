/* client/place.c - see place.h. */
#include "client/place.h"

#include <string.h>

#include "base/mem.h"
#include "core/pool.h"

void nkvi_place_init(nkvi_place *place, nkv_item *item)
{
    place->item = item;
    place->cache = NULL;
    place->status = NKV_OK;
    nkvi_draft_init(&place->draft);
}

/* A block for the text and its NUL. */
static char *make_block(nkvi_place *place, size_t len)
{
    nkvi_draft_clear(&place->draft); /* of an attempt whose connection was lost */
    bool large = place->cache != NULL && len + 1 >= NKVI_POOL_LEAST;
    void *block = large ? nkvi_cache_buffer(place->cache, len + 1) : NULL;
    void (*free_fn)(void *, void *) = block != NULL ? nkvi_pool_give : NULL;
    block = block != NULL ? block : nkvi_alloc(len + 1);
    if (block == NULL) {
        place->status = NKV_ENOMEM;
        return NULL;
    }
    ((char *)block)[len] = '\0';
    place->draft = (nkvi_draft){.root = {.type = NKV_TYPE_STRING, .str = block, .len = len},
                                .block = block,
                                .block_bytes = len + 1,
                                .free_fn = free_fn};
    return block;
}

char *nkvi_place_room(nkvi_place *place, size_t len)
{
    nkv_item *item = place->item;
    item->len = len;
    place->status = NKV_OK;
    if (item->buf == NULL && item->alloc == NULL) {
        return make_block(place, len);
    }
    if (item->buf == NULL) {
        item->buf = item->alloc(item);
        item->cap = item->buf != NULL ? len : 0;
        place->status = item->buf != NULL ? NKV_OK : NKV_ENOMEM;
    } else if (len > item->cap) {
        place->status = NKV_ESIZE;
    }
    return place->status == NKV_OK ? item->buf : NULL;
}

void nkvi_place_arrived(nkvi_place *place)
{
    nkv_item *item = place->item;
    if (place->draft.block != NULL) {
        item->held = nkvi_draft_seal(&place->draft);
        place->status = item->held != NULL ? NKV_OK : NKV_ENOMEM;
        nkvi_draft_clear(&place->draft);
    }
    item->status = place->status;
}

void nkvi_place_copy(nkvi_place *place, nkv_value *value)
{
    nkv_item *item = place->item;
    nkv_str text = nkv_value_str(value);
    if (item->buf == NULL && item->alloc == NULL) {
        item->len = text.len;
        item->held = nkv_value_retain(value);
        item->status = NKV_OK;
        return;
    }
    char *room = nkvi_place_room(place, text.len);
    if (room != NULL && text.len > 0) {
        memcpy(room, text.data, text.len);
    }
    item->status = place->status;
}

void nkvi_place_drop(nkvi_place *place)
{
    nkvi_draft_clear(&place->draft);
}
