/* custom_cache.c - a cache of one's own behind the same client.
 *
 * It keeps the last eight answers in an array under a mutex.  The client checks owner, health and
 * deadline of whatever it returns, so all that such a table must get right is to forget when it is
 * told to.
 *
 *      custom_cache URL
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/nearkv.h>

#define SLOTS 8

typedef struct slot {
    uint32_t space;
    char *name; /* key and command, one after the other */
    size_t key_len, command_len;
    nkv_value *value; /* NULL: free */
} slot;

typedef struct tiny_cache {
    pthread_mutex_t mu;
    slot slots[SLOTS];
    size_t next;
} tiny_cache;

static void slot_clear(slot *s)
{
    nkv_value_release(s->value);
    free(s->name);
    memset(s, 0, sizeof *s);
}

static int slot_is(const slot *s, uint32_t space, nkv_str key)
{
    return s->value != NULL && s->space == space && s->key_len == key.len &&
           (key.len == 0 || memcmp(s->name, key.data, key.len) == 0);
}

static slot *find(tiny_cache *cache, uint32_t space, nkv_str key, nkv_str command)
{
    for (size_t i = 0; i < SLOTS; i++) {
        slot *s = &cache->slots[i];
        if (slot_is(s, space, key) && s->command_len == command.len &&
            (command.len == 0 || memcmp(s->name + s->key_len, command.data, command.len) == 0)) {
            return s;
        }
    }
    return NULL;
}

static nkv_value *tiny_get(void *self, uint32_t space, nkv_str key, nkv_str command)
{
    tiny_cache *cache = self;
    pthread_mutex_lock(&cache->mu);
    slot *s = find(cache, space, key, command);
    nkv_value *value = s != NULL ? nkv_value_retain(s->value) : NULL;
    pthread_mutex_unlock(&cache->mu);
    return value;
}

static void tiny_put(void *self, uint32_t space, nkv_str key, nkv_str command, nkv_value *value,
                     int64_t deadline_ns)
{
    tiny_cache *cache = self;
    char *name = malloc(key.len + command.len + 1);
    (void)deadline_ns; /* the client checks it */
    if (name == NULL) {
        return;
    }
    if (key.len > 0) {
        memcpy(name, key.data, key.len);
    }
    if (command.len > 0) {
        memcpy(name + key.len, command.data, command.len);
    }
    pthread_mutex_lock(&cache->mu);
    slot *s = find(cache, space, key, command);
    if (s == NULL) {
        s = &cache->slots[cache->next++ % SLOTS];
    }
    slot_clear(s);
    *s = (slot){space, name, key.len, command.len, nkv_value_retain(value)};
    pthread_mutex_unlock(&cache->mu);
}

static void tiny_invalidate(void *self, uint32_t space, nkv_str key)
{
    tiny_cache *cache = self;
    pthread_mutex_lock(&cache->mu);
    for (size_t i = 0; i < SLOTS; i++) {
        if (slot_is(&cache->slots[i], space, key)) {
            slot_clear(&cache->slots[i]);
        }
    }
    pthread_mutex_unlock(&cache->mu);
}

static void tiny_reset(void *self, uint32_t space)
{
    tiny_cache *cache = self;
    pthread_mutex_lock(&cache->mu);
    for (size_t i = 0; i < SLOTS; i++) {
        if (space == UINT32_MAX || cache->slots[i].space == space) {
            slot_clear(&cache->slots[i]);
        }
    }
    pthread_mutex_unlock(&cache->mu);
}

/* Reads the key twice through a client on the given cache. */
static int run(const char *url, nkv_cache *cache)
{
    nkv_options options;
    nkv_client *client;
    nkv_error error;
    nkv_options_init(&options);
    options.url = url;
    options.cache = cache;
    if (nkv_client_create(&options, &client, &error) != NKV_OK ||
        nkv_client_wait_ready(client, 5000, &error) != NKV_OK) {
        fprintf(stderr, "custom_cache: %s\n", error.text);
        return 1;
    }
    int failed = 0;
    for (int i = 0; i < 2 && !failed; i++) {
        nkv_call call;
        nkv_value *value;
        nkv_call_init(&call);
        nkv_status status = nkv_get(client, nkv_cstr("custom_cache:key"), &call, &value);
        failed = status < 0;
        printf("read %d: %s, %s\n", i + 1, nkv_status_text(status),
               call.from == NKV_FROM_CACHE ? "from the custom cache" : "from the server");
        nkv_value_release(value);
    }
    nkv_client_destroy(client);
    return failed;
}

int main(int argc, char **argv)
{
    static tiny_cache tiny = {.mu = PTHREAD_MUTEX_INITIALIZER};
    const nkv_cache_ops ops = {.struct_size = sizeof ops,
                               .get = tiny_get,
                               .put = tiny_put,
                               .invalidate = tiny_invalidate,
                               .reset = tiny_reset};
    nkv_cache *cache;
    nkv_error error;
    if (argc != 2) {
        fprintf(stderr, "usage: custom_cache URL\n");
        return 2;
    }
    if (nkv_cache_wrap(&ops, &tiny, &cache, &error) != NKV_OK) {
        fprintf(stderr, "custom_cache: %s\n", error.text);
        return 1;
    }
    int failed = run(argv[1], cache);
    nkv_cache_release(cache);
    tiny_reset(&tiny, UINT32_MAX);
    return failed;
}
