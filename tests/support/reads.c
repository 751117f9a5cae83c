/* support/reads.c - see reads.h.
 *
 * Callers      fake, live, oom and stress tests                                                  */

#include "support/reads.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/near.h"

enum { SOON_MS = 20000, WORD_MAX = 64 };

/* ---- Making ---------------------------------------------------------------------------------- */

static t_reads *make(nkv_client *client, size_t n, size_t names)
{
    t_reads *self = calloc(1, sizeof *self);
    const size_t some = n > 0 ? n : 1;
    nkv_str *argv = calloc(2 * some, sizeof *argv);
    self->client = client;
    self->results = calloc(some, sizeof *self->results);
    self->names = calloc(names + 1, 1);
    self->all.n = n;
    self->all.reads = calloc(some, sizeof *self->all.reads);
    self->all.reads[0].argv = argv;
    for (size_t i = 0; i < n; i++) {
        self->all.reads[i] = (nkvi_read){.argc = 2, .argv = &argv[2 * i]};
        argv[2 * i] = nkvi_verb_get.name;
    }
    nkv_call_init(&self->call);
    return self;
}

static void name(t_reads *self, size_t i, nkv_str key)
{
    nkvi_read *read = &self->all.reads[i];
    ((nkv_str *)(uintptr_t)read->argv)[1] = key;
    read->query = (nkvi_query){.key = key, .space = self->client->space};
    if (self->client->caching) {
        read->query = nkvi_verb_query(self->client, &nkvi_verb_get, key);
    }
}

t_reads *t_reads_argv(nkv_client *client, const char *const *keys)
{
    size_t n = 0;
    while (keys[n] != NULL) {
        n++;
    }
    t_reads *self = make(client, n, 0);
    for (size_t i = 0; i < n; i++) {
        name(self, i, nkv_cstr(keys[i]));
    }
    return self;
}

t_reads *t_reads_many(nkv_client *client, const char *prefix, size_t n)
{
    t_reads *self = make(client, n, n * WORD_MAX);
    for (size_t i = 0; i < n; i++) {
        char *at = self->names + i * WORD_MAX;
        (void)snprintf(at, WORD_MAX, "%s%zu", prefix, i);
        name(self, i, nkv_cstr(at));
    }
    return self;
}

static void drop_results(t_reads *self)
{
    for (size_t i = 0; i < self->all.n; i++) {
        nkv_value_release(self->results[i].value);
    }
    memset(self->results, 0, self->all.n * sizeof *self->results);
}

void t_reads_free(t_reads *self)
{
    if (self->all.done != NULL) {
        t_reads_wait(self);
    }
    drop_results(self);
    free((void *)(uintptr_t)self->all.reads[0].argv);
    free(self->all.reads);
    free(self->results);
    free(self->names);
    free(self->text);
    free(self);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void on_done(nkvi_reads *all, nkv_status first, const nkv_error *error)
{
    t_reads *self = NKVI_CONTAINER(all, t_reads, all);
    self->first = first;
    self->error = *error;
    self->thread = pthread_self();
    void (*then)(t_reads *) = self->then;
    if (then != NULL) {
        then(self);
    }
    atomic_fetch_add(&self->done, 1); /* the last touch: who waits may free it                    */
}

void t_reads_start(t_reads *self, int64_t timeout_ms)
{
    drop_results(self);
    atomic_store(&self->done, 0);
    self->all.call = &self->call;
    self->all.deadline_ns = t_now_ns() + timeout_ms * 1000000;
    self->all.results = self->results;
    self->all.done = on_done;
    nkvi_reads_start(self->client, &self->all);
}

bool t_reads_is_done(t_reads *self)
{
    return atomic_load(&self->done) > 0;
}

void t_reads_wait(t_reads *self)
{
    T_WAIT_UNTIL(t_reads_is_done(self), SOON_MS);
    T_REQUIRE(atomic_load(&self->done) == 1);
}

void t_reads_cancel(t_reads *self)
{
    nkvi_reads_cancel(self->client, &self->all);
}

/* ---- Results --------------------------------------------------------------------------------- */

static void word_of(const nkv_result *result, char *out, size_t room)
{
    static const char *const from[] = {"server", "cache", "joined", "local"};
    static const char *const failures[] = {"ok",     "inval",  "nomem",   "timedout", "conn",
                                           "reply",  "proto",  "closed",  "busy",     "refused",
                                           "notsup", "deadlk", "canceled"};
    if (result->status < 0) {
        (void)snprintf(out, room, "!%s", failures[-result->status]);
        return;
    }
    char answer[WORD_MAX / 2] = "";
    if (result->value != NULL) {
        const nkv_reply reply = nkv_value_reply(result->value);
        t_near_write(&reply, answer, sizeof answer);
    }
    (void)snprintf(out, room, "%s/%s", answer, from[result->from]);
}

const char *t_reads_text(t_reads *self)
{
    free(self->text);
    self->text = calloc(self->all.n + 1, WORD_MAX);
    size_t len = 0;
    for (size_t i = 0; i < self->all.n; i++) {
        if (i > 0) {
            self->text[len++] = ' ';
        }
        word_of(&self->results[i], self->text + len, WORD_MAX);
        len += strlen(self->text + len);
    }
    return self->text;
}

size_t t_reads_count(const t_reads *self, nkv_status status)
{
    size_t count = 0;
    for (size_t i = 0; i < self->all.n; i++) {
        count += self->results[i].status == status;
    }
    return count;
}

bool t_reads_all_from(const t_reads *self, nkv_from from)
{
    for (size_t i = 0; i < self->all.n; i++) {
        if (self->results[i].status != NKV_OK || self->results[i].from != from) {
            (void)fprintf(stderr, "key %zu: %s, from %d\n", i,
                          nkv_status_text(self->results[i].status), (int)self->results[i].from);
            return false;
        }
    }
    return true;
}
