/* tests/live/client/test_config.c - options, addresses and secrets: the acceptance case 106.
 *
 * No server is needed: what is wrong is told when the client is made, by the name of the option,
 * and without a password, wherever that stood. */

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "support/check.h"
#include "support/live.h"
#include "support/near.h"

#define SECRET "hunter2secret"

/* ---- Numbers --------------------------------------------------------------------------------- */

typedef struct setting {
    const char *name; /* what the error text must name                                            */
    void (*set)(nkv_options *options);
} setting;

#define SETTING(label, statement)                 \
    static void set_##label(nkv_options *options) \
    {                                             \
        statement;                                \
    }

SETTING(timeout_zero, options->timeout_ms = 0)
SETTING(timeout_negative, options->timeout_ms = -1)
SETTING(timeout_overflow, options->timeout_ms = INT64_MAX)
SETTING(connect_zero, options->connect_timeout_ms = 0)
SETTING(connect_negative, options->connect_timeout_ms = -5)
SETTING(connect_overflow, options->connect_timeout_ms = INT64_MAX)
SETTING(idle_zero, options->max_idle_ms = 0)
SETTING(idle_negative, options->max_idle_ms = -1)
SETTING(idle_overflow, options->max_idle_ms = INT64_MAX)
SETTING(ttl_overflow, options->max_ttl_ms = INT64_MAX)
SETTING(negative_ttl_overflow, options->negative_ttl_ms = INT64_MAX)
SETTING(backoff_min_negative, options->backoff_min_ms = -1)
SETTING(backoff_max_zero, options->backoff_max_ms = 0)
SETTING(backoff_reversed, (options->backoff_min_ms = 100, options->backoff_max_ms = 50))
SETTING(inflight_zero, options->inflight_max = 0)
SETTING(inflight_negative, options->inflight_max = -1)
SETTING(inflight_bytes_zero, options->inflight_bytes_max = 0)
SETTING(reply_bytes_negative, options->reply_bytes_max = -1)
SETTING(reply_bytes_zero, options->reply_bytes_max = 0)
SETTING(level_high, options->level = (nkv_level)4)
SETTING(level_negative, options->level = (nkv_level)-1)
SETTING(db_negative, options->db = -2)
SETTING(confidence_nan, options->cache_options.confidence = NAN)
SETTING(confidence_inf, options->cache_options.confidence = INFINITY)
SETTING(confidence_negative, options->cache_options.confidence = -0.5)
SETTING(confidence_high, options->cache_options.confidence = 100.5)
SETTING(entry_bytes_negative, options->cache_options.entry_bytes_max = -1)
SETTING(policy_unknown, options->cache_options.policy = (nkv_policy)9)
SETTING(index_unknown, options->cache_options.index = (nkv_index_kind)9)
SETTING(prefixes_null, (options->prefixes = NULL, options->prefixes_len = 3))

static const setting bad_settings[] = {
    {"timeout_ms", set_timeout_zero},
    {"timeout_ms", set_timeout_negative},
    {"timeout_ms", set_timeout_overflow},
    {"connect_timeout_ms", set_connect_zero},
    {"connect_timeout_ms", set_connect_negative},
    {"connect_timeout_ms", set_connect_overflow},
    {"max_idle_ms", set_idle_zero},
    {"max_idle_ms", set_idle_negative},
    {"max_idle_ms", set_idle_overflow},
    {"max_ttl_ms", set_ttl_overflow},
    {"negative_ttl_ms", set_negative_ttl_overflow},
    {"backoff_min_ms", set_backoff_min_negative},
    {"backoff_max_ms", set_backoff_max_zero},
    {"backoff_m", set_backoff_reversed},
    {"inflight_max", set_inflight_zero},
    {"inflight_max", set_inflight_negative},
    {"inflight_bytes_max", set_inflight_bytes_zero},
    {"reply_bytes_max", set_reply_bytes_negative},
    {"reply_bytes_max", set_reply_bytes_zero},
    {"level", set_level_high},
    {"level", set_level_negative},
    {"db", set_db_negative},
    {"confidence", set_confidence_nan},
    {"confidence", set_confidence_inf},
    {"confidence", set_confidence_negative},
    {"confidence", set_confidence_high},
    {"entry_bytes_max", set_entry_bytes_negative},
    {"policy", set_policy_unknown},
    {"index", set_index_unknown},
    {"prefixes", set_prefixes_null},
};

