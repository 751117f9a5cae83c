/* cli/options.c - what the user asked for: one table from which parser, checks and help come.
 *
 * A row says what an option is called, what it takes, what is allowed and where it goes.  Its
 * default is a text that goes through the same parser as the user's, so help and behaviour cannot
 * differ.
 *
 * Invariant    I1  Every row's default is one that the row itself allows.
 *              I2  A secret is copied before it is overwritten in argv.                          */
#include "cli/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/lmcache_key.h>

#include "cli/must.h"
#include "cli/secret.h"
#include "cli/values.h"

typedef enum kind { FLAG, TEXT, SECRET, LIST, INTEGER, BYTES, TIME, PERCENT, CHOICE } kind;

typedef struct row {
    const char *name, *argument;
    kind kind;
    size_t offset; /* into nkvi_settings */
    unsigned commands;
    const char
        *initial;     /* NULL: not given                                                          */
    int64_t min, max; /* INTEGER, BYTES; TIME in ms; PERCENT                                      */
    const char *text;
} row;

#define TO(field) offsetof(nkvi_settings, field)
#define BOTH      (NKVI_FOR_SHELL | NKVI_FOR_REPLAY)
#define ALL       (BOTH | NKVI_FOR_WORDS)
#define CODED     (NKVI_FOR_KV_GET | NKVI_FOR_KV_SET)               /* that deal with values */
#define SIZES     (NKVI_FOR_PUT | NKVI_FOR_GET | NKVI_FOR_CONTAINS) /* that deal with sizes */
#define DAY_MS    (INT64_C(24) * 3600 * 1000)
#define MANY      INT64_C(9000000000000) /* 285 years in ms */

#define PLAIN_BYTES_MAX \
    (INT64_C(32) << 20) /* a value that goes through the queue of a connection */
#define LAYOUT_SINGLE 3

