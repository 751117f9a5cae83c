/* cli/lmcache_files.c - nearkv lmcache put and get: a file is a chunk.
 *
 * One file after the other, through one block of memory that is as large as the largest of them.
 * Everything that can be told beforehand is checked before anything is sent.                     */
#include <inttypes.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/file.h"
#include "cli/lmcache.h"
#include "cli/meta_text.h"

#define NOTHING ((nkvi_about){NULL, NULL})

static bool is_standard(const char *file)
{
    return strcmp(file, "-") == 0;
}

static nkv_str key_of(const nkvi_lmc *self, size_t i)
{
    return nkv_cstr(self->settings->rest[i]);
}

static const char *file_of(const nkvi_lmc *self, size_t i)
{
    return self->settings->rest[i + 1];
}

/* Whether there are pairs of KEY and FILE, and how many times FILE is "-". */
static bool check_pairs(nkvi_lmc *self, size_t *standard)
{
    size_t n = self->settings->rest_n;

    *standard = 0;
    if (n == 0) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING,
                       "takes KEY FILE, once or several times");
        return false;
    }
    if (n % 2 != 0) {
        nkv_str last = key_of(self, n - 1);
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, (nkvi_about){&last, NULL},
                       "this KEY has no FILE: they come in pairs");
        return false;
    }
    for (size_t i = 0; i < n; i += 2) {
        if (key_of(self, i).len == 0) {
            nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, (nkvi_about){NULL, file_of(self, i)},
                           "a KEY is empty: it has at least one byte");
            return false;
        }
        *standard += is_standard(file_of(self, i));
    }
    return true;
}

/* ---- put ------------------------------------------------------------------------------------- */

static bool is_single(const nkvi_settings *settings)
{
    return settings->layout == NKV_LMCACHE_SINGLE_KEY;
}

/* Whether a file of this size can be the chunk; `meta` is completed.  Tells if not. */
static bool check_size(nkvi_lmc *self, nkvi_about about, uint64_t size, nkv_lmcache_meta *meta)
{
    const nkvi_settings *settings = self->settings;
    nkv_lmcache_padding padding = (nkv_lmcache_padding)settings->padding;
    uint64_t want = (uint64_t)settings->chunk_bytes;
    nkvi_out why = {0};
    bool fits = true;

    nkvi_out_printf(&why, "%s: ", is_standard(about.file) ? "standard input" : about.file);
    if (size > NKV_VALUE_MAX) {
        nkvi_out_printf(&why, "%" PRIu64 " bytes; a chunk has %zu at most", size, NKV_VALUE_MAX);
        fits = false;
    } else if (want > 0 && size != want) {
        nkvi_out_printf(&why, "%" PRIu64 " bytes; --chunk-bytes says %" PRIu64, size, want);
        fits = false;
    } else if (!is_single(settings)) {
        fits = nkvi_meta_fit(meta, size, padding, &why);
    }
    if (!fits) {
        nkvi_tell_fail_out(&self->tell, NKVI_EXIT_USAGE, about, &why);
    }
    nkvi_out_clear(&why);
    return fits;
}

/* The metadata of --meta, as far as it can be read without a file. */
static bool read_meta(nkvi_lmc *self, nkv_lmcache_meta *meta)
{
    nkvi_out why = {0};

    nkvi_out_text(&why, "--meta: ");
    bool fine = nkvi_meta_parse(self->settings->meta, meta, &why);
    if (!fine) {
        nkvi_tell_fail_out(&self->tell, NKVI_EXIT_USAGE, NOTHING, &why);
    }
    nkvi_out_clear(&why);
    return fine;
}

bool nkvi_lmc_put_check(nkvi_lmc *self)
{
    nkv_lmcache_meta meta;
    size_t standard;

    if (!check_pairs(self, &standard) || !read_meta(self, &meta)) {
        return false;
    }
    if (standard > 1) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING,
                       "standard input (-) can be read for one KEY only");
        return false;
    }
    for (size_t i = 0; i < self->settings->rest_n; i += 2) {
        nkv_str key = key_of(self, i);
        nkvi_about about = {&key, file_of(self, i)};
        nkv_lmcache_meta own = meta;
        int64_t size;
        nkvi_out why = {0};

        if (!nkvi_file_size(about.file, &size, &why)) {
            nkvi_tell_fail_out(&self->tell, NKVI_EXIT_FAILURE, about, &why);
            return false;
        }
        if (size >= 0 && !check_size(self, about, (uint64_t)size, &own)) {
            return false;
        }
    }
    return true;
}

/* {"key":…,"file":…,"stored":true,"bytes":…,"meta":…} */
static void say_stored(nkvi_lmc *self, nkvi_about about, const nkv_item *item)
{
    if (!self->tell.json) {
        return;
    }
    nkvi_tell_begin(&self->tell, about);
    nkvi_out_printf(&self->tell.line, ",\"stored\":true,\"bytes\":%zu", item->value.len);
    if (item->meta != NULL) {
        nkvi_out_text(&self->tell.line, ",\"meta\":");
        nkvi_meta_json(&self->tell.line, item->meta);
    }
    nkvi_out_text(&self->tell.line, "}\n");
    nkvi_tell_say(&self->tell);
}

