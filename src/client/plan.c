/* client/plan.c - see plan.h.
 *
 * The canonical encoding of a cached command is a number of the command, which starts with a byte
 * that tells it from the fixed ones of hit.c, and each argument but the key with its length before
 * it. So ("a", "bc") and ("ab", "c") differ. */
#include "client/plan.h"

#include <stddef.h>
#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "base/status.h"
#include "client/own_call.h"
#include "client/read.h"

static size_t canonical_size(size_t argc, const nkv_str *argv, size_t key_at)
{
    size_t size = 1 + sizeof(uint32_t);
    for (size_t i = 1; i < argc; i++) {
        size += i == key_at ? 0 : sizeof(uint64_t) + argv[i].len;
    }
    return size;
}

static char *put(char *at, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(at, data, len);
    }
    return at + len;
}

static void canonical_write(char *at, unsigned id, size_t argc, const nkv_str *argv, size_t key_at)
{
    uint32_t number = id;
    *at++ = '\2';
    at = put(at, &number, sizeof number);
    for (size_t i = 1; i < argc; i++) {
        if (i != key_at) {
            uint64_t len = argv[i].len;
            at = put(at, &len, sizeof len);
            at = put(at, argv[i].data, argv[i].len);
        }
    }
}

static nkv_status plan_canonical(nkvi_plan *plan, size_t argc, const nkv_str *argv, size_t key_at,
                                 nkv_error *error)
{
    if (argc == 2 && strcmp(plan->command->name, "GET") == 0) {
        plan->query.command = nkvi_verb_get.command;
        return NKV_OK;
    }
    if (argc == 2 && strcmp(plan->command->name, "EXISTS") == 0) {
        plan->query.command = nkvi_verb_exists.command;
        return NKV_OK;
    }
    if (argc == 2 && strcmp(plan->command->name, "STRLEN") == 0) {
        plan->query.command = nkvi_verb_strlen.command;
        return NKV_OK;
    }
    size_t size = canonical_size(argc, argv, key_at);
    char *at = plan->inline_canonical;
    if (size > sizeof plan->inline_canonical) {
        if (!nkvi_buf_reserve(&plan->canonical, size)) {
            return nkvi_fail(error, NKV_ENOMEM, "no memory for a command of %zu bytes", size);
        }
        at = plan->canonical.data;
    }
    canonical_write(at, plan->command->id, argc, argv, key_at);
    plan->query.command = nkv_str_make(at, size);
    return NKV_OK;
}

/* Commands whose arguments behind the key are hash fields, which may expire one by one (Redis
 * 7.4). */
