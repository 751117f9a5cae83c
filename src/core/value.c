/* core/value.c - values: the public functions, and those that stand alone.
 *
 * A root needs less room than nkv_reply has: no type uses more than one pointer and one number.  A
 * DOUBLE has a text as well; its length goes where VERBATIM keeps its format. */
#include "core/value.h"

#include <string.h>

#include "base/mem.h"
#include "core/slot.h"
#include "core/wrap.h"

#define DOUBLE_TEXT_MAX 0xffffffu

/* ---- Views ----------------------------------------------------------------------------------- */

static const void *data_of(const nkv_value *value)
{
    return atomic_load_explicit(&value->data, memory_order_relaxed);
}

static void set_data(nkv_value *value, const void *data)
{
    atomic_store_explicit(&value->data, data, memory_order_relaxed);
}

static size_t double_len(const nkv_value *value)
{
    return (size_t)value->vtype[0] | (size_t)value->vtype[1] << 8 | (size_t)value->vtype[2] << 16;
}

static void set_double(nkv_value *value, const nkv_reply *root)
{
    size_t len = root->str != NULL && root->len <= DOUBLE_TEXT_MAX ? root->len : 0;
    set_data(value, root->str);
    value->number.dval = root->dval;
    for (unsigned i = 0; i < 3; i++) {
        value->vtype[i] = (uint8_t)(len >> (8 * i));
    }
}

void nkvi_value_set(nkv_value *value, const nkv_reply *root)
{
    value->kind = (uint8_t)root->type;
    memset(value->vtype, 0, sizeof value->vtype);
    set_data(value, NULL);
    value->number.integer = 0;
    switch (root->type) {
    case NKV_TYPE_INTEGER:
    case NKV_TYPE_BOOL:
        value->number.integer = root->integer;
        break;
    case NKV_TYPE_DOUBLE:
        set_double(value, root);
        break;
    case NKV_TYPE_ARRAY:
    case NKV_TYPE_MAP:
    case NKV_TYPE_SET:
    case NKV_TYPE_PUSH:
        set_data(value, root->element);
        value->number.len = root->elements;
        break;
    case NKV_TYPE_VERBATIM:
        memcpy(value->vtype, root->vtype, sizeof value->vtype);
        set_data(value, root->str);
        value->number.len = root->len;
        break;
    case NKV_TYPE_STRING:
    case NKV_TYPE_STATUS:
    case NKV_TYPE_ERROR:
    case NKV_TYPE_BIGNUM:
        set_data(value, root->str);
        value->number.len = root->len;
        break;
    case NKV_TYPE_NIL:
        break;
    }
}

nkv_reply nkv_value_reply(const nkv_value *value)
{
    nkv_reply reply = {.type = (nkv_type)(value->kind & NKVI_KIND_TYPE)};
    switch (reply.type) {
    case NKV_TYPE_INTEGER:
    case NKV_TYPE_BOOL:
        reply.integer = value->number.integer;
        break;
    case NKV_TYPE_DOUBLE:
        reply.dval = value->number.dval;
        reply.str = data_of(value);
        reply.len =
            (size_t)value->vtype[0] | (size_t)value->vtype[1] << 8 | (size_t)value->vtype[2] << 16;
        break;
    case NKV_TYPE_ARRAY:
    case NKV_TYPE_MAP:
    case NKV_TYPE_SET:
    case NKV_TYPE_PUSH:
        reply.element = data_of(value);
        reply.elements = value->number.len;
        break;
    case NKV_TYPE_VERBATIM:
        memcpy(reply.vtype, value->vtype, sizeof value->vtype);
        reply.str = data_of(value);
        reply.len = value->number.len;
        break;
    case NKV_TYPE_STRING:
    case NKV_TYPE_STATUS:
    case NKV_TYPE_ERROR:
    case NKV_TYPE_BIGNUM:
        reply.str = data_of(value);
        reply.len = value->number.len;
        break;
    case NKV_TYPE_NIL:
        break;
    }
    return reply;
}

nkv_str nkv_value_str(const nkv_value *value)
{
    switch ((nkv_type)(value->kind & NKVI_KIND_TYPE)) {
    case NKV_TYPE_STRING:
    case NKV_TYPE_STATUS:
    case NKV_TYPE_ERROR:
    case NKV_TYPE_BIGNUM:
    case NKV_TYPE_VERBATIM:
        return nkv_str_make(data_of(value), value->number.len);
    case NKV_TYPE_DOUBLE:
        return nkv_str_make(data_of(value), double_len(value));
    default:
        return nkv_str_make(NULL, 0);
    }
}

/* ---- References ------------------------------------------------------------------------------ */