static void expect_refusal(const nkv_options *options, nkv_status status, const char *part,
                           const char *what)
{
    const int fds = t_fd_count();
    const int threads = t_thread_count();
    nkv_client *client = NULL;
    nkv_error error;
    memset(&error, 0x55, sizeof error);
    const nkv_status got = nkv_client_create(options, &client, &error);
    cr_assert_eq(got, status, "%s: %s", what, nkv_status_text(got));
    cr_assert_null(client, "%s", what);
    cr_assert_eq(error.status, status, "%s", what);
    cr_assert(memchr(error.text, '\0', sizeof error.text) != NULL, "%s: no end", what);
    cr_assert_not_null(strcasestr(error.text, part), "%s: \"%s\" does not say \"%s\"", what,
                       error.text, part);
    cr_assert_null(strstr(error.text, SECRET), "%s: a password in \"%s\"", what, error.text);
    cr_assert_null(strchr(error.text, '\n'), "%s: \"%s\"", what, error.text);
    cr_assert_eq(t_fd_count(), fds, "%s: descriptors are left", what);
    cr_assert_eq(t_thread_count(), threads, "%s: a thread is left", what);
}

Test(client_config, case_106_numbers_out_of_range)
{
    for (size_t i = 0; i < sizeof bad_settings / sizeof bad_settings[0]; i++) {
        nkv_options options = t_near_options("redis://127.0.0.1:1");
        options.password = SECRET;
        bad_settings[i].set(&options);
        char what[80];
        (void)snprintf(what, sizeof what, "setting %zu (%s)", i, bad_settings[i].name);
        expect_refusal(&options, NKV_EINVAL, bad_settings[i].name, what);
    }
}

