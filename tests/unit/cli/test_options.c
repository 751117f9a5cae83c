/* tests/unit/cli/test_options.c - the option table: defaults, values, refusals, help. */
#include <stdlib.h>

#include <nearkv/lmcache_store.h>

#include "cli/help.h"
#include "cli/options.h"
#include "unit/cli/out_text.h"

#define ARGUMENTS_MAX 12

/* The arguments, which the parser may write to, and move. */
typedef struct line {
    char *word[ARGUMENTS_MAX], *own[ARGUMENTS_MAX];
    int n;
} line;

static line words(const char *text)
{
    line result = {0};
    char *copy = strdup(text), *rest = copy, *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0') {
            result.own[result.n] = strdup(word);
            result.word[result.n] = result.own[result.n];
            result.n++;
        }
    }
    free(copy);
    return result;
}

static void forget(line *arguments)
{
    for (int i = 0; i < arguments->n; i++) {
        free(arguments->own[i]);
    }
}

static nkvi_settings parsed(unsigned command, const char *text)
{
    line arguments = words(text);
    nkvi_settings settings;
    nkvi_out error = {0};

    cr_assert(nkvi_options_parse(&settings, command, arguments.n, arguments.word, &error),
              "%s: %.*s", text, (int)error.len, error.data);
    cr_assert_eq(error.len, 0);
    settings.rest = NULL; /* points into the arguments */
    forget(&arguments);
    return settings;
}

static void refused(unsigned command, const char *text, const char *why)
{
    line arguments = words(text);
    nkvi_settings settings;
    nkvi_out error = {0};

    cr_assert_not(nkvi_options_parse(&settings, command, arguments.n, arguments.word, &error),
                  "%s is taken", text);
    OUT_HAS(&error, why);
    cr_assert(memchr(error.data, '\n', error.len) == error.data + error.len - 1, "one line");
    nkvi_out_clear(&error);
    forget(&arguments);
}

Test(cli_options, defaults_are_those_of_the_design)
{
    nkvi_settings settings = parsed(NKVI_FOR_SHELL, "");
    nkv_options options;

    nkvi_options_client(&settings, &options);
    cr_assert_null(options.url);
    cr_assert_null(options.password);
    cr_assert_null(options.client_name);
    cr_assert_eq(options.db, -1);
    cr_assert_eq(options.timeout_ms, 5000);
    cr_assert_eq(options.connect_timeout_ms, 2000);
    cr_assert_eq(options.max_idle_ms, 5000);
    cr_assert_eq(options.max_ttl_ms, 600000);
    cr_assert_lt(options.negative_ttl_ms, 0);
    cr_assert_eq(options.level, NKV_EVENTUAL);
    cr_assert_eq(options.no_cache, 0);
    cr_assert_eq(options.cache_options.keys_max, 4096);
    cr_assert_eq(options.cache_options.bytes_max, INT64_C(64) << 20);
    cr_assert_eq(options.cache_options.policy, NKV_POLICY_LRU);
    cr_assert_eq(options.cache_options.strict, 0);
    cr_assert_float_eq(options.cache_options.confidence, 100, 0);
    cr_assert_eq(options.cache_options.dynamic_confidence, 0);
    nkvi_settings_clear(&settings);
}

Test(cli_options, where_to_connect_reaches_the_library)
{
    nkvi_settings settings =
        parsed(NKVI_FOR_SHELL, "--url redis://h:1/2 --username u --db=3 --client-name n "
                               "--timeout 1.5 --connect-timeout 1");
    nkv_options options;

    nkvi_options_client(&settings, &options);
    cr_assert_str_eq(options.url, "redis://h:1/2");
    cr_assert_str_eq(options.username, "u");
    cr_assert_str_eq(options.client_name, "n");
    cr_assert_eq(options.db, 3);
    cr_assert_eq(options.timeout_ms, 1500);
    cr_assert_eq(options.connect_timeout_ms, 1000);
    nkvi_settings_clear(&settings);
}

