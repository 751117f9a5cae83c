/* support/bulk_op.h - one operation of a bulk pool as a test sees it, and what became of it.
 *
 *      nkvi_bulk *bulk = t_op_pool(t_server_path(server), 4);
 *      t_op *get = t_op_run(bulk, t_op_get("k", 100));
 *      cr_assert(get->status == NKV_OK && get->len == 5 && get->in_place);
 *      t_op_drop(get);
 *      nkvi_bulk_destroy(bulk);
 *
 * Failure     T_DIE(): no memory, or an answer that does not come.
 * Threads     An ask belongs to the test but between submit and `done`.                          */

#ifndef T_SUPPORT_OP_H
#define T_SUPPORT_OP_H

#include <stdatomic.h>

#include "io/bulk.h"

enum { T_OP_MS = 20000, T_OP_CONNECT_MS = 2000 };

typedef struct t_op {
    nkvi_bulk_op op;
    char head[160];
    char *room; /* `cap` bytes; NULL: a copy is asked for                                         */
    size_t cap, offered;
    _Atomic int done; /* how often; what follows is set before                                    */
    nkv_status status;
    nkv_type type;
    int64_t integer;
    size_t len;
    bool in_place;
    char text[96];
    _Atomic int *order; /* NULL: not asked for */
    int nth;            /* of all that ended */
} t_op;

/* A pool on a unix socket, with those limits. */
nkvi_bulk *t_op_pool(const char *path, unsigned lanes);
nkvi_bulk *t_op_pool_with(const char *path, unsigned lanes, int64_t connect_timeout_ms,
                          size_t window_bytes);

/* So many lanes work at once, but for the stuck; a window of 2 MiB. */
nkvi_bulk *t_op_pool_narrow(const char *path, unsigned lanes, unsigned at_once, int64_t stuck_ms);

/* Deadline in T_OP_MS; set() and command() keep what they are given. */
t_op *t_op_get(const char *key, size_t cap);
t_op *t_op_set(const char *key, const char *value, size_t len);
t_op *t_op_command(nkvi_priority priority, const char *line); /* an inline command */

/* SET in a transaction: three commands, two replies before the last. */
t_op *t_op_multi_set(const char *key, const char *value, size_t len);

t_op *t_op_within(t_op *ask, int64_t timeout_ms); /* another deadline */

void t_op_submit(nkvi_bulk *bulk, t_op *ask);

/* Waits for its end. */
t_op *t_op_wait(t_op *ask);
t_op *t_op_run(nkvi_bulk *bulk, t_op *ask); /* both */

/* Frees it; it must have ended exactly once. */
void t_op_drop(t_op *ask);

/* `len` bytes that differ by seed; the caller frees. */
char *t_op_bytes(size_t len, unsigned seed);

#endif
