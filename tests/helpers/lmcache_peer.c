/* tests/helpers/lmcache_peer.c - chunks put and read by nearkv, on the orders of another program.
 *
 *      lmcache_peer URL LAYOUT PADDING GROUPS TTL
 *
 * LAYOUT and PADDING are the numbers of the enums, GROUPS and TTL those of the options.  Each line
 * of standard input is an order, each line of standard output its answer; bytes are in hexadecimal
 * digits, "-" stands for none.  CHUNK is LENGTH FORMAT GROUP[,GROUP…], GROUP is DTYPE:SIZE[xSIZE…].
 *
 *      put KEY CHUNK BYTES      OK                      put KEY - BYTES: without metadata
 *      get KEY                  OK CHUNK BYTES          metadata is "- - -" with a single key
 *      contains KEY             OK CHUNK
 *      prefix KEY…              OK COUNT
 *      remove KEY               OK
 *      list PREFIX              OK KEY…
 *
 * or NOT_FOUND, or ERROR and a text. */
#include <nearkv/nearkv.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"

enum { WORDS_MAX = 300, CALL_MS = 10000 };

typedef struct peer {
    nkv_client *client;
    nkv_lmcache *lm;
    bool single;
} peer;

/* ---- Words ----------------------------------------------------------------------------------- */

