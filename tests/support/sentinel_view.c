/* support/sentinel_view.c - what sentinels and servers say, and whether they agree.
 *
 * Callers      sentinel.c, live tests of sentinels                                               */

#include "support/sentinel_impl.h"

#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 5, TRIES = 5 };

/* ---- Servers --------------------------------------------------------------------------------- */

/* A field of INFO replication; false if there is none. The server may cut the connection between
 * any two commands: then it is asked once more, on another one.                                  */
static bool get_field(t_sentinels *all, int node, const char *name, char out[64])
{
    redisReply *reply = NULL;
    for (int i = 0; reply == NULL && i < TRIES; i++) {
        reply = t_ctl_cmd(t_sentinels_ctl(all, node), "INFO", "replication");
    }
    T_REQUIRE(reply != NULL && reply->str != NULL);
    char *start = t_format("\n%s:", name);
    const char *at = strstr(reply->str, start);
    if (at != NULL) {
        at += strlen(start);
        (void)snprintf(out, 64, "%.*s", (int)strcspn(at, "\r\n"), at);
    }
    free(start);
    freeReplyObject(reply);
    return at != NULL;
}

static bool has_field(t_sentinels *all, int node, const char *name, const char *value)
{
    char text[64];
    return get_field(all, node, name, text) && strcmp(text, value) == 0;
}

static long long number_field(t_sentinels *all, int node, const char *name)
{
    char text[64];
    return get_field(all, node, name, text) ? strtoll(text, NULL, 10) : -1;
}

bool t_sentinels_is_primary(t_sentinels *all, int node)
{
    return has_field(all, node, "role", "master");
}

static bool follows(t_sentinels *all, int node, int primary)
{
    return has_field(all, node, "role", "slave") &&
           number_field(all, node, "master_port") == all->nodes[primary].port &&
           has_field(all, node, "master_link_status", "up");
}

static int server_at(const t_sentinels *all, int port)
{
    for (int i = 0; i < all->servers; i++) {
        if (all->nodes[i].port == port) {
            return i;
        }
    }
    return -1;
}

static int servers_up(const t_sentinels *all)
{
    int count = 0;
    for (int i = 0; i < all->servers; i++) {
        count += all->nodes[i].up;
    }
    return count;
}

/* ---- Sentinels ------------------------------------------------------------------------------- */

/* The value of a field in a list of names and values; NULL if it is not there. */
static const char *field(const redisReply *list, const char *name)
{
    for (size_t i = 0; list->type == REDIS_REPLY_ARRAY && i + 1 < list->elements; i += 2) {
        if (list->element[i]->str != NULL && strcmp(list->element[i]->str, name) == 0) {
            return list->element[i + 1]->str;
        }
    }
    return NULL;
}

static bool field_is(const redisReply *list, const char *name, const char *value)
{
    const char *is = field(list, name);
    return is != NULL && strcmp(is, value) == 0;
}

int t_sentinels_named_by(t_sentinels *all, int watcher)
{
    redisReply *reply = t_ctl_cmd(t_sentinels_ctl(all, watcher), "SENTINEL",
                                  "GET-MASTER-ADDR-BY-NAME", all->service);
    const bool fine = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    const int port = fine ? (int)strtol(reply->element[1]->str, NULL, 10) : 0;
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return server_at(all, port);
}

static bool knows_primary(t_sentinels *all, int watcher)
{
    redisReply *reply =
        t_ctl_cmd(t_sentinels_ctl(all, watcher), "SENTINEL", "MASTER", all->service);
    T_REQUIRE(reply != NULL);
    const char *others = field(reply, "num-other-sentinels");
    const bool fine = field_is(reply, "flags", "master") && others != NULL &&
                      strtol(others, NULL, 10) == all->watchers - 1;
    freeReplyObject(reply);
    return fine;
}

/* Does it take all other servers that run for replicas in good health? */
static bool knows_replicas(t_sentinels *all, int watcher)
{
    redisReply *reply =
        t_ctl_cmd(t_sentinels_ctl(all, watcher), "SENTINEL", "REPLICAS", all->service);
    T_REQUIRE(reply != NULL && reply->type == REDIS_REPLY_ARRAY);
    int good = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        const char *port = field(reply->element[i], "port");
        const int node = port == NULL ? -1 : server_at(all, (int)strtol(port, NULL, 10));
        good += node >= 0 && all->nodes[node].up && field_is(reply->element[i], "flags", "slave") &&
                field_is(reply->element[i], "master-link-status", "ok");
    }
    freeReplyObject(reply);
    return good == servers_up(all) - 1;
}

static bool knows_others(t_sentinels *all, int watcher)
{
    redisReply *reply =
        t_ctl_cmd(t_sentinels_ctl(all, watcher), "SENTINEL", "SENTINELS", all->service);
    T_REQUIRE(reply != NULL && reply->type == REDIS_REPLY_ARRAY);
    int good = 0;
    int up = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        good += field_is(reply->element[i], "flags", "sentinel");
    }
    freeReplyObject(reply);
    for (int i = 0; i < all->watchers; i++) {
        up += all->nodes[all->servers + i].up;
    }
    return good >= up - 1;
}

/* ---- All of them ----------------------------------------------------------------------------- */

bool t_sentinels_settled(t_sentinels *all)
{
    const int primary = t_sentinels_primary(all);
    if (primary < 0 || !all->nodes[primary].up || !t_sentinels_is_primary(all, primary)) {
        return false;
    }
    for (int i = 0; i < all->servers; i++) {
        if (i != primary && all->nodes[i].up && !follows(all, i, primary)) {
            return false;
        }
    }
    for (int i = all->servers; i < all->servers + all->watchers; i++) {
        if (all->nodes[i].up &&
            (t_sentinels_named_by(all, i) != primary || !knows_primary(all, i) ||
             !knows_replicas(all, i) || !knows_others(all, i))) {
            return false;
        }
    }
    return true;
}

void t_sentinels_settle(t_sentinels *all, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    while (!t_sentinels_settled(all)) {
        if (t_now_ms() > end_ms) {
            t_sentinels_die(all, "do not settle");
        }
        t_sleep_ms(POLL_MS);
    }
}

int t_sentinels_primary(t_sentinels *all)
{
    for (int i = all->servers; i < all->servers + all->watchers; i++) {
        if (all->nodes[i].up) {
            return t_sentinels_named_by(all, i);
        }
    }
    T_DIE("no sentinel runs");
}

void t_sentinels_wait_replicated(t_sentinels *all, int64_t timeout_ms)
{
    const int primary = t_sentinels_primary(all);
    const long long want = number_field(all, primary, "master_repl_offset");
    for (int i = 0; i < all->servers; i++) {
        if (i != primary && all->nodes[i].up) {
            T_WAIT_UNTIL(number_field(all, i, "slave_repl_offset") >= want, timeout_ms);
        }
    }
}

void t_sentinels_die(t_sentinels *all, const char *what)
{
    for (int i = 0; i < all->servers + all->watchers; i++) {
        const t_sentinels_node *node = &all->nodes[i];
        (void)fprintf(stderr, "-- node %d, port %d%s\n", i, node->port, node->up ? "" : ", down");
        if (node->up) {
            char *info = t_ctl_text(t_sentinels_ctl(all, i), "INFO",
                                    i < all->servers ? "replication" : "sentinel");
            char *log = t_server_log(node->server);
            const size_t len = strlen(log);
            (void)fprintf(stderr, "%s%s\n", info, log + (len > 1500 ? len - 1500 : 0));
            free(log);
            free(info);
        }
    }
    T_DIE("the sentinels and their servers %s", what);
}