static void put_file(nkvi_lmc *self, size_t i, nkv_lmcache_meta meta, nkvi_block *block)
{
    nkv_str key = key_of(self, i);
    nkvi_about about = {&key, file_of(self, i)};
    nkvi_out why = {0};
    nkv_call call;

    if (!nkvi_file_read(about.file, NKV_VALUE_MAX, block, &why)) {
        nkvi_tell_fail_out(&self->tell, NKVI_EXIT_FAILURE, about, &why);
        return;
    }
    if (!check_size(self, about, block->len, &meta)) {
        return;
    }
    nkv_item item = {.key = key,
                     .value = nkv_str_make(block->data, block->len),
                     .meta = is_single(self->settings) ? NULL : &meta};
    nkv_call_init(&call);
    nkv_status status = nkv_lmcache_put(self->lmcache, &item, 1, &call);
    if (status < 0) {
        nkvi_tell_fail_item(&self->tell, about, status, &call.error);
        return;
    }
    say_stored(self, about, &item);
}

void nkvi_lmc_put(nkvi_lmc *self)
{
    nkv_lmcache_meta meta;
    nkvi_block block = {0};

    if (!read_meta(self, &meta)) {
        return;
    }
    for (size_t i = 0; i < self->settings->rest_n && !self->tell.deaf; i += 2) {
        put_file(self, i, meta, &block);
    }
    nkvi_block_clear(&block);
}

/* ---- get ------------------------------------------------------------------------------------- */

bool nkvi_lmc_get_check(nkvi_lmc *self)
{
    const char *meta_file = self->settings->meta_file;
    bool meta_there = meta_file != NULL && is_standard(meta_file);
    size_t standard;

    if (!check_pairs(self, &standard)) {
        return false;
    }
    if (self->tell.json && (standard > 0 || meta_there)) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING,
                       "with --json standard output is taken: name a FILE instead of -");
        return false;
    }
    if (standard > 0 && meta_there) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING,
                       "FILE and --meta-file cannot both be standard output (-)");
        return false;
    }
    return true;
}

static void *make_room(nkv_item *item)
{
    return nkvi_block_room(item->ud, item->len);
}

/* {"key":…,"file":…,"found":true,"bytes":…,"meta":…} */
static void say_found(nkvi_lmc *self, nkvi_about about, const nkv_item *item)
{
    if (!self->tell.json) {
        return;
    }
    nkvi_tell_begin(&self->tell, about);
    nkvi_out_printf(&self->tell.line, ",\"found\":true,\"bytes\":%zu", item->len);
    if (!is_single(self->settings)) {
        nkvi_out_text(&self->tell.line, ",\"meta\":");
        nkvi_meta_json(&self->tell.line, item->meta);
    }
    nkvi_out_text(&self->tell.line, "}\n");
    nkvi_tell_say(&self->tell);
}

/* Gets a chunk and writes its file.  Returns whether `meta` holds its metadata. */
static bool get_file(nkvi_lmc *self, size_t i, nkv_lmcache_meta *meta, nkvi_block *block)
{
    nkv_str key = key_of(self, i);
    nkvi_about about = {&key, file_of(self, i)};
    nkvi_out why = {0};
    nkv_call call;

    nkv_call_init(&call);
    nkv_item item = {.key = key, .alloc = make_room, .meta = meta, .ud = block};
    nkv_status status = nkv_lmcache_get(self->lmcache, &item, 1, &call);
    if (status < 0 || item.status != NKV_OK) {
        nkvi_tell_fail_item(&self->tell, about, status < 0 ? status : item.status, &call.error);
        return false;
    }
    if (!nkvi_file_write(about.file, item.buf, item.len, &why)) {
        self->tell.deaf = self->tell.deaf || is_standard(about.file);
        nkvi_tell_fail_out(&self->tell, NKVI_EXIT_FAILURE, about, &why);
        return false;
    }
    say_found(self, about, &item);
    return true;
}

/* Writes the lines that --meta-file asked for. */
static void write_metas(nkvi_lmc *self, const nkvi_out *lines)
{
    const char *file = self->settings->meta_file;
    nkvi_out why = {0};

    if (!nkvi_file_write(file, lines->data, lines->len, &why)) {
        nkvi_tell_fail_out(&self->tell, NKVI_EXIT_FAILURE, (nkvi_about){NULL, file}, &why);
    }
    nkvi_out_clear(&why);
}

void nkvi_lmc_get(nkvi_lmc *self)
{
    nkv_lmcache_meta meta;
    nkvi_block block = {0};
    nkvi_out metas = {0};

    for (size_t i = 0; i < self->settings->rest_n && !self->tell.deaf; i += 2) {
        if (get_file(self, i, &meta, &block) && !is_single(self->settings)) {
            nkvi_meta_text(&metas, &meta);
        }
        nkvi_out_char(&metas, '\n');
    }
    if (self->settings->meta_file != NULL && !self->tell.deaf) {
        write_metas(self, &metas);
    }
    nkvi_out_clear(&metas);
    nkvi_block_clear(&block);
}