static const row rows[] = {
    {"url", "URL", TEXT, TO(url), ALL, NULL, 0, 0,
     "one server: redis://[[user][:password]@]host[:port][/db] or "
     "unix://[[user][:password]@]/path[?db=N]; a cluster: "
     "redis-cluster://[[user][:password]@]host:port,host:port; sentinels: "
     "redis-sentinel://[[user][:password]@]host:port,host:port[/service[/db]]; default "
     "redis://localhost:6379"},
    {"embedded", NULL, FLAG, TO(embedded), BOTH, NULL, 0, 0,
     "start a private redis-server on a unix socket in a directory of its own, and stop it at the "
     "end, however the end comes"},
    {"username", "NAME", TEXT, TO(username), ALL, NULL, 0, 0, "wins over the URL's"},
    {"password", "PASSWORD", SECRET, TO(password), ALL, NULL, 0, 0,
     "wins over all others; second best, because others may see it in the process list for the "
     "moment before it is overwritten there"},
    {"password-file", "FILE", TEXT, TO(password_file), ALL, NULL, 0, 0,
     "the password is the first line of this file; wins over the URL's"},
    {"password-env", "NAME", TEXT, TO(password_env), ALL, NKVI_SECRET_ENV, 0, 0,
     "the password is the value of this environment variable, if no other is given; one that is "
     "named here must be set"},
    {"service-name", "NAME", TEXT, TO(service_name), ALL, NULL, 0, 0,
     "what sentinels call the servers; wins over the URL's; default: REDIS_SERVICE_NAME of the "
     "environment, else redismaster"},
    {"sentinel-username", "NAME", TEXT, TO(sentinel_username), ALL, NULL, 0, 0,
     "user at the sentinels, which is not that of the servers"},
    {"sentinel-password-file", "FILE", TEXT, TO(sentinel_password_file), ALL, NULL, 0, 0,
     "the password at the sentinels is the first line of this file"},
    {"sentinel-password-env", "NAME", TEXT, TO(sentinel_password_env), ALL,
     NKVI_SECRET_SENTINEL_ENV, 0, 0,
     "the password at the sentinels is the value of this environment variable, if there is no "
     "file; one that is named here must be set"},
    {"address-map", "MAP", TEXT, TO(address_map), ALL, NULL, 0, 0,
     "announced=reachable,...: where the servers of a cluster or of sentinels are if not where "
     "they say, as in containers: host:port=host:port, host=host (the port stays), *=host; wins "
     "over the URL's"},
    {"read-from", "default|primary|prefer-replica|replica|nearest", CHOICE, TO(read_from), ALL,
     NULL, 0, 0,
     "which server of a sentinel's service answers reads: the primary; a replica, or the primary "
     "without one; a replica alone; the nearest; default: what the URL says, else the primary"},
    {"resend-writes", NULL, FLAG, TO(resend_writes), BOTH, NULL, 0, 0,
     "clusters and sentinels: send a SET or DEL again whose connection was lost before its answer; "
     "it may then be executed twice"},
    {"db", "N", INTEGER, TO(db), ALL, "-1", -1, INT32_MAX, "database; -1: the URL's"},
    {"client-name", "NAME", TEXT, TO(client_name), ALL, NULL, 0, 0,
     "what CLIENT LIST shows; default nearkv"},
    {"timeout", "TIME", TIME, TO(timeout_ms), BOTH, "5", 1, DAY_MS, "deadline of a command"},
    {"timeout", "TIME", TIME, TO(timeout_ms), NKVI_FOR_LMCACHE, "10", 1, DAY_MS,
     "deadline of an operation; every file of put and get is one"},
    {"timeout", "TIME", TIME, TO(timeout_ms), NKVI_FOR_KV, "5", 1, DAY_MS,
     "deadline of an operation; of clear and tags, of a page"},
    {"connect-timeout", "TIME", TIME, TO(connect_timeout_ms), ALL, "2", 1, DAY_MS,
     "deadline of a connection attempt"},
    {"sentinel-timeout", "TIME", TIME, TO(sentinel_timeout_ms), ALL, "0", 0, DAY_MS,
     "deadline of a question to a sentinel; 0: the URL's, else REDIS_TIMEOUT of the environment, "
     "else 1"},
    {"no-cache", NULL, FLAG, TO(no_cache), NKVI_FOR_SHELL, NULL, 0, 0,
     "cache nothing: every command goes to the server"},
    {"max-keys", "N", INTEGER, TO(keys_max), BOTH, "4096", -1, UINT32_MAX,
     "keys cached at most; -1: no limit, 0: cache nothing"},
    {"max-bytes", "BYTES", BYTES, TO(bytes_max), BOTH, "64m", -1, INT64_MAX,
     "bytes cached at most, all overhead included; -1: no limit, 0: cache nothing"},
    {"max-idle", "TIME", TIME, TO(idle_max_ms), BOTH, "5", 10, DAY_MS,
     "silence of a server after which nothing it vouched for is served"},
    {"topology-max-age", "TIME", TIME, TO(topology_age_max_ms), BOTH, "10", 100, DAY_MS,
     "age of a server's own word on its hash slots or its role after which nothing it vouched for "
     "is served"},
    {"max-ttl", "TIME", TIME, TO(ttl_max_ms), BOTH, "600", -1000, MANY,
     "age at which an answer is of no use any more; -1: no limit"},
    {"negative-ttl", "TIME", TIME, TO(negative_ttl_ms), BOTH, "-1", -1000, MANY,
     "the same for «does not exist»; -1: as --max-ttl"},
    {"replica-max-ttl", "TIME", TIME, TO(replica_ttl_max_ms), BOTH, "-1", -1000, MANY,
     "age at which an answer that a replica gave is of no use any more; -1: as --max-ttl"},
    {"policy", "lru|s3fifo", CHOICE, TO(policy), BOTH, "lru", 0, 0,
     "which key leaves a full cache"},
    {"strict", NULL, FLAG, TO(strict), BOTH, NULL, 0, 0,
     "exact LRU order, at the price of a lock on every hit"},
    {"confidence", "PERCENT", PERCENT, TO(confidence), BOTH, "100", 0, 100,
     "share of the cached answers that are trusted without asking the server"},
    {"dynamic-confidence", NULL, FLAG, TO(dynamic_confidence), BOTH, NULL, 0, 0,
     "less confidence with every wrong answer found, more with every right one"},
    {"level", "eventual|drain|barrier", CHOICE, TO(level), BOTH, "eventual", 0, 0,
     "how fresh reads are: as fresh as what was processed so far; as what the socket holds; as "
     "everything that was acknowledged to anyone before the read began"},
    {"prefix", "PREFIX", LIST, TO(prefixes), NKVI_FOR_SHELL, NULL, 0, 0,
     "cache only keys that begin so; may be given several times"},
    {"trace", "FILE", TEXT, TO(trace), NKVI_FOR_REPLAY, NULL, 0, 0,
     "replay this file: JSON lines with hash_ids, the numbers of a prompt's blocks; -: standard "
     "input"},
    {"synthetic", NULL, FLAG, TO(synthetic), NKVI_FOR_REPLAY, NULL, 0, 0,
     "replay made-up traffic of the shape that is described above"},
    {"seed", "N", INTEGER, TO(seed), NKVI_FOR_REPLAY, "1", 0, INT64_MAX,
     "of the made-up traffic: the same seed makes the same requests"},
    {"requests", "N", INTEGER, TO(requests), NKVI_FOR_REPLAY, "0", 0, MANY,
     "stop after so many; 0: all of the trace, 1000 made-up ones"},
    {"asks", "N", INTEGER, TO(asks), NKVI_FOR_REPLAY, "1", 1, 1000,
     "ask so many times how long the prefix of a request is, as a scheduler does at every step "
     "while "
     "the request waits"},
    {"threads", "N", INTEGER, TO(threads), NKVI_FOR_REPLAY, "1", 1, 256,
     "so many threads share the requests"},
    {"block-bytes", "BYTES", BYTES, TO(block_bytes), NKVI_FOR_REPLAY, "2048", 1, 512 << 20,
     "size of a block; without --layout 32m at most"},
    {"value-bytes", "BYTES", BYTES, TO(block_bytes), NKVI_FOR_REPLAY, "2048", 1, 512 << 20,
     "another name of --block-bytes"},
    {"layout", "none|plain|colon|hash-tag|single", CHOICE, TO(replay_layout), NKVI_FOR_REPLAY,
     "none", 0, 0,
     "blocks are chunks of LMCache under these keys, with metadata but for single; none: values of "
     "plain keys"},
    {"cache-payloads", NULL, FLAG, TO(cache_payloads), NKVI_FOR_REPLAY, NULL, 0, 0,
     "with --layout: keep the chunks themselves in the cache too, not their metadata alone"},
    {"verify-payload", NULL, FLAG, TO(verify_payload), NKVI_FOR_REPLAY, NULL, 0, 0,
     "with --layout: a lookup also asks for the payload's size, so that one that the server "
     "evicted is not promised"},
    {"cached-only", NULL, FLAG, TO(cached_only), NKVI_FOR_REPLAY, NULL, 0, 0,
     "leave the side without the cache out: half the memory at the server, nothing to compare"},
    {"chunk", "N", INTEGER, TO(chunk), NKVI_FOR_REPLAY, "256", 1, 65536,
     "keys that are asked for in one call"},
    {"verify", NULL, FLAG, TO(verify), NKVI_FOR_REPLAY, NULL, 0, 0,
     "compare every local answer with the server's own, key by key; a difference is exit status 1"},
    {"key-prefix", "PREFIX", TEXT, TO(key_prefix), NKVI_FOR_REPLAY, "nearkv:replay:", 0, 0,
     "all keys begin so; a number of this run follows"},
    {"keep", NULL, FLAG, TO(keep), NKVI_FOR_REPLAY, NULL, 0, 0,
     "leave the keys on the server; else they are deleted at the end"},
    {"layout", "plain|colon|hash-tag|single", CHOICE, TO(layout), NKVI_FOR_LMCACHE, "plain", 0, 0,
     "the keys of a chunk K: Kmetadata and Kkv_bytes; K:metadata and K:kv_bytes; {K}:metadata and "
     "{K}:kv_bytes; K alone, without metadata"},
    {"meta", "META", TEXT, TO(meta), NKVI_FOR_PUT, NULL, 0, 0,
     "the chunks' metadata; default: bytes, fmt=BINARY_BUFFER"},
    {"padding", "zeros|ones|none", CHOICE, TO(padding), NKVI_FOR_PUT, "zeros", 0, 0,
     "how a shape of fewer than four sizes is written: zeros behind, as LMCache does now; ones in "
     "front, as it did before; not at all: there must be four"},
    {"ttl", "TIME", TIME, TO(ttl_ms), NKVI_FOR_PUT, "0", 0, MANY,
     "expiry of the chunks, in whole seconds; 0: none"},
    {"meta-file", "FILE", TEXT, TO(meta_file), NKVI_FOR_GET, NULL, 0, 0,
     "write the chunks' metadata to FILE as --meta takes it: a line for each KEY, empty where "
     "there "
     "is none; -: standard output"},
    {"chunk-bytes", "BYTES", BYTES, TO(chunk_bytes), SIZES, "0", 0, 512 << 20,
     "with --layout single, the size that every chunk has: another is refused by put, and counts "
     "as "
     "not there for get, and for contains with --verify-payload; 0: any"},
    {"verify-payload", NULL, FLAG, TO(verify_payload), NKVI_FOR_GET | NKVI_FOR_CONTAINS, NULL, 0, 0,
     "look at the payload's size too: a chunk whose payload was evicted is not there"},
    {"prefix", "PREFIX", TEXT, TO(kv_prefix), NKVI_FOR_KV, "", 0, 0,
     "every KEY begins so at the server, with nothing between"},
    {"ttl", "TIME", TIME, TO(kv_ttl_ms), NKVI_FOR_KV_SET | NKVI_FOR_KV_TTL, "-2", -2000, MANY,
     "set: the key expires then; -1: never, which is the default. ttl: it has so much left from "
     "now "
     "on; -1: it does not expire"},
    {"keep-ttl", NULL, FLAG, TO(keep_ttl), NKVI_FOR_KV_SET, NULL, 0, 0,
     "the key expires when it would have"},
    {"if-absent", NULL, FLAG, TO(if_absent), NKVI_FOR_KV_SET, NULL, 0, 0,
     "set it only if it is not there"},
    {"if-present", NULL, FLAG, TO(if_present), NKVI_FOR_KV_SET, NULL, 0, 0,
     "set it only if it is there"},
    {"tag", "TAG", LIST, TO(tags), NKVI_FOR_KV_SET, NULL, 0, 0,
     "the key has this tag; may be given several times"},
    {"input", "FILE", TEXT, TO(input), NKVI_FOR_KV_SET, NULL, 0, 0,
     "the value is what is in FILE; -: standard input"},
    {"output", "FILE", TEXT, TO(output), NKVI_FOR_KV_GET, NULL, 0, 0,
     "write the value's bytes to FILE; -: standard output"},
    {"codec", "raw|pickle", CHOICE, TO(codec), CODED, "raw", 0, 0,
     "how values are stored: as they are; as Python's pickle of bytes"},
    {"compress-above", "BYTES", BYTES, TO(compress_above), CODED, "-1", -1, 512 << 20,
     "values of more bytes are compressed, and whatever was is unpacked; -1: neither"},
    {"page", "N", INTEGER, TO(page), NKVI_FOR_KV_CLEAR, "1000", 1, 100000,
     "keys that the server looks at in one go"},
    {"pause", "TIME", TIME, TO(pause_ms), NKVI_FOR_KV_CLEAR, "0", 0, 3600000, "between pages"},
    {"count", NULL, FLAG, TO(count), NKVI_FOR_KV_CLEAR, NULL, 0, 0,
     "remove nothing: tell how many keys there are"},
    {"flush", NULL, FLAG, TO(flush), NKVI_FOR_KV_CLEAR, NULL, 0, 0,
     "without --prefix: flush the database, whoever wrote what is in it"},
    {"invalidate", NULL, FLAG, TO(invalidate), NKVI_FOR_KV_TAGS, NULL, 0, 0,
     "remove every key that was set with one of the TAGs"},
    {"json", NULL, FLAG, TO(json), ALL, NULL, 0, 0, "output for programs: JSON, one object a line"},
    {"help", NULL, FLAG, TO(help), ALL, NULL, 0, 0, "show this text"},
};

