/* support/monitor.c - MONITOR, written down by a thread.
 *
 *      server --"+123.45 [0 unix:/x/sock] \"get\" \"k\""--> thread: parse, append --> list
 *
 * Only the thread reads the monitoring connection. To stop it the socket is shut down, which makes
 * its read return; the connection is freed after the thread was joined. Sync sends a PING with a
 * number of its own and waits until that PING is reported: the server reports in the order in which
 * it runs.
 *
 * Invariants   an entry never moves or changes once it is in the list
 *              everything but `link` is guarded by `mu`
 * Callers      live tests                                                                        */

#include "support/monitor.h"

#include "support/check.h"
#include "support/ctl.h"
#include "support/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ENTRIES_MAX = 1 << 18, SYNC_MS = 10000 };

static const char sync_prefix[] = "t_monitor_sync:";

typedef struct line {
    t_monitor_entry entry;
    char *text;         /* holds all strings of the entry                                         */
    const char *argv[]; /* entry.argv                                                             */
} line;

struct t_monitor {
    redisContext *link;
    t_ctl *ctl; /* for sync                                                                       */
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    line **lines;
    size_t count;
    size_t room;
    long sync_sent;
    long sync_seen;
    bool ended;
};

/* ---- Parse ----------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes one quoted argument that begins at `*text` in place; NULL if the line is broken. Moves
 * `*text` behind it.                                                                             */
static char *take_quoted(char **text)
{
    char *in = *text;
    if (*in++ != '"') {
        return NULL;
    }
    char *const argument = in;
    char *out = in;
    while (*in != '"') {
        if (*in == '\0') {
            return NULL;
        }
        if (*in != '\\') {
            *out++ = *in++;
            continue;
        }
        static const char names[] = "nrtab";
        static const char codes[] = "\n\r\t\a\b";
        const char *name = in[1] == '\0' ? NULL : strchr(names, in[1]);
        if (in[1] == 'x' && hex_digit(in[2]) >= 0 && hex_digit(in[3]) >= 0) {
            *out++ = (char)(hex_digit(in[2]) * 16 + hex_digit(in[3]));
            in += 4;
        } else {
            *out++ = name == NULL ? in[1] : codes[name - names];
            in += 2;
        }
    }
    *out = '\0';
    *text = in + 1;
    return argument;
}

static void free_line(line *l)
{
    free(l->text);
    free(l);
}

