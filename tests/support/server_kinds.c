/* support/server_kinds.c - which servers this machine has.
 *
 * One table: a row per kind, with the places to look in, the first that holds a program wins.
 * Redis's and Valkey's server, sentinel and check-rdb are one program told apart by argv[0], so
 * redis-check-rdb (package redis-tools) is a server when called redis-server. That only works for
 * the program itself: what deps/bin holds may be a script, and must then be named for what it is.
 *
 * Invariants   the list is made once and never changes; strings live as long as the process
 * Callers      server.c, live.c, stress programs that loop over all kinds                        */

#include "support/check.h"
#include "support/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KINDS_MAX = 4, NAMES_MAX = 2 };

typedef struct kind_row {
    const char *name;
    const char *variable;
    const char *program;         /* in deps/bin                                                   */
    const char *path[NAMES_MAX]; /* in PATH                                                       */
    bool required_by_ci;
} kind_row;

static const kind_row rows[KINDS_MAX] = {
    {.name = "redis",
     .variable = "NEARKV_REDIS_SERVER",
     .program = "redis-server",
     .path = {"redis-server", "redis-check-rdb"},
     .required_by_ci = true},
    {.name = "valkey",
     .variable = "NEARKV_VALKEY_SERVER",
     .program = "valkey-server",
     .path = {"valkey-server", "valkey-check-rdb"},
     .required_by_ci = true},
    {.name = "redis8", .variable = "NEARKV_REDIS8_SERVER", .program = "redis8-server"},
    {.name = "valkey81", .variable = "NEARKV_VALKEY81_SERVER", .program = "valkey81-server"},
};

static t_server_kind all_kinds[KINDS_MAX + 1];    /* those left out by NEARKV_SERVERS: no binary  */
static t_server_kind listed_kinds[KINDS_MAX + 1]; /* without those                                */
static pthread_once_t kinds_once = PTHREAD_ONCE_INIT;

static bool find_in_path(const char *name, char out[T_PATH_MAX])
{
    const char *dirs = getenv("PATH");
    while (dirs != NULL && *dirs != '\0') {
        const size_t len = strcspn(dirs, ":");
        const int written = snprintf(out, T_PATH_MAX, "%.*s/%s", (int)len, dirs, name);
        if (len > 0 && written < T_PATH_MAX && access(out, X_OK) == 0) {
            return true;
        }
        dirs += len + (dirs[len] == ':');
    }
    return false;
}

/* Finds the program of a row. False if there is none. */
static bool find_binary(const kind_row *row, char out[T_PATH_MAX])
{
    const char *given = getenv(row->variable);
    if (given != NULL && given[0] != '\0') {
        (void)snprintf(out, T_PATH_MAX, "%s", given);
        return access(out, X_OK) == 0; /* what was asked for, or nothing */
    }
    char name[64];
    (void)snprintf(name, sizeof name, "deps/bin/%s", row->program);
    if (t_find_upwards(name, out) && access(out, X_OK) == 0) {
        return true;
    }
    for (int i = 0; i < NAMES_MAX && row->path[i] != NULL; i++) {
        if (find_in_path(row->path[i], out)) {
            return true;
        }
    }
    return false;
}

static const char *why_missing(const kind_row *row)
{
    const char *given = getenv(row->variable);
    if (given != NULL && given[0] != '\0') {
        return t_format("%s=%s is no program", row->variable, given);
    }
    return t_format("no %s: not in %s, deps/bin%s", row->program, row->variable,
                    row->path[0] == NULL ? "" : " or PATH");
}

/* Is `name` an item of a list separated by commas? */
static bool in_list(const char *list, const char *name)
{
    const size_t name_len = strlen(name);
    while (*list != '\0') {
        const size_t len = strcspn(list, ",");
        if (len == name_len && memcmp(list, name, len) == 0) {
            return true;
        }
        list += len + (list[len] == ',');
    }
    return false;
}

static void make_list(void)
{
    const char *wanted = getenv("NEARKV_SERVERS");
    const char *ci = getenv("CI");
    const bool in_ci = ci != NULL && strcmp(ci, "true") == 0;
    const bool limited = wanted != NULL && wanted[0] != '\0';
    size_t listed = 0;
    for (size_t i = 0; i < KINDS_MAX; i++) {
        const kind_row *row = &rows[i];
        t_server_kind *kind = &all_kinds[i];
        kind->name = row->name;
        if (limited && !in_list(wanted, row->name)) {
            kind->why = "NEARKV_SERVERS leaves it out";
            continue;
        }
        kind->required = limited || (in_ci && row->required_by_ci);
        char binary[T_PATH_MAX];
        if (find_binary(row, binary)) {
            kind->binary = t_format("%s", binary);
        } else {
            kind->why = why_missing(row);
        }
        listed_kinds[listed++] = *kind;
    }
}

const t_server_kind *t_server_kinds(void)
{
    (void)pthread_once(&kinds_once, make_list);
    return listed_kinds;
}

const t_server_kind *t_server_kind_find(const char *name)
{
    (void)t_server_kinds();
    for (const t_server_kind *kind = all_kinds; kind->name != NULL; kind++) {
        if (name == NULL ? kind->binary != NULL : strcmp(kind->name, name) == 0) {
            return kind;
        }
    }
    if (name == NULL) {
        T_DIE("there is no server on this machine: scripts/setup gets one");
    }
    T_DIE("no kind of server is called %s", name);
}