Test(cli_options, bounds_of_the_cache_reach_the_library)
{
    nkvi_settings settings =
        parsed(NKVI_FOR_SHELL, "--max-keys -1 --max-bytes=1m --max-idle=250ms --max-ttl=-1 "
                               "--negative-ttl=2 --confidence 99.5 --no-cache");
    nkv_options options;

    nkvi_options_client(&settings, &options);
    cr_assert_eq(options.cache_options.keys_max, -1);
    cr_assert_eq(options.cache_options.bytes_max, 1 << 20);
    cr_assert_eq(options.max_idle_ms, 250);
    cr_assert_eq(options.max_ttl_ms, -1);
    cr_assert_eq(options.negative_ttl_ms, 2000);
    cr_assert_float_eq(options.cache_options.confidence, 99.5, 0);
    cr_assert_eq(options.no_cache, 1);
    nkvi_settings_clear(&settings);
}

Test(cli_options, ways_of_the_cache_reach_the_library)
{
    nkvi_settings settings =
        parsed(NKVI_FOR_SHELL, "--dynamic-confidence --policy s3fifo --strict --level barrier "
                               "--prefix a: --prefix=b:");
    nkv_options options;

    nkvi_options_client(&settings, &options);
    cr_assert_eq(options.cache_options.dynamic_confidence, 1);
    cr_assert_eq(options.cache_options.policy, NKV_POLICY_S3FIFO);
    cr_assert_eq(options.cache_options.strict, 1);
    cr_assert_eq(options.level, NKV_BARRIER);
    cr_assert_eq(options.prefixes_len, 2);
    cr_assert_str_eq(options.prefixes[0], "a:");
    cr_assert_str_eq(options.prefixes[1], "b:");
    nkvi_settings_clear(&settings);
}

Test(cli_options, defaults_of_clusters_and_sentinels)
{
    nkvi_settings settings = parsed(NKVI_FOR_LS, "");
    nkv_options options;

    nkvi_options_client(&settings, &options);
    cr_assert_null(options.service_name);
    cr_assert_null(options.sentinel_username);
    cr_assert_null(options.sentinel_password);
    cr_assert_null(options.address_map);
    cr_assert_eq(options.sentinel_timeout_ms, 0);
    cr_assert_eq(options.topology_max_age_ms, 10000);
    cr_assert_eq(options.read_from, NKV_READ_DEFAULT);
    cr_assert_eq(options.replica_max_ttl_ms, -1);
    cr_assert_eq(options.resend_writes, 0);
    nkvi_settings_clear(&settings);
}

Test(cli_options, clusters_and_sentinels_reach_the_library)
{
    nkvi_settings settings =
        parsed(NKVI_FOR_SHELL, "--url redis-sentinel://h1:1,h2:2/s --service-name=t "
                               "--sentinel-username u --sentinel-timeout 250ms --resend-writes");
    nkv_options options;

    settings.sentinel_password = strdup("pw");
    nkvi_options_client(&settings, &options);
    cr_assert_str_eq(options.url, "redis-sentinel://h1:1,h2:2/s");
    cr_assert_str_eq(options.service_name, "t");
    cr_assert_str_eq(options.sentinel_username, "u");
    cr_assert_str_eq(options.sentinel_password, "pw");
    cr_assert_eq(options.sentinel_timeout_ms, 250);
    cr_assert_eq(options.resend_writes, 1);
    nkvi_settings_clear(&settings);
    cr_assert_null(settings.sentinel_password);

    settings = parsed(NKVI_FOR_REPLAY, "--synthetic --topology-max-age 2 --replica-max-ttl=3 "
                                       "--address-map a:1=b:2,*=c --read-from prefer-replica");
    nkvi_options_client(&settings, &options);
    cr_assert_eq(options.topology_max_age_ms, 2000);
    cr_assert_eq(options.replica_max_ttl_ms, 3000);
    cr_assert_str_eq(options.address_map, "a:1=b:2,*=c");
    cr_assert_eq(options.read_from, NKV_READ_PREFER_REPLICA);
    nkvi_settings_clear(&settings);
}

Test(cli_options, every_word_of_read_from_is_its_option)
{
    static const struct {
        const char *line;
        nkv_read_from want;
    } rows[] = {{"--read-from default", NKV_READ_DEFAULT},
                {"--read-from primary", NKV_READ_PRIMARY},
                {"--read-from prefer-replica", NKV_READ_PREFER_REPLICA},
                {"--read-from replica", NKV_READ_REPLICA},
                {"--read-from nearest", NKV_READ_NEAREST}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nkvi_settings settings = parsed(NKVI_FOR_GET, rows[i].line);
        nkv_options options;
        nkvi_options_client(&settings, &options);
        cr_assert_eq(options.read_from, rows[i].want, "%s", rows[i].line);
        nkvi_settings_clear(&settings);
    }
}

