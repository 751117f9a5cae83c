/* tests/unit/conn/test_sentinel_reply.c - what real sentinels of four kinds answered and announced,
 * and what they might.
 *
 * The kept answers are of a primary (port 21500) with two replicas (21501 and 21502), watched by
 * three sentinels (21503 to 21505). */
#include "conn/sentinel_reply.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "support/check.h"
#include "support/replies.h"

static const char *const kinds[] = {"redis", "redis8", "valkey", "valkey81"};
enum { KINDS = 4 };

static nkvi_sentinel_list list;
static nkv_error error;

static nkvi_draft kept(const char *kind, const char *what)
{
    char name[64];
    (void)snprintf(name, sizeof name, "sentinel/%s_%s", kind, what);
    return t_reply_kept(name);
}

static nkv_status address(nkvi_draft reply, nkvi_sentinel_address *out)
{
    nkv_status status = nkvi_sentinel_address_parse(&reply.root, out, &error);
    nkvi_draft_clear(&reply);
    return status;
}

static nkv_status primary(nkvi_draft reply, nkvi_sentinel_node *out)
{
    nkv_status status = nkvi_sentinel_primary_parse(&reply.root, out, &error);
    nkvi_draft_clear(&reply);
    return status;
}

static nkv_status replicas(nkvi_draft reply)
{
    nkvi_sentinel_list_clear(&list);
    nkv_status status = nkvi_sentinel_replicas_parse(&reply.root, &list, &error);
    nkvi_draft_clear(&reply);
    return status;
}

static nkv_status others(nkvi_draft reply)
{
    nkvi_sentinel_list_clear(&list);
    nkv_status status = nkvi_sentinel_others_parse(&reply.root, &list, &error);
    nkvi_draft_clear(&reply);
    return status;
}

static void done(void)
{
    nkvi_sentinel_list_clear(&list);
}

/* The list has servers of these two ports, in whatever order. */
static void assert_two(int a, int b)
{
    cr_assert_eq(list.n, 2);
    int first = list.nodes[0].at.port, second = list.nodes[1].at.port;
    cr_assert((first == a && second == b) || (first == b && second == a));
    cr_assert_str_eq(list.nodes[0].at.host, "127.0.0.1");
}

/* ---- Answers --------------------------------------------------------------------------------- */

Test(conn_sentinel_reply, tells_who_is_the_primary)
{
    for (int k = 0; k < KINDS; k++) {
        nkvi_sentinel_address at;
        nkvi_sentinel_node node;
        cr_assert_eq(address(kept(kinds[k], "address_2"), &at), NKV_OK);
        cr_assert(strcmp(at.host, "127.0.0.1") == 0 && at.port == 21500);
        cr_assert_eq(address(kept(kinds[k], "address_3"), &at), NKV_OK);
        cr_assert_eq(at.port, 21500);
        cr_assert_eq(primary(kept(kinds[k], "primary"), &node), NKV_OK);
        cr_assert_eq(node.at.port, 21500);
        cr_assert(!node.subjectively_down && !node.objectively_down && !node.disconnected);
    }
}

Test(conn_sentinel_reply, tells_that_a_primary_is_lost)
{
    nkvi_sentinel_node node;
    cr_assert_eq(primary(kept("redis", "primary_2"), &node), NKV_OK);
    cr_assert_not(node.disconnected);
    cr_assert_eq(primary(kept("redis", "primary_down"), &node), NKV_OK);
    cr_assert(node.disconnected && !node.subjectively_down);
    cr_assert_eq(primary(t_reply("*6\r\n+ip\r\n+h\r\n+port\r\n+1\r\n+flags\r\n"
                                 "+s_down,o_down,master\r\n"),
                         &node),
                 NKV_OK);
    cr_assert(node.subjectively_down && node.objectively_down && !node.disconnected);
}

Test(conn_sentinel_reply, a_service_may_be_unknown)
{
    nkvi_sentinel_address at;
    nkvi_sentinel_node node;
    cr_assert_eq(address(kept("redis", "address_unknown_2"), &at), NKV_NOT_FOUND);
    cr_assert_eq(address(kept("redis", "address_unknown_3"), &at), NKV_NOT_FOUND);
    cr_assert(at.host[0] == '\0' && at.port == 0);
    cr_assert_eq(primary(kept("redis", "unknown"), &node), NKV_NOT_FOUND);
    cr_assert_eq(replicas(kept("redis", "unknown")), NKV_NOT_FOUND);
    cr_assert_eq(others(t_reply("-ERR No such primary with that name\r\n")), NKV_NOT_FOUND);
}

