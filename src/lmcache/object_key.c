/* lmcache/object_key.c - object keys of LMCache's MP mode (its L2 adapters).
 *
 *      [prefix @] model @ WWGGLLRR [@ group] @ digest [@ salt]
 *                         | | | |      |
 *                         | | | |      hexadecimal, no zeros in front; none in OBJECT_OLD
 *                         world, global rank, local world, local rank: two digits each
 *
 * Four bytes share the rank, so each must be one: a larger number would run into its neighbour. */
#include <nearkv/lmcache_key.h>

#include <stdbool.h>

#include "base/status.h"
#include "lmcache/cut.h"
#include "lmcache/generation.h"
#include "lmcache/text.h"

#define RANK_DIGITS  8
#define BYTE_LARGEST 255
#define SALT_CHARS   128

/* ---- What is allowed ------------------------------------------------------------------------- */

/* Characters of UTF-8, as Python counts them: every byte but those that continue one. */
static size_t characters(nkv_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    }
    return n;
}

static nkv_status check_salt(nkv_str salt, nkv_error *error)
{
    if (nkvi_lmcache_has(salt, '@') || nkvi_lmcache_has(salt, '/') ||
        nkvi_lmcache_has(salt, '\\') || nkvi_lmcache_has(salt, '\0')) {
        return nkvi_fail(error, NKV_EINVAL,
                         "salt: allowed are bytes other than '@', '/', '\\' and NUL");
    }
    if (characters(salt) > SALT_CHARS) {
        return nkvi_fail(error, NKV_EINVAL, "salt: allowed are at most %d characters", SALT_CHARS);
    }
    return NKV_OK;
}

static nkv_status check_gen(nkv_lmcache_gen gen, nkv_error *error)
{
    if (gen != NKV_LMCACHE_OBJECT && gen != NKV_LMCACHE_OBJECT_OLD) {
        return nkvi_fail(error, NKV_EINVAL, "generation: allowed is OBJECT and OBJECT_OLD");
    }
    return NKV_OK;
}

static nkv_status check_key(const nkv_lmcache_object_key *key, nkv_error *error)
{
    nkv_status status = check_gen(key->gen, error);
    if (status != NKV_OK) {
        return status;
    }
    if (key->model.len == 0 || nkvi_lmcache_has(key->model, '@')) {
        return nkvi_fail(error, NKV_EINVAL,
                         "model: allowed are bytes other than '@', at least one");
    }
    if (key->world > BYTE_LARGEST || key->global_rank > BYTE_LARGEST ||
        key->local_world > BYTE_LARGEST || key->local_rank > BYTE_LARGEST) {
        return nkvi_fail(error, NKV_EINVAL,
                         "world, global_rank, local_world, local_rank: allowed is 0 to %d each",
                         BYTE_LARGEST);
    }
    if (key->gen == NKV_LMCACHE_OBJECT_OLD && key->group != 0) {
        return nkvi_fail(error, NKV_EINVAL, "group: keys of OBJECT_OLD have none; leave it 0");
    }
    status = nkvi_lmcache_check_hash(key->hash, key->gen, error);
    return status == NKV_OK ? check_salt(key->salt, error) : status;
}

/* ---- Build ----------------------------------------------------------------------------------- */

nkv_status nkv_lmcache_object_key_build(const nkv_lmcache_object_key *key, char *buf, size_t cap,
                                        size_t *len, nkv_error *error)
{
    nkvi_lmcache_out out = nkvi_lmcache_out_to(buf, cap);

    *len = 0;
    nkv_status status = check_key(key, error);
    if (status != NKV_OK) {
        return status;
    }
    if (key->prefix.len > 0) {
        nkvi_lmcache_put_str(&out, key->prefix);
        nkvi_lmcache_put_char(&out, '@');
    }
    nkvi_lmcache_put_str(&out, key->model);
    nkvi_lmcache_put_char(&out, '@');
    nkvi_lmcache_put_number(&out,
                            (uint64_t)key->world << 24 | key->global_rank << 16 |
                                key->local_world << 8 | key->local_rank,
                            16, RANK_DIGITS);
    nkvi_lmcache_put_char(&out, '@');
    if (key->gen == NKV_LMCACHE_OBJECT) {
        nkvi_lmcache_put_number(&out, key->group, 16, 0);
        nkvi_lmcache_put_char(&out, '@');
    }
    nkvi_lmcache_put_str(&out, key->hash);
    if (key->salt.len > 0) {
        nkvi_lmcache_put_char(&out, '@');
        nkvi_lmcache_put_str(&out, key->salt);
    }
    return nkvi_lmcache_out_end(&out, "key", len, error);
}