/* Negative limits mean unbounded, 0 off: those are allowed. */
Test(client_config, case_106_numbers_that_are_allowed)
{
    nkv_options options = t_near_options("redis://127.0.0.1:1");
    options.max_ttl_ms = -1;
    options.negative_ttl_ms = -1;
    options.cache_options.keys_max = -1;
    options.cache_options.bytes_max = -1;
    options.cache_options.confidence = 0;
    options.cache_options.key_counters = 0;
    options.backoff_min_ms = options.backoff_max_ms = 10;
    options.timeout_ms = 1;
    options.level = NKV_BARRIER;
    nkv_client *client = t_near_start(&options);
    nkv_client_destroy(client);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

Test(client_config, case_106_addresses_that_are_none)
{
    static const struct {
        const char *url;
        nkv_status status;
        const char *part;
    } bad[] = {
        {"", NKV_EINVAL, ""},
        {"localhost", NKV_EINVAL, "scheme"},
        {"http://:" SECRET "@host", NKV_EINVAL, "scheme"},
        {":" SECRET "@host:6379", NKV_EINVAL, ""},
        {"redis:/:" SECRET "@host", NKV_EINVAL, ""},
        {"redis://:" SECRET "@host:port", NKV_EINVAL, "port"},
        {"redis://:" SECRET "@host:0", NKV_EINVAL, "port"},
        {"redis://:" SECRET "@host:65536", NKV_EINVAL, "port"},
        {"redis://:" SECRET "@host:-1", NKV_EINVAL, "port"},
        {"redis://:" SECRET "@host:6379x", NKV_EINVAL, "port"},
        {"redis://:" SECRET "@host:99999999999999999999", NKV_EINVAL, "port"},
        {"redis://:" SECRET "@host/zero", NKV_EINVAL, ""},
        {"redis://:" SECRET "@host/-1", NKV_EINVAL, ""},
        {"redis://:" SECRET "@host/99999999999", NKV_EINVAL, ""},
        {"redis://:" SECRET "@host/0?db=x", NKV_EINVAL, "db"},
        {"redis://:" SECRET "@host/0?nosuch=1", NKV_EINVAL, "nosuch"},
        {"redis://:" SECRET "@[::1", NKV_EINVAL, ""},
        {"redis://:" SECRET "%2@host", NKV_EINVAL, ""},
        {"redis://:" SECRET "%zz@host", NKV_EINVAL, ""},
        {"unix://:" SECRET "@", NKV_EINVAL, "path"},
        {"redis://ann:" SECRET "@host?timeout=never", NKV_EINVAL, "timeout"},
        {"rediss://:" SECRET "@host", NKV_ENOTSUP, "rediss"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const nkv_options options = t_near_options(bad[i].url);
        expect_refusal(&options, bad[i].status, bad[i].part, bad[i].url);
    }
}

/* An unknown name of the query is told with those that are known. */
Test(client_config, case_106_unknown_names_of_the_query_list_the_known_ones)
{
    const nkv_options options = t_near_options("redis://host/0?tiemout=1");
    nkv_client *client = NULL;
    nkv_error error;
    cr_assert_eq(nkv_client_create(&options, &client, &error), NKV_EINVAL);
    cr_assert(strstr(error.text, "tiemout") != NULL && strstr(error.text, "timeout") != NULL, "%s",
              error.text);
}

/* A path that does not fit a unix socket's address. */
Test(client_config, case_106_a_socket_path_too_long)
{
    char url[400] = "unix:///";
    memset(url + 8, 'x', 200);
    url[208] = '\0';
    nkv_options options = t_near_options(url);
    options.timeout_ms = 200;
    nkv_client *client = NULL;
    nkv_error error = {.status = NKV_OK};
    const nkv_status status = nkv_client_create(&options, &client, &error);
    if (status == NKV_OK) { /* told by the calls, at the latest */
        const t_answer answer = t_near_get(client, "k");
        cr_assert(answer.status == NKV_ECONN || answer.status == NKV_ETIMEDOUT);
        cr_assert_lt(answer.took_ms, 1000);
        nkv_client_destroy(client);
    } else {
        cr_assert_eq(status, NKV_EINVAL);
    }
}

/* ---- Secrets --------------------------------------------------------------------------------- */

/* Whatever a client with a password says about itself or its failures, the password is not in it.
 */
static void check_all_texts(nkv_client *client)
{
    for (int i = 0; i < 4; i++) {
        char *text = NULL;
        size_t len = 0;
        const nkv_format format = i % 2 == 0 ? NKV_FORMAT_JSON : NKV_FORMAT_PROMETHEUS;
        cr_assert_eq(i < 2 ? nkv_client_stats_text(client, format, &text, &len)
                           : nkv_client_health_text(client, format, &text, &len),
                     NKV_OK);
        cr_assert_null(strstr(text, SECRET), "%s", text);
        nkv_free(text);
    }
    cr_assert_null(strstr(t_near_node(client).address, SECRET));
}

Test(client_config, case_106_no_password_in_any_text)
{
    static const char *const urls[] = {
        "redis://ann:" SECRET "@127.0.0.1:1",          /* refused */
        "redis://:" SECRET "@no-such-host.invalid:79", /* not found */
        "unix://:" SECRET "@/no/such/socket",
    };
    t_events *events = t_events_new();
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        nkv_options options = t_near_options(urls[i]);
        options.on_event = t_events_take;
        options.on_event_ud = events;
        options.timeout_ms = 100;
        nkv_client *client = t_near_start(&options);
        nkv_error error = {.status = NKV_OK};
        cr_assert_lt((int)nkv_client_wait_ready(client, 100, &error), 0);
        cr_assert_null(strstr(error.text, SECRET), "%s", error.text);
        const t_answer get = t_near_get(client, "k");
        const t_answer auth = t_near(client, "AUTH", SECRET);
        const t_answer hello = t_near(client, "HELLO", "3", "AUTH", "ann", SECRET);
        const t_answer config = t_near(client, "CONFIG", "SET", "requirepass", SECRET);
        cr_assert(get.status < 0 && auth.status < 0 && hello.status < 0 && config.status < 0);
        cr_assert_null(strstr(get.error.text, SECRET), "%s", get.error.text);
        cr_assert_null(strstr(auth.error.text, SECRET), "%s", auth.error.text);
        cr_assert_null(strstr(hello.error.text, SECRET), "%s", hello.error.text);
        cr_assert_null(strstr(config.error.text, SECRET), "%s", config.error.text);
        check_all_texts(client);
        nkv_client_destroy(client);
    }
    for (size_t i = 0; i < t_events_count(events); i++) {
        const t_event event = t_events_at(events, i);
        cr_assert_null(strstr(event.text, SECRET), "%s", event.text);
        cr_assert_null(strstr(event.node, SECRET), "%s", event.node);
    }
    t_events_free(events);
}

/* The options win over the address, and both are copied: the caller's strings may go. */
T_LIVE_PRIVATE(client_config, case_106_options_are_copied_and_win_over_the_address)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind, .password = SECRET});
    char *url = t_format("unix://ann:wrong@%s?db=1", t_server_path(server));
    char *user = t_format("%s", "default");
    char *password = t_format("%s", SECRET);
    char *name = t_format("%s", "copied");
    char *prefix = t_format("%s", "k");
    const char *prefixes[] = {prefix};
    nkv_options options = t_near_options(url);
    options.username = user;
    options.password = password;
    options.client_name = name;
    options.db = 4;
    options.prefixes = prefixes;
    options.prefixes_len = 1;
    nkv_client *client = t_near_start(&options);
    memset(url, '?', strlen(url));
    memset(user, '?', strlen(user));
    memset(password, '?', strlen(password));
    memset(name, '?', strlen(name));
    memset(prefix, '?', strlen(prefix));
    memset(&options, 0xff, sizeof options);
    prefixes[0] = NULL;
    free(url);
    free(user);
    free(password);
    free(name);
    free(prefix);
    cr_assert_eq(nkv_client_wait_ready(client, 5000, NULL), NKV_OK);
    cr_assert_eq(t_near_set(client, "k", "v"), NKV_OK);
    cr_assert(t_says(t_near_get(client, "k"), "v"));
    cr_assert(t_is(t_near_get(client, "k"), NKV_FROM_CACHE, "v"));
    cr_assert(t_says(t_near(client, "CLIENT", "GETNAME"), "copied"));
    check_all_texts(client);
    nkv_client_destroy(client);
    t_server_stop(server);
}

