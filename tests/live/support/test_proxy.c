/* tests/live/support/test_proxy.c - the fault proxy in front of a real server: what the cases of
 * the client will do with it, done once with plain connections.                                  */

#include <sys/socket.h>
#include <unistd.h>

#include "support/check.h"
#include "support/ctl.h"
#include "support/live.h"
#include "support/proxy.h"

enum { SOON_MS = 10000 };

static t_addr address_of(const t_server *server)
{
    return (t_addr){.path = t_server_path(server)};
}

T_LIVE(support_proxy_live, a_client_does_not_notice_it)
{
    t_proxy *proxy = t_proxy_start(address_of(server), true);
    t_ctl *ctl = t_ctl_open_port(t_proxy_port(proxy), NULL, NULL);
    cr_assert_not_null(ctl);
    t_rng rng;
    t_rng_init(&rng, 3);
    static char value[300000];
    t_rng_fill(&rng, value, sizeof value);
    const t_arg set[] = {T_ARG("SET"), T_ARG("k"), T_ARG_BYTES(value, sizeof value)};
    freeReplyObject(t_ctl_args(ctl, 3, set));
    redisReply *reply = t_ctl_cmd(ctl, "GET", "k");
    cr_assert(t_same_bytes("value", reply->str, reply->len, value, sizeof value));
    freeReplyObject(reply);
    t_ctl_close(ctl);
    cr_assert(t_proxy_wait_closed(proxy, 1, SOON_MS));
    t_proxy_stop(proxy);
}

/* A reply and the push that makes it old, in one read: the state before the race of case 44. */
T_LIVE(support_proxy_live, holds_a_reply_until_the_push_has_joined_it)
{
    t_proxy *proxy = t_proxy_start(address_of(server), false);
    t_ctl *writer = t_ctl_open(server);
    t_ctl_ok(writer, "SET", "k", "old");
    const int fd = t_net_connect((t_addr){.path = t_proxy_path(proxy)});
    const char arm[] = "HELLO 3\r\nCLIENT TRACKING ON\r\n";
    cr_assert_eq(write(fd, arm, sizeof arm - 1), (ssize_t)sizeof arm - 1);
    const t_trigger hold = {
        .when = T_BEFORE, .pattern = "$3\r\nold", .pattern_len = 7, .what = T_DO_HOLD};
    const int id = t_proxy_on(proxy, 1, T_TO_CLIENT, &hold);
    cr_assert_eq(write(fd, "GET k\r\n", 7), 7);
    cr_assert(t_proxy_wait_fired(proxy, id, SOON_MS));
    const uint64_t before = t_proxy_forwarded(proxy, 1, T_TO_CLIENT);

    char handshake[4096];
    cr_assert_eq(recv(fd, handshake, before, MSG_WAITALL), (ssize_t)before);
    t_ctl_ok(writer, "SET", "k", "new");
    const char both[] = "$3\r\nold\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    cr_assert(t_proxy_wait_seen(proxy, 1, T_TO_CLIENT, before + sizeof both - 1, SOON_MS));
    t_proxy_release(proxy, 1, T_TO_CLIENT);
    char got[256];
    const ssize_t len = recv(fd, got, sizeof got, 0);
    cr_assert(t_same_bytes("one read", got, len < 0 ? 0 : (size_t)len, both, sizeof both - 1));
    (void)close(fd);
    t_ctl_close(writer);
    t_proxy_stop(proxy);
}

T_LIVE_PRIVATE(support_proxy_live, a_restarted_server_is_found_again)
{
    t_server *server = t_server_start(&(t_server_options){.kind = kind});
    t_proxy *proxy = t_proxy_start(address_of(server), false);
    t_ctl *ctl = t_ctl_open_path(t_proxy_path(proxy), NULL, NULL);
    t_ctl_ok(ctl, "SET", "k", "v");
    t_server_kill(server);
    cr_assert_not(t_ctl_try(ctl, "GET", "k"));
    t_ctl_close(ctl);
    t_server_restart(server, NULL);
    ctl = t_ctl_open_path(t_proxy_path(proxy), NULL, NULL);
    cr_assert_eq(t_ctl_int(ctl, "DBSIZE"), 0);
    t_ctl_close(ctl);
    t_proxy_stop(proxy);
    t_server_stop(server);
}