/* ---- Parse ----------------------------------------------------------------------------------- */

static nkv_status take_prefix(nkv_str *text, nkv_str prefix, nkv_lmcache_object_key *out,
                              nkv_error *error)
{
    if (prefix.len == 0) {
        return NKV_OK;
    }
    if (text->len <= prefix.len || memcmp(text->data, prefix.data, prefix.len) != 0 ||
        text->data[prefix.len] != '@') {
        return nkvi_fail(error, NKV_EINVAL, "key: does not begin with the prefix and an '@'");
    }
    *text = nkv_str_make(text->data + prefix.len + 1, text->len - prefix.len - 1);
    out->prefix = prefix;
    return NKV_OK;
}

static nkv_status take_rank(nkv_str part, nkv_lmcache_object_key *out, nkv_error *error)
{
    uint64_t rank;

    if (part.len != RANK_DIGITS || !nkvi_lmcache_is_hex(part) ||
        !nkvi_lmcache_read(part, 16, &rank)) {
        return nkvi_fail(error, NKV_EINVAL, "rank: allowed are 8 digits 0 to 9 and a to f");
    }
    out->world = (uint32_t)(rank >> 24);
    out->global_rank = (uint32_t)(rank >> 16) & BYTE_LARGEST;
    out->local_world = (uint32_t)(rank >> 8) & BYTE_LARGEST;
    out->local_rank = (uint32_t)rank & BYTE_LARGEST;
    return NKV_OK;
}

static nkv_status take_group(nkv_str part, nkv_lmcache_object_key *out, nkv_error *error)
{
    uint64_t group;

    if (!nkvi_lmcache_is_hex(part) || !nkvi_lmcache_is_shortest(part) ||
        !nkvi_lmcache_read(part, 16, &group) || group > UINT32_MAX) {
        return nkvi_fail(error, NKV_EINVAL,
                         "group: allowed is 0 to ffffffff in hexadecimal, without zeros in front");
    }
    out->group = (uint32_t)group;
    return NKV_OK;
}

/* All parts behind the prefix. */
static nkv_status take_parts(nkv_str text, nkv_lmcache_object_key *out, nkv_error *error)
{
    nkvi_lmcache_cut cut = nkvi_lmcache_cut_from(text);
    bool grouped = out->gen == NKV_LMCACHE_OBJECT;
    nkv_str rank, group = {NULL, 0}, more;

    bool whole = nkvi_lmcache_cut_next(&cut, &out->model) && nkvi_lmcache_cut_next(&cut, &rank) &&
                 (!grouped || nkvi_lmcache_cut_next(&cut, &group)) &&
                 nkvi_lmcache_cut_next(&cut, &out->hash);
    bool salted = whole && nkvi_lmcache_cut_next(&cut, &out->salt);
    if (!whole || (salted && out->salt.len == 0) || nkvi_lmcache_cut_next(&cut, &more)) {
        return nkvi_fail(error, NKV_EINVAL, "key: allowed is model@rank@%shash[@salt]",
                         grouped ? "group@" : "");
    }
    nkv_status status = take_rank(rank, out, error);
    return status == NKV_OK && grouped ? take_group(group, out, error) : status;
}

nkv_status nkv_lmcache_object_key_parse(nkv_str text, nkv_lmcache_gen gen, nkv_str prefix,
                                        nkv_lmcache_object_key *out, nkv_error *error)
{
    nkv_lmcache_object_key key = {.gen = gen};

    *out = (nkv_lmcache_object_key){0};
    nkv_status status = check_gen(gen, error);
    if (status == NKV_OK) {
        status = take_prefix(&text, prefix, &key, error);
    }
    if (status == NKV_OK) {
        status = take_parts(text, &key, error);
    }
    if (status == NKV_OK) {
        status = check_key(&key, error);
    }
    if (status == NKV_OK) {
        *out = key;
    }
    return status;
}