static bool names_fields(const nkvi_command *command)
{
    static const char *const names[] = {"HGET", "HMGET", "HEXISTS", "HSTRLEN"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(command->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static nkv_status plan_cached(const nkv_client *client, nkvi_plan *plan, size_t argc,
                              const nkv_str *argv, nkv_error *error)
{
    unsigned at = 0;
    int n = nkvi_command_keys(plan->command, argc, argv, &at, 1);
    if (n < 1) {
        return NKV_OK; /* wrong arity: the server will say so */
    }
    plan->key = argv[at];
    plan->intent = n > 1 ? NKVI_TO_WRITE : plan->intent;
    if (n > 1) {
        plan->split = plan->command->per_key;
        return NKV_OK;
    }
    if (plan->command->per_key && strcmp(plan->command->name, "EXISTS") != 0) {
        plan->split = true; /* MGET of one key answers an array */
        return NKV_OK;
    }
    plan->query.key = plan->key;
    plan->query.space = client->space;
    plan->fields_at = argc > at + 1 && names_fields(plan->command) ? at + 1 : 0;
    nkv_status status = plan_canonical(plan, argc, argv, at, error);
    if (status == NKV_OK && client->caching) {
        nkvi_query_hash(client->cache, &plan->query);
    }
    plan->cached = status == NKV_OK;
    return status;
}

bool nkvi_command_is_script(const nkvi_command *command)
{
    return strncmp(command->name, "EVAL", 4) == 0 || strncmp(command->name, "FCALL", 5) == 0;
}

/* Positions of the written keys: those that the table knows; of a script, a command that is not in
 * the table, or arguments that the table does not understand, all arguments, since any may be a
 * key. *all tells. Returns how many; writes at most cap. */
static size_t written_keys(const nkvi_plan *plan, size_t argc, const nkv_str *argv, unsigned *at,
                           size_t cap, bool *all)
{
    int n = -1;
    if (plan->command->klass == NKVI_COMMAND_WRITE && !nkvi_command_is_script(plan->command)) {
        n = nkvi_command_keys(plan->command, argc, argv, at, cap);
    }
    *all = n < 0;
    for (size_t i = 1; *all && i < argc && i <= cap; i++) {
        at[i - 1] = (unsigned)i;
    }
    return *all ? argc - 1 : (size_t)n;
}

/* The key that says where the command goes: a script's is the first that it declares, though any of
 * its arguments may be written. */
static nkv_str first_key(const nkvi_plan *plan, size_t argc, const nkv_str *argv)
{
    unsigned at = 0;
    if (nkvi_command_is_script(plan->command)) {
        int n = nkvi_command_keys(plan->command, argc, argv, &at, 1);
        return n > 0 ? argv[at] : nkv_str_make("", 0);
    }
    return plan->keys_len > 0 ? plan->keys[0] : plan->key;
}

static nkv_status plan_write(nkvi_plan *plan, size_t argc, const nkv_str *argv, nkv_error *error)
{
    unsigned few[sizeof plan->few_keys / sizeof plan->few_keys[0]];
    size_t cap = sizeof few / sizeof few[0];
    unsigned *at = few;
    plan->keys_len = written_keys(plan, argc, argv, few, cap, &plan->settle);
    if (plan->keys_len > cap) {
        plan->keys = nkvi_alloc(plan->keys_len * (sizeof *plan->keys + sizeof *at));
        if (plan->keys == NULL) {
            size_t n = plan->keys_len;
            plan->keys_len = 0;
            return nkvi_fail(error, NKV_ENOMEM, "no memory for %zu keys", n);
        }
        at = (unsigned *)(void *)(plan->keys + plan->keys_len);
        (void)written_keys(plan, argc, argv, at, plan->keys_len, &plan->settle);
    }
    for (size_t i = 0; i < plan->keys_len; i++) {
        plan->keys[i] = argv[at[i]];
    }
    plan->key = first_key(plan, argc, argv);
    return NKV_OK;
}

/* A read that is not cached, unless the user vouches for such scripts and it names one key. */
static nkv_status plan_read(const nkv_client *client, nkvi_plan *plan, size_t argc,
                            const nkv_str *argv, nkv_error *error)
{
    unsigned at = 0;
    int n = nkvi_command_keys(plan->command, argc, argv, &at, 1);
    if (n > 0) {
        plan->key = argv[at];
    }
    if (n != 1) {
        plan->intent =
            NKVI_TO_WRITE; /* of several keys a replica may lack one that we wrote (P2) */
    }
    if (n == 1 && plan->command->opt_in && client->options.cache_scripts) {
        return plan_cached(client, plan, argc, argv, error);
    }
    return NKV_OK;
}

/* Whether a write comes to the same if it is executed twice, one right behind the other. */
static bool is_repeatable(const nkvi_plan *plan, size_t argc, const nkv_str *argv)
{
    static const char *const names[] = {"DEL", "UNLINK", "MSET", "SETEX", "PSETEX"};
    static const char *const unlike[] = {"NX", "XX", "GET", "IFEQ"}; /* of SET */
    bool repeatable = strcmp(plan->command->name, "SET") == 0;
    for (size_t i = 3; repeatable && i < argc; i++) {
        for (size_t j = 0; j < sizeof unlike / sizeof unlike[0]; j++) {
            repeatable = repeatable && !nkvi_ascii_is(argv[i], unlike[j]);
        }
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        repeatable = repeatable || strcmp(plan->command->name, names[i]) == 0;
    }
    return repeatable;
}

nkv_status nkvi_plan_make(const nkv_client *client, size_t argc, const nkv_str *argv,
                          nkvi_plan *plan, nkv_error *error)
{
    memset(plan, 0, offsetof(nkvi_plan, inline_canonical));
    nkvi_buf_init(&plan->canonical);
    plan->keys = plan->few_keys;
    plan->command = nkvi_command_find(argc, argv);
    if (client->wrapped && plan->command->klass != NKVI_COMMAND_REFUSED) {
        nkv_status status = nkvi_own_check(argc, argv, error);
        if (status != NKV_OK) {
            return status;
        }
    }
    bool reads =
        plan->command->klass == NKVI_COMMAND_CACHED || plan->command->klass == NKVI_COMMAND_READ;
    plan->intent = reads ? NKVI_TO_READ : NKVI_TO_WRITE;
    plan->resend = reads || (client->options.resend_writes != 0 && is_repeatable(plan, argc, argv));
    switch (plan->command->klass) {
    case NKVI_COMMAND_REFUSED:
        return nkvi_fail(error, NKV_EREFUSED, "%s: %s", plan->command->name, plan->command->reason);
    case NKVI_COMMAND_CACHED:
        return plan_cached(client, plan, argc, argv, error);
    case NKVI_COMMAND_FLUSH:
        plan->writes = plan->flush = true;
        return NKV_OK;
    case NKVI_COMMAND_WRITE:
    case NKVI_COMMAND_UNKNOWN:
        plan->writes = true;
        return plan_write(plan, argc, argv, error);
    case NKVI_COMMAND_READ:
        return plan_read(client, plan, argc, argv, error);
    case NKVI_COMMAND_OTHER:
        return NKV_OK;
    }
    return NKV_OK;
}

void nkvi_plan_clear(nkvi_plan *plan)
{
    if (plan->keys != plan->few_keys) {
        nkvi_free(plan->keys);
    }
    nkvi_buf_clear(&plan->canonical);
    plan->keys = plan->few_keys;
    plan->keys_len = 0;
}