Test(conn_sentinel_reply, lists_the_replicas, .fini = done)
{
    for (int k = 0; k < KINDS; k++) {
        cr_assert_eq(replicas(kept(kinds[k], "replicas_2")), NKV_OK);
        assert_two(21501, 21502);
        cr_assert_eq(replicas(kept(kinds[k], "replicas_3")), NKV_OK);
        assert_two(21501, 21502);
        cr_assert(list.nodes[0].link_up && list.nodes[1].link_up);
    }
    cr_assert_eq(replicas(kept("redis", "slaves_2")), NKV_OK);
    assert_two(21501, 21502);
    cr_assert_eq(replicas(t_reply("*0\r\n")), NKV_OK);
    cr_assert(list.n == 0 && list.nodes == NULL);
}

Test(conn_sentinel_reply, leaves_out_replicas_that_are_down, .fini = done)
{
    for (int k = 0; k < KINDS; k++) {
        cr_assert_eq(replicas(kept(kinds[k], "replicas_one_down")), NKV_OK);
        cr_assert_eq(list.n, 1);
        cr_assert_eq(list.nodes[0].at.port, 21501);
    }
}

#define SERVER(ip, port, flags) "%3\r\n+ip\r\n" ip "+port\r\n" port "+flags\r\n" flags

Test(conn_sentinel_reply, leaves_out_what_cannot_be_used, .fini = done)
{
    cr_assert_eq(
        replicas(t_reply("*9\r\n" SERVER("+a\r\n", "+1\r\n", "+slave\r\n") SERVER(
            "+b\r\n", "+1\r\n", "+s_down,slave\r\n") SERVER("+c\r\n", "+1\r\n", "+slave,o_down\r\n")
                             SERVER("+d\r\n", "+1\r\n", "+disconnected\r\n")
                                 SERVER("$0\r\n\r\n", "+1\r\n", "+slave\r\n")
                                     SERVER("+f\r\n", "+0\r\n", "+slave\r\n")
                                         SERVER("+g\r\n", "+65536\r\n", "+slave\r\n")
                                             SERVER("_\r\n", "+1\r\n", "+slave\r\n")
                                                 SERVER("+::1\r\n", ":65535\r\n",
                                                        "+disconnected_not,slave\r\n"))),
        NKV_OK);
    cr_assert_eq(list.n, 2);
    cr_assert_str_eq(list.nodes[0].at.host, "a");
    cr_assert_str_eq(list.nodes[1].at.host, "::1");
    cr_assert_not(list.nodes[1].link_up);
}

Test(conn_sentinel_reply, lists_the_other_sentinels, .fini = done)
{
    for (int k = 0; k < KINDS; k++) {
        cr_assert_eq(others(kept(kinds[k], "sentinels")), NKV_OK);
        assert_two(21504, 21505);
    }
    cr_assert_eq(others(kept("redis", "sentinels_2")), NKV_OK);
    assert_two(21504, 21505);
    cr_assert_eq(others(t_reply("*1\r\n" SERVER("+h\r\n", "+1\r\n", "+s_down,sentinel\r\n"))),
                 NKV_OK);
    cr_assert_eq(list.n, 1);
    cr_assert(list.nodes[0].subjectively_down);
}

Test(conn_sentinel_reply, what_cannot_be_understood_is_refused, .fini = done)
{
    static const char *const addresses[] = {
        "-NOAUTH Authentication required.\r\n",
        "+h\r\n",
        "*0\r\n",
        "*1\r\n+h\r\n",
        ":1\r\n",
        "*2\r\n+h\r\n+0\r\n",
        "*2\r\n+h\r\n+65536\r\n",
        "%1\r\n+h\r\n+1\r\n",
        "*2\r\n$0\r\n\r\n+1\r\n",
        "*2\r\n:1\r\n:1\r\n",
        "*3\r\n+h\r\n+1\r\n+1\r\n",
        "*2\r\n+a b\r\n+1\r\n",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        nkvi_sentinel_address at;
        cr_assert_eq(address(t_reply(addresses[i]), &at), NKV_EPROTO, "%s", addresses[i]);
        cr_assert(at.host[0] == '\0' && at.port == 0);
    }
    static const char *const lists[] = {
        "-NOAUTH Authentication required.\r\n",
        "+h\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "*1\r\n:1\r\n",
        ":1\r\n",
        "*2\r\n*0\r\n+x\r\n",
        "*1\r\n*1\r\n+ip\r\n",
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        nkvi_sentinel_node node;
        cr_assert_eq(replicas(t_reply(lists[i])), NKV_EPROTO, "%s", lists[i]);
        cr_assert(list.n == 0 && list.nodes == NULL);
        cr_assert_eq(others(t_reply(lists[i])), NKV_EPROTO, "%s", lists[i]);
        cr_assert_eq(primary(t_reply(lists[i]), &node), NKV_EPROTO, "%s", lists[i]);
    }
    cr_assert_eq(replicas(t_reply("-NOAUTH Authentication required.\r\n")), NKV_EPROTO);
    cr_assert_str_eq(error.text, "sentinel: NOAUTH Authentication required.");
}