#define ROWS (sizeof rows / sizeof rows[0])

static void *field(nkvi_settings *settings, const row *option)
{
    return (char *)settings + option->offset;
}

/* In the order of their bits. */
static const char *const command_names[] = {
    "shell",      "replay",     "lmcache put", "lmcache get", "lmcache contains",
    "lmcache ls", "lmcache rm", "kv get",      "kv set",      "kv del",
    "kv exists",  "kv ttl",     "kv clear",    "kv tags"};

#define COMMANDS (sizeof command_names / sizeof command_names[0])

const char *nkvi_options_command(unsigned command)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (command == 1U << i) {
            return command_names[i];
        }
    }
    return (command & NKVI_FOR_KV) != 0 ? "kv" : "lmcache";
}

/* The topic of the help that has the command's options. */
static const char *topic_of(unsigned command)
{
    return (command & NKVI_FOR_LMCACHE) != 0 ? "lmcache"
           : (command & NKVI_FOR_KV) != 0    ? "kv"
                                             : nkvi_options_command(command);
}

/* ---- One value ------------------------------------------------------------------------------- */

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = nkvi_must_copy_text(value);
}

static void add_text(nkvi_texts *texts, const char *value)
{
    texts->text = nkvi_must_grow(texts->text, texts->n + 1, sizeof *texts->text);
    texts->text[texts->n++] = nkvi_must_copy_text(value);
}

