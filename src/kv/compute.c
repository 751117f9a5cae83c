/* kv/compute.c - a value, or what makes it: one computes, all who ask meanwhile get it.
 *
 *      read --there--> hand it out; past its TTL (fresh.h): one client makes it anew
 *        \--not there--> flight: the first who comes leads it, the others wait
 *                          leader: read again (somebody may just have ended) · compute · set
 *
 * A write of this handle to the key makes its flight outdated: nobody joins it any more, and what
 * it computes is not stored, or is removed again if it just was. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kv/fresh.h"
#include "kv/refresh.h"
#include "kv/write.h"

typedef struct flight {
    nkvi_node node;
    unsigned refs; /* guarded by compute.mu, as are: */
    bool done;
    bool outdated; /* off the list; its value is for those who wait already */
    bool again;    /* the leader could not even look: whoever waits begins anew */
    pthread_t leader;
    nkv_status status;
    nkv_value *value; /* a reference, or NULL */
    nkv_error error;
    size_t len;
    char key[];
} flight;

typedef struct computing {
    nkv_kv *kv;
    nkv_str key;
    const nkv_kv_maker *maker;
    nkv_call *call;   /* never NULL */
    int64_t until_ns; /* of waiting */
    flight *flight;   /* that is led; NULL before it is */
} computing;

/* ---- flights --------------------------------------------------------------------------------- */

static flight *find(nkv_kv *kv, nkv_str key)
{
    for (nkvi_node *node = kv->compute.flights.head.next; node != &kv->compute.flights.head;
         node = node->next) {
        flight *one = NKVI_CONTAINER(node, flight, node);
        if (one->len == key.len && memcmp(one->key, key.data, key.len) == 0) {
            return one;
        }
    }
    return NULL;
}

/* The flight of a key, with a reference; *leads: it is new.  NULL: no memory. */
static flight *join(nkv_kv *kv, nkv_str key, bool *leads)
{
    flight *one = nkvi_calloc(1, sizeof *one + key.len + 1);
    pthread_mutex_lock(&kv->compute.mu);
    flight *there = find(kv, key);
    *leads = there == NULL && one != NULL;
    if (there != NULL) {
        there->refs++;
    } else if (one != NULL) {
        one->refs = 1;
        one->leader = pthread_self();
        one->len = key.len;
        if (key.len > 0) {
            memcpy(one->key, key.data, key.len);
        }
        nkvi_list_push(&kv->compute.flights, &one->node);
    }
    pthread_mutex_unlock(&kv->compute.mu);
    if (!*leads) {
        nkvi_free(one);
    }
    return there != NULL ? there : one;
}

static void leave(nkv_kv *kv, flight *one)
{
    pthread_mutex_lock(&kv->compute.mu);
    bool last = --one->refs == 0;
    pthread_mutex_unlock(&kv->compute.mu);
    if (last) {
        nkv_value_release(one->value);
        nkvi_free(one);
    }
}

/* The leader has it: whoever comes from now on begins a flight of his own.  again: it has not, and
 * somebody else is to lead. */
static void land(const computing *self, flight *one, nkv_status status, nkv_value *value,
                 bool again)
{
    nkv_kv *kv = self->kv;
    pthread_mutex_lock(&kv->compute.mu);
    one->done = true;
    one->again = again;
    one->status = status;
    one->value = value != NULL ? nkv_value_retain(value) : NULL;
    one->error = self->call->error;
    nkvi_list_remove(&one->node);
    pthread_cond_broadcast(&kv->compute.cond);
    pthread_mutex_unlock(&kv->compute.mu);
}

void nkvi_kv_outdate(nkv_kv *kv, const nkv_str *keys, size_t n)
{
    pthread_mutex_lock(&kv->compute.mu);
    for (nkvi_node *node = kv->compute.flights.head.next, *next = node->next;
         node != &kv->compute.flights.head; node = next, next = node->next) {
        flight *one = NKVI_CONTAINER(node, flight, node);
        bool meant = keys == NULL;
        for (size_t i = 0; !meant && i < n; i++) {
            meant = one->len == keys[i].len &&
                    (one->len == 0 || memcmp(one->key, keys[i].data, one->len) == 0);
        }
        if (meant) {
            one->outdated = true;
            nkvi_list_remove(node);
        }
    }
    pthread_mutex_unlock(&kv->compute.mu);
}