Test(conn_sentinel_reply, has_room_for_1024_servers, .fini = done)
{
    for (int n = 1024; n <= 1025; n++) {
        nkvi_buf buf;
        nkvi_buf_init(&buf);
        nkvi_buf_printf(&buf, "*%d\r\n", n);
        for (int i = 0; i < n; i++) {
            nkvi_buf_printf(&buf, "*4\r\n+ip\r\n+h%d\r\n+port\r\n+%d\r\n", i, i + 1);
        }
        char *text = nkvi_buf_take(&buf, &(size_t){0});
        cr_assert_eq(others(t_reply(text)), n == 1024 ? NKV_OK : NKV_EPROTO);
        cr_assert_eq(list.n, n == 1024 ? 1024 : 0);
        nkvi_free(text);
    }
}

/* ---- Announcements --------------------------------------------------------------------------- */

typedef struct heard {
    int messages, concerned, due;
    nkvi_switch to;
    char payload[200];
} heard;

static void listen(const nkv_reply *reply, void *ud)
{
    heard *h = ud;
    nkv_str channel, payload;
    nkvi_sentinel_event event;

    if (!nkvi_message_parse(reply, &channel, &payload)) {
        return;
    }
    h->messages++;
    if (!nkvi_sentinel_event_parse(channel, payload, &event)) {
        return;
    }
    cr_assert_eq(event.service.len, strlen("redismaster"));
    cr_assert_eq(memcmp(event.service.data, "redismaster", event.service.len), 0);
    h->concerned++;
    h->due += event.refresh ? 1 : 0;
    if (event.switched) {
        cr_assert(event.refresh);
        (void)snprintf(h->payload, sizeof h->payload, "%.*s", (int)payload.len, payload.data);
        cr_assert(nkvi_switch_parse(nkv_cstr(h->payload), &h->to));
    }
}

/* All that sentinels announced while a primary died and came back. */
Test(conn_sentinel_event, is_what_sentinels_announce)
{
    for (int k = 0; k < KINDS; k++) {
        char path[T_PATH_MAX], *name = t_format("tests/fuzz/corpus/sentinel/%s_events", kinds[k]);
        size_t len;
        cr_assert(t_find_upwards(name, path));
        char *bytes = t_read_file(path, &len);
        heard h = {0};
        t_replies(bytes, len, listen, &h);
        cr_assert_geq(h.messages, 13);
        cr_assert_eq(h.concerned, h.messages - 2, "but +new-epoch and +vote-for-leader");
        cr_assert_eq(h.due, h.concerned);
        cr_assert_eq(h.to.old_port, 21500);
        cr_assert(h.to.new_port == 21501 || h.to.new_port == 21502);
        cr_assert_eq(h.to.new_host.len, 9);
        free(bytes);
        free(name);
    }
}

static bool event_of(const char *channel, const char *payload, nkvi_sentinel_event *out)
{
    return nkvi_sentinel_event_parse(nkv_cstr(channel), nkv_cstr(payload), out);
}

static void assert_concerns(const char *channel, const char *payload, const char *service,
                            bool refresh)
{
    nkvi_sentinel_event event;
    cr_assert(event_of(channel, payload, &event), "%s %s", channel, payload);
    cr_assert_eq(event.service.len, strlen(service), "%s %s", channel, payload);
    cr_assert_eq(memcmp(event.service.data, service, event.service.len), 0);
    cr_assert_eq(event.refresh, refresh, "%s %s", channel, payload);
}

Test(conn_sentinel_event, tells_whom_it_concerns)
{
    assert_concerns("+sdown", "slave 10.0.0.1:1 10.0.0.1 1 @ mine 10.0.0.2 2", "mine", true);
    assert_concerns("-sdown", "master mine 10.0.0.2 2", "mine", true);
    assert_concerns("+odown", "master mine 10.0.0.2 2 #quorum 3/2", "mine", true);
    assert_concerns("+slave", "slave [::1]:1 ::1 1 @ mine h 2", "mine", true);
    assert_concerns("+reboot", "master mine h 2", "mine", true);
    assert_concerns("+role-change", "slave a b 1 @ mine h 2 new reported role is master", "mine",
                    true);
    assert_concerns("+convert-to-slave", "slave a b 1 @ mine h 2", "mine", true);
    assert_concerns("+sentinel", "sentinel 0123 10.0.0.3 3 @ mine h 2", "mine", true);
    assert_concerns("+monitor", "master mine h 2 quorum 2", "mine", true);
    assert_concerns("+switch-master", "mine a 1 b 2", "mine", true);
    assert_concerns("+sdown", "replica a b 1 @ mine h 2", "mine", true);
}

