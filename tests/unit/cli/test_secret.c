/* tests/unit/cli/test_secret.c - which password counts, and that none stays in sight. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/secret.h"
#include "unit/cli/out_text.h"

/* Settings as they are without options; the caller clears. */
static nkvi_settings plain(void)
{
    nkvi_settings settings;
    nkvi_out error = {0};

    cr_assert(nkvi_options_parse(&settings, NKVI_FOR_SHELL, 0, NULL, &error));
    return settings;
}

static char *password_file(const char *content)
{
    char path[] = "/tmp/nearkv-test-XXXXXX";
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
    return strdup(path);
}

Test(cli_secret, wiping_leaves_the_length_only)
{
    char text[] = "hunter2";

    nkvi_secret_wipe(text);
    cr_assert_str_eq(text, "*******");
}

Test(cli_secret, of_a_url_only_the_password_is_wiped)
{
    static const char *const cases[][2] = {
        {"redis://u:pw@h:1/0", "redis://u:**@h:1/0"},
        {"redis://:pw@h", "redis://:**@h"},
        {"unix://:p@w@/tmp/s", "unix://:***@/tmp/s"},
        {"redis://u@h:6379/0", "redis://u@h:6379/0"},
        {"redis://h:6379", "redis://h:6379"},
        {"redis://u:@h", "redis://u:@h"},
        {"nothing:at@all", "nothing:at@all"},
        {"redis-cluster://u:p,w@a:1,b:2", "redis-cluster://u:***@a:1,b:2"},
        {"redis-sentinel://:pw@a:1,b:2/s/1", "redis-sentinel://:**@a:1,b:2/s/1"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[64];
        snprintf(url, sizeof url, "%s", cases[i][0]);
        nkvi_secret_wipe_url(url);
        cr_assert_str_eq(url, cases[i][1]);
        cr_assert_eq(nkvi_secret_in_url(cases[i][0]), strcmp(cases[i][0], cases[i][1]) != 0);
    }
    cr_assert_not(nkvi_secret_in_url(NULL));
}

Test(cli_secret, the_environment_is_asked_last_and_does_not_keep_it)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};

    setenv("NEARKV_PASSWORD", "from-env", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_str_eq(settings.password, "from-env");
    cr_assert_null(getenv("NEARKV_PASSWORD"));
    nkvi_settings_clear(&settings);

    settings = plain();
    settings.url = strdup("redis://:from-url@h");
    setenv("NEARKV_PASSWORD", "from-env", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_null(settings.password);
    cr_assert_null(getenv("NEARKV_PASSWORD"));
    nkvi_settings_clear(&settings);

    settings = plain();
    settings.embedded = 1;
    setenv("NEARKV_PASSWORD", "from-env", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_null(settings.password);
    nkvi_settings_clear(&settings);
}

Test(cli_secret, another_variable_may_be_named)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};

    free(settings.password_env);
    settings.password_env = strdup("MY_SECRET");
    setenv("NEARKV_PASSWORD", "wrong", 1);
    setenv("MY_SECRET", "right", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_str_eq(settings.password, "right");
    nkvi_settings_clear(&settings);
}

Test(cli_secret, a_file_gives_its_first_line)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};
    char *path = password_file("from-file\nsecond\n");

    settings.password_file = path;
    setenv("NEARKV_PASSWORD", "from-env", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_str_eq(settings.password, "from-file");
    unlink(path);
    nkvi_settings_clear(&settings);
}

Test(cli_secret, the_option_wins)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};

    settings.password = strdup("from-option");
    settings.password_file = strdup("/does/not/exist");
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_str_eq(settings.password, "from-option");
    nkvi_settings_clear(&settings);
}

Test(cli_secret, a_file_that_is_missing_or_empty_is_told)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};
    char *path = password_file("\nsecond\n");

    settings.password_file = strdup("/does/not/exist");
    cr_assert_not(nkvi_secret_find(&settings, &error));
    OUT_HAS(&error, "--password-file /does/not/exist: ");
    nkvi_out_clear(&error);

    free(settings.password_file);
    settings.password_file = path;
    cr_assert_not(nkvi_secret_find(&settings, &error));
    OUT_HAS(&error, "its first line must be the password");
    nkvi_out_clear(&error);
    unlink(path);
    nkvi_settings_clear(&settings);
}

Test(cli_secret, sentinels_have_a_password_of_their_own)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};

    settings.url = strdup("redis-sentinel://:from-url@h");
    setenv("NEARKV_PASSWORD", "from-env", 1);
    setenv("NEARKV_SENTINEL_PASSWORD", "of-sentinels", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_null(settings.password, "the URL has it");
    cr_assert_str_eq(settings.sentinel_password, "of-sentinels", "a URL has none of sentinels");
    cr_assert_null(getenv("NEARKV_PASSWORD"));
    cr_assert_null(getenv("NEARKV_SENTINEL_PASSWORD"));
    nkvi_settings_clear(&settings);

    settings = plain();
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_null(settings.password);
    cr_assert_null(settings.sentinel_password);
    nkvi_settings_clear(&settings);

    settings = plain();
    settings.embedded = 1;
    setenv("NEARKV_SENTINEL_PASSWORD", "of-sentinels", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_null(settings.sentinel_password);
    cr_assert_null(getenv("NEARKV_SENTINEL_PASSWORD"), "the server must not inherit it");
    nkvi_settings_clear(&settings);
}

Test(cli_secret, a_file_has_the_password_of_sentinels)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};
    char *path = password_file("from-file\nsecond\n");

    settings.sentinel_password_file = path;
    setenv("NEARKV_SENTINEL_PASSWORD", "from-env", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_str_eq(settings.sentinel_password, "from-file");
    cr_assert_null(settings.password);
    unlink(path);
    nkvi_settings_clear(&settings);

    settings = plain();
    settings.sentinel_password_file = strdup("/does/not/exist");
    cr_assert_not(nkvi_secret_find(&settings, &error));
    OUT_HAS(&error, "--sentinel-password-file /does/not/exist: ");
    nkvi_out_clear(&error);
    nkvi_settings_clear(&settings);
}

Test(cli_secret, one_variable_may_be_for_both)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};

    free(settings.sentinel_password_env);
    settings.sentinel_password_env = strdup("NEARKV_PASSWORD");
    setenv("NEARKV_PASSWORD", "same", 1);
    cr_assert(nkvi_secret_find(&settings, &error));
    cr_assert_str_eq(settings.password, "same");
    cr_assert_str_eq(settings.sentinel_password, "same");
    cr_assert_null(getenv("NEARKV_PASSWORD"));
    nkvi_settings_clear(&settings);
}

Test(cli_secret, a_variable_of_sentinels_that_is_named_must_be_set)
{
    nkvi_settings settings = plain();
    nkvi_out error = {0};

    free(settings.sentinel_password_env);
    settings.sentinel_password_env = strdup("NEARKV_NO_SUCH");
    setenv("NEARKV_PASSWORD", "from-env", 1);
    cr_assert_not(nkvi_secret_find(&settings, &error));
    OUT_HAS(&error, "nearkv: --sentinel-password-env NEARKV_NO_SUCH: it is not set\n");
    cr_assert_null(getenv("NEARKV_PASSWORD"), "removed in any case");
    nkvi_out_clear(&error);
    nkvi_settings_clear(&settings);
}