static bool is_outdated(const computing *self)
{
    bool outdated = false;
    if (self->flight != NULL) {
        pthread_mutex_lock(&self->kv->compute.mu);
        outdated = self->flight->outdated;
        pthread_mutex_unlock(&self->kv->compute.mu);
    }
    return outdated;
}

/* *again: the flight came to nothing, and somebody has to lead the next. */
static nkv_status wait_for(const computing *self, flight *one, nkv_value **out, bool *again)
{
    nkv_kv *kv = self->kv;
    nkv_error *error = &self->call->error;
    nkv_status status = NKV_OK;
    struct timespec until = {(time_t)(self->until_ns / 1000000000),
                             (long)(self->until_ns % 1000000000)};
    pthread_mutex_lock(&kv->compute.mu);
    if (!one->done && pthread_equal(one->leader, pthread_self())) {
        status = nkvi_fail(error, NKV_EDEADLK, "this thread is computing that key");
    }
    while (status == NKV_OK && !one->done) {
        if (atomic_load(&kv->closed)) {
            status = nkvi_fail(error, NKV_ECLOSED, "the key-value handle was closed");
        } else if (nkvi_now_ns() >= self->until_ns) {
            status = nkvi_fail(error, NKV_ETIMEDOUT,
                               "another caller has not computed the value before the deadline");
        } else {
            (void)pthread_cond_timedwait(&kv->compute.cond, &kv->compute.mu, &until);
        }
    }
    *again = status == NKV_OK && one->again;
    if (status == NKV_OK && !one->again) {
        status = one->status;
        *error = one->error;
        *out = one->value != NULL ? nkv_value_retain(one->value) : NULL;
    }
    pthread_mutex_unlock(&kv->compute.mu);
    if (status == NKV_OK && !*again) {
        nkvi_kv_count(kv, NKVI_KV_JOINED, 1);
        self->call->from = NKV_FROM_JOINED;
    }
    return status;
}

/* ---- computing ------------------------------------------------------------------------------- */

/* What compute() made is stored; where that fails it is handed out all the same.  A write of this
 * handle in between wins; one that came while it was being stored removes it again. */
static void store(const computing *self, nkv_value *value, const nkv_kv_set_options *options)
{
    nkv_kv *kv = self->kv;
    nkvi_how how;
    nkv_status status = nkvi_kv_how(kv, options, &how, &self->call->error);
    if (status == NKV_OK && kv->options.stale_ms > 0 && how.ttl_ms != NKV_KV_TTL_NONE) {
        how.ttl_ms += kv->options.stale_ms;
    }
    if (is_outdated(self)) {
        return;
    }
    if (status == NKV_OK) {
        self->call->timeout_ms = kv->options.timeout_ms;
        how.until_ns = nkvi_call_deadline(kv->client, self->call);
        status = nkvi_kv_set_value(kv, self->key, nkv_value_str(value), &how, self->call);
    }
    if (is_outdated(self)) {
        nkv_call own = *self->call;
        nkv_status ignored = nkv_kv_delete(kv, &self->key, 1, &own, NULL);
        (void)ignored;
    }
    if (status < 0) {
        nkvi_kv_count(kv, NKVI_KV_ERRORS, 1);
    }
}

static nkv_status compute(const computing *self, nkv_value **out)
{
    const nkv_kv_maker *maker = self->maker;
    nkv_kv_set_options how;
    nkv_error error = {.status = NKV_OK};
    *out = NULL;
    nkv_kv_set_options_init(&how);
    nkv_status status = nkvi_kv_settings(&how, sizeof how, maker->how, "nkv_kv_set_options_init",
                                         &self->call->error);
    if (status != NKV_OK) {
        return status;
    }
    how.struct_size = sizeof how;
    status = maker->compute(self->key, out, &how, &error, maker->ud);
    if (status == NKV_OK && *out == NULL) {
        status = nkvi_fail(&error, NKV_EINVAL, "compute() made no value");
    }
    if (status != NKV_OK) {
        nkv_value_release(*out);
        *out = NULL;
        if (status < 0 && error.status == NKV_OK) {
            (void)nkvi_fail(&error, status, "compute(): %s", nkv_status_text(status));
        }
        self->call->error = error;
        return status;
    }
    nkvi_kv_count(self->kv, NKVI_KV_COMPUTED, 1);
    store(self, *out, &how);
    return NKV_OK;
}

/* In the background, as the leader of a flight, so that writes outdate it like any other.  If it
 * fails the claim stays, so that what cannot be computed is not tried all the time. */
