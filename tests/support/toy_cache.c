/* support/toy_cache.c - the list, and its faults.
 *
 * Callers      tests of nkv_cache_wrap() and of the conformance suite                            */

#include "support/toy_cache.h"

#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct t_toy_entry {
    struct t_toy_entry *next;
    uint32_t space;
    char *key;
    size_t key_len;
    char *command;
    size_t command_len;
    nkv_value *value;
} t_toy_entry;

t_toy_fault t_toy_new_fault = T_TOY_RIGHT;

/* What T_TOY_LEAKS keeps, beyond the toy's own end. */
static t_toy_entry *leaked;

static char *copy(nkv_str bytes)
{
    char *out = malloc(bytes.len + 1);
    T_REQUIRE(out != NULL);
    if (bytes.len > 0) {
        memcpy(out, bytes.data, bytes.len);
    }
    return out;
}

static bool same(const char *bytes, size_t len, nkv_str other)
{
    return len == other.len && (len == 0 || memcmp(bytes, other.data, len) == 0);
}

static nkv_str key_as_seen(const t_toy *toy, nkv_str key)
{
    if (toy->fault == T_TOY_TEXT_KEYS && key.len > 0) {
        key.len = strnlen(key.data, key.len);
    }
    return key;
}

/* NULL as command: any. */
static bool is_at(const t_toy *toy, const t_toy_entry *entry, uint32_t space, nkv_str key,
                  const nkv_str *command)
{
    if (entry->space != space && toy->fault != T_TOY_ONE_SPACE) {
        return false;
    }
    return same(entry->key, entry->key_len, key_as_seen(toy, key)) &&
           (command == NULL || toy->fault == T_TOY_ONE_COMMAND ||
            same(entry->command, entry->command_len, *command));
}

static void free_entry(t_toy_entry *entry)
{
    nkv_value_release(entry->value);
    free(entry->key);
    free(entry->command);
    free(entry);
}

static nkv_value *toy_get(void *self, uint32_t space, nkv_str key, nkv_str command)
{
    t_toy *toy = self;
    nkv_value *value = NULL;
    (void)pthread_mutex_lock(&toy->lock);
    toy->gets++;
    if (toy->instead != NULL) {
        key = nkv_cstr(toy->instead);
    }
    for (t_toy_entry *at = toy->entries; at != NULL && value == NULL; at = at->next) {
        if (is_at(toy, at, space, key, &command)) {
            value = nkv_value_retain(at->value);
            toy->hits++;
        }
    }
    (void)pthread_mutex_unlock(&toy->lock);
    return value;
}

static t_toy_entry *new_entry(const t_toy *toy, uint32_t space, nkv_str key, nkv_str command)
{
    t_toy_entry *entry = calloc(1, sizeof *entry);
    T_REQUIRE(entry != NULL);
    key = key_as_seen(toy, key);
    entry->space = space;
    entry->key = copy(key);
    entry->key_len = key.len;
    entry->command = copy(command);
    entry->command_len = command.len;
    return entry;
}

static void toy_put(void *self, uint32_t space, nkv_str key, nkv_str command, nkv_value *value,
                    int64_t deadline_ns)
{
    (void)deadline_ns; /* the client checks it */
    t_toy *toy = self;
    (void)pthread_mutex_lock(&toy->lock);
    toy->puts++;
    t_toy_entry *entry = toy->entries;
    while (entry != NULL && !is_at(toy, entry, space, key, &command)) {
        entry = entry->next;
    }
    const bool keeps_first =
        toy->fault == T_TOY_KEEPS_FIRST || toy->fault == T_TOY_INVALIDATES_NONE;
    if (toy->fault == T_TOY_KEEPS_NOTHING || (entry != NULL && keeps_first)) {
        (void)pthread_mutex_unlock(&toy->lock);
        return;
    }
    if (entry == NULL) {
        entry = new_entry(toy, space, key, command);
        entry->next = toy->entries;
        toy->entries = entry;
    }
    nkv_value *old = entry->value;
    entry->value = nkv_value_retain(value);
    if (toy->fault == T_TOY_LEAKS) {
        t_toy_entry *leak = new_entry(toy, space, key, command);
        leak->value = nkv_value_retain(value);
        leak->next = leaked;
        leaked = leak;
    }
    (void)pthread_mutex_unlock(&toy->lock);
    nkv_value_release(old);
}

void t_toy_free_leaks(void)
{
    while (leaked != NULL) {
        t_toy_entry *entry = leaked;
        leaked = entry->next;
        free_entry(entry);
    }
}

