/* support/bulk_op.c - see bulk_op.h. */
#include "support/bulk_op.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/check.h"

static char *room(nkvi_bulk_op *op, size_t len)
{
    t_op *o = NKVI_CONTAINER(op, t_op, op);
    o->offered = len;
    return len <= o->cap ? o->room : NULL;
}

static void done(nkvi_bulk_op *op, nkv_status status, const nkv_reply *reply,
                 const nkv_error *error)
{
    t_op *o = NKVI_CONTAINER(op, t_op, op);
    o->status = status;
    if (reply != NULL) {
        o->type = reply->type;
        o->integer = reply->integer;
        o->len = reply->len;
        o->in_place = reply->str != NULL && reply->str == o->room;
    }
    if (error != NULL) {
        (void)snprintf(o->text, sizeof o->text, "%.90s", error->text);
    }
    if (o->order != NULL) {
        o->nth = atomic_fetch_add(o->order, 1);
    }
    atomic_fetch_add(&o->done, 1);
}

static nkvi_bulk *create(nkvi_bulk_config config)
{
    nkvi_bulk *bulk = NULL;
    config.backoff_min_ms = 1;
    config.backoff_max_ms = 20;
    config.reply_bytes_max = 1 << 30;
    T_REQUIRE(nkvi_bulk_create(&config, &bulk, NULL) == NKV_OK);
    return bulk;
}

nkvi_bulk *t_op_pool_with(const char *path, unsigned lanes, int64_t connect_timeout_ms,
                          size_t window_bytes)
{
    return create((nkvi_bulk_config){.endpoint = {.path = path},
                                     .lanes = lanes,
                                     .connect_timeout_ms = connect_timeout_ms,
                                     .window_bytes = window_bytes});
}

nkvi_bulk *t_op_pool_narrow(const char *path, unsigned lanes, unsigned at_once, int64_t stuck_ms)
{
    return create((nkvi_bulk_config){.endpoint = {.path = path},
                                     .lanes = lanes,
                                     .at_once = at_once,
                                     .stuck_ms = stuck_ms,
                                     .connect_timeout_ms = T_OP_CONNECT_MS,
                                     .window_bytes = (2 << 20) + 1024});
}

nkvi_bulk *t_op_pool(const char *path, unsigned lanes)
{
    return t_op_pool_with(path, lanes, T_OP_CONNECT_MS, 8 << 20);
}

static t_op *new_op(nkvi_priority priority)
{
    t_op *o = calloc(1, sizeof *o);
    T_REQUIRE(o != NULL);
    o->op.priority = priority;
    o->op.room = room;
    o->op.done = done;
    return t_op_within(o, T_OP_MS);
}

t_op *t_op_within(t_op *o, int64_t timeout_ms)
{
    o->op.deadline_ns = nkvi_deadline_ns(nkvi_now_ns(), timeout_ms);
    return o;
}

t_op *t_op_get(const char *key, size_t cap)
{
    t_op *o = new_op(NKVI_GET);
    int len =
        snprintf(o->head, sizeof o->head, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
    o->op.parts[0] = nkv_str_make(o->head, (size_t)len);
    o->cap = cap;
    o->room = malloc(cap + 1);
    T_REQUIRE(o->room != NULL);
    o->op.expect = cap;
    return o;
}

t_op *t_op_set(const char *key, const char *value, size_t len)
{
    t_op *o = new_op(NKVI_PUT);
    int n = snprintf(o->head, sizeof o->head, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n",
                     strlen(key), key, len);
    o->op.parts[0] = nkv_str_make(o->head, (size_t)n);
    o->op.parts[1] = nkv_str_make(value, len);
    o->op.parts[2] = nkv_cstr("\r\n");
    return o;
}

t_op *t_op_multi_set(const char *key, const char *value, size_t len)
{
    t_op *o = new_op(NKVI_PUT);
    int n = snprintf(o->head, sizeof o->head, "MULTI\r\n*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n",
                     strlen(key), key, len);
    o->op.parts[0] = nkv_str_make(o->head, (size_t)n);
    o->op.parts[1] = nkv_str_make(value, len);
    o->op.parts[2] = nkv_cstr("\r\nEXEC\r\n");
    o->op.before = 2;
    return o;
}

t_op *t_op_command(nkvi_priority priority, const char *line)
{
    t_op *o = new_op(priority);
    int n = snprintf(o->head, sizeof o->head, "%s\r\n", line);
    o->op.parts[0] = nkv_str_make(o->head, (size_t)n);
    return o;
}

void t_op_submit(nkvi_bulk *bulk, t_op *o)
{
    nkvi_bulk_op *op = &o->op;
    nkvi_bulk_submit(bulk, &op, 1);
}

t_op *t_op_wait(t_op *o)
{
    T_WAIT_UNTIL(atomic_load(&o->done) > 0, 2 * T_OP_MS);
    return o;
}

t_op *t_op_run(nkvi_bulk *bulk, t_op *o)
{
    t_op_submit(bulk, o);
    return t_op_wait(o);
}

void t_op_drop(t_op *o)
{
    int done = atomic_load(&o->done);
    if (done != 1) {
        T_DIE("an operation ended %d times", done);
    }
    free(o->room);
    free(o);
}

char *t_op_bytes(size_t len, unsigned seed)
{
    char *bytes = malloc(len + 1);
    T_REQUIRE(bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)((i * 2654435761u + seed) >> 13);
    }
    return bytes;
}