Test(cli_options, refusals_of_clusters_and_sentinels)
{
    refused(NKVI_FOR_SHELL, "--read-from master",
            "one of default|primary|prefer-replica|replica|nearest, not \"master\"");
    refused(NKVI_FOR_SHELL, "--topology-max-age 99ms", "from 100ms to 86400, not \"99ms\"");
    refused(NKVI_FOR_SHELL, "--sentinel-timeout -1", "from 0 to 86400");
    refused(NKVI_FOR_SHELL, "--replica-max-ttl soon", "not \"soon\"");
    refused(NKVI_FOR_SHELL, "--resend-writes=1", "--resend-writes takes no value");
    /* Passwords of sentinels come from a file or the environment, so that no list shows them. */
    refused(NKVI_FOR_SHELL, "--sentinel-password=hunter2", "--sentinel-password: no such option");
    refused(NKVI_FOR_RM, "redis-cluster://:hunter2@h:1,h:2",
            "redis-cluster://:*******@h:1,h:2: a server stands behind --url");
    refused(NKVI_FOR_RM, "rediss+sentinel://h/s", "a server stands behind --url");
}

Test(cli_options, the_last_of_two_wins)
{
    nkvi_settings settings = parsed(NKVI_FOR_SHELL, "--db 1 --db 2 --url a --url b");

    cr_assert_eq(settings.db, 2);
    cr_assert_str_eq(settings.url, "b");
    nkvi_settings_clear(&settings);
}

Test(cli_options, a_refusal_says_what_is_allowed)
{
    refused(NKVI_FOR_SHELL, "--max-keys abc",
            "--max-keys takes a whole number from -1 to 4294967295, not");
    refused(NKVI_FOR_SHELL, "--max-keys", "--max-keys needs a whole number");
    refused(NKVI_FOR_SHELL, "--db 99999999999", "from -1 to 2147483647");
    refused(NKVI_FOR_SHELL, "--confidence 101", "a number from 0 to 100, not \"101\"");
    refused(NKVI_FOR_SHELL, "--timeout 0", "a time in seconds (ms, s, m, h allowed) from 1ms to");
    refused(NKVI_FOR_SHELL, "--timeout soon", "not \"soon\"");
    refused(NKVI_FOR_SHELL, "--level strong", "one of eventual|drain|barrier, not \"strong\"");
    refused(NKVI_FOR_SHELL, "--policy=lfu", "one of lru|s3fifo");
    refused(NKVI_FOR_SHELL, "--json=1", "--json takes no value");
    refused(NKVI_FOR_SHELL, "--nothing", "--nothing: no such option");
    refused(NKVI_FOR_SHELL, "stray", "Options begin with --");
    refused(NKVI_FOR_SHELL, "--trace x", "no such option");
    refused(NKVI_FOR_REPLAY, "--prefix x", "no such option");
    refused(NKVI_FOR_REPLAY, "--synthetic --threads 0", "from 1 to 256");
    refused(NKVI_FOR_REPLAY, "--synthetic --value-bytes 0", "from 1 to");
}

Test(cli_options, contradictions_are_refused)
{
    refused(NKVI_FOR_SHELL, "--embedded --url redis://h", "leave --url out");
    refused(NKVI_FOR_SHELL, "--embedded --password x", "leave --username and --password out");
    refused(NKVI_FOR_REPLAY, "", "--trace FILE or --synthetic");
    refused(NKVI_FOR_REPLAY, "--trace x --synthetic", "not both");
    refused(NKVI_FOR_REPLAY, "--synthetic -- GET x", "nothing may follow --");
}

Test(cli_options, a_refusal_does_not_repeat_a_password)
{
    static const char *const lines[] = {"redis://:hunter2@h", "--pasword=hunter2",
                                        "--embedded --url=redis://u:hunter2@h",
                                        "--sentinel-password=hunter2"};

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        line arguments = words(lines[i]);
        nkvi_settings settings;
        nkvi_out error = {0};
        cr_assert_not(
            nkvi_options_parse(&settings, NKVI_FOR_SHELL, arguments.n, arguments.word, &error));
        cr_assert_null(memmem(error.data, error.len, "hunter2", 7), "%s", lines[i]);
        nkvi_out_clear(&error);
        forget(&arguments);
    }
}