static bool set_percent(double *percent, const char *value, const row *option)
{
    double number;

    if (!nkvi_value_double(value, &number) || number < (double)option->min ||
        number > (double)option->max) {
        return false;
    }
    *percent = number;
    return true;
}

static bool set_number(int64_t *target, const char *value, const row *option)
{
    int64_t number = 0;
    bool readable = option->kind == INTEGER ? nkvi_value_integer(value, &number)
                    : option->kind == BYTES ? nkvi_value_bytes(value, &number)
                                            : nkvi_value_ms(value, &number);

    if (!readable || number < option->min || number > option->max) {
        return false;
    }
    *target = number;
    return true;
}

/* Stores `value`; returns false if the row does not allow it. */
static bool set(nkvi_settings *settings, const row *option, const char *value)
{
    void *target = field(settings, option);

    switch (option->kind) {
    case FLAG:
        *(int64_t *)target = 1;
        return true;
    case TEXT:
    case SECRET:
        set_text(target, value);
        return true;
    case LIST:
        add_text(target, value);
        return true;
    case PERCENT:
        return set_percent(target, value, option);
    case CHOICE:
        return nkvi_value_choice(value, option->argument, target);
    case INTEGER:
    case BYTES:
    case TIME:
        return set_number(target, value, option);
    }
    return false;
}

