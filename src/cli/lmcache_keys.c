/* cli/lmcache_keys.c - nearkv lmcache contains, rm and ls: what is there, without the bytes. */
#include <stdlib.h>

#include "cli/connect.h"
#include "cli/json_out.h"
#include "cli/lmcache.h"
#include "cli/meta_text.h"
#include "cli/must.h"

#define NOTHING     ((nkvi_about){NULL, NULL})
#define UNTOUCHED   NKV_MISS           /* no status of an item */
#define FLUSH_BYTES ((size_t)64 << 10) /* of a listing in one write */

bool nkvi_lmc_keys_check(nkvi_lmc *self)
{
    size_t n = self->settings->rest_n;

    if (n == 0) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING, "takes KEY, once or several times");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (*self->settings->rest[i] == '\0') {
            nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING,
                           "a KEY is empty: it has at least one byte");
            return false;
        }
    }
    return true;
}

/* An item for each key; with `metas` also room for its metadata. */
static nkv_item *make_items(const nkvi_lmc *self, nkv_lmcache_meta *metas)
{
    size_t n = self->settings->rest_n;
    nkv_item *items = nkvi_must_alloc(n, sizeof *items);

    for (size_t i = 0; i < n; i++) {
        items[i].key = nkv_cstr(self->settings->rest[i]);
        items[i].meta = metas != NULL ? &metas[i] : NULL;
        items[i].status = UNTOUCHED;
    }
    return items;
}

/* What failed as a whole failed for every key. */
static void spread(nkv_item *items, size_t n, nkv_status status)
{
    for (size_t i = 0; i < n; i++) {
        items[i].status = items[i].status == UNTOUCHED ? status : items[i].status;
    }
}

/* Tells of an item that failed.  *first: the call's error is about this one. */
static void fail_item(nkvi_lmc *self, const nkv_item *item, const nkv_call *call, bool *first)
{
    nkvi_tell_fail_item(&self->tell, (nkvi_about){&item->key, NULL}, item->status,
                        *first ? &call->error : NULL);
    *first = *first && item->status >= 0;
}

/* ---- contains -------------------------------------------------------------------------------- */

/* {"key":…,"found":true,"bytes":…,"meta":…}, or "KEY: 33554432 bytes, fmt=…" */
static void say_there(nkvi_lmc *self, const nkv_item *item)
{
    bool sized = self->settings->layout != NKV_LMCACHE_SINGLE_KEY;
    nkvi_out *line = &self->tell.line;

    if (self->tell.json) {
        nkvi_tell_begin(&self->tell, (nkvi_about){&item->key, NULL});
        nkvi_out_text(line, ",\"found\":true");
        if (sized) {
            nkvi_out_printf(line, ",\"bytes\":%zu,\"meta\":", item->len);
            nkvi_meta_json(line, item->meta);
        }
        nkvi_out_text(line, "}\n");
    } else {
        nkvi_tell_add_key(line, item->key);
        if (sized) {
            nkvi_out_printf(line, ": %zu bytes, ", item->len);
            nkvi_meta_text(line, item->meta);
        } else {
            nkvi_out_text(line, ": there");
        }
        nkvi_out_char(line, '\n');
    }
    nkvi_tell_say(&self->tell);
}

/* That it is not there is an answer here, so it goes to standard output. */
static void say_absent(nkvi_lmc *self, const nkv_item *item)
{
    self->tell.status = self->tell.status != NKVI_EXIT_OK ? self->tell.status : NKVI_EXIT_FAILURE;
    if (self->tell.json) {
        nkvi_tell_begin(&self->tell, (nkvi_about){&item->key, NULL});
        nkvi_out_text(&self->tell.line, ",\"found\":false}\n");
    } else {
        nkvi_tell_add_key(&self->tell.line, item->key);
        nkvi_out_text(&self->tell.line, ": not there\n");
    }
    nkvi_tell_say(&self->tell);
}

void nkvi_lmc_contains(nkvi_lmc *self)
{
    size_t n = self->settings->rest_n, found = 0, prefix = 0;
    nkv_lmcache_meta *metas = nkvi_must_alloc(n, sizeof *metas);
    nkv_item *items = make_items(self, metas);
    bool first = true;
    nkv_call call;

    nkv_call_init(&call);
    spread(items, n, nkv_lmcache_contains(self->lmcache, items, n, &call));
    for (size_t i = 0; i < n; i++) {
        prefix += prefix == i && items[i].status == NKV_OK;
        found += items[i].status == NKV_OK;
        if (items[i].status == NKV_OK) {
            say_there(self, &items[i]);
        } else if (items[i].status == NKV_NOT_FOUND) {
            say_absent(self, &items[i]);
        } else {
            fail_item(self, &items[i], &call, &first);
        }
    }
    nkvi_out_printf(&self->tell.line,
                    self->tell.json ? "{\"prefix\":%zu,\"found\":%zu,\"keys\":%zu}\n"
                                    : "prefix: %zu, found: %zu, keys: %zu\n",
                    prefix, found, n);
    nkvi_tell_say(&self->tell);
    free(items);
    free(metas);
}

/* ---- rm -------------------------------------------------------------------------------------- */

void nkvi_lmc_rm(nkvi_lmc *self)
{
    size_t n = self->settings->rest_n;
    nkv_item *items = make_items(self, NULL);
    bool first = true;
    nkv_call call;

    nkv_call_init(&call);
    spread(items, n, nkv_lmcache_remove(self->lmcache, items, n, &call));
    for (size_t i = 0; i < n; i++) {
        if (items[i].status != NKV_OK) {
            fail_item(self, &items[i], &call, &first);
        } else if (self->tell.json) {
            nkvi_tell_begin(&self->tell, (nkvi_about){&items[i].key, NULL});
            nkvi_out_text(&self->tell.line, ",\"found\":true}\n");
            nkvi_tell_say(&self->tell);
        }
    }
    free(items);
}

/* ---- ls -------------------------------------------------------------------------------------- */

bool nkvi_lmc_ls_check(nkvi_lmc *self)
{
    if (self->settings->rest_n > 1) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING, "takes one PREFIX at most");
        return false;
    }
    return true;
}

static int say_key(nkv_str key, void *ud)
{
    nkvi_lmc *self = ud;

    if (self->tell.json) {
        nkvi_tell_begin(&self->tell, (nkvi_about){&key, NULL});
        nkvi_out_text(&self->tell.line, "}\n");
    } else {
        nkvi_tell_add_key(&self->tell.line, key);
        nkvi_out_char(&self->tell.line, '\n');
    }
    if (self->tell.line.len >= FLUSH_BYTES) {
        nkvi_tell_say(&self->tell);
    }
    return self->tell.deaf;
}

void nkvi_lmc_ls(nkvi_lmc *self)
{
    nkv_str prefix = nkv_cstr(self->settings->rest_n > 0 ? self->settings->rest[0] : "");
    nkv_call call;

    nkv_call_init(&call);
    nkv_status status = nkv_lmcache_list(self->lmcache, prefix, say_key, self, &call);
    nkvi_tell_say(&self->tell);
    if (status < 0) {
        nkvi_tell_fail_item(&self->tell, NOTHING, status, &call.error);
    }
}
