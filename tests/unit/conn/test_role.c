/* tests/unit/conn/test_role.c - what real servers of four kinds said of their role, and what they
 * might say. */
#include "conn/role.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/check.h"
#include "support/replies.h"

static const char *const kinds[] = {"redis", "redis8", "valkey", "valkey81"};
enum { KINDS = 4 };

static nkvi_draft kept(const char *kind, const char *what)
{
    char name[64];
    (void)snprintf(name, sizeof name, "sentinel/%s_%s", kind, what);
    return t_reply_kept(name);
}

static bool role_of(nkvi_draft reply, nkvi_role *out)
{
    bool understood = nkvi_role_parse(&reply.root, out);
    nkvi_draft_clear(&reply);
    return understood;
}

static bool replication_of(nkvi_draft reply, nkvi_replication *out)
{
    bool understood = nkvi_replication_parse(&reply.root, out);
    nkvi_draft_clear(&reply);
    return understood;
}

/* ---- ROLE ------------------------------------------------------------------------------------ */

Test(conn_role, is_what_servers_tell)
{
    nkvi_role role;
    for (int k = 0; k < KINDS; k++) {
        cr_assert(role_of(kept(kinds[k], "role_primary"), &role));
        cr_assert_eq(role.kind, NKVI_ROLE_PRIMARY);
        cr_assert_eq(role.offset, 434);
        cr_assert(role_of(kept(kinds[k], "role_replica"), &role));
        cr_assert_eq(role.kind, NKVI_ROLE_REPLICA);
        cr_assert_eq(role.offset, 434);
        cr_assert_str_eq(role.primary_host, "127.0.0.1");
        cr_assert_eq(role.primary_port, 21500);
        cr_assert_eq(role.link, NKVI_ROLE_LINK_CONNECTED);
        cr_assert(role_of(kept(kinds[k], "role_sentinel"), &role));
        cr_assert_eq(role.kind, NKVI_ROLE_SENTINEL);
    }
}

/* A replica that has lost its primary forgets how far it had come; INFO still knows. */
Test(conn_role, a_replica_without_its_primary_has_no_offset)
{
    nkvi_role role;
    cr_assert(role_of(kept("redis", "role_link_down"), &role));
    cr_assert_eq(role.kind, NKVI_ROLE_REPLICA);
    cr_assert_eq(role.link, NKVI_ROLE_LINK_CONNECT);
    cr_assert_eq(role.offset, -1);
}