Test(conn_sentinel_event, unknown_ones_are_let_pass)
{
    assert_concerns("+try-failover", "master mine h 2", "mine", false);
    assert_concerns("+something-new", "slave a b 1 @ mine h 2 and more", "mine", false);
    assert_concerns("+sdown-not", "master mine h 2", "mine", false);
}

Test(conn_sentinel_event, others_concern_nobody)
{
    static const char *const said[][2] = {
        {"+new-epoch", "1"},
        {"+vote-for-leader", "623252fe5a57e35407a7f57f87434e3d7352055a 1"},
        {"+tilt", "#tilt mode entered"},
        {"+sdown", ""},
        {"+sdown", "   "},
        {"+sdown", "master"},
        {"+sdown", "master mine"},
        {"+sdown", "master mine h"},
        {"+sdown", "master mine h x"},
        {"+sdown", "slave a b 1"},
        {"+sdown", "slave a b 1 @"},
        {"+sdown", "slave a b 1 x mine h 2"},
        {"+switch-master", "master mine h 2"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        nkvi_sentinel_event event = {.refresh = true};
        cr_assert_not(event_of(said[i][0], said[i][1], &event), "%s %s", said[i][0], said[i][1]);
        cr_assert(!event.refresh && event.service.len == 0);
    }
}

Test(conn_sentinel_event, switch_names_both_primaries)
{
    nkvi_sentinel_event event;
    cr_assert(event_of("+switch-master", "mine ::1 6379 new.example.com 65535", &event));
    cr_assert(event.switched);
    cr_assert_eq(memcmp(event.to.old_host.data, "::1 ", 4), 0);
    cr_assert_eq(event.to.old_port, 6379);
    cr_assert_eq(event.to.new_host.len, strlen("new.example.com"));
    cr_assert_eq(event.to.new_port, 65535);
}

Test(conn_sentinel_event, a_switch_that_is_none_is_refused)
{
    static const char *const payloads[] = {
        "",
        "mine",
        "mine a 1 b",
        "mine a 1 b 0",
        "mine a 1 b 65536",
        "mine a x b 1",
        "mine a 1 b 1x",
        "mine a 1 b 1 more",
        "a 1 b 2",
    };
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        nkvi_switch to = {.new_port = 7};
        cr_assert_not(nkvi_switch_parse(nkv_cstr(payloads[i]), &to), "%s", payloads[i]);
        cr_assert(to.new_port == 0 && to.service.len == 0);
    }
    nkvi_switch to;
    char text[600];
    memset(text, 'h', sizeof text);
    (void)snprintf(text, sizeof text, "mine a 1 ");
    text[9] = 'h';
    (void)snprintf(text + 9 + 256, sizeof text - 265, " 2");
    cr_assert_not(nkvi_switch_parse(nkv_cstr(text), &to));
    (void)snprintf(text + 9 + 255, sizeof text - 265, " 2");
    cr_assert(nkvi_switch_parse(nkv_cstr(text), &to));
}

static bool is_message(const char *text)
{
    nkvi_draft reply = t_reply(text);
    nkv_str channel, payload;
    bool is = nkvi_message_parse(&reply.root, &channel, &payload);
    cr_assert(!is || (channel.len == 2 && channel.data[0] == 'c' && payload.len == 1));
    nkvi_draft_clear(&reply);
    return is;
}

Test(conn_sentinel_event, comes_as_message_of_either_protocol)
{
    cr_assert(is_message(">3\r\n+message\r\n+ch\r\n+p\r\n"));
    cr_assert(is_message("*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\np\r\n"));
    cr_assert(is_message(">4\r\n+pmessage\r\n+*\r\n+ch\r\n+p\r\n"));
    cr_assert_not(is_message(">3\r\n+subscribe\r\n+ch\r\n:1\r\n"));
    cr_assert_not(is_message(">3\r\n+pmessage\r\n+ch\r\n+p\r\n"));
    cr_assert_not(is_message(">2\r\n+message\r\n+ch\r\n"));
    cr_assert_not(is_message(">3\r\n+message\r\n+ch\r\n_\r\n"));
    cr_assert_not(is_message("+message\r\n"));
    cr_assert_not(is_message("*0\r\n"));
}
