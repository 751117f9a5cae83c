/* support/ctl.c - the control client.
 *
 * A thin coat over hiredis: connect, send an argument vector, judge the reply. INFO and CLIENT LIST
 * are texts that are taken apart here and nowhere else.
 *
 * Callers      live tests, server_share.c, monitor.c                                             */

#include "support/ctl.h"

#include "support/check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct t_ctl {
    redisContext *link;
};

static const struct timeval answer_wait = {.tv_sec = 10};

/* ---- Connect --------------------------------------------------------------------------------- */

static t_ctl *adopt(redisContext *link, const char *user, const char *password)
{
    T_REQUIRE(link != NULL);
    if (link->err != 0) {
        redisFree(link);
        return NULL;
    }
    (void)redisSetTimeout(link, answer_wait);
    t_ctl *ctl = calloc(1, sizeof *ctl);
    T_REQUIRE(ctl != NULL);
    ctl->link = link;
    if (password == NULL) {
        return ctl;
    }
    if (!(user == NULL ? t_ctl_try(ctl, "AUTH", password)
                       : t_ctl_try(ctl, "AUTH", user, password))) {
        t_ctl_close(ctl);
        return NULL;
    }
    return ctl;
}

t_ctl *t_ctl_open_path(const char *path, const char *user, const char *password)
{
    return adopt(redisConnectUnixWithTimeout(path, answer_wait), user, password);
}

t_ctl *t_ctl_open_port(int port, const char *user, const char *password)
{
    return adopt(redisConnectWithTimeout("127.0.0.1", port, answer_wait), user, password);
}

t_ctl *t_ctl_open(const t_server *server)
{
    t_ctl *ctl = t_ctl_open_path(t_server_path(server), NULL, t_server_password(server));
    if (ctl == NULL) {
        T_DIE("the %s server at %s does not let the control client in", t_server_kind_name(server),
              t_server_path(server));
    }
    return ctl;
}

void t_ctl_close(t_ctl *ctl)
{
    if (ctl != NULL) {
        redisFree(ctl->link);
        free(ctl);
    }
}

/* ---- Commands -------------------------------------------------------------------------------- */

enum { ARGS_MAX = 1024 };

/* hiredis writes without MSG_NOSIGNAL. To a connection that a test has just cut that means SIGPIPE,
 * which is kept from this call alone: nearkv's own must still kill the test.                     */
