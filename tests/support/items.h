/* support/items.h - batches for the calls of nearkv/batch.h: keys, values, guarded memory.
 *
 *      t_items list = t_items_new("k", 5);           keys k0 to k4
 *      t_items_bufs(&list, 1000);                    a guarded buffer each
 *      cr_assert_eq(nkv_batch_get(client, list.items, list.n, NULL), NKV_OK);
 *      cr_assert_str_eq(t_items_text(&list), "++-++");
 *      cr_assert(t_item_has(&list, 0));
 *      t_items_free(&list);
 *
 * A value is made of its key and a version, so that whoever reads it can tell whose it is, and that
 * no byte of it comes from elsewhere.  A guarded buffer lies between bytes of a known pattern, and
 * is filled with that pattern itself.
 *
 * Ownership   What is in a t_items is freed with it, the items' `held` included.
 * Threads     One thread at a time per t_items.                                                  */

#ifndef T_SUPPORT_ITEMS_H
#define T_SUPPORT_ITEMS_H

#include <nearkv/nearkv.h>
#include <stdbool.h>

/* ---- Values ---------------------------------------------------------------------------------- */

/* The value of a key: `len` bytes. */
void t_value_fill(void *out, size_t len, nkv_str key, uint64_t version);

/* Is this exactly such a value?  Says on standard error where it is not. */
bool t_value_is(const void *bytes, size_t len, nkv_str key, uint64_t version);

/* The version of a value of at least 8 bytes, by what it begins with; UINT64_MAX if it is none. */
uint64_t t_value_version(const void *bytes, size_t len, nkv_str key);

/* ---- Batches --------------------------------------------------------------------------------- */

typedef struct t_guard {
    unsigned char *block; /* NULL: none                                                           */
    size_t cap;
} t_guard;

typedef struct t_items {
    nkv_item *items;
    size_t n;
    char *text;  /* of t_items_text()                                                             */
    char **keys; /* copies */
    char **values;
    t_guard *guards;
    nkv_lmcache_meta *metas; /* what items[].meta points to; NULL: none                           */
} t_items;

/* Keys PREFIX0, PREFIX1 …; everything else is zero. */
t_items t_items_new(const char *prefix, size_t n);

/* Keys as they stand in a list, separated by blanks: "a b a". */
t_items t_items_list(const char *list);

void t_items_free(t_items *list);

/* Gives an item another key, of any bytes. */
void t_item_key(t_items *list, size_t i, const void *key, size_t len);

/* Gives an item, or all of them, a value of its key, version 0 or the one given. */
void t_item_value(t_items *list, size_t i, size_t len, uint64_t version);
void t_items_values(t_items *list, size_t len);

/* A guarded buffer for an item, or for all.  cap 0 is a buffer of no bytes, not none. */
void t_item_buf(t_items *list, size_t i, size_t cap);
void t_items_bufs(t_items *list, size_t cap);

/* Room for metadata in every item, filled with something that is none. */
void t_items_metas(t_items *list);

/* As before the first call: outputs gone, buffers filled with their pattern. */
void t_items_reset(t_items *list);

/* ---- What became of them --------------------------------------------------------------------- */

/* One character for each status, terminated; valid until the next call: + OK, - NOT_FOUND, S ESIZE,
 * R EREPLY, T ETIMEDOUT, C ECONN, P EPROTO, M ENOMEM, I EINVAL, X ECLOSED, Z ECANCELED, ? else. */
const char *t_items_text(t_items *list);

/* The item is NKV_OK, and what it got, where it wanted it, is the value of its key: all `len` bytes
 * of it, and nothing beside it was touched.  Else says on standard error why not.                */
bool t_item_has(t_items *list, size_t i);
bool t_item_has_version(t_items *list, size_t i, uint64_t version);

/* Nothing outside of the buffer's `cap` bytes was written / nothing inside either. */
bool t_item_guarded(const t_items *list, size_t i);
bool t_item_untouched(const t_items *list, size_t i);

/* ---- Queues ---------------------------------------------------------------------------------- */

/* Ends the process if there is none. */
nkv_queue *t_queue_new(void);

/* Is the queue's descriptor readable, now or within that time? */
bool t_queue_readable(const nkv_queue *queue, int64_t timeout_ms);

/* Drains until `n` completions have come, no more; ends the process after 30 s.  They lie in `out`,
 * which has room for `n`. */
void t_queue_take(nkv_queue *queue, nkv_completion *out, size_t n);

/* The next completion. */
nkv_completion t_queue_next(nkv_queue *queue);

#endif