static void run_again(nkv_kv *kv, nkv_str key, const nkv_kv_maker *maker)
{
    nkv_call call;
    nkv_value *value = NULL;
    bool leads;
    flight *one = join(kv, key, &leads);
    if (one == NULL) {
        return;
    }
    if (leads) {
        nkv_status status = NKV_OK;
        nkv_call_init(&call);
        call.timeout_ms = kv->options.timeout_ms;
        const computing self = {.kv = kv, .key = key, .maker = maker, .call = &call, .flight = one};
        bool claimed = nkvi_kv_claim(kv, key, true, &call);
        if (claimed) {
            status = compute(&self, &value);
        }
        if (status < 0) {
            nkvi_kv_count(kv, NKVI_KV_ERRORS, 1);
        }
        land(&self, one, status, value, !claimed);
    }
    leave(kv, one);
    nkv_value_release(value);
}

static void begin_again(const computing *self)
{
    nkv_kv *kv = self->kv;
    nkv_kv_set_options how;
    nkv_error error;
    nkv_kv_set_options_init(&how);
    if (nkvi_kv_settings(&how, sizeof how, self->maker->how, "nkv_kv_set_options_init", &error) !=
            NKV_OK ||
        !nkvi_kv_claim(kv, self->key, false, self->call)) {
        return;
    }
    how.struct_size = sizeof how;
    const nkv_kv_maker maker = {self->maker->compute, self->maker->ud, &how};
    pthread_mutex_lock(&kv->compute.mu);
    if (kv->refresh == NULL && !atomic_load(&kv->closed)) {
        kv->refresh = nkvi_refresh_create(kv, run_again);
    }
    bool taken = kv->refresh != NULL && nkvi_refresh_put(kv->refresh, self->key, &maker);
    pthread_mutex_unlock(&kv->compute.mu);
    (void)taken; /* else the claim ends, and another one takes it up */
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The value if it is there.  NKV_NOT_FOUND: it is to be computed. */
static nkv_status look(const computing *self, bool again, nkv_value **out)
{
    nkvi_kv_step(self->call, self->until_ns);
    nkv_status status = nkvi_kv_read(self->kv, self->key, again, self->call, out);
    if (status == NKV_OK && !nkvi_kv_is_fresh(self->kv, self->key, self->call)) {
        nkvi_kv_count(self->kv, NKVI_KV_STALE, 1);
        begin_again(self);
    }
    return status;
}

static nkv_status lead(computing *self, flight *one, nkv_value **out)
{
    nkv_value *value = NULL;
    nkv_status status = look(self, true, &value); /* another flight may have ended just now */
    bool again = status < 0;
    if (status == NKV_NOT_FOUND) {
        self->flight = one;
        status = compute(self, &value);
        self->call->from = NKV_FROM_LOCAL;
        if (status < 0) {
            nkvi_kv_count(self->kv, NKVI_KV_ERRORS, 1);
        }
    }
    land(self, one, status, value, again);
    *out = value;
    return status;
}

/* Until there is a value, or a failure that is this caller's. */
static nkv_status fly(computing *self, nkv_value **out)
{
    nkv_status status;
    bool again;
    do {
        bool leads;
        flight *one = join(self->kv, self->key, &leads);
        if (one == NULL) {
            return nkvi_fail(&self->call->error, NKV_ENOMEM, "no memory to compute a key");
        }
        again = false;
        status = leads ? lead(self, one, out) : wait_for(self, one, out, &again);
        leave(self->kv, one);
    } while (again);
    return status;
}

nkv_status nkv_kv_get_or_compute(nkv_kv *kv, nkv_str key, const nkv_kv_maker *maker, nkv_call *call,
                                 nkv_value **out)
{
    nkv_call own;
    nkvi_how checked;
    computing self = {.kv = kv, .key = key, .maker = maker, .call = &own};
    *out = NULL;
    nkv_status status = nkvi_kv_begin_steps(kv, call, &own, &self.until_ns);
    if (status != NKV_OK) {
        return status;
    }
    status = nkvi_kv_how(kv, maker->how, &checked, &own.error);
    if (status != NKV_OK) {
        return nkvi_kv_fail(kv, call, &own.error);
    }
    status = look(&self, false, out);
    if (status == NKV_NOT_FOUND) {
        status = fly(&self, out);
    }
    if (call != NULL) {
        call->error = own.error; /* none, or why it could not be stored */
    }
    return nkvi_call_done(call, status, own.from, &own.error);
}
