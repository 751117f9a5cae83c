/* cli/options.h - what the user asked for: one table from which parser, checks and help come.
 *
 *      argv --nkvi_options_parse()--> nkvi_settings --nkvi_options_client()--> nkv_options
 *                     |
 *                the table: name, argument, default, range, text ------> nkvi_options_help()
 *
 * Ownership  Texts of nkvi_settings are owned by it or constant; nkvi_settings_clear() frees.
 * Threads    Called from main() before any other thread exists.                                  */
#ifndef NKVI_CLI_OPTIONS_H
#define NKVI_CLI_OPTIONS_H

#include <stdint.h>

#include <nearkv/client.h>

#include "cli/out.h"

/* Which commands take an option. */
#define NKVI_FOR_SHELL    1U
#define NKVI_FOR_REPLAY   2U
#define NKVI_FOR_PUT      4U /* nearkv lmcache put, and so on */
#define NKVI_FOR_GET      8U
#define NKVI_FOR_CONTAINS 16U
#define NKVI_FOR_LS       32U
#define NKVI_FOR_RM       64U
#define NKVI_FOR_LMCACHE \
    (NKVI_FOR_PUT | NKVI_FOR_GET | NKVI_FOR_CONTAINS | NKVI_FOR_LS | NKVI_FOR_RM)
#define NKVI_FOR_KV_GET    128U /* nearkv kv get, and so on */
#define NKVI_FOR_KV_SET    256U
#define NKVI_FOR_KV_DEL    512U
#define NKVI_FOR_KV_EXISTS 1024U
#define NKVI_FOR_KV_TTL    2048U
#define NKVI_FOR_KV_CLEAR  4096U
#define NKVI_FOR_KV_TAGS   8192U
#define NKVI_FOR_KV                                                                               \
    (NKVI_FOR_KV_GET | NKVI_FOR_KV_SET | NKVI_FOR_KV_DEL | NKVI_FOR_KV_EXISTS | NKVI_FOR_KV_TTL | \
     NKVI_FOR_KV_CLEAR | NKVI_FOR_KV_TAGS)
#define NKVI_FOR_WORDS (NKVI_FOR_LMCACHE | NKVI_FOR_KV) /* that take words */

#define NKVI_KV_TTL_NOT_GIVEN (-2000)

typedef struct nkvi_texts {
    char **text;
    size_t n;
} nkvi_texts;

typedef struct nkvi_settings {
    /* where */
    char *url, *username, *password, *password_file, *password_env, *client_name;
    char *service_name, *sentinel_username, *sentinel_password_file, *sentinel_password_env;
    char *address_map;
    int64_t db, read_from, resend_writes;
    int64_t embedded;
    /* the cache */
    int64_t keys_max, bytes_max, idle_max_ms, ttl_max_ms, negative_ttl_ms;
    int64_t topology_age_max_ms, replica_ttl_max_ms;
    double confidence;
    int64_t dynamic_confidence, no_cache, policy, strict, level;
    nkvi_texts prefixes;
    int64_t timeout_ms, connect_timeout_ms, sentinel_timeout_ms;
    /* output */
    int64_t json;
    /* replay */
    char *trace, *key_prefix;
    int64_t synthetic, seed, requests, asks, threads, block_bytes, verify, chunk, keep;
    int64_t replay_layout; /* 0: none, else a layout + 1 */
    int64_t cached_only, cache_payloads;
    /* lmcache */
    int64_t layout, padding, ttl_ms, chunk_bytes, verify_payload;
    char *meta, *meta_file;
    /* kv */
    char *kv_prefix, *input, *output;
    int64_t kv_ttl_ms; /* < 0: none, NKVI_KV_TTL_NOT_GIVEN too */
    int64_t codec, compress_above, if_absent, if_present, keep_ttl;
    int64_t page, pause_ms, flush, count, invalidate;
    nkvi_texts tags;
    /* not in the table */
    char *sentinel_password; /* see secret.h */
    int64_t help;
    char **rest; /* lmcache, kv: the words that are no options; else those behind "--"; argv's */
    size_t rest_n;
} nkvi_settings;

/* Reads argv[0..argc) into `settings`, defaults first.  Passwords among the arguments, also the one
 * in a URL, are overwritten in argv once they are copied, so that the process list does not show
 * them; but for the moment before it did.  The words of lmcache and kv that are no options are
 * moved to the front of argv.  `command` is one of NKVI_FOR_….
 * Returns true; false: `error` has a line that says what was wrong and what is allowed.          */
bool nkvi_options_parse(nkvi_settings *settings, unsigned command, int argc, char **argv,
                        nkvi_out *error);

void nkvi_settings_clear(nkvi_settings *settings);

/* "lmcache put" */
const char *nkvi_options_command(unsigned command);

/* The options of a command for --help, a paragraph each; with NKVI_FOR_LMCACHE or NKVI_FOR_KV those
 * of all its commands. */
void nkvi_options_help(nkvi_out *out, unsigned command);

/* The settings as the library's options, which borrow from `settings`. */
void nkvi_options_client(const nkvi_settings *settings, nkv_options *options);

#endif
