/* support/server_share.c - servers that the tests of one run take turns with.
 *
 *      runner: t_server_share_start()          test: t_server_borrow("redis")
 *        servers  --NEARKV_SHARED_redis=-->      lock dir/lease of the first that is free
 *                   "dir=port:dir=port"          put it back as it was, by a control client
 *
 * A lock on the file `lease` in a server's directory is the loan. The kernel drops it with the last
 * descriptor, so a test that crashes gives its server back too. The borrower, not the one before
 * it, cleans up: what a crashed test left behind goes the same way.
 *
 * Invariants   at most one process holds a server's lease
 *              dir/config holds CONFIG GET * as it was after the start
 * Callers      live.c starts and stops, live tests borrow                                        */

#include "support/check.h"
#include "support/ctl.h"
#include "support/server.h"
#include "support/server_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { SHARED_MAX = 16, BORROW_MS = 120000 };

static t_server *shared[SHARED_MAX * 4];
static size_t shared_count;

/* ---- The settings, as they were -------------------------------------------------------------- */

/* What CONFIG GET * says, as a text of lines: name, value, name, value … The caller frees. */
static char *read_settings(t_ctl *ctl)
{
    redisReply *reply = t_ctl_cmd(ctl, "CONFIG", "GET", "*");
    T_REQUIRE(reply != NULL && reply->type == REDIS_REPLY_ARRAY);
    size_t len = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        len += reply->element[i]->len + 1;
    }
    char *text = malloc(len + 1);
    T_REQUIRE(text != NULL);
    char *to = text;
    for (size_t i = 0; i < reply->elements; i++) {
        memcpy(to, reply->element[i]->str, reply->element[i]->len);
        to += reply->element[i]->len;
        *to++ = '\n';
    }
    *to = '\0';
    freeReplyObject(reply);
    return text;
}

/* Cuts the next line off; NULL at the end. */
static char *next_line(char **text)
{
    char *line = *text;
    char *end = strchr(line, '\n');
    if (end == NULL) {
        return NULL;
    }
    *end = '\0';
    *text = end + 1;
    return line;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    T_REQUIRE(file != NULL);
    T_REQUIRE(fputs(text, file) >= 0);
    T_REQUIRE(fclose(file) == 0);
}

/* Sets every setting back that is not what it was. Both lists have the same order. */
static void restore_settings(const t_server *server, t_ctl *ctl)
{
    char *path = t_format("%s/config", server->dir);
    char *before = t_read_file(path, NULL);
    T_REQUIRE(before != NULL);
    char *now = read_settings(ctl);
    if (strcmp(before, now) != 0) {
        char *was = before;
        char *is = now;
        const char *name;
        while ((name = next_line(&was)) != NULL) {
            const char *old_value = next_line(&was);
            const char *name_now = next_line(&is);
            const char *value = next_line(&is);
            T_REQUIRE(name_now != NULL && strcmp(name, name_now) == 0);
            if (strcmp(old_value, value) != 0) {
                t_ctl_config_set(ctl, name, old_value);
            }
        }
    }
    free(now);
    free(before);
    free(path);
}

static void remove_users(t_ctl *ctl)
{
    redisReply *users = t_ctl_cmd(ctl, "ACL", "USERS");
    T_REQUIRE(users != NULL && users->type == REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < users->elements; i++) {
        const char *name = users->element[i]->str;
        if (strcmp(name, "default") != 0) {
            t_ctl_ok(ctl, "ACL", "DELUSER", name);
        }
    }
    freeReplyObject(users);
    t_ctl_ok(ctl, "ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all");
}

static void clean(const t_server *server)
{
    t_ctl *ctl = t_ctl_open(server);
    t_ctl_ok(ctl, "CLIENT", "UNPAUSE");
    (void)t_ctl_kill_type(ctl, "normal");
    (void)t_ctl_kill_type(ctl, "pubsub");
    t_ctl_ok(ctl, "FLUSHALL");
    t_ctl_ok(ctl, "SCRIPT", "FLUSH");
    t_ctl_ok(ctl, "FUNCTION", "FLUSH");
    t_ctl_ok(ctl, "DEBUG", "SET-ACTIVE-EXPIRE", "1");
    remove_users(ctl);
    restore_settings(server, ctl);
    t_ctl_ok(ctl, "CONFIG", "RESETSTAT");
    t_ctl_close(ctl);
}

