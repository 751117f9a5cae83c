/* support/sentinel.c - starts a primary, replicas and sentinels, and what happens to them.
 *
 *      proxies ──> primary ──> replicas ──> sentinels, told the primary's announced address
 *
 * Invariants   nodes[i].ctl is NULL unless nodes[i].up
 * Callers      live tests of sentinels                                                           */

#include "support/sentinel.h"

#include "support/check.h"
#include "support/decimal.h"
#include "support/sentinel_impl.h"

#include <stdlib.h>

enum {
    REPLICAS = 2,
    WATCHERS = 3,
    DOWN_AFTER_MS = 1000,
    FAILOVER_MS = 5000,
    AGAIN_MS = 6000,
    STAGGER_MS = 200,
    PUBLISH_FIRST_MS = 100,
    PUBLISH_MS = 600,
    TAKEOVER_MS = 60000,
    ARGS_MAX = 48
};

/* ---- Servers --------------------------------------------------------------------------------- */

static t_sentinels_node *node_of(const t_sentinels *all, int node)
{
    T_REQUIRE(node >= 0 && node < all->servers + all->watchers);
    return (t_sentinels_node *)(uintptr_t)&all->nodes[node];
}

static void copy_args(t_sentinels *all, const char *const *args)
{
    all->more_args = calloc(ARGS_MAX, sizeof *all->more_args);
    T_REQUIRE(all->more_args != NULL);
    for (size_t i = 0; args != NULL && args[i] != NULL; i++) {
        T_REQUIRE(i < ARGS_MAX - 1);
        all->more_args[i] = t_format("%s", args[i]);
    }
}

/* Writes the arguments of a server that follows node `primary` (-1: none), borrowed strings. */
static void make_args(const t_sentinels *all, int node, int primary, const char *args[ARGS_MAX])
{
    static t_decimal own;
    static t_decimal other;
    own = t_decimal_of(all->nodes[node].port);
    other = t_decimal_of(primary < 0 ? 0 : all->nodes[primary].port);
    const char *const fixed[] = {"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"};
    const char *const announce[] = {"--replica-announce-ip", "127.0.0.1", "--replica-announce-port",
                                    own.text};
    const char *const follow[] = {"--replicaof", "127.0.0.1", other.text};
    size_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        args[count++] = fixed[i];
    }
    for (size_t i = 0; i < 4 && all->proxied; i++) {
        args[count++] = announce[i];
    }
    for (size_t i = 0; i < 3 && primary >= 0; i++) {
        args[count++] = follow[i];
    }
    if (all->password != NULL) {
        args[count++] = "--masterauth";
        args[count++] = all->password;
    }
    for (size_t i = 0; all->more_args[i] != NULL; i++) {
        T_REQUIRE(count < ARGS_MAX - 1);
        args[count++] = all->more_args[i];
    }
    args[count] = NULL;
}

static void launch_server(t_sentinels *all, int number, int primary)
{
    t_sentinels_node *node = &all->nodes[number];
    const char *args[ARGS_MAX];
    if (all->proxied) { /* it must know its port; where that leads is known later */
        node->proxy = t_proxy_start((t_addr){.port = 1}, true);
        node->port = t_proxy_port(node->proxy);
    }
    make_args(all, number, primary, args);
    node->server = t_server_launch(&(t_server_options){
        .kind = all->kind, .tcp = true, .password = all->password, .args = args});
}

static void welcome_server(t_sentinels_node *node)
{
    t_server_wait_ready(node->server);
    if (node->proxy == NULL) {
        node->port = t_server_port(node->server);
    } else {
        t_proxy_retarget(node->proxy, (t_addr){.port = t_server_port(node->server)});
    }
    node->up = true;
}

static void start_servers(t_sentinels *all)
{
    launch_server(all, 0, -1);
    welcome_server(&all->nodes[0]);
    for (int i = 1; i < all->servers; i++) {
        launch_server(all, i, 0);
    }
    for (int i = 1; i < all->servers; i++) {
        welcome_server(&all->nodes[i]);
    }
}

/* ---- Sentinels ------------------------------------------------------------------------------- */

static char *add_line(char *text, const char *name, const char *service, const char *value)
{
    char *longer = t_format("%ssentinel %s %s %s\n", text, name, service, value);
    free(text);
    return longer;
}

/* Sentinels that notice something at the same moment all vote for themselves, and try again after
 * twice the failover timeout: so each is a little slower than the one before.                    */
