/* support/items.c - arrays of items, their memory, and what came of them.
 *
 *      block  [ pattern: 64 | cap bytes, pattern at first | pattern: 64 ]
 *
 * A value is a stream of numbers (splitmix64) that begins with the version XORed with the key's
 * hash, so the first 8 bytes tell the version, and all of them whose it is.
 *
 * Callers      tests of batches and of LMCache's operations                                      */

#include "support/items.h"

#include <poll.h>
#include <stdlib.h>

#include "support/check.h"

enum { FENCE = 64, PATTERN = 0xA5, NOT_A_STATUS = 77, TAKE_MS = 30000 };

/* ---- Values ---------------------------------------------------------------------------------- */

static uint64_t key_number(nkv_str key)
{
    uint64_t number = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++) {
        number = (number ^ (unsigned char)key.data[i]) * 1099511628211u;
    }
    return number;
}

/* The i-th 8 bytes of a value. */
static uint64_t word_at(uint64_t first, size_t i)
{
    if (i == 0) {
        return first;
    }
    uint64_t z = first + (uint64_t)i * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    return z ^ (z >> 31);
}

void t_value_fill(void *out, size_t len, nkv_str key, uint64_t version)
{
    const uint64_t first = key_number(key) ^ version;
    unsigned char *at = out;
    for (size_t i = 0; len > 0; i++) {
        const uint64_t word = word_at(first, i);
        const size_t part = len < sizeof word ? len : sizeof word;
        memcpy(at, &word, part);
        at += part;
        len -= part;
    }
}

bool t_value_is(const void *bytes, size_t len, nkv_str key, uint64_t version)
{
    const uint64_t first = key_number(key) ^ version;
    const unsigned char *at = bytes;
    for (size_t i = 0, left = len; left > 0; i++) {
        const uint64_t word = word_at(first, i);
        const size_t part = left < sizeof word ? left : sizeof word;
        if (memcmp(at, &word, part) != 0) {
            (void)fprintf(stderr, "not the value of %.*s, version %llu: bytes %zu to %zu of %zu\n",
                          (int)key.len, key.data, (unsigned long long)version, len - left,
                          len - left + part - 1, len);
            return false;
        }
        at += part;
        left -= part;
    }
    return true;
}

uint64_t t_value_version(const void *bytes, size_t len, nkv_str key)
{
    uint64_t first;
    T_REQUIRE(len >= sizeof first);
    memcpy(&first, bytes, sizeof first);
    const uint64_t version = first ^ key_number(key);
    return version < UINT32_MAX && t_value_is(bytes, len, key, version) ? version : UINT64_MAX;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static t_items make(size_t n)
{
    t_items list = {.n = n};
    list.items = calloc(n + 1, sizeof *list.items);
    list.text = calloc(n + 1, 1);
    list.keys = calloc(n + 1, sizeof *list.keys);
    list.values = calloc(n + 1, sizeof *list.values);
    list.guards = calloc(n + 1, sizeof *list.guards);
    T_REQUIRE(list.items != NULL && list.text != NULL && list.keys != NULL);
    T_REQUIRE(list.values != NULL && list.guards != NULL);
    return list;
}

void t_item_key(t_items *list, size_t i, const void *key, size_t len)
{
    T_REQUIRE(i < list->n);
    char *copy = malloc(len + 1);
    T_REQUIRE(copy != NULL);
    memcpy(copy, key, len);
    copy[len] = '\0';
    free(list->keys[i]);
    list->keys[i] = copy;
    list->items[i].key = nkv_str_make(copy, len);
}

t_items t_items_new(const char *prefix, size_t n)
{
    t_items list = make(n);
    for (size_t i = 0; i < n; i++) {
        char *key = t_format("%s%zu", prefix, i);
        t_item_key(&list, i, key, strlen(key));
        free(key);
    }
    return list;
}

t_items t_items_list(const char *words)
{
    size_t n = 0;
    for (const char *at = words; *at != '\0'; n++) {
        at += strcspn(at, " ");
        at += *at == ' ';
    }
    t_items list = make(n);
    for (size_t i = 0; i < n; i++) {
        const size_t len = strcspn(words, " ");
        t_item_key(&list, i, words, len);
        words += len + (words[len] == ' ');
    }
    return list;
}

void t_items_free(t_items *list)
{
    for (size_t i = 0; i < list->n; i++) {
        nkv_value_release(list->items[i].held);
        free(list->keys[i]);
        free(list->values[i]);
        free(list->guards[i].block);
    }
    free(list->items);
    free(list->text);
    free(list->keys);
    free(list->values);
    free(list->guards);
    free(list->metas);
    *list = (t_items){.n = 0};
}

void t_item_value(t_items *list, size_t i, size_t len, uint64_t version)
{
    T_REQUIRE(i < list->n);
    free(list->values[i]);
    list->values[i] = malloc(len + 1);
    T_REQUIRE(list->values[i] != NULL);
    t_value_fill(list->values[i], len, list->items[i].key, version);
    list->items[i].value = nkv_str_make(list->values[i], len);
}

void t_items_values(t_items *list, size_t len)
{
    for (size_t i = 0; i < list->n; i++) {
        t_item_value(list, i, len, 0);
    }
}

void t_item_buf(t_items *list, size_t i, size_t cap)
{
    T_REQUIRE(i < list->n);
    t_guard *guard = &list->guards[i];
    free(guard->block);
    *guard = (t_guard){.block = malloc(cap + 2 * FENCE), .cap = cap};
    T_REQUIRE(guard->block != NULL);
    memset(guard->block, PATTERN, cap + 2 * FENCE);
    list->items[i].buf = guard->block + FENCE;
    list->items[i].cap = cap;
}

void t_items_bufs(t_items *list, size_t cap)
{
    for (size_t i = 0; i < list->n; i++) {
        t_item_buf(list, i, cap);
    }
}

void t_items_metas(t_items *list)
{
    if (list->metas == NULL) {
        list->metas = calloc(list->n + 1, sizeof *list->metas);
        T_REQUIRE(list->metas != NULL);
    }
    for (size_t i = 0; i < list->n; i++) {
        memset(&list->metas[i], PATTERN, sizeof list->metas[i]);
        list->items[i].meta = &list->metas[i];
    }
}

void t_items_reset(t_items *list)
{
    for (size_t i = 0; i < list->n; i++) {
        nkv_item *item = &list->items[i];
        nkv_value_release(item->held);
        item->held = NULL;
        item->len = 0;
        item->status = (nkv_status)NOT_A_STATUS;
        item->from = NKV_FROM_SERVER;
        if (list->guards[i].block != NULL) {
            memset(list->guards[i].block, PATTERN, list->guards[i].cap + 2 * FENCE);
        }
    }
    if (list->metas != NULL) {
        t_items_metas(list);
    }
}

/* ---- Looking --------------------------------------------------------------------------------- */

static char letter_of(nkv_status status)
{
    static const struct {
        nkv_status status;
        char letter;
    } letters[] = {{NKV_OK, '+'},        {NKV_NOT_FOUND, '-'}, {NKV_ESIZE, 'S'},  {NKV_EREPLY, 'R'},
                   {NKV_ETIMEDOUT, 'T'}, {NKV_ECONN, 'C'},     {NKV_EPROTO, 'P'}, {NKV_ENOMEM, 'M'},
                   {NKV_EINVAL, 'I'},    {NKV_ECANCELED, 'Z'}, {NKV_ECLOSED, 'X'}};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].status == status) {
            return letters[i].letter;
        }
    }
    return '?';
}

