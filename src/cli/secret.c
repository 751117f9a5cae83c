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

/* The first line of the file, without its end. */
static bool read_first_line(nkvi_settings *settings, nkvi_out *error)
{
    char line[PASSWORD_BYTES_MAX + 2];
    FILE *file = fopen(settings->password_file, "re");

    if (file == NULL) {
        nkvi_out_printf(error, "nearkv: --password-file %s: %s\n", settings->password_file,
                        strerrordesc_np(errno));
        return false;
    }
    setvbuf(file, NULL, _IONBF, 0); /* no second copy in a buffer */
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    size_t len = read ? strcspn(line, "\r\n") : 0;
    if (len == 0 || len > PASSWORD_BYTES_MAX) {
        nkvi_out_printf(error,
                        "nearkv: --password-file %s: its first line must be the password, 1 to %d "
                        "bytes\n",
                        settings->password_file, PASSWORD_BYTES_MAX);
        return false;
    }
    settings->password = nkvi_must_copy(line, len);
    explicit_bzero(line, sizeof line);
    return true;
}

bool nkvi_secret_find(nkvi_settings *settings, nkvi_out *error)
{
    char *value = getenv(settings->password_env);
    bool wanted = !settings->embedded && settings->password == NULL &&
                  settings->password_file == NULL && !nkvi_secret_in_url(settings->url);

    if (wanted && (value == NULL || *value == '\0') &&
        strcmp(settings->password_env, NKVI_SECRET_ENV) != 0) {
        nkvi_out_printf(error, "nearkv: --password-env %s: it is not set\n",
                        settings->password_env);
        return false;
    }
    if (value != NULL && *value != '\0') {
        if (wanted) {
            settings->password = nkvi_must_copy_text(value);
        }
        nkvi_secret_wipe(value);
    }
    unsetenv(settings->password_env);
    if (settings->password == NULL && settings->password_file != NULL) {
        return read_first_line(settings, error);
    }
    return true;
}