Test(conn_role, knows_the_states_of_a_link)
{
    static const struct {
        const char *word;
        nkvi_role_link link;
    } states[] = {
        {"connect", NKVI_ROLE_LINK_CONNECT},
        {"connecting", NKVI_ROLE_LINK_CONNECTING},
        {"handshake", NKVI_ROLE_LINK_CONNECTING},
        {"sync", NKVI_ROLE_LINK_SYNC},
        {"connected", NKVI_ROLE_LINK_CONNECTED},
        {"none", NKVI_ROLE_LINK_UNKNOWN},
        {"x", NKVI_ROLE_LINK_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char text[100];
        nkvi_role role;
        (void)snprintf(text, sizeof text, "*5\r\n+slave\r\n+h\r\n:1\r\n+%s\r\n:-1\r\n",
                       states[i].word);
        cr_assert(role_of(t_reply(text), &role));
        cr_assert_eq(role.link, states[i].link, "%s", states[i].word);
    }
}

Test(conn_role, new_words_are_understood)
{
    nkvi_role role;
    cr_assert(role_of(t_reply("*2\r\n+primary\r\n:7\r\n"), &role));
    cr_assert(role.kind == NKVI_ROLE_PRIMARY && role.offset == 7);
    cr_assert(role_of(t_reply("*5\r\n+replica\r\n$0\r\n\r\n:0\r\n+sync\r\n:7\r\n"), &role));
    cr_assert(role.kind == NKVI_ROLE_REPLICA && role.primary_host[0] == '\0');
}

Test(conn_role, what_cannot_be_understood_is_refused)
{
    static const char *const texts[] = {
        "-ERR unknown command 'ROLE'\r\n",
        "+master\r\n",
        "_\r\n",
        "*0\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n+master\r\n",
        "*2\r\n+master\r\n+x\r\n",
        "*2\r\n+masters\r\n:1\r\n",
        "*4\r\n+slave\r\n+h\r\n:1\r\n+connected\r\n",
        "*5\r\n+slave\r\n:1\r\n:1\r\n+connected\r\n:1\r\n",
        "*5\r\n+slave\r\n+a b\r\n:1\r\n+connected\r\n:1\r\n",
        "*5\r\n+slave\r\n+h\r\n:65536\r\n+connected\r\n:1\r\n",
        "*5\r\n+slave\r\n+h\r\n:1\r\n+connected\r\n+x\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        nkvi_role role, empty;
        memset(&role, 0xA5, sizeof role);
        memset(&empty, 0, sizeof empty);
        cr_assert_not(role_of(t_reply(texts[i]), &role), "%s", texts[i]);
        cr_assert(role.kind == NKVI_ROLE_UNKNOWN && role.offset == 0);
        cr_assert(role.primary_host[0] == '\0' && role.primary_port == 0);
    }
    nkvi_role role;
    cr_assert_not(nkvi_role_parse(NULL, &role));
}

/* ---- INFO replication ------------------------------------------------------------------------ */

Test(conn_replication, is_what_servers_tell)
{
    for (int k = 0; k < KINDS; k++) {
        nkvi_replication primary, replica;
        cr_assert(replication_of(kept(kinds[k], "info_primary"), &primary));
        cr_assert_eq(primary.kind, NKVI_ROLE_PRIMARY);
        cr_assert_eq(primary.offset, 434);
        cr_assert_eq(primary.replica_offset, -1);
        cr_assert_eq(strlen(primary.replid), 40);
        for (int protocol = 2; protocol <= 3; protocol++) {
            cr_assert(replication_of(
                kept(kinds[k], protocol == 2 ? "info_replica_2" : "info_replica_3"), &replica));
            cr_assert_eq(replica.kind, NKVI_ROLE_REPLICA);
            cr_assert_eq(replica.offset, 434);
            cr_assert_eq(replica.replica_offset, 434);
            cr_assert(replica.link_up && !replica.syncing);
            cr_assert_str_eq(replica.primary_host, "127.0.0.1");
            cr_assert_eq(replica.primary_port, 21500);
            cr_assert_str_eq(replica.replid, primary.replid);
        }
        cr_assert(replication_of(kept(kinds[k], "info_link_down"), &replica));
        cr_assert(!replica.link_up && !replica.syncing);
        cr_assert_gt(replica.replica_offset, 434);
    }
}

static bool info(const char *text, nkvi_replication *out)
{
    nkv_reply reply = {.type = NKV_TYPE_STRING, .str = text, .len = strlen(text)};
    return nkvi_replication_parse(&reply, out);
}

Test(conn_replication, is_found_among_everything_else)
{
    nkvi_replication replication;
    cr_assert(info("# Server\r\nxrole:slave\r\nmaster_link_status:up\r\n\r\n# Replication\r\n"
                   "role:replica\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:-1\r\n"
                   "master_host:::1\r\nmaster_port:1",
                   &replication));
    cr_assert_eq(replication.kind, NKVI_ROLE_REPLICA);
    cr_assert(replication.syncing && replication.link_up);
    cr_assert_str_eq(replication.primary_host, "::1");
    cr_assert_eq(replication.primary_port, 1);
    cr_assert_eq(replication.offset, -1);
    cr_assert_eq(replication.replid[0], '\0');
}

Test(conn_replication, nonsense_in_a_line_is_as_if_it_were_not_there)
{
    nkvi_replication replication;
    cr_assert(info("role:slave\nmaster_port:65536\nmaster_host:a b\nmaster_repl_offset:x\n"
                   "slave_repl_offset:99999999999999999999\nmaster_link_status:upp\n"
                   "master_replid:01234567890123456789012345678901234567890\n",
                   &replication));
    cr_assert(replication.primary_port == 0 && replication.primary_host[0] == '\0');
    cr_assert(replication.offset == -1 && replication.replica_offset == -1);
    cr_assert(!replication.link_up && replication.replid[0] == '\0');
}

Test(conn_replication, without_a_role_is_refused)
{
    nkvi_replication replication;
    cr_assert_not(info("", &replication));
    cr_assert_not(info("role", &replication));
    cr_assert_not(info("role:", &replication));
    cr_assert_not(info("role:sentinel\r\n", &replication));
    cr_assert_not(info(" role:master\r\n", &replication));
    cr_assert_not(replication_of(t_reply("-NOAUTH Authentication required.\r\n"), &replication));
    cr_assert_not(replication_of(t_reply("*0\r\n"), &replication));
}