/* Takes a reported line apart; NULL if it is none. */
static line *parse_line(const char *reported)
{
    size_t quotes = 0;
    for (const char *c = reported; *c != '\0'; c++) {
        quotes += *c == '"';
    }
    line *l = calloc(1, sizeof *l + (quotes / 2 + 1) * sizeof l->argv[0]);
    T_REQUIRE(l != NULL);
    l->text = t_format("%s", reported);
    l->entry.argv = l->argv;
    char *at = strstr(l->text, " [");
    char *end = at == NULL ? NULL : strstr(at, "] ");
    if (end == NULL) {
        free_line(l);
        return NULL;
    }
    *end = '\0';
    char *client = NULL;
    l->entry.db = (int)strtol(at + 2, &client, 10);
    l->entry.client = client + (*client == ' ');
    at = end + 1;
    while (*at == ' ') {
        at++;
        const char *argument = take_quoted(&at);
        if (argument == NULL) {
            break;
        }
        l->argv[l->entry.argc++] = argument;
    }
    return l;
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* @locks mu held */
static void append(t_monitor *monitor, line *l)
{
    const bool is_ping = l->entry.argc == 2 && strcasecmp(l->argv[0], "ping") == 0;
    if (is_ping && strncmp(l->argv[1], sync_prefix, sizeof sync_prefix - 1) == 0) {
        monitor->sync_seen = strtol(l->argv[1] + sizeof sync_prefix - 1, NULL, 10);
        free_line(l);
        return;
    }
    if (monitor->count == monitor->room) {
        T_REQUIRE(monitor->count < ENTRIES_MAX);
        monitor->room = monitor->room == 0 ? 256 : monitor->room * 2;
        monitor->lines = realloc(monitor->lines, monitor->room * sizeof *monitor->lines);
        T_REQUIRE(monitor->lines != NULL);
    }
    monitor->lines[monitor->count++] = l;
}

static void *write_down(void *ud)
{
    t_monitor *monitor = ud;
    void *reply = NULL;
    while (redisGetReply(monitor->link, &reply) == REDIS_OK) {
        const redisReply *status = reply;
        line *l = status->type == REDIS_REPLY_STATUS ? parse_line(status->str) : NULL;
        freeReplyObject(reply);
        if (l != NULL) {
            (void)pthread_mutex_lock(&monitor->mu);
            append(monitor, l);
            (void)pthread_cond_broadcast(&monitor->changed);
            (void)pthread_mutex_unlock(&monitor->mu);
        }
    }
    (void)pthread_mutex_lock(&monitor->mu);
    monitor->ended = true;
    (void)pthread_cond_broadcast(&monitor->changed);
    (void)pthread_mutex_unlock(&monitor->mu);
    return NULL;
}

/* ---- Start and stop -------------------------------------------------------------------------- */

static redisContext *connect_monitor(const t_server *server)
{
    redisContext *link = redisConnectUnix(t_server_path(server));
    T_REQUIRE(link != NULL && link->err == 0);
    const char *password = t_server_password(server);
    if (password != NULL) {
        freeReplyObject(redisCommand(link, "AUTH %s", password));
    }
    redisReply *reply = redisCommand(link, "MONITOR");
    if (reply == NULL || reply->type != REDIS_REPLY_STATUS) {
        T_DIE("MONITOR: %s", reply == NULL ? link->errstr : reply->str);
    }
    freeReplyObject(reply);
    return link;
}

t_monitor *t_monitor_start(const t_server *server)
{
    t_monitor *monitor = calloc(1, sizeof *monitor);
    T_REQUIRE(monitor != NULL);
    monitor->link = connect_monitor(server);
    monitor->ctl = t_ctl_open(server);
    t_cond_init(&monitor->changed);
    (void)pthread_mutex_init(&monitor->mu, NULL);
    t_thread_start(&monitor->thread, write_down, monitor);
    return monitor;
}

void t_monitor_stop(t_monitor *monitor)
{
    if (monitor == NULL) {
        return;
    }
    (void)shutdown(monitor->link->fd, SHUT_RDWR);
    (void)pthread_join(monitor->thread, NULL);
    for (size_t i = 0; i < monitor->count; i++) {
        free_line(monitor->lines[i]);
    }
    free(monitor->lines);
    redisFree(monitor->link);
    t_ctl_close(monitor->ctl);
    (void)pthread_cond_destroy(&monitor->changed);
    (void)pthread_mutex_destroy(&monitor->mu);
    free(monitor);
}

void t_monitor_sync(t_monitor *monitor)
{
    const struct timespec end = t_deadline_after_ms(SYNC_MS);
    (void)pthread_mutex_lock(&monitor->mu);
    const long number = ++monitor->sync_sent;
    char *token = t_format("%s%ld", sync_prefix, number);
    t_ctl_ok(monitor->ctl, "PING", token);
    free(token);
    while (monitor->sync_seen < number) {
        if (monitor->ended || pthread_cond_timedwait(&monitor->changed, &monitor->mu, &end) != 0) {
            T_DIE("MONITOR no longer reports");
        }
    }
    (void)pthread_mutex_unlock(&monitor->mu);
}

/* ---- Questions ------------------------------------------------------------------------------- */

size_t t_monitor_count(t_monitor *monitor)
{
    (void)pthread_mutex_lock(&monitor->mu);
    const size_t count = monitor->count;
    (void)pthread_mutex_unlock(&monitor->mu);
    return count;
}

t_monitor_entry t_monitor_entry_at(t_monitor *monitor, size_t index)
{
    (void)pthread_mutex_lock(&monitor->mu);
    T_REQUIRE(index < monitor->count);
    const t_monitor_entry entry = monitor->lines[index]->entry;
    (void)pthread_mutex_unlock(&monitor->mu);
    return entry;
}

static bool begins_with(const t_monitor_entry *entry, const char *const *argv)
{
    for (size_t i = 0; argv[i] != NULL; i++) {
        if (i >= entry->argc ||
            (i == 0 ? strcasecmp(entry->argv[i], argv[i]) : strcmp(entry->argv[i], argv[i])) != 0) {
            return false;
        }
    }
    return true;
}

long t_monitor_find_argv(t_monitor *monitor, size_t from, const char *const *argv)
{
    const size_t count = t_monitor_count(monitor);
    for (size_t i = from; i < count; i++) {
        const t_monitor_entry entry = t_monitor_entry_at(monitor, i);
        if (begins_with(&entry, argv)) {
            return (long)i;
        }
    }
    return -1;
}

size_t t_monitor_hits_argv(t_monitor *monitor, const char *const *argv)
{
    size_t hits = 0;
    for (long at = 0; (at = t_monitor_find_argv(monitor, (size_t)at, argv)) >= 0; at++) {
        hits++;
    }
    return hits;
}

void t_monitor_print(t_monitor *monitor)
{
    const size_t count = t_monitor_count(monitor);
    for (size_t i = 0; i < count; i++) {
        const t_monitor_entry entry = t_monitor_entry_at(monitor, i);
        (void)fprintf(stderr, "  %zu [%d %s]", i, entry.db, entry.client);
        for (size_t k = 0; k < entry.argc; k++) {
            (void)fprintf(stderr, " %s", entry.argv[k]);
        }
        (void)fputc('\n', stderr);
    }
}