/* A time as it is typed. */
static void add_time(nkvi_out *out, int64_t ms)
{
    if (ms % 1000 == 0) {
        nkvi_out_printf(out, "%" PRId64, ms / 1000);
    } else {
        nkvi_out_printf(out, "%" PRId64 "ms", ms);
    }
}

/* "from A to B", or "A or more" where B is no limit to speak of. */
static void add_range(nkvi_out *out, const row *option)
{
    bool open = option->max >= MANY;

    nkvi_out_text(out, open ? "" : "from ");
    if (option->kind == TIME) {
        add_time(out, option->min);
    } else {
        nkvi_out_printf(out, "%" PRId64, option->min);
    }
    nkvi_out_text(out, open ? " or more" : " to ");
    if (!open && option->kind == TIME) {
        add_time(out, option->max);
    } else if (!open) {
        nkvi_out_printf(out, "%" PRId64, option->max);
    }
}

/* What the row allows, in words. */
static void add_allowed(nkvi_out *out, const row *option)
{
    switch (option->kind) {
    case INTEGER:
        nkvi_out_text(out, "a whole number ");
        break;
    case BYTES:
        nkvi_out_text(out, "a number of bytes (k, m, g allowed) ");
        break;
    case TIME:
        nkvi_out_text(out, "a time in seconds (ms, s, m, h allowed) ");
        break;
    case PERCENT:
        nkvi_out_text(out, "a number ");
        break;
    case CHOICE:
        nkvi_out_printf(out, "one of %s", option->argument);
        return;
    case FLAG:
    case TEXT:
    case SECRET:
    case LIST:
        nkvi_out_printf(out, "a %s", option->argument != NULL ? option->argument : "nothing");
        return;
    }
    add_range(out, option);
}

