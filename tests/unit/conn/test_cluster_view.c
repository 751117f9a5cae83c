/* tests/unit/conn/test_cluster_view.c - clusters as real servers of four kinds told of them, and
 * what they might tell.
 *
 * The kept replies are of clusters of three primaries (ports 21000 to 21002, in the order of their
 * slots) with a replica each (21003 to 21005). */
#include "conn/cluster_view.h"

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

static nkvi_cluster_view view;
static nkv_error error;

static nkv_status parse(nkvi_draft reply)
{
    nkv_status status = nkvi_cluster_view_parse(&reply.root, &view, &error);
    nkvi_draft_clear(&reply);
    return status;
}

static nkv_status parse_text(const char *text)
{
    return parse(t_reply(text));
}

/* The kept reply of a server of that kind. */
static void parse_kept(const char *kind, const char *what)
{
    char name[64];
    (void)snprintf(name, sizeof name, "cluster/%s_%s", kind, what);
    cr_assert_eq(parse(t_reply_kept(name)), NKV_OK, "%s: %s", name, error.text);
}

static void done(void)
{
    nkvi_cluster_view_clear(&view);
}

static const nkvi_view_node *at_port(int port)
{
    for (size_t i = 0; i < view.nodes_len; i++) {
        if (view.nodes[i].port == port) {
            return &view.nodes[i];
        }
    }
    cr_assert_fail("no node at %d", port);
    return NULL;
}

static void assert_range(size_t i, unsigned first, unsigned last, int port)
{
    cr_assert_lt(i, view.ranges_len);
    cr_assert_eq(view.ranges[i].first, first);
    cr_assert_eq(view.ranges[i].last, last);
    cr_assert_lt(view.ranges[i].node, view.nodes_len);
    cr_assert_eq(view.nodes[view.ranges[i].node].port, port);
    cr_assert(view.nodes[view.ranges[i].node].primary);
}

/* ---- What servers told ----------------------------------------------------------------------- */

static void assert_thirds(int third)
{
    cr_assert_eq(view.ranges_len, 3);
    assert_range(0, 0, 5460, 21000);
    assert_range(1, 5461, 10921, 21001);
    assert_range(2, 10922, 16383, third);
}

static void assert_pairs(void)
{
    cr_assert_eq(view.nodes_len, 6);
    for (int i = 0; i < 3; i++) {
        const nkvi_view_node *primary = at_port(21000 + i), *replica = at_port(21003 + i);
        cr_assert(primary->primary && primary->online);
        cr_assert_not(replica->primary);
        cr_assert_eq(primary->shard, replica->shard);
        cr_assert_neq(primary->shard, at_port(21000 + (i + 1) % 3)->shard);
        cr_assert_eq(strlen(primary->id), 40);
        cr_assert_str_eq(primary->host, "127.0.0.1");
        cr_assert_eq(primary->tls_port, 0);
    }
}

Test(conn_cluster_view, is_what_shards_tell_in_either_protocol, .fini = done)
{
    for (int k = 0; k < KINDS; k++) {
        for (int protocol = 2; protocol <= 3; protocol++) {
            parse_kept(kinds[k], protocol == 2 ? "shards_2" : "shards_3");
            assert_pairs();
            assert_thirds(21002);
            cr_assert_not(at_port(21003)->online, "it has no data yet");
            done();
        }
    }
}

Test(conn_cluster_view, is_what_slots_tell, .fini = done)
{
    for (int k = 0; k < KINDS; k++) {
        parse_kept(kinds[k], "slots_3");
        assert_thirds(21002);
        cr_assert_eq(view.nodes_len, 5, "a replica without data is left out");
        cr_assert_eq(at_port(21003)->shard, at_port(21000)->shard);
        cr_assert_neq(at_port(21003)->shard, at_port(21001)->shard);
        cr_assert(at_port(21003)->online && !at_port(21003)->primary);
        done();
        parse_kept(kinds[k], "slots_2");
        cr_assert_eq(view.nodes_len, 3);
        assert_thirds(21002);
        done();
    }
}

