/* cli/secret.c - passwords: where they come from, and how they do not stay in sight.
 *
 * What is overwritten is the program's own argument or environment area, which is what the process
 * list and /proc show.                                                                           */
#include "cli/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/must.h"

#define PASSWORD_BYTES_MAX 4096

void nkvi_secret_wipe(char *text)
{
    /* The compiler must not find out that nobody reads this. */
    volatile char *at = text;

    while (*at != '\0') {
        *at++ = '*';
    }
}

/* Where the password of a URL begins, and its length; NULL if there is none. */
static char *password_of(char *url, size_t *len)
{
    char *authority = strstr(url, "://");

    if (authority == NULL) {
        return NULL;
    }
    authority += 3;
    /* A careless user may not have escaped what he should: the last "@" is the one that counts. */
    char *at = strrchr(authority, '@');
    char *colon = at != NULL ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (colon == NULL || colon + 1 == at) {
        return NULL;
    }
    *len = (size_t)(at - colon) - 1;
    return colon + 1;
}

void nkvi_secret_wipe_url(char *url)
{
    size_t len = 0;
    char *found = password_of(url, &len);

    if (found != NULL) {
        for (volatile char *at = found; len > 0; len--) {
            *at++ = '*';
        }
    }
}

bool nkvi_secret_in_url(const char *url)
{
    size_t len = 0;

    if (url == NULL) {
        return false;
    }
    char *copy = nkvi_must_copy_text(url);
    bool found = password_of(copy, &len) != NULL;
    nkvi_secret_wipe(copy);
    free(copy);
    return found;
}

/* Where a password may come from. */
typedef struct source {
    const char *option;   /* "password": its file is that of --password-file, and so on */
    const char *standard; /* the variable that need not be set                          */
    const char *file, *variable;
    bool wanted; /* the variable is to be used, if there is no file                     */
    char **password;
} source;

/* The first line of the file, without its end. */
static bool read_first_line(const source *from, nkvi_out *error)
{
    char line[PASSWORD_BYTES_MAX + 2];
    FILE *file = fopen(from->file, "re");

    if (file == NULL) {
        nkvi_out_printf(error, "nearkv: --%s-file %s: %s\n", from->option, from->file,
                        strerrordesc_np(errno));
        return false;
    }
    setvbuf(file, NULL, _IONBF, 0); /* no second copy in a buffer */
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    size_t len = read ? strcspn(line, "\r\n") : 0;
    if (len == 0 || len > PASSWORD_BYTES_MAX) {
        nkvi_out_printf(error,
                        "nearkv: --%s-file %s: its first line must be the password, 1 to %d "
                        "bytes\n",
                        from->option, from->file, PASSWORD_BYTES_MAX);
        return false;
    }
    *from->password = nkvi_must_copy(line, len);
    explicit_bzero(line, sizeof line);
    return true;
}

static bool read_file(const source *from, nkvi_out *error)
{
    return from->file == NULL || *from->password != NULL || read_first_line(from, error);
}

static bool copy_variable(const source *from, nkvi_out *error)
{
    const char *value = getenv(from->variable);
    bool given = value != NULL && *value != '\0';

    if (!from->wanted || from->file != NULL || *from->password != NULL) {
        return true;
    }
    if (given) {
        *from->password = nkvi_must_copy_text(value);
        return true;
    }
    if (strcmp(from->variable, from->standard) == 0) {
        return true;
    }
    nkvi_out_printf(error, "nearkv: --%s-env %s: it is not set\n", from->option, from->variable);
    return false;
}

static void forget_variable(const char *name)
{
    char *value = getenv(name);

    if (value != NULL) {
        nkvi_secret_wipe(value);
    }
    unsetenv(name);
}

bool nkvi_secret_find(nkvi_settings *settings, nkvi_out *error)
{
    const source servers = {"password",
                            NKVI_SECRET_ENV,
                            settings->password_file,
                            settings->password_env,
                            !settings->embedded && !nkvi_secret_in_url(settings->url),
                            &settings->password};
    const source sentinels = {"sentinel-password",
                              NKVI_SECRET_SENTINEL_ENV,
                              settings->sentinel_password_file,
                              settings->sentinel_password_env,
                              !settings->embedded,
                              &settings->sentinel_password};
    /* Both may be the same variable. */
    bool copied = copy_variable(&servers, error) && copy_variable(&sentinels, error);

    forget_variable(servers.variable);
    forget_variable(sentinels.variable);
    return copied && read_file(&servers, error) && read_file(&sentinels, error);
}