/* ---- Structs of other sizes ------------------------------------------------------------------ */

Test(client_config, options_without_a_size_are_refused)
{
    nkv_options options;
    memset(&options, 0, sizeof options);
    nkv_client *client = NULL;
    nkv_error error;
    cr_assert_eq(nkv_client_create(&options, &client, &error), NKV_EINVAL);
    cr_assert_not_null(strstr(error.text, "nkv_options_init"), "%s", error.text);
    options.struct_size = 3;
    cr_assert_eq(nkv_client_create(&options, &client, &error), NKV_EINVAL);
    cr_assert_eq(nkv_client_create(&options, &client, NULL), NKV_EINVAL);
}

Test(client_config, init_of_a_smaller_struct_writes_nothing_behind_it)
{
    unsigned char bytes[sizeof(nkv_options)];
    memset(bytes, 0xaa, sizeof bytes);
    const size_t size = offsetof(nkv_options, level);
    nkv_options_init_sized((nkv_options *)(void *)bytes, size);
    for (size_t i = size; i < sizeof bytes; i++) {
        cr_assert_eq(bytes[i], 0xaa);
    }
    nkv_client_destroy(NULL); /* allowed */
}

Test(client_config, arguments_that_are_wrong)
{
    nkv_options options = t_near_options("redis://127.0.0.1:1");
    options.timeout_ms = 100;
    nkv_client *client = t_near_start(&options);
    cr_assert_eq(nkv_set(client, nkv_cstr("k"), nkv_cstr("v"), -1, NULL), NKV_EINVAL);
    const nkv_str none[] = {nkv_cstr("")};
    cr_assert_eq(nkv_command_async(client, 0, none, NULL, NULL, NULL), NKV_EINVAL);
    cr_assert_eq(nkv_command_async(client, 1, none, NULL, NULL, NULL), NKV_EINVAL);
    nkv_client_destroy(client);
}
