/* client/plan.h - any command: what is to be done with it.
 *
 * Threads  [any]: pure functions and stack data. */
#ifndef NKVI_CLIENT_PLAN_H
#define NKVI_CLIENT_PLAN_H

#include "client/client_int.h"
#include "client/command.h"

#define NKVI_PLAN_INLINE 192u

/* What a command means for the cache.  Its strings point into argv or into itself. */
typedef struct nkvi_plan {
    const nkvi_command *command;
    nkv_str key;        /* the first key, or empty */
    bool cached;        /* read of one key: read.query is hashed */
    bool split;         /* MGET, EXISTS of several keys: key by key */
    bool writes, flush; /* keys (below) are written / everything is */
    nkvi_intent intent; /* whom it may be asked of */
    bool resend;        /* it may be executed twice: a read; with the option, a plain SET or DEL */
    bool settle;        /* what it writes cannot be told: nkvi_write_settle must follow */
    nkvi_query query;
    size_t fields_at; /* see nkvi_ask */
    nkv_str *keys;    /* written keys */
    size_t keys_len;
    nkv_str few_keys[8]; /* keys points here, or to allocated memory */
    nkvi_buf canonical;  /* memory of query.command if it does not fit inline */
    char inline_canonical[NKVI_PLAN_INLINE];
} nkvi_plan;

/* Fills the plan; the caller clears it in every case. Returns NKV_OK · NKV_EREFUSED ·
  * NKV_EINVAL · NKV_ENOMEM · NKV_ENOTSUP (a wrapped connector cannot do it). */
nkv_status nkvi_plan_make(const nkv_client *client, size_t argc, const nkv_str *argv,
                          nkvi_plan *plan, nkv_error *error);
void nkvi_plan_clear(nkvi_plan *plan);

/* Whether it declares keys, but may touch others all the same. */
bool nkvi_command_is_script(const nkvi_command *command);

#endif