Test(cli_options, passwords_are_overwritten_where_they_stood)
{
    static const char *const lines[] = {"--password hunter2", "--password=hunter2",
                                        "--url redis://u:hunter2@h:1/0", "--url=redis://:hunter2@h",
                                        "--url redis-sentinel://u:hunter2@h:1,h:2/s"};

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        line arguments = words(lines[i]);
        nkvi_settings settings;
        nkvi_out error = {0};
        cr_assert(
            nkvi_options_parse(&settings, NKVI_FOR_SHELL, arguments.n, arguments.word, &error));
        for (int w = 0; w < arguments.n; w++) {
            cr_assert_null(strstr(arguments.word[w], "hunter2"), "%s", arguments.word[w]);
        }
        cr_assert(settings.password != NULL ? strcmp(settings.password, "hunter2") == 0
                                            : strstr(settings.url, "hunter2") != NULL);
        nkvi_settings_clear(&settings);
        forget(&arguments);
    }
}

Test(cli_options, words_behind_two_dashes_are_a_command)
{
    char *arguments[] = {"--json", "--", "SET", "--json", "x"};
    nkvi_settings settings;
    nkvi_out error = {0};

    cr_assert(nkvi_options_parse(&settings, NKVI_FOR_SHELL, 5, arguments, &error));
    cr_assert_eq(settings.json, 1);
    cr_assert_eq(settings.rest_n, 3);
    cr_assert_str_eq(settings.rest[1], "--json");
    nkvi_settings_clear(&settings);
}

Test(cli_options, words_of_lmcache_stand_anywhere)
{
    char *arguments[] = {"k1", "--json", "f1", "--layout=colon", "-", "--", "--k2", "--json"};
    nkvi_settings settings;
    nkvi_out error = {0};

    cr_assert(nkvi_options_parse(&settings, NKVI_FOR_PUT, 8, arguments, &error));
    cr_assert_eq(settings.json, 1);
    cr_assert_eq(settings.layout, NKV_LMCACHE_COLON_SUFFIX);
    cr_assert_eq(settings.rest_n, 5);
    cr_assert_str_eq(settings.rest[0], "k1");
    cr_assert_str_eq(settings.rest[1], "f1");
    cr_assert_str_eq(settings.rest[2], "-");
    cr_assert_str_eq(settings.rest[3], "--k2");
    cr_assert_str_eq(settings.rest[4], "--json");
    nkvi_settings_clear(&settings);
}

Test(cli_options, defaults_of_lmcache_are_its_own)
{
    nkvi_settings settings = parsed(NKVI_FOR_GET, "");
    nkv_options options;

    cr_assert_eq(settings.timeout_ms, 10000);
    cr_assert_eq(settings.layout, NKV_LMCACHE_PLAIN_SUFFIX);
    cr_assert_eq(settings.padding, NKV_LMCACHE_PAD_ZEROS);
    cr_assert_eq(settings.ttl_ms, 0);
    cr_assert_null(settings.meta);
    nkvi_options_client(&settings, &options);
    cr_assert_eq(options.cache_options.keys_max, 4096);
    nkvi_settings_clear(&settings);
    settings = parsed(NKVI_FOR_REPLAY, "--synthetic");
    cr_assert_eq(settings.timeout_ms, 5000);
    cr_assert_eq(settings.replay_layout, 0);
    nkvi_settings_clear(&settings);
}

Test(cli_options, words_of_lmcache_that_are_none_are_refused)
{
    refused(NKVI_FOR_PUT, "-k f", "-k: options begin with --, a name that begins with - stands");
    refused(NKVI_FOR_LS, "redis://:hunter2@h", "redis://:*******@h: a server stands behind --url");
    refused(NKVI_FOR_RM, "--ttl 5",
            "nearkv lmcache rm: --ttl: no such option; nearkv help lmcache");
    refused(NKVI_FOR_GET, "--embedded", "--embedded: no such option");
    refused(NKVI_FOR_PUT, "--layout braces", "one of plain|colon|hash-tag|single, not");
    refused(NKVI_FOR_PUT, "--padding left", "one of zeros|ones|none");
}