static char *make_config(const t_sentinels *all, const t_sentinels_options *options, int watcher)
{
    const int down_ms = (options->down_after_ms == 0 ? DOWN_AFTER_MS : options->down_after_ms) +
                        watcher * STAGGER_MS;
    const int failover_ms =
        options->failover_timeout_ms == 0 ? FAILOVER_MS : options->failover_timeout_ms;
    char *text = t_format("sentinel monitor %s 127.0.0.1 %d %d\n", all->service, all->nodes[0].port,
                          all->watchers / 2 + 1);
    text = add_line(text, "down-after-milliseconds", all->service, t_decimal_of(down_ms).text);
    text = add_line(text, "failover-timeout", all->service, t_decimal_of(failover_ms).text);
    if (options->password != NULL) {
        text = add_line(text, "auth-pass", all->service, options->password);
    }
    if (options->sentinel_password != NULL) {
        text = add_line(text, "sentinel-pass", options->sentinel_password, "");
    }
    return text;
}

/* One that cannot be told is only slower. What is too fast fails: a replica is good enough to be
 * made the primary if it was heard of within 3 INFO-PERIODs, or 5 PING-PERIODs once the primary is
 * down; and one that was made it is made a replica again by those sentinels that do not hear of it
 * within 4 PUBLISH-PERIODs. During a failover servers are asked once a second.                   */
static void hurry(t_sentinels *all, int node, int publish_ms)
{
    static const char *const periods[][2] = {
        {"INFO-PERIOD", "200"}, {"ASK-PERIOD", "100"}, {"PING-PERIOD", "400"}};
    t_ctl *ctl = t_sentinels_ctl(all, node);
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        (void)t_ctl_try(ctl, "SENTINEL", "DEBUG", periods[i][0], periods[i][1]);
    }
    (void)t_ctl_try(ctl, "SENTINEL", "DEBUG", "PUBLISH-PERIOD", t_decimal_of(publish_ms).text);
    /* On a machine under load it may lose 2 s and then keeps still for 30. */
    (void)t_ctl_try(ctl, "SENTINEL", "DEBUG", "TILT-PERIOD", "1000");
}