/* Drops what `drop` says. */
static void drop_all(t_toy *toy,
                     bool (*drop)(const t_toy *, const t_toy_entry *, uint32_t, nkv_str),
                     uint32_t space, nkv_str key)
{
    t_toy_entry **link = &toy->entries;
    while (*link != NULL) {
        t_toy_entry *entry = *link;
        if (drop(toy, entry, space, key)) {
            *link = entry->next;
            free_entry(entry);
        } else {
            link = &entry->next;
        }
    }
}

static bool is_of_key(const t_toy *toy, const t_toy_entry *entry, uint32_t space, nkv_str key)
{
    if (toy->fault == T_TOY_INVALIDATES_NONE ||
        (toy->fault == T_TOY_INVALIDATES_GET && entry->command_len > 0)) {
        return false;
    }
    if (toy->fault == T_TOY_INVALIDATES_SPACE) {
        space = entry->space;
    }
    return is_at(toy, entry, space, key, NULL);
}

static bool is_of_space(const t_toy *toy, const t_toy_entry *entry, uint32_t space, nkv_str key)
{
    (void)key;
    if (toy->fault == T_TOY_RESET_NOTHING) {
        return false;
    }
    if (toy->fault == T_TOY_RESET_ZERO && space == UINT32_MAX) {
        return entry->space == 0;
    }
    return space == UINT32_MAX || entry->space == space;
}

static void toy_invalidate(void *self, uint32_t space, nkv_str key)
{
    t_toy *toy = self;
    (void)pthread_mutex_lock(&toy->lock);
    toy->invalidations++;
    drop_all(toy, is_of_key, space, key);
    (void)pthread_mutex_unlock(&toy->lock);
}

static void toy_reset(void *self, uint32_t space)
{
    t_toy *toy = self;
    (void)pthread_mutex_lock(&toy->lock);
    toy->resets++;
    drop_all(toy, is_of_space, space, nkv_cstr(""));
    (void)pthread_mutex_unlock(&toy->lock);
}

static void toy_stats(void *self, nkv_cache_stats *stats)
{
    t_toy *toy = self;
    (void)pthread_mutex_lock(&toy->lock);
    stats->puts = (uint64_t)toy->puts;
    for (t_toy_entry *at = toy->entries; at != NULL; at = at->next) {
        stats->keys++;
    }
    (void)pthread_mutex_unlock(&toy->lock);
}

static double toy_confidence(void *self)
{
    const t_toy *toy = self;
    return toy->fault == T_TOY_NAN ? (double)NAN : toy->confidence;
}

static void toy_feedback(void *self, uint32_t space, nkv_str key, int match)
{
    (void)space;
    (void)key;
    t_toy *toy = self;
    (void)pthread_mutex_lock(&toy->lock);
    if (match != 0) {
        toy->matches++;
    } else {
        toy->mismatches++;
    }
    (void)pthread_mutex_unlock(&toy->lock);
}

static int toy_healthy(void *self)
{
    t_toy *toy = self;
    (void)pthread_mutex_lock(&toy->lock);
    const int healthy = toy->healthy;
    (void)pthread_mutex_unlock(&toy->lock);
    return healthy;
}

static void toy_destroy(void *self)
{
    t_toy *toy = self;
    while (toy->entries != NULL) {
        t_toy_entry *entry = toy->entries;
        toy->entries = entry->next;
        free_entry(entry);
    }
    (void)pthread_mutex_destroy(&toy->lock);
    toy->destroyed++;
}

static void toy_destroy_heap(void *self)
{
    toy_destroy(self);
    free(self);
}

void t_toy_init(t_toy *toy)
{
    memset(toy, 0, sizeof *toy);
    T_REQUIRE(pthread_mutex_init(&toy->lock, NULL) == 0);
    toy->confidence = 100;
    toy->healthy = 1;
}

void *t_toy_new(void)
{
    t_toy *toy = malloc(sizeof *toy);
    T_REQUIRE(toy != NULL);
    t_toy_init(toy);
    toy->fault = t_toy_new_fault;
    return toy;
}

const nkv_cache_ops t_toy_ops = {
    .struct_size = sizeof(nkv_cache_ops),
    .get = toy_get,
    .put = toy_put,
    .invalidate = toy_invalidate,
    .reset = toy_reset,
    .stats = toy_stats,
    .confidence = toy_confidence,
    .feedback = toy_feedback,
    .healthy = toy_healthy,
    .destroy = toy_destroy,
};

const nkv_cache_ops t_toy_heap_ops = {
    .struct_size = sizeof(nkv_cache_ops),
    .get = toy_get,
    .put = toy_put,
    .invalidate = toy_invalidate,
    .reset = toy_reset,
    .stats = toy_stats,
    .confidence = toy_confidence,
    .feedback = toy_feedback,
    .healthy = toy_healthy,
    .destroy = toy_destroy_heap,
};