/* The old primary still says that it is one; later servers list it first, in the same shard. */
Test(conn_cluster_view, slots_are_of_the_one_that_took_over, .fini = done)
{
    for (int k = 0; k < KINDS; k++) {
        parse_kept(kinds[k], "shards_took_over");
        cr_assert_eq(view.nodes_len, 6);
        assert_thirds(21005);
        cr_assert(at_port(21005)->online);
        cr_assert(at_port(21002)->primary && !at_port(21002)->online);
        done();
        parse_kept(kinds[k], "slots_took_over");
        assert_thirds(21005);
        done();
    }
}

Test(conn_cluster_view, a_primary_may_serve_nothing, .fini = done)
{
    for (int k = 0; k < KINDS; k++) {
        parse_kept(kinds[k], "shards_no_slots");
        cr_assert_eq(view.nodes_len, 6);
        cr_assert_eq(view.ranges_len, 2);
        assert_range(0, 5461, 10921, 21001);
        assert_range(1, 10922, 16383, 21005);
        cr_assert(at_port(21000)->primary);
        cr_assert_eq(at_port(21000)->shard, at_port(21003)->shard);
        done();
    }
}

/* cluster-preferred-endpoint-type hostname; the same without a name; unknown-endpoint. */
Test(conn_cluster_view, hosts_are_what_nodes_want_to_be_called, .fini = done)
{
    static const struct {
        const char *what, *host;
    } said[] = {
        {"shards_hostname", "n21001.example.com"},
        {"slots_hostname", "n21001.example.com"},
        {"shards_nohostname", "127.0.0.1"},
        {"slots_nohostname", "127.0.0.1"},
        {"shards_unknown", ""},
        {"slots_unknown", ""},
    };
    static const char *const of[] = {"redis_2", "redis_3", "redis8_3", "valkey81_3"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        for (size_t j = 0; j < sizeof of / sizeof of[0]; j++) {
            char kind[16], what[32];
            const char *protocol = strchr(of[j], '_');
            (void)snprintf(kind, sizeof kind, "%.*s", (int)(protocol - of[j]), of[j]);
            (void)snprintf(what, sizeof what, "%s%s", said[i].what, protocol);
            parse_kept(kind, what);
            cr_assert_str_eq(at_port(21001)->host, said[i].host, "%s %s", kind, what);
            done();
        }
    }
}

/* ---- What they might tell -------------------------------------------------------------------- */

#define NODE(id, port, endpoint, role)                                            \
    "%5\r\n+id\r\n+" id "\r\n+port\r\n:" port "\r\n+endpoint\r\n" endpoint "\r\n" \
    "+role\r\n+" role "\r\n+health\r\n+online\r\n"
#define SHARD(slots, nodes) "%2\r\n+slots\r\n" slots "+nodes\r\n" nodes

Test(conn_cluster_view, a_shard_without_a_primary_has_no_ranges, .fini = done)
{
    cr_assert_eq(
        parse_text("*1\r\n" SHARD("*2\r\n:0\r\n:16383\r\n", "*2\r\n" NODE("a", "1", "+h", "replica")
                                                                NODE("b", "2", "+h", "replica"))),
        NKV_OK);
    cr_assert_eq(view.ranges_len, 0);
    cr_assert_eq(view.nodes_len, 2);
    cr_assert_eq(view.nodes[0].shard, view.nodes[1].shard);
}

