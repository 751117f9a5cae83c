/* lmcache/store_judge.c - what a lookup asks, and what its answers mean.
 *
 *      layout            verify_payload      reads of a chunk
 *      with metadata     0                   GET metadata
 *                        1                   GET metadata, STRLEN payload
 *      SINGLE_KEY        0                   EXISTS
 *                        1, chunk_bytes > 0  STRLEN
 */
#include "core/value.h"
#include "lmcache/store.h"

static bool asks_size(const nkv_lmcache_options *options)
{
    bool single = options->layout == NKV_LMCACHE_SINGLE_KEY;
    return options->verify_payload && (!single || options->chunk_bytes > 0);
}

unsigned nkvi_lookup_width(const nkv_lmcache_options *options)
{
    return options->layout != NKV_LMCACHE_SINGLE_KEY && asks_size(options) ? 2 : 1;
}

const nkvi_verb *nkvi_lookup_verb(const nkv_lmcache_options *options, unsigned i,
                                  nkv_lmcache_part *part)
{
    bool metadata = options->layout != NKV_LMCACHE_SINGLE_KEY && i == 0;
    *part = metadata ? NKV_LMCACHE_METADATA : NKV_LMCACHE_PAYLOAD;
    return metadata ? &nkvi_verb_get : asks_size(options) ? &nkvi_verb_strlen : &nkvi_verb_exists;
}

bool nkvi_op_wants_all(const nkvi_op_part *part)
{
    return nkvi_op_open(part);
}

static nkv_status judge_single(const nkv_lmcache_options *options, const nkv_value *value)
{
    int64_t number;
    if (!nkvi_value_integer(value, &number)) {
        return NKV_NOT_FOUND;
    }
    bool there = asks_size(options) ? number == options->chunk_bytes : number > 0;
    return there ? NKV_OK : NKV_NOT_FOUND;
}

nkv_status nkvi_judge_values(const nkv_lmcache_options *options, nkv_value *const *values,
                             nkv_lmcache_meta *meta, bool *gone)
{
    int64_t size;
    *gone = false;
    if (options->layout == NKV_LMCACHE_SINGLE_KEY) {
        return judge_single(options, values[0]);
    }
    if (!nkvi_value_is_string(values[0]) ||
        nkv_lmcache_meta_unpack(nkv_value_str(values[0]), options->groups, meta, NULL) != NKV_OK) {
        return NKV_NOT_FOUND;
    }
    if (!asks_size(options)) {
        return NKV_OK;
    }
    if (!nkvi_value_integer(values[1], &size) || size != meta->length) {
        *gone = size == 0;
        return NKV_NOT_FOUND;
    }
    return NKV_OK;
}

void nkvi_judge(nkvi_op_part *part, const nkv_lmcache_options *options, const nkv_result *results)
{
    nkv_item *item = part->item;
    nkv_value *values[2];
    nkv_lmcache_meta meta;
    item->from = results[0].from;
    for (unsigned i = 0; i < nkvi_lookup_width(options); i++) {
        if (results[i].status < 0) {
            item->status = results[i].status;
            return;
        }
        values[i] = results[i].value;
        item->from = item->from == NKV_FROM_CACHE ? results[i].from : item->from;
    }
    item->status = nkvi_judge_values(options, values, &meta, &part->gone);
    /* What is only remembered may be over at the server: nothing is deleted on its word. */
    part->gone = part->gone && results[0].from != NKV_FROM_CACHE &&
                 results[nkvi_lookup_width(options) - 1].from != NKV_FROM_CACHE;
    if (item->status == NKV_OK && options->layout != NKV_LMCACHE_SINGLE_KEY) {
        item->len = (size_t)meta.length;
        if (item->meta != NULL) {
            *item->meta = meta;
        }
    }
}