/* ---- The runner ------------------------------------------------------------------------------ */

/* Tells the processes to come where the servers of a kind are. */
static void announce(const t_server_kind *kind, t_server *const *servers, size_t count)
{
    char *list = t_format("%s", "");
    for (size_t i = 0; i < count; i++) {
        char *longer =
            t_format("%s%s%s=%d", list, i == 0 ? "" : ":", servers[i]->dir, servers[i]->port);
        free(list);
        list = longer;
    }
    char *name = t_format("NEARKV_SHARED_%s", kind->name);
    T_REQUIRE(setenv(name, list, 1) == 0);
    free(name);
    free(list);
}

void t_server_share_start(int count)
{
    T_REQUIRE(shared_count == 0 && count > 0 && count <= SHARED_MAX);
    for (const t_server_kind *kind = t_server_kinds(); kind->name != NULL; kind++) {
        for (int i = 0; i < count && kind->binary != NULL; i++) {
            const t_server_options options = {.kind = kind->name, .tcp = true};
            shared[shared_count++] = t_server_launch(&options);
        }
    }
    for (size_t i = 0; i < shared_count; i++) {
        t_server_wait_ready(shared[i]);
        t_ctl *ctl = t_ctl_open(shared[i]);
        char *settings = read_settings(ctl);
        char *path = t_format("%s/config", shared[i]->dir);
        write_file(path, settings);
        free(path);
        free(settings);
        t_ctl_close(ctl);
    }
    for (size_t i = 0; i < shared_count; i += (size_t)count) {
        announce(shared[i]->kind, &shared[i], (size_t)count);
    }
}

void t_server_share_stop(void)
{
    while (shared_count > 0) {
        t_server_stop(shared[--shared_count]);
    }
}

/* ---- The tests ------------------------------------------------------------------------------- */

/* Locks the lease of one server, given as "dir=port". The descriptor, or -1 if it is taken. */
static int try_lease(const char *item, size_t dir_len)
{
    char *path = t_format("%.*s/lease", (int)dir_len, item);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        T_DIE("%s: %s: is the shared server gone?", path, strerror(errno));
    }
    free(path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return fd;
    }
    (void)close(fd);
    return -1;
}

/* Takes the first of the list that is free; -1 if none is. `*item` then points to it. */
static int lease_any(const char *list, const char **item, size_t *dir_len)
{
    for (*item = list; **item != '\0';) {
        const size_t len = strcspn(*item, ":");
        *dir_len = strcspn(*item, "=");
        const int fd = try_lease(*item, *dir_len);
        if (fd >= 0) {
            return fd;
        }
        *item += len + ((*item)[len] == ':');
    }
    return -1;
}

t_server *t_server_borrow(const char *kind)
{
    t_server *server = calloc(1, sizeof *server);
    T_REQUIRE(server != NULL);
    server->kind = t_server_kind_find(kind);
    char *name = t_format("NEARKV_SHARED_%s", server->kind->name);
    const char *list = getenv(name);
    if (list == NULL) {
        T_DIE("%s is not set: nobody shares a %s server", name, server->kind->name);
    }
    free(name);
    const char *item = NULL;
    size_t dir_len = 0;
    const int64_t end_ms = t_now_ms() + BORROW_MS;
    while ((server->lease_fd = lease_any(list, &item, &dir_len)) < 0) {
        if (t_now_ms() > end_ms) {
            T_DIE("all shared %s servers are in use", server->kind->name);
        }
        t_sleep_ms(1);
    }
    T_REQUIRE(dir_len < sizeof server->dir);
    memcpy(server->dir, item, dir_len);
    server->path = t_format("%s/sock", server->dir);
    server->port = (int)strtol(item + dir_len + 1, NULL, 10);
    t_server_make_urls(server);
    clean(server);
    return server;
}