static void start_watchers(t_sentinels *all, const t_sentinels_options *options)
{
    for (int i = 0; i < all->watchers; i++) {
        char *config = make_config(all, options, i);
        all->nodes[all->servers + i].server =
            t_server_launch(&(t_server_options){.kind = all->kind,
                                                .tcp = true,
                                                .password = options->sentinel_password,
                                                .sentinel = config});
        free(config);
    }
    for (int i = all->servers; i < all->servers + all->watchers; i++) {
        welcome_server(&all->nodes[i]);
        hurry(all, i, PUBLISH_FIRST_MS);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void make_url(t_sentinels *all)
{
    const bool open = all->password == NULL;
    all->url = t_format("redis-sentinel://%s%s%s", open ? "" : ":", open ? "" : all->password,
                        open ? "" : "@");
    for (int i = 0; i < all->watchers; i++) {
        char *longer = t_format("%s%s127.0.0.1:%d", all->url, i == 0 ? "" : ",",
                                all->nodes[all->servers + i].port);
        free(all->url);
        all->url = longer;
    }
    char *longer = t_format("%s/%s", all->url, all->service);
    free(all->url);
    all->url = longer;
}

t_sentinels *t_sentinels_start(const t_sentinels_options *options)
{
    const t_sentinels_options defaults = {.kind = NULL};
    options = options == NULL ? &defaults : options;
    t_sentinels *all = calloc(1, sizeof *all);
    T_REQUIRE(all != NULL);
    all->kind = t_format("%s", t_server_kind_find(options->kind)->name);
    all->service = t_format("%s", options->service == NULL ? "redismaster" : options->service);
    all->password = options->password == NULL ? NULL : t_format("%s", options->password);
    all->proxied = options->proxied;
    copy_args(all, options->args);
    all->servers = 1 + (options->replicas == 0 ? REPLICAS : options->replicas);
    all->watchers = options->sentinels == 0 ? WATCHERS : options->sentinels;
    T_REQUIRE(all->servers + all->watchers <= T_SENTINELS_NODES_MAX);
    start_servers(all);
    start_watchers(all, options);
    make_url(all);
    t_sentinels_settle(all, T_SENTINELS_SETTLE_MS);
    for (int i = all->servers; i < all->servers + all->watchers; i++) {
        hurry(all, i, PUBLISH_MS);
    }
    return all;
}

void t_sentinels_stop(t_sentinels *all)
{
    if (all == NULL) {
        return;
    }
    for (int i = 0; i < all->servers + all->watchers; i++) {
        t_ctl_close(all->nodes[i].ctl);
        t_proxy_stop(all->nodes[i].proxy);
        t_server_stop(all->nodes[i].server);
    }
    for (char **arg = all->more_args; *arg != NULL; arg++) {
        free(*arg);
    }
    free(all->more_args);
    free(all->kind);
    free(all->service);
    free(all->password);
    free(all->url);
    free(all);
}

/* ---- Where they are -------------------------------------------------------------------------- */

const char *t_sentinels_url(const t_sentinels *all)
{
    return all->url;
}

const char *t_sentinels_service(const t_sentinels *all)
{
    return all->service;
}

int t_sentinels_servers(const t_sentinels *all)
{
    return all->servers;
}

int t_sentinels_watchers(const t_sentinels *all)
{
    return all->watchers;
}

int t_sentinels_watcher(const t_sentinels *all, int number)
{
    T_REQUIRE(number >= 0 && number < all->watchers);
    return all->servers + number;
}

t_server *t_sentinels_server(const t_sentinels *all, int node)
{
    return node_of(all, node)->server;
}

int t_sentinels_port(const t_sentinels *all, int node)
{
    return node_of(all, node)->port;
}

t_proxy *t_sentinels_proxy(const t_sentinels *all, int node)
{
    return node_of(all, node)->proxy;
}

bool t_sentinels_up(const t_sentinels *all, int node)
{
    return node_of(all, node)->up;
}

t_ctl *t_sentinels_ctl(t_sentinels *all, int number)
{
    t_sentinels_node *node = node_of(all, number);
    if (!node->up) {
        T_DIE("node %d does not run", number);
    }
    if (node->ctl != NULL && !t_ctl_try(node->ctl, "PING")) {
        t_ctl_close(node->ctl);
        node->ctl = NULL;
    }
    if (node->ctl == NULL) {
        node->ctl = t_ctl_open(node->server);
    }
    return node->ctl;
}

/* ---- What happens to them -------------------------------------------------------------------- */

/* Waits until another than `old` is named and all is settled. False after `timeout_ms`. */
static bool changes(t_sentinels *all, int old, int64_t timeout_ms)
{
    const int64_t end_ms = t_now_ms() + timeout_ms;
    while (t_sentinels_primary(all) == old || !t_sentinels_settled(all)) {
        if (t_now_ms() > end_ms) {
            return false;
        }
        t_sleep_ms(5);
    }
    return true;
}

int t_sentinels_failover(t_sentinels *all)
{
    const int old = t_sentinels_primary(all);
    const int64_t end_ms = t_now_ms() + TAKEOVER_MS;
    do {
        if (t_now_ms() > end_ms) {
            t_sentinels_die(all, "do not fail over");
        }
        for (int i = all->servers; t_sentinels_primary(all) == old; i++) {
            if (all->nodes[i].up) {
                (void)t_ctl_try(t_sentinels_ctl(all, i), "SENTINEL", "FAILOVER", all->service);
                break;
            }
        }
    } while (!changes(all, old, AGAIN_MS));
    return t_sentinels_primary(all);
}

int t_sentinels_wait_takeover(t_sentinels *all, int node)
{
    if (!changes(all, node, TAKEOVER_MS)) {
        t_sentinels_die(all, "have nobody who takes over");
    }
    return t_sentinels_primary(all);
}

/* From now on nothing is asked of the node. */
static void leave_alone(t_sentinels *all, int number)
{
    t_sentinels_node *node = node_of(all, number);
    if (node->up && number < all->servers) {
        node->was_primary = t_sentinels_is_primary(all, number);
    }
    t_ctl_close(node->ctl);
    node->ctl = NULL;
    node->up = false;
}

void t_sentinels_kill(t_sentinels *all, int node)
{
    leave_alone(all, node);
    t_server_kill(all->nodes[node].server);
}

void t_sentinels_restart(t_sentinels *all, int number)
{
    t_sentinels_node *node = node_of(all, number);
    leave_alone(all, number);
    if (number < all->servers) {
        const int primary = node->was_primary ? -1 : t_sentinels_primary(all);
        const char *args[ARGS_MAX];
        make_args(all, number, primary, args);
        t_server_restart(node->server, args);
        node->up = true;
    } else {
        t_server_restart(node->server, NULL);
        node->up = true;
        hurry(all, number, PUBLISH_MS);
    }
    t_sentinels_settle(all, T_SENTINELS_SETTLE_MS);
}

void t_sentinels_pause(t_sentinels *all, int node)
{
    T_REQUIRE(t_sentinels_up(all, node));
    leave_alone(all, node);
    t_server_pause(all->nodes[node].server);
}

void t_sentinels_continue(t_sentinels *all, int node)
{
    T_REQUIRE(!t_sentinels_up(all, node));
    t_server_resume(all->nodes[node].server);
    all->nodes[node].up = true;
}

void t_sentinels_resume(t_sentinels *all, int node)
{
    t_sentinels_continue(all, node);
    t_sentinels_settle(all, T_SENTINELS_SETTLE_MS);
}