nkv_value *nkv_value_retain(nkv_value *value)
{
    atomic_fetch_add_explicit(&value->meta, 1, memory_order_relaxed);
    return value;
}

static void free_heap(nkv_value *value)
{
    void *block = value->of.heap.block;
    if (block != NULL) {
        if (value->of.heap.free_fn != NULL) {
            value->of.heap.free_fn(block, value->of.heap.free_ud);
        } else {
            nkvi_free(block);
        }
    }
    nkvi_free(value);
}

void nkv_value_release(nkv_value *value)
{
    if (value == NULL) {
        return;
    }
    if ((value->kind & NKVI_KIND_SLOT) != 0) {
        nkvi_slot_release((nkvi_slot *)(void *)value);
    } else if (atomic_fetch_sub_explicit(&value->meta, 1, memory_order_acq_rel) == 1) {
        free_heap(value);
    }
}

#define FOR_EVER (UINT64_C(1) << 62) /* references: it is never given back */

nkv_value *nkvi_value_flag(const nkv_reply *root)
{
    static nkv_value flags[2] = {
        {.meta = FOR_EVER, .kind = NKV_TYPE_INTEGER, .number.integer = 0},
        {.meta = FOR_EVER, .kind = NKV_TYPE_INTEGER, .number.integer = 1},
    };
    bool flag = root->type == NKV_TYPE_INTEGER && (root->integer == 0 || root->integer == 1);
    return flag ? nkv_value_retain(&flags[root->integer]) : NULL;
}

/* ---- Values of their own --------------------------------------------------------------------- */

nkv_value *nkvi_value_make(size_t len)
{
    if (len > SIZE_MAX - sizeof(nkv_value)) {
        return NULL;
    }
    nkv_value *value = nkvi_alloc(sizeof *value + len);
    if (value != NULL) {
        memset(value, 0, sizeof *value);
        atomic_store_explicit(&value->meta, 1, memory_order_relaxed);
        value->kind = NKV_TYPE_NIL;
        value->of.heap.block_bytes = len;
    }
    return value;
}

nkv_value *nkv_value_from_bytes(const void *data, size_t len)
{
    nkv_value *value = len < SIZE_MAX ? nkvi_value_make(len + 1) : NULL;
    if (value == NULL) {
        return NULL;
    }
    char *text = (char *)(value + 1);
    if (len > 0) {
        memcpy(text, data, len);
    }
    text[len] = '\0';
    nkv_reply root = {.type = NKV_TYPE_STRING, .str = text, .len = len};
    nkvi_value_set(value, &root);
    return value;
}

static void keep(void *data, void *ud)
{
    (void)data;
    (void)ud;
}

nkv_value *nkv_value_adopt(void *data, size_t len, void (*free_fn)(void *data, void *ud), void *ud)
{
    nkv_value *value = nkvi_value_make(0);
    if (value == NULL) {
        return NULL;
    }
    ((char *)data)[len] = '\0';
    nkv_reply root = {.type = NKV_TYPE_STRING, .str = data, .len = len};
    nkvi_value_set(value, &root);
    value->of.heap.block = data;
    value->of.heap.block_bytes = len + 1;
    value->of.heap.free_fn = free_fn != NULL ? free_fn : keep;
    value->of.heap.free_ud = ud;
    return value;
}

size_t nkv_value_size(const nkv_value *value)
{
    if ((value->kind & NKVI_KIND_SLOT) != 0) {
        return nkvi_slot_size((const nkvi_slot *)(const void *)value);
    }
    size_t head = (value->kind & NKVI_KIND_STAMPED) != 0 ? sizeof(nkvi_stamped) : sizeof *value;
    return head + value->of.heap.block_bytes;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* A double as its bits: NaN is the same as itself, and 0 is not -0. */
static uint64_t bits_of(double number)
{
    uint64_t bits;
    _Static_assert(sizeof bits == sizeof number, "a double has 64 bits");
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

bool nkvi_reply_same(const nkv_reply *a, const nkv_reply *b)
{
    if (a->type != b->type || a->integer != b->integer || a->len != b->len ||
        a->elements != b->elements || memcmp(a->vtype, b->vtype, sizeof a->vtype) != 0 ||
        bits_of(a->dval) != bits_of(b->dval)) {
        return false;
    }
    if (a->len > 0 && memcmp(a->str, b->str, a->len) != 0) {
        return false;
    }
    for (size_t i = 0; i < a->elements; i++) {
        if (!nkvi_reply_same(&a->element[i], &b->element[i])) {
            return false;
        }
    }
    return true;
}

int nkv_value_equal(const nkv_value *a, const nkv_value *b)
{
    nkv_reply left = nkv_value_reply(a);
    nkv_reply right = nkv_value_reply(b);
    return nkvi_reply_same(&left, &right) ? 1 : 0;
}