const char *t_items_text(t_items *list)
{
    for (size_t i = 0; i < list->n; i++) {
        list->text[i] = letter_of(list->items[i].status);
    }
    list->text[list->n] = '\0';
    return list->text;
}

static bool all_pattern(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != PATTERN) {
            return false;
        }
    }
    return true;
}

bool t_item_guarded(const t_items *list, size_t i)
{
    const t_guard *guard = &list->guards[i];
    T_REQUIRE(i < list->n && guard->block != NULL);
    return all_pattern(guard->block, FENCE) &&
           all_pattern(guard->block + FENCE + guard->cap, FENCE);
}

bool t_item_untouched(const t_items *list, size_t i)
{
    return t_item_guarded(list, i) &&
           all_pattern(list->guards[i].block + FENCE, list->guards[i].cap);
}

static bool wrong(const t_items *list, size_t i, const char *what)
{
    const nkv_item *item = &list->items[i];
    (void)fprintf(stderr, "item %zu (%.*s) is %s, %zu bytes: %s\n", i, (int)item->key.len,
                  item->key.data, nkv_status_text(item->status), item->len, what);
    return false;
}

bool t_item_has_version(t_items *list, size_t i, uint64_t version)
{
    const nkv_item *item = &list->items[i];
    const t_guard *guard = &list->guards[i];
    T_REQUIRE(i < list->n);
    if (item->status != NKV_OK) {
        return wrong(list, i, "not OK");
    }
    const void *bytes = item->buf;
    if (item->buf == NULL) {
        if (item->held == NULL) {
            return wrong(list, i, "no memory and no reference");
        }
        const nkv_str held = nkv_value_str(item->held);
        if (held.len != item->len) {
            return wrong(list, i, "the reference has another length");
        }
        bytes = held.data;
    } else if (item->held != NULL) {
        return wrong(list, i, "memory and a reference");
    }
    if (!t_value_is(bytes, item->len, item->key, version)) {
        return wrong(list, i, "other bytes");
    }
    if (guard->block != NULL && item->buf == guard->block + FENCE) {
        const unsigned char *behind = guard->block + FENCE + item->len;
        if (item->len > guard->cap || !all_pattern(guard->block, FENCE) ||
            !all_pattern(behind, guard->cap - item->len + FENCE)) {
            return wrong(list, i, "bytes beside the value were written");
        }
    }
    return true;
}

bool t_item_has(t_items *list, size_t i)
{
    return t_item_has_version(list, i, 0);
}

/* ---- Queues ---------------------------------------------------------------------------------- */

nkv_queue *t_queue_new(void)
{
    nkv_queue *queue = NULL;
    nkv_error error = {.status = NKV_OK};
    if (nkv_queue_create(&queue, &error) != NKV_OK) {
        T_DIE("no queue: %s", error.text);
    }
    return queue;
}

bool t_queue_readable(const nkv_queue *queue, int64_t timeout_ms)
{
    struct pollfd fd = {.fd = nkv_queue_fd(queue), .events = POLLIN};
    return poll(&fd, 1, (int)timeout_ms) == 1 && (fd.revents & POLLIN) != 0;
}

void t_queue_take(nkv_queue *queue, nkv_completion *out, size_t n)
{
    const int64_t end_ms = t_now_ms() + TAKE_MS;
    for (size_t got = 0; got < n;) {
        got += nkv_queue_drain(queue, out + got, n - got);
        if (got < n && nkv_queue_wait(queue, 1000) == NKV_NOT_FOUND) {
            T_DIE("the queue knows of nothing more after %zu of %zu completions", got, n);
        }
        if (got < n && t_now_ms() > end_ms) {
            T_DIE("%zu of %zu completions in 30 s", got, n);
        }
    }
}

nkv_completion t_queue_next(nkv_queue *queue)
{
    nkv_completion completion;
    t_queue_take(queue, &completion, 1);
    return completion;
}