static redisReply *send_command(redisContext *link, int argc, const char **bytes,
                                const size_t *lens)
{
    sigset_t pipe_signal;
    sigset_t before;
    sigset_t pending;
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    redisReply *reply = redisCommandArgv(link, argc, bytes, lens);
    if (!sigismember(&pending, SIGPIPE)) {
        const struct timespec none = {.tv_sec = 0};
        (void)sigtimedwait(&pipe_signal, NULL, &none);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return reply;
}

redisReply *t_ctl_args(t_ctl *ctl, size_t argc, const t_arg *argv)
{
    const char *bytes[ARGS_MAX];
    size_t lens[ARGS_MAX];
    T_REQUIRE(argc > 0 && argc <= ARGS_MAX);
    for (size_t i = 0; i < argc; i++) {
        bytes[i] = argv[i].bytes;
        lens[i] = argv[i].len;
    }
    return send_command(ctl->link, (int)argc, bytes, lens);
}

redisReply *t_ctl_argv(t_ctl *ctl, const char *const *argv)
{
    t_arg args[ARGS_MAX];
    size_t argc = 0;
    while (argv[argc] != NULL) {
        T_REQUIRE(argc < ARGS_MAX);
        args[argc] = (t_arg){argv[argc], strlen(argv[argc])};
        argc++;
    }
    return t_ctl_args(ctl, argc, args);
}

/* Ends the process unless `fits`: the command, and what was answered. */
static void require_reply(bool fits, const char *const *argv, const redisReply *reply)
{
    if (fits) {
        return;
    }
    char *command = t_format("%s", argv[0]);
    for (size_t i = 1; argv[i] != NULL; i++) {
        char *longer = t_format("%s %.60s", command, argv[i]);
        free(command);
        command = longer;
    }
    if (reply == NULL) {
        T_DIE("«%s»: the connection is lost", command);
    }
    T_DIE("«%s»: type %d, %lld, «%s»", command, reply->type, reply->integer,
          reply->str == NULL ? "" : reply->str);
}

void t_ctl_ok_argv(t_ctl *ctl, const char *const *argv)
{
    redisReply *reply = t_ctl_argv(ctl, argv);
    require_reply(reply != NULL && reply->type != REDIS_REPLY_ERROR, argv, reply);
    freeReplyObject(reply);
}

long long t_ctl_int_argv(t_ctl *ctl, const char *const *argv)
{
    redisReply *reply = t_ctl_argv(ctl, argv);
    require_reply(reply != NULL && reply->type == REDIS_REPLY_INTEGER, argv, reply);
    const long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

char *t_ctl_text_argv(t_ctl *ctl, const char *const *argv)
{
    redisReply *reply = t_ctl_argv(ctl, argv);
    const int type = reply == NULL ? REDIS_REPLY_ERROR : reply->type;
    const bool is_text = type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS ||
                         type == REDIS_REPLY_VERB || type == REDIS_REPLY_BIGNUM;
    require_reply(is_text || type == REDIS_REPLY_NIL, argv, reply);
    char *text = NULL;
    if (is_text) {
        text = malloc(reply->len + 1);
        T_REQUIRE(text != NULL);
        memcpy(text, reply->str, reply->len + 1);
    }
    freeReplyObject(reply);
    return text;
}

bool t_ctl_try_argv(t_ctl *ctl, const char *const *argv)
{
    redisReply *reply = t_ctl_argv(ctl, argv);
    const bool fine = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return fine;
}

/* ---- INFO ------------------------------------------------------------------------------------ */

/* Finds the line that begins with `field` and a colon; NULL if there is none. */
static const char *find_field(const char *info, const char *field)
{
    const size_t len = strlen(field);
    for (const char *line = info; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncasecmp(line, field, len) == 0 && line[len] == ':') {
            return line + len + 1;
        }
        if (strchr(line, '\n') == NULL) {
            return NULL;
        }
    }
    return NULL;
}

bool t_ctl_info(t_ctl *ctl, const char *section, const char *field, char *out, size_t room)
{
    char *info = t_ctl_text(ctl, "INFO", section);
    T_REQUIRE(info != NULL);
    const char *value = find_field(info, field);
    if (value != NULL) {
        const size_t len = strcspn(value, "\r\n");
        T_REQUIRE(len < room);
        memcpy(out, value, len);
        out[len] = '\0';
    }
    free(info);
    return value != NULL;
}

long long t_ctl_info_int(t_ctl *ctl, const char *section, const char *field)
{
    char text[64];
    if (!t_ctl_info(ctl, section, field, text, sizeof text)) {
        T_DIE("INFO %s has no %s", section, field);
    }
    return strtoll(text, NULL, 10);
}

long long t_ctl_calls(t_ctl *ctl, const char *command)
{
    char text[256];
    char *field = t_format("cmdstat_%s", command);
    const bool found = t_ctl_info(ctl, "commandstats", field, text, sizeof text);
    free(field);
    return found ? strtoll(text + strlen("calls="), NULL, 10) : 0;
}

long long t_ctl_data_calls(t_ctl *ctl)
{
    static const char *const other[] = {"ping",   "hello",    "auth",    "select",  "info",
                                        "config", "client",   "command", "monitor", "debug",
                                        "acl",    "flushall", NULL};
    static const char prefix[] = "cmdstat_";
    char *info = t_ctl_text(ctl, "INFO", "commandstats");
    T_REQUIRE(info != NULL);
    long long sum = 0;
    for (const char *line = strstr(info, prefix); line != NULL; line = strstr(line, prefix)) {
        line += sizeof prefix - 1;
        const size_t len = strcspn(line, ":|");
        bool counts = true;
        for (size_t i = 0; other[i] != NULL; i++) {
            counts = counts && !(strlen(other[i]) == len && strncmp(line, other[i], len) == 0);
        }
        const char *calls = strstr(line, "calls=");
        if (counts && calls != NULL) {
            sum += strtoll(calls + strlen("calls="), NULL, 10);
        }
    }
    free(info);
    return sum;
}

bool t_ctl_has_command(t_ctl *ctl, const char *command)
{
    redisReply *reply = t_ctl_cmd(ctl, "COMMAND", "INFO", command);
    T_REQUIRE(reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1);
    const bool known = reply->element[0]->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    return known;
}

long long t_ctl_own_id(t_ctl *ctl)
{
    return t_ctl_int(ctl, "CLIENT", "ID");
}

/* ---- Clients --------------------------------------------------------------------------------- */

/* Copies the value of ` name=` in a line of CLIENT LIST; "" if it has none. */
static void copy_item(const char *line, size_t line_len, const char *name, char *out, size_t room)
{
    out[0] = '\0';
    const size_t name_len = strlen(name);
    size_t at = 0;
    while (at < line_len) {
        const size_t len = strcspn(line + at, " \n");
        if (len > name_len && strncmp(line + at, name, name_len) == 0 &&
            line[at + name_len] == '=') {
            const size_t value_len = len - name_len - 1;
            T_REQUIRE(value_len < room);
            memcpy(out, line + at + name_len + 1, value_len);
            out[value_len] = '\0';
            return;
        }
        at += len + 1;
    }
}

static long long number_item(const char *line, size_t line_len, const char *name, long long missing)
{
    char text[32];
    copy_item(line, line_len, name, text, sizeof text);
    return text[0] == '\0' ? missing : strtoll(text, NULL, 10);
}

static t_client_info parse_client(const char *line, size_t len)
{
    t_client_info client = {.id = number_item(line, len, "id", 0)};
    client.db = (int)number_item(line, len, "db", 0);
    client.resp = (int)number_item(line, len, "resp", 0);
    client.redirect = number_item(line, len, "redir", -1);
    copy_item(line, len, "flags", client.flags, sizeof client.flags);
    copy_item(line, len, "name", client.name, sizeof client.name);
    copy_item(line, len, "user", client.user, sizeof client.user);
    copy_item(line, len, "cmd", client.cmd, sizeof client.cmd);
    return client;
}

t_client_info *t_ctl_clients(t_ctl *ctl, size_t *count)
{
    const long long own = t_ctl_own_id(ctl);
    char *list = t_ctl_text(ctl, "CLIENT", "LIST");
    T_REQUIRE(list != NULL);
    t_client_info *clients = NULL;
    *count = 0;
    for (const char *line = list; *line != '\0';) {
        const size_t len = strcspn(line, "\n");
        const t_client_info client = parse_client(line, len);
        line += len + (line[len] == '\n');
        if (client.id == 0 || client.id == own) {
            continue;
        }
        clients = realloc(clients, (*count + 1) * sizeof *clients);
        T_REQUIRE(clients != NULL);
        clients[(*count)++] = client;
    }
    free(list);
    return clients;
}

size_t t_ctl_tracking_clients(t_ctl *ctl)
{
    size_t count = 0;
    size_t tracking = 0;
    t_client_info *clients = t_ctl_clients(ctl, &count);
    for (size_t i = 0; i < count; i++) {
        tracking += strchr(clients[i].flags, 't') != NULL;
    }
    free(clients);
    return tracking;
}

long long t_ctl_kill_id(t_ctl *ctl, long long id)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", id);
    return t_ctl_int(ctl, "CLIENT", "KILL", "ID", text, "SKIPME", "yes");
}

long long t_ctl_kill_type(t_ctl *ctl, const char *type)
{
    return t_ctl_int(ctl, "CLIENT", "KILL", "TYPE", type, "SKIPME", "yes");
}

/* ---- Settings -------------------------------------------------------------------------------- */

void t_ctl_config_set(t_ctl *ctl, const char *name, const char *value)
{
    t_ctl_ok(ctl, "CONFIG", "SET", name, value);
}

char *t_ctl_config_get(t_ctl *ctl, const char *name)
{
    redisReply *reply = t_ctl_cmd(ctl, "CONFIG", "GET", name);
    T_REQUIRE(reply != NULL && reply->type == REDIS_REPLY_ARRAY);
    if (reply->elements != 2) {
        T_DIE("the server has no setting %s", name);
    }
    char *value = t_format("%s", reply->element[1]->str);
    freeReplyObject(reply);
    return value;
}
