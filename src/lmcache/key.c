/* lmcache/key.c - cache keys K1 to K5: built from their parts, and cut into them.
 *
 *      [fmt @] model @ world_size @ worker_id @ hash [@ dtype] [@ layer] [@ name%value]...
 *
 * Both directions ask check_key(), so they agree on what a key is.  Numbers are taken as Python's
 * str() prints them, in one way only; then what is parsed is built again to the same bytes. */
#include <nearkv/lmcache_key.h>

#include <stdbool.h>

#include "base/status.h"
#include "lmcache/cut.h"
#include "lmcache/generation.h"
#include "lmcache/text.h"

/* ---- What is allowed ------------------------------------------------------------------------- */

/* A text part that the generation has, or must be empty because it has none. */
static nkv_status check_text(nkv_str text, bool has, const char *name, nkv_error *error)
{
    if (!has && text.len > 0) {
        return nkvi_fail(error, NKV_EINVAL, "%s: keys of this generation have none; leave it empty",
                         name);
    }
    if (has && (text.len == 0 || nkvi_lmcache_has(text, '@'))) {
        return nkvi_fail(error, NKV_EINVAL, "%s: allowed are bytes other than '@', at least one",
                         name);
    }
    return NKV_OK;
}

static nkv_status check_tag(const nkv_lmcache_tag *tag, nkv_error *error)
{
    if (tag->name.len == 0 || nkvi_lmcache_has(tag->name, '@') ||
        nkvi_lmcache_has(tag->name, '%')) {
        return nkvi_fail(error, NKV_EINVAL,
                         "tag: in a name are allowed bytes other than '@' and '%%', at least one");
    }
    if (nkvi_lmcache_has(tag->value, '@')) {
        return nkvi_fail(error, NKV_EINVAL, "tag: in a value are allowed bytes other than '@'");
    }
    return NKV_OK;
}

static nkv_status check_tags(const nkv_lmcache_key *key, bool has, nkv_error *error)
{
    if (!has && key->tags_len > 0) {
        return nkvi_fail(error, NKV_EINVAL, "tags: keys of this generation have none");
    }
    for (size_t i = 0; i < key->tags_len; i++) {
        nkv_status status = check_tag(&key->tags[i], error);
        if (status != NKV_OK) {
            return status;
        }
    }
    return NKV_OK;
}

static nkv_status check_key(const nkv_lmcache_key *key, nkv_error *error)
{
    const nkvi_lmcache_generation *gen = nkvi_lmcache_generation_of(key->gen);
    nkv_lmcache_dtype dtype;

    if (gen == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "generation: allowed is K1 to K5");
    }
    nkv_status status = check_text(key->fmt, gen->fmt, "fmt", error);
    if (status == NKV_OK) {
        status = check_text(key->model, true, "model", error);
    }
    if (status == NKV_OK) {
        status = nkvi_lmcache_check_hash(key->hash, key->gen, error);
    }
    if (status == NKV_OK && gen->dtype) {
        status = nkv_lmcache_dtype_parse(key->dtype, key->gen, &dtype, error);
    } else if (status == NKV_OK) {
        status = check_text(key->dtype, false, "dtype", error);
    }
    return status == NKV_OK ? check_tags(key, gen->tags, error) : status;
}

/* ---- Build ----------------------------------------------------------------------------------- */

static void put_number(nkvi_lmcache_out *out, uint32_t number)
{
    nkvi_lmcache_put_char(out, '@');
    nkvi_lmcache_put_number(out, number, 10, 0);
}

static void put_text(nkvi_lmcache_out *out, nkv_str text)
{
    nkvi_lmcache_put_char(out, '@');
    nkvi_lmcache_put_str(out, text);
}

nkv_status nkv_lmcache_key_build(const nkv_lmcache_key *key, char *buf, size_t cap, size_t *len,
                                 nkv_error *error)
{
    nkvi_lmcache_out out = nkvi_lmcache_out_to(buf, cap);

    *len = 0;
    nkv_status status = check_key(key, error);
    if (status != NKV_OK) {
        return status;
    }
    if (key->fmt.len > 0) {
        nkvi_lmcache_put_str(&out, key->fmt);
        nkvi_lmcache_put_char(&out, '@');
    }
    nkvi_lmcache_put_str(&out, key->model);
    put_number(&out, key->world_size);
    put_number(&out, key->worker_id);
    put_text(&out, key->hash);
    if (key->dtype.len > 0) {
        put_text(&out, key->dtype);
    }
    if (key->has_layer != 0) {
        put_number(&out, key->layer);
    }
    for (size_t i = 0; i < key->tags_len; i++) {
        put_text(&out, key->tags[i].name);
        nkvi_lmcache_put_char(&out, '%');
        nkvi_lmcache_put_str(&out, key->tags[i].value);
    }
    return nkvi_lmcache_out_end(&out, "key", len, error);
}