static size_t cut(char *line, char **words)
{
    size_t count = 0;
    char *save = NULL;
    for (char *word = strtok_r(line, " \n", &save); word != NULL;
         word = strtok_r(NULL, " \n", &save)) {
        T_REQUIRE(count < WORDS_MAX);
        words[count++] = word;
    }
    return count;
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Decodes a word in its own place. */
static nkv_str bytes_of(char *word)
{
    if (strcmp(word, "-") == 0) {
        return nkv_str_make(word, 0);
    }
    const size_t len = strlen(word) / 2;
    for (size_t i = 0; i < len; i++) {
        word[i] = (char)(digit(word[2 * i]) << 4 | digit(word[2 * i + 1]));
    }
    return nkv_str_make(word, len);
}

static void print_bytes(nkv_str bytes)
{
    if (bytes.len == 0) {
        (void)putchar('-');
    }
    for (size_t i = 0; i < bytes.len; i++) {
        (void)printf("%02x", (unsigned char)bytes.data[i]);
    }
}

static void parse_group(char *word, nkv_lmcache_group *group)
{
    char *end = NULL;
    group->dtype = (nkv_lmcache_dtype)strtol(word, &end, 10);
    while (*end == ':' || *end == 'x') {
        T_REQUIRE(group->dims < NKV_LMCACHE_DIMS_MAX);
        group->shape[group->dims++] = (int32_t)strtol(end + 1, &end, 10);
    }
}

static nkv_lmcache_meta parse_meta(char *const *words)
{
    nkv_lmcache_meta meta;
    char *save = NULL;
    memset(&meta, 0, sizeof meta);
    meta.length = strtoll(words[0], NULL, 10);
    meta.format = (int32_t)strtol(words[1], NULL, 10);
    for (char *group = strtok_r(words[2], ",", &save); group != NULL;
         group = strtok_r(NULL, ",", &save)) {
        T_REQUIRE(meta.groups_len < NKV_LMCACHE_GROUPS_MAX);
        parse_group(group, &meta.groups[meta.groups_len++]);
    }
    return meta;
}

static void print_meta(const peer *p, const nkv_lmcache_meta *meta)
{
    if (p->single) {
        (void)printf("- - -");
        return;
    }
    (void)printf("%lld %d", (long long)meta->length, meta->format);
    for (uint32_t g = 0; g < meta->groups_len; g++) {
        const nkv_lmcache_group *group = &meta->groups[g];
        (void)printf("%c%d", g == 0 ? ' ' : ',', (int)group->dtype);
        for (uint32_t d = 0; d < group->dims; d++) {
            (void)printf("%c%d", d == 0 ? ':' : 'x', group->shape[d]);
        }
    }
}

/* True for NKV_OK; else the answer is printed. */
static bool is_done(nkv_status status, nkv_status item, const nkv_call *call)
{
    if (status < 0) {
        (void)printf("ERROR %s (%s)\n", nkv_status_text(status), call->error.text);
        return false;
    }
    if (item != NKV_OK) {
        (void)printf("NOT_FOUND\n");
        return false;
    }
    return true;
}

/* ---- Orders ---------------------------------------------------------------------------------- */

static void put(peer *p, size_t count, char **words)
{
    nkv_call call;
    nkv_call_init(&call);
    nkv_item item = {.key = bytes_of(words[1])};
    nkv_lmcache_meta meta;
    T_REQUIRE(count == 4 || count == 6);
    if (count == 6) {
        meta = parse_meta(&words[2]);
        item.meta = &meta;
    }
    item.value = bytes_of(words[count - 1]);
    const nkv_status status = nkv_lmcache_put(p->lm, &item, 1, &call);
    if (is_done(status, item.status, &call)) {
        (void)printf("OK\n");
    }
}

static void get(peer *p, char **words)
{
    nkv_call call;
    nkv_call_init(&call);
    nkv_lmcache_meta meta;
    memset(&meta, 0, sizeof meta);
    nkv_item item = {.key = bytes_of(words[1]), .meta = &meta};
    const nkv_status status = nkv_lmcache_get(p->lm, &item, 1, &call);
    if (is_done(status, item.status, &call)) {
        (void)printf("OK ");
        print_meta(p, &meta);
        (void)putchar(' ');
        print_bytes(nkv_value_str(item.held));
        (void)putchar('\n');
    }
    nkv_value_release(item.held);
}

/* contains and remove */
static void ask(peer *p, char **words)
{
    nkv_call call;
    nkv_call_init(&call);
    nkv_lmcache_meta meta;
    memset(&meta, 0, sizeof meta);
    nkv_item item = {.key = bytes_of(words[1]), .meta = &meta};
    const bool looks = strcmp(words[0], "contains") == 0;
    call.level = NKV_BARRIER;
    const nkv_status status = looks ? nkv_lmcache_contains(p->lm, &item, 1, &call)
                                    : nkv_lmcache_remove(p->lm, &item, 1, &call);
    if (is_done(status, item.status, &call)) {
        (void)printf(looks ? "OK " : "OK");
        if (looks) {
            print_meta(p, &meta);
        }
        (void)putchar('\n');
    }
}

static void prefix(peer *p, size_t count, char **words)
{
    nkv_call call;
    nkv_call_init(&call);
    call.level = NKV_BARRIER;
    nkv_str keys[WORDS_MAX];
    size_t leading = 0;
    for (size_t i = 1; i < count; i++) {
        keys[i - 1] = bytes_of(words[i]);
    }
    const nkv_status status = nkv_lmcache_prefix(p->lm, keys, count - 1, &call, &leading);
    if (is_done(status, NKV_OK, &call)) {
        (void)printf("OK %zu\n", leading);
    }
}

static int print_key(nkv_str key, void *ud)
{
    bool *any = ud;
    (void)printf("%s", *any ? " " : "OK ");
    *any = true;
    print_bytes(key);
    return 0;
}

static void list(peer *p, char **words)
{
    nkv_call call;
    nkv_call_init(&call);
    bool any = false;
    const nkv_status status = nkv_lmcache_list(p->lm, bytes_of(words[1]), print_key, &any, &call);
    if (any) {
        (void)putchar('\n');
    } else if (is_done(status, NKV_OK, &call)) {
        (void)printf("OK\n");
    }
}

static void obey(peer *p, char *line)
{
    static char *words[WORDS_MAX];
    const size_t count = cut(line, words);
    T_REQUIRE(count >= 2);
    if (strcmp(words[0], "put") == 0) {
        put(p, count, words);
    } else if (strcmp(words[0], "get") == 0) {
        get(p, words);
    } else if (strcmp(words[0], "prefix") == 0) {
        prefix(p, count, words);
    } else if (strcmp(words[0], "list") == 0) {
        list(p, words);
    } else {
        ask(p, words);
    }
    (void)fflush(stdout);
}

static void open_peer(peer *p, char *const *arguments)
{
    nkv_options options;
    nkv_error error = {.status = NKV_OK};
    nkv_options_init(&options);
    options.url = arguments[0];
    if (nkv_client_create(&options, &p->client, &error) != NKV_OK ||
        nkv_client_wait_ready(p->client, CALL_MS, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
    nkv_lmcache_options lm;
    nkv_lmcache_options_init(&lm);
    lm.layout = (nkv_lmcache_layout)strtol(arguments[1], NULL, 10);
    lm.padding = (nkv_lmcache_padding)strtol(arguments[2], NULL, 10);
    lm.groups = (uint32_t)strtoul(arguments[3], NULL, 10);
    lm.ttl_s = strtoll(arguments[4], NULL, 10);
    p->single = lm.layout == NKV_LMCACHE_SINGLE_KEY;
    if (nkv_lmcache_create(p->client, &lm, &p->lm, &error) != NKV_OK) {
        T_DIE("%s", error.text);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        T_DIE("URL LAYOUT PADDING GROUPS TTL are wanted");
    }
    peer p = {.single = false};
    open_peer(&p, argv + 1);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        obey(&p, line);
    }
    free(line);
    nkv_lmcache_destroy(p.lm);
    nkv_client_destroy(p.client);
    return 0;
}
