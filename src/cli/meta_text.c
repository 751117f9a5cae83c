/* cli/meta_text.c - a chunk's metadata as a short text. */
#include "cli/meta_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/must.h"
#include "cli/values.h"

#define TEXT_MAX 4096 /* of 16 groups of four sizes it is far less */
#define EXAMPLE  "as in fmt=KV_2LTD,dtype=bfloat16,shape=2x32x256x1024"
#define NO_DTYPE "none"

/* ---- Reading --------------------------------------------------------------------------------- */

/* What is left of a text; cut() takes the part up to `end` off its front. */
typedef struct rest {
    nkv_str text;
    bool more; /* a part is to come: at the start, and behind every `end` */
} rest;

static nkv_str cut(rest *from, char end)
{
    const char *stop = memchr(from->text.data, end, from->text.len);
    size_t len = stop != NULL ? (size_t)(stop - from->text.data) : from->text.len;
    nkv_str part = nkv_str_make(from->text.data, len);

    from->more = stop != NULL;
    from->text.data += len + from->more;
    from->text.len -= len + from->more;
    return part;
}

static bool is(nkv_str text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

/* A whole number from 0 to INT32_MAX. */
static bool take_number(nkv_str text, int32_t *number)
{
    char digits[12];
    int64_t value;

    if (text.len == 0 || text.len >= sizeof digits || *text.data < '0' || *text.data > '9') {
        return false;
    }
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    if (!nkvi_value_integer(digits, &value) || value > INT32_MAX) {
        return false;
    }
    *number = (int32_t)value;
    return true;
}

static bool take_format(nkv_str text, nkv_lmcache_meta *meta, nkvi_out *error)
{
    nkv_error why;

    if (take_number(text, &meta->format) ||
        nkv_lmcache_format_parse(text, &meta->format, &why) == NKV_OK) {
        return true;
    }
    nkvi_out_text(error, "fmt is ");
    nkvi_out_quoted(error, text);
    nkvi_out_printf(error, ": %s; or a number from 0 to %d", why.text, INT32_MAX);
    return false;
}

static bool take_dtype(nkv_str text, nkv_lmcache_group *group, nkvi_out *error)
{
    nkv_error why;

    if (is(text, NO_DTYPE)) {
        group->dtype = NKV_LMCACHE_NONE;
        return true;
    }
    if (nkv_lmcache_dtype_parse(text, NKV_LMCACHE_K5, &group->dtype, &why) == NKV_OK) {
        return true;
    }
    nkvi_out_text(error, "dtype is ");
    nkvi_out_quoted(error, text);
    nkvi_out_printf(error, ": %s; or " NO_DTYPE, why.text);
    return false;
}

static bool take_shape(nkv_str text, nkv_lmcache_group *group, nkvi_out *error)
{
    rest sizes = {text, true};

    while (sizes.more) {
        nkv_str size = cut(&sizes, 'x');
        if (group->dims == NKV_LMCACHE_DIMS_MAX || !take_number(size, &group->shape[group->dims])) {
            nkvi_out_text(error, "shape is ");
            nkvi_out_quoted(error, text);
            nkvi_out_printf(error, ": 1 to %d whole numbers from 0 to %d with x between them",
                            NKV_LMCACHE_DIMS_MAX, INT32_MAX);
            return false;
        }
        group->dims++;
    }
    return true;
}

typedef enum field { FORMAT, DTYPE, SHAPE, FIELDS } field;

/* Which fields were there: the format in the whole text, the others in one group. */
typedef struct seen {
    bool had[FIELDS];
} seen;

static field field_named(nkv_str name)
{
    static const char *const names[FIELDS] = {"fmt", "dtype", "shape"};
    field which = FORMAT;

    while (which < FIELDS && !is(name, names[which])) {
        which++;
    }
    return which;
}

/* One name=value. */
static bool take_field(nkv_str text, nkv_lmcache_meta *meta, seen *fields, nkvi_out *error)
{
    nkv_lmcache_group *group = &meta->groups[meta->groups_len];
    rest parts = {text, true};
    field which = field_named(cut(&parts, '='));
    bool known = parts.more && which < FIELDS, twice = known && fields->had[which];

    if (!known || twice) {
        nkvi_out_quoted(error, text);
        nkvi_out_text(error, twice ? " comes twice" : " is no fmt=, dtype= or shape=");
        nkvi_out_text(error, ", " EXAMPLE);
        return false;
    }
    fields->had[which] = true;
    return which == FORMAT  ? take_format(parts.text, meta, error)
           : which == DTYPE ? take_dtype(parts.text, group, error)
                            : take_shape(parts.text, group, error);
}

/* Whether the format is one of tensors, whose shapes come to the size. */
static bool is_tensor(int32_t format)
{
    return nkv_lmcache_format_text(format) != NULL && format != NKV_LMCACHE_BINARY &&
           format != NKV_LMCACHE_BINARY_BUFFER;
}

/* One group, between two semicolons.  `fields` comes with what is known of the format. */
static bool take_group(nkv_str text, nkv_lmcache_meta *meta, seen *fields, nkvi_out *error)
{
    rest parts = {text, true};

    fields->had[DTYPE] = fields->had[SHAPE] = false;
    meta->groups[meta->groups_len] = (nkv_lmcache_group){.dtype = NKV_LMCACHE_NONE};
    while (parts.more) {
        if (!take_field(cut(&parts, ','), meta, fields, error)) {
            return false;
        }
    }
    if (!fields->had[FORMAT]) {
        nkvi_out_text(error, "the first group has no fmt=, " EXAMPLE);
        return false;
    }
    /* Of bytes neither need be said. */
    bool bytes = !is_tensor(meta->format);
    if (!fields->had[SHAPE] && !(bytes && !fields->had[DTYPE])) {
        nkvi_out_text(error, "a group has no shape=, " EXAMPLE);
        return false;
    }
    if (!fields->had[DTYPE] && !bytes && meta->format != NKV_LMCACHE_UNDEFINED) {
        nkvi_out_text(error, "a group has no dtype=, " EXAMPLE);
        return false;
    }
    meta->groups_len++;
    return true;
}

static bool take_groups(const char *text, nkv_lmcache_meta *meta, nkvi_out *error)
{
    rest groups = {nkv_cstr(text), true};
    seen fields = {{false}};
    bool shapeless = false;

    if (groups.text.len > TEXT_MAX) {
        nkvi_out_printf(error, "it has %zu bytes, %d at most", groups.text.len, TEXT_MAX);
        return false;
    }
    while (groups.more) {
        if (meta->groups_len == NKV_LMCACHE_GROUPS_MAX) {
            nkvi_out_printf(error, "more than %d groups", NKV_LMCACHE_GROUPS_MAX);
            return false;
        }
        if (!take_group(cut(&groups, ';'), meta, &fields, error)) {
            return false;
        }
        shapeless = shapeless || !fields.had[SHAPE];
    }
    if (shapeless && meta->groups_len > 1) {
        nkvi_out_text(error, "of several groups each needs dtype= and shape=");
        return false;
    }
    meta->groups_len = shapeless ? 0 : meta->groups_len;
    return true;
}

bool nkvi_meta_parse(const char *text, nkv_lmcache_meta *meta, nkvi_out *error)
{
    *meta = (nkv_lmcache_meta){.format = NKV_LMCACHE_BINARY_BUFFER};
    return text == NULL || take_groups(text, meta, error);
}

/* ---- Does it fit? ---------------------------------------------------------------------------- */

/* The bytes of all groups; false: more than any payload has. */
static bool bytes_of(const nkv_lmcache_meta *meta, uint64_t *bytes)
{
    *bytes = 0;
    for (uint32_t g = 0; g < meta->groups_len; g++) {
        const nkv_lmcache_group *group = &meta->groups[g];
        uint64_t part = nkv_lmcache_dtype_size(group->dtype);
        part = part > 0 ? part : 1; /* UNDEFINED may have none: bytes */
        for (uint32_t d = 0; d < group->dims; d++) {
            if (__builtin_mul_overflow(part, (uint64_t)group->shape[d], &part)) {
                return false;
            }
        }
        if (__builtin_add_overflow(*bytes, part, bytes)) {
            return false;
        }
    }
    return true;
}

bool nkvi_meta_fit(nkv_lmcache_meta *meta, uint64_t size, nkv_lmcache_padding padding,
                   nkvi_out *error)
{
    char packed[NKV_LMCACHE_META_MAX];
    nkv_error why = {.text = ""};
    uint64_t bytes = 0;
    size_t len;

    if (size == 0 || size > NKV_LMCACHE_PAYLOAD_MAX) {
        nkvi_out_printf(error, "%" PRIu64 " bytes; a chunk with metadata has 1 to %d", size,
                        NKV_LMCACHE_PAYLOAD_MAX);
        return false;
    }
    meta->length = (int64_t)size;
    if (meta->groups_len == 0) {
        meta->groups_len = 1;
        meta->groups[0] = (nkv_lmcache_group){.dims = 4, .shape = {(int32_t)size}};
    }
    if (nkv_lmcache_meta_pack(meta, padding, packed, sizeof packed, &len, &why) != NKV_OK) {
        nkvi_out_printf(error, "--meta is not for LMCache: %s", why.text);
        return false;
    }
    if (is_tensor(meta->format) && (!bytes_of(meta, &bytes) || bytes != size)) {
        nkvi_out_printf(error, "%" PRIu64 " bytes, but --meta ", size);
        nkvi_meta_text(error, meta);
        nkvi_out_printf(error, bytes > 0 ? " has %" PRIu64 : " has more", bytes);
        return false;
    }
    return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static const char *dtype_text(nkv_lmcache_dtype dtype)
{
    const char *text = nkv_lmcache_dtype_text(dtype, NKV_LMCACHE_K5);

    return text != NULL ? text : NO_DTYPE;
}

static void add_shape(nkvi_out *out, const nkv_lmcache_group *group, char between)
{
    for (uint32_t d = 0; d < group->dims; d++) {
        if (d > 0) {
            nkvi_out_char(out, between);
        }
        nkvi_out_printf(out, "%" PRId32, group->shape[d]);
    }
}

void nkvi_meta_text(nkvi_out *out, const nkv_lmcache_meta *meta)
{
    const char *format = nkv_lmcache_format_text(meta->format);

    if (format != NULL) {
        nkvi_out_printf(out, "fmt=%s", format);
    } else {
        nkvi_out_printf(out, "fmt=%" PRId32, meta->format);
    }
    for (uint32_t g = 0; g < meta->groups_len; g++) {
        nkvi_out_printf(out, "%cdtype=%s,shape=", g > 0 ? ';' : ',',
                        dtype_text(meta->groups[g].dtype));
        add_shape(out, &meta->groups[g], 'x');
    }
}

void nkvi_meta_json(nkvi_out *out, const nkv_lmcache_meta *meta)
{
    const char *format = nkv_lmcache_format_text(meta->format);

    if (format != NULL) {
        nkvi_out_printf(out, "{\"format\":\"%s\",\"groups\":[", format);
    } else {
        nkvi_out_printf(out, "{\"format\":%" PRId32 ",\"groups\":[", meta->format);
    }
    for (uint32_t g = 0; g < meta->groups_len; g++) {
        nkvi_out_printf(out, "%s{\"dtype\":\"%s\",\"shape\":[", g > 0 ? "," : "",
                        dtype_text(meta->groups[g].dtype));
        add_shape(out, &meta->groups[g], ',');
        nkvi_out_text(out, "]}");
    }
    nkvi_out_text(out, "]}");
}
