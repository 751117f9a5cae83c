/* kv/mset.c - setting many keys: all on their way at once.
 *
 *      pack each --> note the tags --> SET each --> note the tags again --> marks of freshness
 *                                      plain, one TTL: a batch on the bulk lanes
 *                                      else: commands, pipelined
 *
 * What fails for one item is that item's status; the others go on. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kv/pack.h"
#include "kv/tags.h"

typedef struct mset {
    nkv_kv *kv;
    nkv_kv_item *items;
    size_t n;
    nkvi_how how;
    nkv_call *call; /* with its error: of the first item that failed */
    nkv_str *keys, *names, *bytes;
    nkv_value **held;
} mset;

static void fail_item(mset *self, size_t i, nkv_status status, const nkv_error *error)
{
    self->items[i].status = status;
    if (status < 0 && self->call->error.status == NKV_OK) {
        self->call->error = *error;
    }
}

/* What failed as a whole failed for every item that has not failed otherwise. */
static void fail_all(mset *self, nkv_status status)
{
    for (size_t i = 0; i < self->n; i++) {
        if (self->items[i].status >= 0) {
            self->items[i].status = status;
        }
    }
}

static bool prepare(mset *self)
{
    self->keys = nkvi_calloc(self->n, sizeof *self->keys);
    self->bytes = nkvi_calloc(self->n, sizeof *self->bytes);
    self->held = nkvi_calloc(self->n, sizeof(nkv_value *));
    for (size_t i = 0; self->keys != NULL && i < self->n; i++) {
        self->keys[i] = self->items[i].key;
    }
    self->names = self->keys != NULL ? nkvi_names_make(self->kv, "", self->keys, self->n) : NULL;
    if (self->names == NULL || self->bytes == NULL || self->held == NULL) {
        (void)nkvi_fail(&self->call->error, NKV_ENOMEM, "no memory for %zu values", self->n);
        return false;
    }
    for (size_t i = 0; i < self->n; i++) {
        nkv_error error;
        nkv_status status =
            nkvi_pack(self->kv, self->items[i].value, &self->bytes[i], &self->held[i], &error);
        if (status != NKV_OK) {
            fail_item(self, i, status, &error);
        }
    }
    return true;
}

static void clear(mset *self)
{
    for (size_t i = 0; self->held != NULL && i < self->n; i++) {
        nkv_value_release(self->held[i]);
    }
    nkvi_free(self->held);
    nkvi_free(self->bytes);
    nkvi_free(self->names);
    nkvi_free(self->keys);
}

/* ---- as commands ----------------------------------------------------------------------------- */

/* Sets that are under way. */
typedef struct gather {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    size_t left;
} gather;

typedef struct pending_set {
    gather *all;
    nkv_status status;
    nkv_error error;
} pending_set;

static void set_done(nkv_status status, nkv_value *value, const nkv_call *call, void *ud)
{
    pending_set *self = ud;
    nkv_value_release(value);
    pthread_mutex_lock(&self->all->mu);
    self->status = status;
    self->error = call->error;
    if (--self->all->left == 0) {
        pthread_cond_signal(&self->all->cond);
    }
    pthread_mutex_unlock(&self->all->mu);
}

/* Jitter is drawn for each. */
static void send_one(mset *self, size_t i, pending_set *set)
{
    nkvi_set_words words;
    nkvi_how how = self->how;
    nkv_call refused = {.error = {.status = NKV_OK}};
    nkv_status status = NKV_OK;
    if (!how.options.keep_ttl) {
        status = nkvi_kv_ttl(self->kv, how.options.ttl_ms, &how.ttl_ms, &refused.error);
    }
    size_t argc = nkvi_kv_set_argv(&how, self->names[i], self->bytes[i], &words);
    if (status == NKV_OK) {
        status =
            nkv_command_async(self->kv->client, (int)argc, words.argv, self->call, set_done, set);
        (void)nkvi_fail(&refused.error, status, "%s", nkv_status_text(status));
    }
    if (status < 0) {
        set_done(status, NULL, &refused, set);
    }
}

/* Every command has its deadline, so this ends. */
static void send_all(mset *self, gather *all, pending_set *sets)
{
    all->left = self->n;
    for (size_t i = 0; i < self->n; i++) {
        const nkv_call failed = {.error = {.status = self->items[i].status}};
        sets[i].all = all;
        if (self->items[i].status < 0) {
            set_done(self->items[i].status, NULL, &failed, &sets[i]);
        } else {
            send_one(self, i, &sets[i]);
        }
    }
    pthread_mutex_lock(&all->mu);
    while (all->left > 0) {
        pthread_cond_wait(&all->cond, &all->mu);
    }
    pthread_mutex_unlock(&all->mu);
    for (size_t i = 0; i < self->n; i++) {
        fail_item(self, i, nkvi_kv_set_status(&self->how, sets[i].status), &sets[i].error);
    }
}

static nkv_status set_by_commands(mset *self)
{
    gather all = {.left = 0};
    pending_set *sets = nkvi_calloc(self->n, sizeof *sets);
    bool made = sets != NULL && pthread_mutex_init(&all.mu, NULL) == 0;
    if (made && pthread_cond_init(&all.cond, NULL) != 0) {
        pthread_mutex_destroy(&all.mu);
        made = false;
    }
    if (made) {
        send_all(self, &all, sets);
        pthread_cond_destroy(&all.cond);
        pthread_mutex_destroy(&all.mu);
    }
    nkvi_free(sets);
    return made ? NKV_OK
                : nkvi_fail(&self->call->error, NKV_ENOMEM, "no memory for %zu sets", self->n);
}