/* Whoever is named in two entries joins them. */
Test(conn_cluster_view, one_shard_may_be_told_twice, .fini = done)
{
    cr_assert_eq(
        parse_text("*3\r\n" SHARD("*2\r\n:0\r\n:9\r\n", "*1\r\n" NODE("a", "1", "+h", "master"))
                       SHARD("*0\r\n", "*1\r\n" NODE("c", "3", "+h", "master"))
                           SHARD("*2\r\n:20\r\n:29\r\n", "*2\r\n" NODE("b", "2", "+h", "replica")
                                                             NODE("a", "1", "+h", "master"))),
        NKV_OK);
    cr_assert_eq(view.nodes_len, 3);
    cr_assert_eq(at_port(1)->shard, at_port(2)->shard);
    cr_assert_neq(at_port(1)->shard, at_port(3)->shard);
    cr_assert_eq(view.ranges_len, 2);
    assert_range(0, 0, 9, 1);
    assert_range(1, 20, 29, 1);
}

static const char *host_of(const char *fields)
{
    char *text = t_format("*1\r\n*4\r\n+slots\r\n*0\r\n+nodes\r\n*1\r\n%s", fields);
    done();
    cr_assert_eq(parse_text(text), NKV_OK, "%s", error.text);
    free(text);
    return view.nodes[0].host;
}

Test(conn_cluster_view, the_address_is_found_by_its_rule, .fini = done)
{
    cr_assert_str_eq(host_of(NODE("a", "1", "$-1", "master")), "");
    cr_assert_str_eq(host_of(NODE("a", "1", "_", "master")), "");
    cr_assert_str_eq(host_of("%4\r\n+role\r\n+x\r\n+endpoint\r\n+?\r\n+ip\r\n$0\r\n\r\n+hostname\r"
                             "\n+n\r\n"),
                     "n");
    cr_assert_str_eq(host_of("%4\r\n+role\r\n+x\r\n+endpoint\r\n+?\r\n+ip\r\n+::1\r\n+hostname\r"
                             "\n+n\r\n"),
                     "::1");
    cr_assert_str_eq(host_of("%2\r\n+role\r\n+x\r\n+endpoint\r\n+?\r\n"), "");
    cr_assert_str_eq(host_of("%2\r\n+role\r\n+x\r\n+ip\r\n+10.0.0.1\r\n"), "10.0.0.1");
}

Test(conn_cluster_view, a_node_may_speak_tls_alone, .fini = done)
{
    (void)host_of("%3\r\n+role\r\n+master\r\n+tls-port\r\n:7001\r\n+endpoint\r\n+h\r\n");
    cr_assert(view.nodes[0].port == 0 && view.nodes[0].tls_port == 7001);
    cr_assert(view.nodes[0].online);
    (void)host_of("*8\r\n+role\r\n+master\r\n+tls-port\r\n:7001\r\n+port\r\n:7000\r\n+health\r\n+"
                  "online\r\n");
    cr_assert(view.nodes[0].port == 7000 && view.nodes[0].tls_port == 7001);
    (void)host_of("%1\r\n+role\r\n+master\r\n");
    cr_assert_not(view.nodes[0].online, "nobody can reach it");
}

/* Before Redis 4 nodes had no ids in SLOTS. */
Test(conn_cluster_view, nodes_without_ids_are_told_apart_by_address, .fini = done)
{
    cr_assert_eq(parse_text("*3\r\n*4\r\n:10\r\n:19\r\n*2\r\n+h\r\n:1\r\n*2\r\n+h\r\n:2\r\n"
                            "*3\r\n:0\r\n:9\r\n*2\r\n+g\r\n:1\r\n"
                            "*4\r\n:20\r\n:20\r\n*2\r\n+h\r\n:2\r\n*2\r\n+h\r\n:1\r\n"),
                 NKV_OK);
    cr_assert_eq(view.nodes_len, 3);
    cr_assert_eq(view.ranges_len, 3);
    cr_assert_str_eq(view.nodes[view.ranges[0].node].host, "g");
    assert_range(1, 10, 19, 1);
    assert_range(2, 20, 20, 2);
    cr_assert_eq(view.nodes[0].id[0], '\0');
}