/* ---- The arguments --------------------------------------------------------------------------- */

typedef struct arguments {
    unsigned command;
    int argc;
    char **argv;
    int next;
    nkvi_out *error;
} arguments;

static const row *find(const char *name, size_t len, unsigned command)
{
    for (size_t i = 0; i < ROWS; i++) {
        if ((rows[i].commands & command) != 0 && strlen(rows[i].name) == len &&
            memcmp(rows[i].name, name, len) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool fail(const arguments *in, const char *what, const char *argument)
{
    nkvi_out_printf(in->error, "nearkv %s: %s: %s; nearkv help %s lists what is allowed\n",
                    nkvi_options_command(in->command), argument, what, topic_of(in->command));
    return false;
}

/* Overwrites what a value of this row must not show in the process list. */
static void wipe(const row *option, char *value)
{
    if (option->kind == SECRET) {
        nkvi_secret_wipe(value);
    } else if (option->offset == TO(url)) {
        nkvi_secret_wipe_url(value);
    }
}

/* Stores the option at in->next - 1, whose name is `len` long; `value` follows "=", or is NULL. */
static bool take_option(nkvi_settings *settings, arguments *in, size_t len, char *value)
{
    char *argument = in->argv[in->next - 1];
    const row *option = find(argument + 2, len, in->command);

    if (option == NULL) {
        argument[2 + len] = '\0'; /* what follows "=" may be a secret */
        return fail(in, "no such option", argument);
    }
    if (option->kind == FLAG && value != NULL) {
        nkvi_out_printf(in->error, "nearkv %s: --%s takes no value\n",
                        nkvi_options_command(in->command), option->name);
        return false;
    }
    if (option->kind != FLAG && value == NULL) {
        if (in->next == in->argc) {
            nkvi_out_printf(in->error, "nearkv %s: --%s needs ", nkvi_options_command(in->command),
                            option->name);
            add_allowed(in->error, option);
            nkvi_out_char(in->error, '\n');
            return false;
        }
        value = in->argv[in->next++];
    }
    bool allowed = set(settings, option, value);
    if (!allowed) {
        nkvi_out_printf(in->error, "nearkv %s: --%s takes ", nkvi_options_command(in->command),
                        option->name);
        add_allowed(in->error, option);
        nkvi_out_printf(in->error, ", not \"%s\"\n", value != NULL ? value : "");
    }
    if (value != NULL) {
        wipe(option, value);
    }
    return allowed;
}

/* Takes the words behind "--". */
static void take_rest(nkvi_settings *settings, arguments *in)
{
    if ((in->command & NKVI_FOR_WORDS) == 0) {
        settings->rest = in->argv + in->next;
        settings->rest_n = (size_t)(in->argc - in->next);
        return;
    }
    while (in->next < in->argc) {
        settings->rest[settings->rest_n++] = in->argv[in->next++];
    }
}

/* Whether a word is the address of a server rather than the name of something. */
static bool is_address(const char *word)
{
    static const char *const schemes[] = {
        "redis://",           "rediss://",         "unix://",           "redis-cluster://",
        "rediss-cluster://",  "redis+cluster://",  "rediss+cluster://", "redis-sentinel://",
        "rediss-sentinel://", "redis+sentinel://", "rediss+sentinel://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(word, schemes[i], strlen(schemes[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes a word that is no option. */
static bool take_word(nkvi_settings *settings, arguments *in, char *word)
{
    if ((in->command & NKVI_FOR_WORDS) == 0) {
        nkvi_secret_wipe_url(word); /* a URL that stands where none is wanted */
        return fail(in, "what is this for? Options begin with --", word);
    }
    if (is_address(word)) {
        nkvi_secret_wipe_url(word);
        return fail(in, "a server stands behind --url, a key that looks like one behind --", word);
    }
    if (*word == '-' && word[1] != '\0') {
        return fail(in, "options begin with --, a name that begins with - stands behind --", word);
    }
    settings->rest[settings->rest_n++] = word;
    return true;
}

static bool take_arguments(nkvi_settings *settings, arguments *in)
{
    if ((in->command & NKVI_FOR_WORDS) != 0) {
        settings->rest = in->argv; /* a word's place is never in front of those taken so far */
    }
    while (in->next < in->argc) {
        char *argument = in->argv[in->next++];

        if (strcmp(argument, "--") == 0) {
            take_rest(settings, in);
            return true;
        }
        if (strcmp(argument, "-h") == 0) {
            settings->help = 1;
        } else if (strncmp(argument, "--", 2) != 0) {
            if (!take_word(settings, in, argument)) {
                return false;
            }
        } else {
            char *equals = strchr(argument, '=');
            size_t len = equals != NULL ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;
            if (!take_option(settings, in, len, equals != NULL ? equals + 1 : NULL)) {
                return false;
            }
        }
    }
    return true;
}

/* The same for `nearkv replay`. */
static const char *check_replay(const nkvi_settings *settings)
{
    bool chunks = settings->replay_layout > 0;

    if (settings->rest_n > 0) {
        return "nothing may follow --";
    }
    if (settings->trace != NULL && settings->synthetic) {
        return "--trace FILE or --synthetic, not both";
    }
    if (settings->trace == NULL && !settings->synthetic) {
        return "what is to be replayed? Give --trace FILE or --synthetic";
    }
    if (!chunks && (settings->cache_payloads || settings->verify_payload)) {
        return "--cache-payloads and --verify-payload need chunks: give --layout too";
    }
    if (!chunks && settings->block_bytes > PLAIN_BYTES_MAX) {
        return "--block-bytes without --layout is at most 32m";
    }
    return NULL;
}

/* The same for `nearkv lmcache …`. */
static const char *check_lmcache(const nkvi_settings *settings)
{
    bool single = settings->layout == NKV_LMCACHE_SINGLE_KEY;

    if (settings->ttl_ms % 1000 != 0) {
        return "--ttl takes whole seconds";
    }
    if (single && settings->meta != NULL) {
        return "--layout single keeps no metadata: leave --meta out";
    }
    if (single && settings->meta_file != NULL) {
        return "--layout single keeps no metadata: leave --meta-file out";
    }
    if (!single && settings->chunk_bytes > 0) {
        return "--chunk-bytes is for --layout single: the others have metadata that says the size";
    }
    return NULL;
}

/* The same for `nearkv kv …`. */
static const char *check_kv(const nkvi_settings *settings)
{
    bool has_ttl = settings->kv_ttl_ms != NKVI_KV_TTL_NOT_GIVEN;

    if (has_ttl && settings->kv_ttl_ms <= 0 && settings->kv_ttl_ms != -1000) {
        return "--ttl takes a time above 0, or -1 for none";
    }
    if (has_ttl && settings->keep_ttl) {
        return "--ttl or --keep-ttl, not both";
    }
    if (settings->if_absent && settings->if_present) {
        return "--if-absent or --if-present, not both";
    }
    if (settings->flush && *settings->kv_prefix != '\0') {
        return "--flush is for no --prefix: with one, only what it has is cleared";
    }
    return NULL;
}

/* What no single row can tell.  Returns what is wrong, or NULL. */
static const char *check_together(const nkvi_settings *settings, unsigned command)
{
    if (settings->embedded && settings->url != NULL) {
        return "--embedded starts a server of its own: leave --url out";
    }
    if (settings->embedded && (settings->password != NULL || settings->password_file != NULL ||
                               settings->username != NULL)) {
        return "the server of --embedded knows no users: leave --username and --password out";
    }
    if (command == NKVI_FOR_SHELL || settings->help) {
        return NULL;
    }
    return command == NKVI_FOR_REPLAY     ? check_replay(settings)
           : (command & NKVI_FOR_KV) != 0 ? check_kv(settings)
                                          : check_lmcache(settings);
}

/* Sets what the user does not: the defaults of all commands, because the library's options are
 * filled from all fields, and then those that are this command's own.                            */
static void set_defaults(nkvi_settings *settings, unsigned command)
{
    for (int own = 0; own < 2; own++) {
        for (size_t i = 0; i < ROWS; i++) {
            if (rows[i].initial != NULL && (!own || (rows[i].commands & command) != 0)) {
                (void)set(settings, &rows[i], rows[i].initial);
            }
        }
    }
}

bool nkvi_options_parse(nkvi_settings *settings, unsigned command, int argc, char **argv,
                        nkvi_out *error)
{
    arguments in = {command, argc, argv, 0, error};

    *settings = (nkvi_settings){0};
    set_defaults(settings, command);
    bool fine = take_arguments(settings, &in);
    const char *wrong = fine ? check_together(settings, command) : NULL;
    if (wrong != NULL) {
        nkvi_out_printf(error, "nearkv %s: %s\n", nkvi_options_command(command), wrong);
    }
    if (!fine || wrong != NULL) {
        nkvi_settings_clear(settings);
        return false;
    }
    return true;
}

void nkvi_settings_clear(nkvi_settings *settings)
{
    for (size_t i = 0; i < ROWS; i++) {
        void *target = field(settings, &rows[i]);
        if (rows[i].kind == SECRET && *(char **)target != NULL) {
            nkvi_secret_wipe(*(char **)target);
        }
        if (rows[i].kind == TEXT || rows[i].kind == SECRET) {
            free(*(char **)target);
        } else if (rows[i].kind == LIST) {
            nkvi_texts *texts = target;
            for (size_t t = 0; t < texts->n; t++) {
                free(texts->text[t]);
            }
            free(texts->text);
        }
    }
    if (settings->sentinel_password != NULL) {
        nkvi_secret_wipe(settings->sentinel_password);
        free(settings->sentinel_password);
    }
    *settings = (nkvi_settings){0};
}

/* ---- Help ------------------------------------------------------------------------------------ */

#define HELP_COLUMNS 80

/* `text` in lines of HELP_COLUMNS at most, each set in by `indent`; the first one is begun
 * already.                                                                                       */
static void add_wrapped(nkvi_out *out, const char *text, size_t indent)
{
    size_t column = indent;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column + 1 + len > HELP_COLUMNS && column > indent) {
            nkvi_out_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            nkvi_out_char(out, ' ');
            column++;
        }
        nkvi_out_add(out, text, len);
        column += len;
        text += len + strspn(text + len, " ");
    }
    nkvi_out_char(out, '\n');
}

/* Which of the commands that this help is about take the option, if not all of them do. */
static void add_takers(nkvi_out *out, const row *option, unsigned command)
{
    const char *before = "   (";

    if ((option->commands & command) == command) {
        return;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if ((option->commands & command & 1U << i) != 0) {
            nkvi_out_printf(out, "%s%s", before, strchr(command_names[i], ' ') + 1);
            before = ", ";
        }
    }
    nkvi_out_char(out, ')');
}

static void add_option_help(nkvi_out *out, const row *option, unsigned command)
{
    nkvi_out text = {0};

    nkvi_out_printf(out, "  --%s%s%s", option->name, option->argument != NULL ? " " : "",
                    option->argument != NULL ? option->argument : "");
    add_takers(out, option, command);
    nkvi_out_text(out, "\n          ");
    nkvi_out_text(&text, option->text);
    if (option->kind == INTEGER || option->kind == BYTES || option->kind == TIME ||
        option->kind == PERCENT) {
        nkvi_out_text(&text, "; ");
        add_range(&text, option);
    }
    if (option->initial != NULL) {
        nkvi_out_printf(&text, "; default %s", option->initial);
    }
    nkvi_out_add(&text, "", 1);
    add_wrapped(out, text.data, 10);
    nkvi_out_clear(&text);
}

void nkvi_options_help(nkvi_out *out, unsigned command)
{
    for (size_t i = 0; i < ROWS; i++) {
        if ((rows[i].commands & command) != 0) {
            add_option_help(out, &rows[i], command);
        }
    }
    nkvi_out_text(out,
                  "\nTIME is in seconds, or with ms, s, m or h behind it: 5, 0.5, 250ms, 10m.\n"
                  "BYTES may have k, m or g behind it. --name=value is --name value.\n");
}