/* ---- as a batch ------------------------------------------------------------------------------ */

/* SET of what has not failed so far; values NULL: empty ones. */
static nkv_status put(mset *self, const nkv_str *names, const nkv_str *values, int64_t ttl_ms)
{
    nkv_item *batch = nkvi_calloc(self->n, sizeof *batch);
    size_t n = 0, at = 0;
    if (batch == NULL) {
        return nkvi_fail(&self->call->error, NKV_ENOMEM, "no memory for %zu sets", self->n);
    }
    for (size_t i = 0; i < self->n; i++) {
        if (self->items[i].status == NKV_OK) {
            batch[n].key = names[i];
            batch[n++].value = values != NULL ? values[i] : nkv_cstr("");
        }
    }
    nkv_call own = *self->call;
    if (n > 0 && nkv_batch_put(self->kv->client, batch, n, ttl_ms > 0 ? ttl_ms : 0, &own) < 0 &&
        self->call->error.status == NKV_OK) {
        self->call->error = own.error;
    }
    for (size_t i = 0; i < self->n; i++) {
        if (self->items[i].status == NKV_OK) {
            self->items[i].status = batch[at++].status;
        }
    }
    nkvi_free(batch);
    return NKV_OK;
}

/* The marks of freshness of what was set. */
static nkv_status mark_all(mset *self)
{
    if (self->kv->options.stale_ms == 0 || self->how.fresh_ms <= 0) {
        return NKV_OK;
    }
    nkv_str *marks = nkvi_names_make(self->kv, NKVI_KV_FRESH, self->keys, self->n);
    if (marks == NULL) {
        return nkvi_fail(&self->call->error, NKV_ENOMEM, "no memory for %zu keys", self->n);
    }
    nkvi_kv_step(self->call, self->how.until_ns);
    nkv_status status = put(self, marks, NULL, self->how.fresh_ms);
    nkvi_free(marks);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static nkv_status tag_all(mset *self)
{
    return nkvi_kv_tag_keys(self->kv, self->keys, self->n, &self->how, self->call);
}

static nkv_status set_all(mset *self)
{
    bool alike = nkvi_kv_is_plain(&self->how) && self->kv->options.ttl_jitter_percent == 0;
    nkv_status status = tag_all(self);
    if (status == NKV_OK) {
        nkvi_kv_step(self->call, self->how.until_ns);
        status =
            alike ? put(self, self->names, self->bytes, self->how.ttl_ms) : set_by_commands(self);
    }
    if (status == NKV_OK) {
        status = tag_all(self);
    }
    if (status == NKV_OK) {
        status = mark_all(self);
    }
    return status;
}

/* Counts, and says what the call returns: the first failure that is not let pass. */
static nkv_status sum_up(mset *self)
{
    nkv_status status = NKV_OK;
    for (size_t i = 0; i < self->n; i++) {
        nkv_kv_item *item = &self->items[i];
        if (item->status == NKV_OK) {
            nkvi_kv_count(self->kv, NKVI_KV_SETS, 1);
            nkvi_kv_count(self->kv, NKVI_KV_BYTES_WRITTEN, item->value.len);
        } else if (item->status < 0 && nkvi_kv_passes(self->kv, item->status)) {
            item->status = NKV_MISS;
        } else if (item->status < 0) {
            nkvi_kv_count(self->kv, NKVI_KV_ERRORS, 1);
            status = status == NKV_OK ? item->status : status;
        }
    }
    return status;
}

static nkv_status check(mset *self, const nkv_kv_set_options *how)
{
    nkv_error *error = &self->call->error;
    nkv_status status = NKV_OK;
    for (size_t i = 0; status == NKV_OK && i < self->n; i++) {
        status = nkvi_names_check(&self->items[i].key, 1, error);
    }
    int64_t until_ns = self->how.until_ns;
    status = status == NKV_OK ? nkvi_kv_how(self->kv, how, &self->how, error) : status;
    self->how.until_ns = until_ns;
    return status;
}

nkv_status nkv_kv_mset(nkv_kv *kv, nkv_kv_item *items, size_t n, const nkv_kv_set_options *how,
                       nkv_call *call)
{
    nkv_call own;
    mset self = {.kv = kv, .items = items, .n = n, .call = &own};
    nkv_status status = nkvi_kv_begin_steps(kv, call, &own, &self.how.until_ns);
    for (size_t i = 0; i < n; i++) {
        items[i].status = status;
    }
    if (status != NKV_OK || n == 0) {
        return status;
    }
    status = check(&self, how);
    if (status == NKV_OK && !prepare(&self)) {
        status = NKV_ENOMEM;
    }
    if (status == NKV_OK) {
        nkvi_kv_outdate(kv, self.keys, n);
        status = set_all(&self);
        nkvi_kv_outdate(kv, self.keys, n);
    }
    if (status < 0) {
        fail_all(&self, status);
    }
    clear(&self);
    status = sum_up(&self);
    return nkvi_call_done(call, status, own.from, &own.error);
}