/* ---- Parse ----------------------------------------------------------------------------------- */

/* The parts that every key of the generation has. */
static nkv_status take_fixed(nkvi_lmcache_cut *cut, const nkvi_lmcache_generation *gen,
                             nkv_lmcache_key *out, nkv_error *error)
{
    nkv_str world, worker;
    bool whole = (!gen->fmt || nkvi_lmcache_cut_next(cut, &out->fmt)) &&
                 nkvi_lmcache_cut_next(cut, &out->model) && nkvi_lmcache_cut_next(cut, &world) &&
                 nkvi_lmcache_cut_next(cut, &worker) && nkvi_lmcache_cut_next(cut, &out->hash) &&
                 (!gen->dtype || nkvi_lmcache_cut_next(cut, &out->dtype));

    if (!whole) {
        return nkvi_fail(error, NKV_EINVAL, "key: too few parts; allowed is %s", gen->form);
    }
    nkv_status status = nkvi_lmcache_cut_number(world, "world_size", &out->world_size, error);
    if (status == NKV_OK) {
        status = nkvi_lmcache_cut_number(worker, "worker_id", &out->worker_id, error);
    }
    return status;
}

/* As LMCache decides it: a part of digits only, right behind the fixed ones, is the layer. */
static nkv_status take_layer(nkvi_lmcache_cut *cut, nkv_lmcache_key *out, nkv_error *error)
{
    nkvi_lmcache_cut ahead = *cut;
    nkv_str part;

    if (!nkvi_lmcache_cut_next(&ahead, &part) || !nkvi_lmcache_is_decimal(part)) {
        return NKV_OK;
    }
    *cut = ahead;
    out->has_layer = 1;
    return nkvi_lmcache_cut_number(part, "layer", &out->layer, error);
}

/* room: of `cap` tags.  All are counted, so that the error tells how many there are. */
static nkv_status take_tags(nkvi_lmcache_cut *cut, nkv_lmcache_tag *room, size_t cap,
                            nkv_lmcache_key *out, nkv_error *error)
{
    nkv_lmcache_tag tag;
    nkv_str part;
    size_t n = 0;

    for (; nkvi_lmcache_cut_next(cut, &part); n++) {
        if (!nkvi_lmcache_has(part, '%')) {
            return nkvi_fail(error, NKV_EINVAL,
                             "tag: allowed is name%%value behind the fixed parts and the layer");
        }
        tag.name = nkvi_lmcache_cut_at(&part, '%');
        tag.value = part;
        if (n < cap) {
            room[n] = tag;
        }
    }
    if (n > cap) {
        return nkvi_fail(error, NKV_ENOMEM, "tags: there is room for %zu, %zu are needed", cap, n);
    }
    out->tags = n > 0 ? room : NULL;
    out->tags_len = n;
    return NKV_OK;
}

nkv_status nkv_lmcache_key_parse(nkv_str text, nkv_lmcache_gen gen, nkv_lmcache_tag *tags,
                                 size_t tags_cap, nkv_lmcache_key *out, nkv_error *error)
{
    const nkvi_lmcache_generation *row = nkvi_lmcache_generation_of(gen);
    nkvi_lmcache_cut cut = nkvi_lmcache_cut_from(text);
    nkv_lmcache_key key = {.gen = gen};

    *out = (nkv_lmcache_key){0};
    if (row == NULL) {
        return nkvi_fail(error, NKV_EINVAL, "generation: allowed is K1 to K5");
    }
    if (text.len > NKVI_LMCACHE_NAME_MAX) {
        return nkvi_fail(error, NKV_EINVAL, "key: longer than the 512 MiB that a key may have");
    }
    nkv_status status = take_fixed(&cut, row, &key, error);
    if (status == NKV_OK) {
        status = take_layer(&cut, &key, error);
    }
    if (status == NKV_OK) {
        status = take_tags(&cut, tags, tags_cap, &key, error);
    }
    if (status == NKV_OK) {
        status = check_key(&key, error);
    }
    if (status == NKV_OK) {
        *out = key;
    }
    return status;
}