Test(conn_cluster_view, an_id_that_is_too_long_is_none, .fini = done)
{
    cr_assert_eq(parse_text("*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n+h\r\n:1\r\n+"
                            "01234567890123456789012345678901234567890\r\n"),
                 NKV_OK);
    cr_assert_str_eq(view.nodes[0].id, "");
    done();
    cr_assert_eq(parse_text("*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n+h\r\n:1\r\n+"
                            "0123456789012345678901234567890123456789\r\n"),
                 NKV_OK);
    cr_assert_eq(strlen(view.nodes[0].id), 40);
}

Test(conn_cluster_view, a_cluster_may_be_empty, .fini = done)
{
    cr_assert_eq(parse_text("*0\r\n"), NKV_OK);
    cr_assert(view.nodes_len == 0 && view.ranges_len == 0);
}

/* ---- What is refused ------------------------------------------------------------------------- */

#define RANGE(first, last) "*3\r\n:" first "\r\n:" last "\r\n*2\r\n+h\r\n:1\r\n"

Test(conn_cluster_view, what_cannot_be_understood_is_refused)
{
    static const struct {
        const char *text, *says;
    } refused[] = {
        {"-ERR This instance has cluster support disabled\r\n", "cluster support disabled"},
        {"$2\r\nhi\r\n", "no list"},
        {"_\r\n", "no list"},
        {":1\r\n", "no list"},
        {"*1\r\n:1\r\n", "a shard without"},
        {"*1\r\n*0\r\n", "a shard without"},
        {"*1\r\n*1\r\n+slots\r\n", "a shard without"},
        {"*1\r\n%1\r\n+slots\r\n*0\r\n", "a shard without"},
        {"*1\r\n" SHARD("*1\r\n:1\r\n", "*0\r\n"), "a shard without"},
        {"*1\r\n" SHARD("*0\r\n", "*1\r\n:1\r\n"), "without a role"},
        {"*1\r\n" SHARD("*0\r\n", "*1\r\n%1\r\n+id\r\n+a\r\n"), "without a role"},
        {"*1\r\n" SHARD("*0\r\n", "*1\r\n" NODE("a", "65536", "+h", "master")), "port"},
        {"*1\r\n" SHARD("*0\r\n", "*1\r\n" NODE("a", "-1", "+h", "master")), "port"},
        {"*1\r\n" SHARD("*0\r\n", "*1\r\n" NODE("a", "1", "+a b", "master")), "no host"},
        {"*1\r\n" SHARD("*0\r\n", "*1\r\n" NODE("a", "1", ":5", "master")), "no host"},
        {"*1\r\n" SHARD("*2\r\n+x\r\n:1\r\n", "*1\r\n" NODE("a", "1", "+h", "master")),
         "a range of slots"},
        {"*1\r\n*2\r\n:0\r\n:1\r\n", "without a node"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n", "without host and port"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n+h\r\n", "without host and port"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n+h\r\n:65536\r\n", "port"},
        {"*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:1\r\n", "no host"},
        {"*2\r\n" RANGE("0", "1") "%1\r\n+a\r\n+b\r\n", "without a node"},
        {"*1\r\n" RANGE("1", "0"), "a range of slots"},
        {"*1\r\n" RANGE("-1", "0"), "a range of slots"},
        {"*1\r\n" RANGE("0", "16384"), "a range of slots"},
        {"*2\r\n" RANGE("0", "5") RANGE("5", "9"), "a slot in two ranges"},
        {"*2\r\n" RANGE("3", "4") RANGE("0", "9"), "a slot in two ranges"},
        {"*2\r\n" RANGE("7", "7") RANGE("7", "7"), "a slot in two ranges"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        nkvi_cluster_view empty = {0};
        memset(&view, 0xA5, sizeof view);
        cr_assert_eq(parse_text(refused[i].text), NKV_EPROTO, "%s", refused[i].text);
        cr_assert_eq(error.status, NKV_EPROTO);
        cr_assert_not_null(strstr(error.text, refused[i].says), "%s: %s", refused[i].text,
                           error.text);
        cr_assert_eq(memcmp(&view, &empty, sizeof view), 0);
    }
    nkvi_draft reply = t_reply(":1\r\n");
    cr_assert_eq(nkvi_cluster_view_parse(&reply.root, &view, NULL), NKV_EPROTO);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

/* SHARDS of so many shards of one node, without slots. */
static nkvi_draft shards_of(unsigned n)
{
    nkvi_buf buf;
    nkvi_buf_init(&buf);
    nkvi_buf_printf(&buf, "*%u\r\n", n);
    for (unsigned i = 0; i < n; i++) {
        nkvi_buf_printf(&buf,
                        "*4\r\n+slots\r\n*0\r\n+nodes\r\n*1\r\n*8\r\n+role\r\n+master\r\n"
                        "+id\r\n+%040u\r\n+port\r\n:7000\r\n+endpoint\r\n+10.1.%u.%u\r\n",
                        i * 7919, i / 256, i % 256);
    }
    char *text = nkvi_buf_take(&buf, &(size_t){0});
    nkvi_draft reply = t_reply(text);
    nkvi_free(text);
    return reply;
}

/* SLOTS with a range for every slot up to n, all of `nodes` nodes taking turns. */
static nkvi_draft slots_of(unsigned n, unsigned nodes)
{
    nkvi_buf buf;
    nkvi_buf_init(&buf);
    nkvi_buf_printf(&buf, "*%u\r\n", n);
    for (unsigned i = n; i-- > 0;) {
        nkvi_buf_printf(&buf, "*3\r\n:%u\r\n:%u\r\n*2\r\n+h\r\n:%u\r\n", i % 16384, i % 16384,
                        i % nodes + 1);
    }
    char *text = nkvi_buf_take(&buf, &(size_t){0});
    nkvi_draft reply = t_reply(text);
    nkvi_free(text);
    return reply;
}

Test(conn_cluster_view, has_room_for_4096_nodes, .fini = done)
{
    cr_assert_eq(parse(shards_of(4096)), NKV_OK, "%s", error.text);
    cr_assert_eq(view.nodes_len, 4096);
    done();
    cr_assert_eq(parse(shards_of(4097)), NKV_EPROTO);
    cr_assert_not_null(strstr(error.text, "4096"));
}

Test(conn_cluster_view, has_room_for_a_range_for_every_slot, .fini = done)
{
    cr_assert_eq(parse(slots_of(16384, 500)), NKV_OK, "%s", error.text);
    cr_assert_eq(view.nodes_len, 500);
    cr_assert_eq(view.ranges_len, 16384);
    for (unsigned i = 0; i < 16384; i++) {
        assert_range(i, i, i, (int)(i % 500) + 1);
    }
    done();
    cr_assert_eq(parse(slots_of(16385, 500)), NKV_EPROTO);
    cr_assert_not_null(strstr(error.text, "16384"));
}

/* ---- CLUSTER INFO ---------------------------------------------------------------------------- */

static bool info_of(nkvi_draft reply, nkvi_cluster_info *out)
{
    bool understood = nkvi_cluster_info_parse(&reply.root, out);
    nkvi_draft_clear(&reply);
    return understood;
}

Test(conn_cluster_info, is_what_servers_tell)
{
    for (int k = 0; k < KINDS; k++) {
        for (int protocol = 2; protocol <= 3; protocol++) {
            char name[64];
            nkvi_cluster_info info;
            (void)snprintf(name, sizeof name, "cluster/%s_info_%d", kinds[k], protocol);
            cr_assert(info_of(t_reply_kept(name), &info), "%s", name);
            cr_assert(info.ok);
            cr_assert_eq(info.current_epoch, 6);
            cr_assert_eq(info.my_epoch, 1);
            cr_assert_eq(info.known_nodes, 6);
            (void)snprintf(name, sizeof name, "cluster/%s_info_fail", kinds[k]);
            cr_assert(info_of(t_reply_kept(name), &info));
            cr_assert_not(info.ok);
        }
    }
}

Test(conn_cluster_info, what_is_left_out_is_0)
{
    nkvi_cluster_info info;
    cr_assert(info_of(t_reply("$16\r\ncluster_state:ok\r\n"), &info));
    cr_assert(info.ok && info.current_epoch == 0 && info.known_nodes == 0);
    cr_assert(info_of(t_reply("$51\r\ncluster_state:okay\ncluster_known_nodes:4294967296\n\n\r\n"),
                      &info));
    cr_assert(!info.ok && info.known_nodes == 0);
    cr_assert_not(info_of(t_reply("$17\r\nxcluster_state:ok\r\n"), &info));
    cr_assert_not(info_of(t_reply("$14\r\ncluster_state:\r\n"), &info) && info.ok);
    cr_assert_not(info_of(t_reply("$0\r\n\r\n"), &info));
    cr_assert_not(info_of(t_reply("-ERR This instance has cluster support disabled\r\n"), &info));
    cr_assert_not(info_of(t_reply("*0\r\n"), &info));
    cr_assert_not(nkvi_cluster_info_parse(NULL, &info));
}

/* ---- Slots that leave ------------------------------------------------------------------------ */

#define ID "0000000000000000000000000000000000000001"

static size_t leaving(const char *text, uint16_t *slots, size_t cap)
{
    const nkv_reply reply = {.type = NKV_TYPE_STRING, .str = text, .len = strlen(text)};
    return nkvi_cluster_leaving_parse(&reply, slots, cap);
}

Test(conn_cluster_leaving, slots_that_the_node_itself_migrates_away)
{
    uint16_t slots[4] = {0};
    cr_assert_eq(leaving(ID " h:1@2 master - 0 0 1 connected 0-5 [5->-" ID "]\n" ID
                            " h:2@3 myself,master - 0 0 2 connected 6-16383 [93->-" ID "] [7-<-" ID
                            "] [16383->-" ID "]\n" ID " h:3@4 slave - 0 0 3 connected [9->-" ID
                            "]\n",
                         slots, 4),
                 2);
    cr_assert(slots[0] == 93 && slots[1] == 16383);
}

Test(conn_cluster_leaving, more_than_there_is_room_for_are_counted)
{
    uint16_t slots[1] = {0};
    cr_assert_eq(
        leaving("a h:1@2 myself,master - 0 0 1 connected 0-9 [1->-b] [2->-b] [3->-b]", slots, 1),
        3);
    cr_assert_eq(slots[0], 1);
}

Test(conn_cluster_leaving, what_only_looks_like_it_is_none)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "a h:1@2 master - 0 0 1 connected [1->-b]",
                                        "a h:1@2 myself,master - 0 0 1 connected 0-16383",
                                        "a h:1@2 myself,master - 0 0 1 connected [16384->-b]",
                                        "a h:1@2 myself,master - 0 0 1 connected [->-b] 1->-b",
                                        "a h:1@2 myself,master - 0 0 1 connected [-1->-b] [x->-b]",
                                        "a h:1@2 myself,master - 0 0 1 connected [1-<-b]"};
    uint16_t slots[4];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert_eq(leaving(texts[i], slots, 4), 0, "%s", texts[i]);
    }
    const nkv_reply nil = {.type = NKV_TYPE_NIL};
    cr_assert_eq(nkvi_cluster_leaving_parse(&nil, slots, 4), 0);
}

/* A host may have any name. */
Test(conn_cluster_leaving, a_host_called_myself_is_not_taken_for_it)
{
    uint16_t slots[4] = {0};
    cr_assert_eq(leaving("a myself:1@2,myself master - 0 0 1 connected 0-5\n"
                         "b h:2@3 myself,master - 0 0 2 connected 6-9 [8->-a]\n",
                         slots, 4),
                 1);
    cr_assert_eq(slots[0], 8);
}