Test(cli_options, contradictions_of_lmcache_are_refused)
{
    refused(NKVI_FOR_PUT, "--ttl 1500ms k f", "--ttl takes whole seconds");
    refused(NKVI_FOR_PUT, "--ttl -1 k f", "0 or more");
    refused(NKVI_FOR_PUT, "--layout single --meta fmt=BINARY k f", "leave --meta out");
    refused(NKVI_FOR_GET, "--layout single --meta-file m k f", "leave --meta-file out");
    refused(NKVI_FOR_PUT, "--chunk-bytes 5 k f", "--chunk-bytes is for --layout single");
    refused(NKVI_FOR_REPLAY, "--synthetic --cache-payloads", "give --layout too");
    refused(NKVI_FOR_REPLAY, "--synthetic --layout none --verify-payload", "give --layout too");
    refused(NKVI_FOR_REPLAY, "--synthetic --block-bytes 33m", "without --layout is at most 32m");
}

Test(cli_options, a_block_has_two_names_for_its_size)
{
    nkvi_settings settings = parsed(NKVI_FOR_REPLAY, "--synthetic --value-bytes 5");

    cr_assert_eq(settings.block_bytes, 5);
    nkvi_settings_clear(&settings);
    settings = parsed(NKVI_FOR_REPLAY, "--synthetic --block-bytes 64K");
    cr_assert_eq(settings.block_bytes, 65536);
    nkvi_settings_clear(&settings);
    settings = parsed(NKVI_FOR_REPLAY, "--synthetic --block-bytes 80m --layout hash-tag");
    cr_assert_eq(settings.block_bytes, INT64_C(80) << 20);
    cr_assert_eq(settings.replay_layout - 1, NKV_LMCACHE_HASH_TAG);
    nkvi_settings_clear(&settings);
}

Test(cli_options, help_names_every_option_with_range_and_default)
{
    nkvi_out out = {0};

    cr_assert(nkvi_help_text(&out, "shell"));
    OUT_HAS(&out, "--max-keys N");
    OUT_HAS(&out, "default 4096");
    OUT_HAS(&out, "--level eventual|drain|barrier");
    OUT_HAS(&out, "redis-cluster://[[user][:password]@]host:port,host:port;");
    OUT_HAS(&out, "--sentinel-password-env NAME");
    OUT_HAS(&out, "default NEARKV_SENTINEL_PASSWORD\n");
    OUT_HAS(&out, "  REDIS_SERVICE_NAME   what sentinels call the servers");
    OUT_HAS(&out, "from 0 to 100; default 100");
    OUT_HAS(&out, ":prefix");
    cr_assert_null(memmem(out.data, out.len, "--trace", 7));
    nkvi_out_clear(&out);

    cr_assert(nkvi_help_text(&out, "replay"));
    OUT_HAS(&out, "--trace FILE");
    OUT_HAS(&out, "probability 0.44");
    OUT_HAS(&out, "exit status");
    nkvi_out_clear(&out);

    cr_assert(nkvi_help_text(&out, "lmcache"));
    OUT_HAS(&out, "--layout plain|colon|hash-tag|single\n");
    OUT_HAS(&out, "--meta META   (put)\n");
    OUT_HAS(&out, "--chunk-bytes BYTES   (put, get, contains)\n");
    OUT_HAS(&out, "default 10\n");
    cr_assert_null(memmem(out.data, out.len, "--max-keys", 10));
    nkvi_out_clear(&out);

    cr_assert(nkvi_help_text(&out, NULL));
    OUT_HAS(&out, "nearkv shell");
    nkvi_out_clear(&out);
    cr_assert_not(nkvi_help_text(&out, "nothing"));
    nkvi_out_clear(&out);
}

Test(cli_options, help_is_not_much_wider_than_a_terminal)
{
    static const char *const topics[] = {NULL, "shell", "replay", "lmcache"};

    for (size_t t = 0; t < sizeof topics / sizeof topics[0]; t++) {
        nkvi_out out = {0};
        size_t column = 0;
        cr_assert(nkvi_help_text(&out, topics[t]));
        for (size_t i = 0; i < out.len; i++) {
            bool continued = ((unsigned char)out.data[i] & 0xc0) == 0x80;
            column = out.data[i] == '\n' ? 0 : continued ? column : column + 1;
            cr_assert_leq(column, 82);
        }
        nkvi_out_clear(&out);
    }
}
