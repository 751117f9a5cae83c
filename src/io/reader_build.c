/* io/reader_build.c - see reader_build.h.
 *
 * Children of one level lie side by side, as nkv_reply promises, so a level takes its slots from
 * the block when it is opened, and its elements fill them one by one:
 *
 *      level: [ slot | slot | slot ]        free: the first slot that nobody has taken
 *                       ^ next
 *
 * Inside an attribute everything goes to one slot that is thrown away. */
#include "io/reader_build.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "io/reader.h"

typedef struct level {
    nkv_reply *next; /* the slot of the coming element; NULL: dropped */
    uint64_t left;
    bool attribute;
} level;

/* Where the next token is, and where the next text goes. */
typedef struct cursor {
    const char *at;
    char *text;
} cursor;

typedef struct builder {
    cursor cursor;
    nkv_reply *free; /* slots not yet taken */
    level levels[NKVI_READER_DEPTH_MAX];
    unsigned depth;
    bool done;
} builder;

static void put_text(cursor *cur, nkv_reply *slot, const char *from, size_t len)
{
    assert(cur->text != NULL); /* counted, so there is a block */
    memcpy(cur->text, from, len);
    cur->text[len] = '\0';
    slot->str = cur->text;
    slot->len = len;
    cur->text += len + 1;
}

static void put_bulk(cursor *cur, nkv_reply *slot, const nkvi_resp_token *token)
{
    const char *payload = cur->at + token->size;
    size_t len = (size_t)token->number;
    if (token->type == NKV_TYPE_VERBATIM) {
        memcpy(slot->vtype, payload, 3);
        payload += 4;
        len -= 4;
    }
    put_text(cur, slot, payload, len);
}

/* Fills the slot with everything but its children. */
static void put(cursor *cur, nkv_reply *slot, const nkvi_resp_token *token)
{
    memset(slot, 0, sizeof *slot);
    slot->type = token->type;
    if (token->klass == NKVI_RESP_BULK) {
        put_bulk(cur, slot, token);
        return;
    }
    switch (token->type) {
    case NKV_TYPE_STATUS:
    case NKV_TYPE_ERROR:
    case NKV_TYPE_BIGNUM:
        put_text(cur, slot, token->text, token->len);
        break;
    case NKV_TYPE_DOUBLE:
        put_text(cur, slot, token->text, token->len);
        slot->dval = token->dval;
        break;
    case NKV_TYPE_INTEGER:
    case NKV_TYPE_BOOL:
        slot->integer = token->integer;
        break;
    default: /* nil has nothing; the children of an aggregate come later */
        break;
    }
}

/* Closes the levels whose last element has just been filled. */
static void element_done(builder *build)
{
    while (build->depth > 0) {
        level *top = &build->levels[build->depth - 1];
        if (top->next != NULL) {
            top->next++;
        }
        if (--top->left > 0) {
            return;
        }
        build->depth--;
        if (top->attribute) {
            return;
        }
    }
    build->done = true;
}

static void open_level(builder *build, nkv_reply *slot, const nkvi_resp_token *token)
{
    level *top = &build->levels[build->depth++];
    assert(build->depth <= NKVI_READER_DEPTH_MAX);
    top->attribute = token->klass == NKVI_RESP_ATTRIBUTE;
    top->left = token->number;
    top->next = NULL;
    if (slot != NULL) {
        top->next = build->free;
        build->free += token->number;
        slot->element = top->next;
        slot->elements = (size_t)token->number;
    }
}

/* The size of the token's line; it is known to be there. */
static size_t line_size(const char *at, const char *end)
{
    const char *cr = at;
    do {
        cr = memchr(cr + 1, '\r', (size_t)(end - cr - 1));
        assert(cr != NULL && cr + 1 < end);
    } while (cr[1] != '\n');
    return (size_t)(cr + 2 - at);
}

static void build_token(builder *build, const char *end, nkv_reply *root)
{
    nkvi_resp_token token = nkvi_resp_parse(build->cursor.at, line_size(build->cursor.at, end));
    bool aggregate = token.klass == NKVI_RESP_AGGREGATE || token.klass == NKVI_RESP_ATTRIBUTE;
    nkv_reply *slot = build->depth > 0 ? build->levels[build->depth - 1].next : root;
    if (token.klass == NKVI_RESP_ATTRIBUTE) {
        slot = NULL;
    }
    if (slot != NULL) {
        put(&build->cursor, slot, &token);
    }
    build->cursor.at += nkvi_resp_size(&token);
    if (aggregate && token.number > 0) {
        open_level(build, slot, &token);
    } else if (token.klass != NKVI_RESP_ATTRIBUTE) {
        element_done(build);
    }
}

bool nkvi_reader_build(const char *data, size_t size, size_t children, size_t text_bytes,
                       nkvi_draft *draft)
{
    size_t bytes = children * sizeof(nkv_reply) + text_bytes;
    char *block = NULL;
    if (bytes > 0) {
        block = nkvi_alloc(bytes);
        if (block == NULL) {
            return false;
        }
    }
    builder build = {
        .cursor = {.at = data, .text = block == NULL ? NULL : block + children * sizeof(nkv_reply)},
        .free = (nkv_reply *)(void *)block};
    while (!build.done) {
        build_token(&build, data + size, &draft->root);
    }
    assert(build.cursor.at == data + size);
    assert(block == NULL || build.cursor.text == block + bytes);
    draft->block = block;
    draft->block_bytes = bytes;
    return true;
}

bool nkvi_reader_build_one(const char *data, const nkvi_resp_token *token, size_t text_bytes,
                           nkvi_draft *draft)
{
    char *block = NULL;
    if (text_bytes > 0) {
        block = nkvi_alloc(text_bytes);
        if (block == NULL) {
            return false;
        }
    }
    cursor cur = {.at = data, .text = block};
    put(&cur, &draft->root, token);
    draft->block = block;
    draft->block_bytes = text_bytes;
    return true;
}
