/* support/fake_sentinel.c - see fake_sentinel.h. */

#include "support/fake_sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

static void answer(t_fake *fake, char *reply, const char *const *words)
{
    t_fake_on_argv(fake, reply, strlen(reply), words);
    free(reply);
}
#define ANSWER(fake, reply, ...) answer((fake), (reply), (const char *const[]){__VA_ARGS__, NULL})

void t_fs_name(t_fs *s, const t_fake *fake, int epoch)
{
    char port[8], number[8];
    (void)snprintf(port, sizeof port, "%d", t_fake_port(fake));
    (void)snprintf(number, sizeof number, "%d", epoch);
    ANSWER(s->sentinel, t_format("*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port),
           "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "...");
    ANSWER(s->sentinel,
           t_format("%%4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$%zu\r\n%s\r\n"
                    "$5\r\nflags\r\n$6\r\nmaster\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
                    strlen(port), port, strlen(number), number),
           "SENTINEL", "MASTER", "...");
}

void t_fs_role(t_fake *fake, const char *role)
{
    char text[160];
    (void)snprintf(text, sizeof text,
                   "role:%s\r\nmaster_link_status:up\r\nmaster_replid:%040d\r\n"
                   "master_repl_offset:7\r\nslave_repl_offset:7\r\n",
                   role, 1);
    ANSWER(fake, t_format("$%zu\r\n%s\r\n", strlen(text), text), "INFO", "...");
    ANSWER(fake, t_format("*3\r\n$%zu\r\n%s\r\n:7\r\n*0\r\n", strlen(role), role), "ROLE");
}

static t_fake *server_start(const char *name, const char *role)
{
    t_fake *fake = t_fake_start(&(t_fake_options){.tcp = true});
    ANSWER(fake, t_format("$1\r\n%s\r\n", name), "GET", "*");
    t_fake_on(fake, ":-1\r\n", "PTTL", "*");
    t_fake_on(fake, "+OK\r\n", "SET", "...");
    t_fs_role(fake, role);
    return fake;
}

void t_fs_start(t_fs *s)
{
    s->sentinel = t_fake_start(&(t_fake_options){.tcp = true});
    s->a = server_start("a", "master");
    s->b = server_start("b", "slave");
    t_fake_on(s->sentinel, "*0\r\n", "SENTINEL", "REPLICAS", "...");
    t_fake_on(s->sentinel, "*0\r\n", "SENTINEL", "SENTINELS", "...");
    t_fs_name(s, s->a, 1);
    (void)snprintf(s->url, sizeof s->url, "redis-sentinel://127.0.0.1:%d/s",
                   t_fake_port(s->sentinel));
}

void t_fs_stop(t_fs *s)
{
    t_fake_stop(s->sentinel);
    t_fake_stop(s->a);
    t_fake_stop(s->b);
}

void t_fs_announce(t_fs *s, int from, int to)
{
    char payload[96], bytes[192];
    T_REQUIRE(t_fake_wait_hits(s->sentinel, 1, 10000, "SUBSCRIBE", "..."));
    long at = t_fake_find(s->sentinel, 0, "SUBSCRIBE", "...");
    (void)snprintf(payload, sizeof payload, "s 127.0.0.1 %d 127.0.0.1 %d", from, to);
    (void)snprintf(bytes, sizeof bytes,
                   ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n",
                   strlen(payload), payload);
    (void)t_fake_try_send(s->sentinel, t_fake_command_at(s->sentinel, (size_t)at).conn, bytes,
                          strlen(bytes));
}
