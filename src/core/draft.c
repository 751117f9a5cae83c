/* core/draft.c - drafts: copies of trees in one block, and their sealing.
 *
 * A copied tree lies in its block level by level, as nkv_reply wants siblings side by side:
 *
 *      [ children of the root | children of its first child | … | bytes, each text with its NUL ]
 *        ^ slots grow this way ->                                 ^ texts grow this way -> */
#include "core/draft.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "core/value.h"

void nkvi_draft_init(nkvi_draft *draft)
{
    memset(draft, 0, sizeof *draft);
    draft->root.type = NKV_TYPE_NIL;
}

void nkvi_draft_clear(nkvi_draft *draft)
{
    if (draft->block != NULL) {
        if (draft->free_fn != NULL) {
            draft->free_fn(draft->block, draft->free_ud);
        } else {
            nkvi_free(draft->block);
        }
    }
    nkvi_draft_init(draft);
}

typedef struct room {
    size_t slots, bytes;
} room;

/* Adds up what the copy of a tree needs. */
static void measure(const nkv_reply *reply, room *need)
{
    if (reply->str != NULL) {
        need->bytes += reply->len + 1;
    }
    need->slots += reply->elements;
    for (size_t i = 0; i < reply->elements; i++) {
        measure(&reply->element[i], need);
    }
}

typedef struct copier {
    nkv_reply *slots; /* the first that nobody has taken */
    char *text;       /* where the next text goes */
} copier;

/* Moves what `reply` points to into the block. */
static void copy_into(copier *to, nkv_reply *reply)
{
    if (reply->str != NULL) {
        if (reply->len > 0) {
            memcpy(to->text, reply->str, reply->len);
        }
        to->text[reply->len] = '\0';
        reply->str = to->text;
        to->text += reply->len + 1;
    }
    if (reply->elements == 0) {
        reply->element = NULL;
        return;
    }
    nkv_reply *children = to->slots;
    to->slots += reply->elements;
    memcpy(children, reply->element, reply->elements * sizeof *children);
    reply->element = children;
    for (size_t i = 0; i < reply->elements; i++) {
        copy_into(to, &children[i]);
    }
}

bool nkvi_draft_copy(nkvi_draft *draft, const nkv_reply *reply)
{
    nkvi_draft_init(draft);
    room need = {0, 0};
    measure(reply, &need);
    size_t bytes = need.slots * sizeof(nkv_reply) + need.bytes;
    char *block = bytes > 0 ? nkvi_alloc(bytes) : NULL;
    if (bytes > 0 && block == NULL) {
        return false;
    }
    draft->root = *reply;
    draft->block = block;
    draft->block_bytes = bytes;
    if (block != NULL) {
        copier to = {(nkv_reply *)(void *)block, block + need.slots * sizeof(nkv_reply)};
        copy_into(&to, &draft->root);
        assert(to.text == block + bytes);
    }
    return true;
}

bool nkvi_draft_string(nkvi_draft *draft, nkv_type type, const void *data, size_t len)
{
    nkv_reply reply = {.type = type, .str = len > 0 ? data : "", .len = len};
    return nkvi_draft_copy(draft, &reply);
}

nkv_value *nkvi_draft_seal(nkvi_draft *draft)
{
    nkv_value *value = nkvi_value_flag(&draft->root);
    if (value != NULL) {
        nkvi_draft_clear(draft);
        return value;
    }
    value = nkvi_value_make(0);
    if (value == NULL) {
        return NULL;
    }
    nkvi_value_set(value, &draft->root);
    value->of.heap.block = draft->block;
    value->of.heap.block_bytes = draft->block_bytes;
    value->of.heap.free_fn = draft->free_fn;
    value->of.heap.free_ud = draft->free_ud;
    nkvi_draft_init(draft);
    return value;
}
