/* tests/unit/kv/test_coverage.c - what a scan has seen while slots move, without a server. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kv/coverage.h"

#define ID "07c37dfeb235213a872192d90877d0cd55635b91"

static nkvi_node_word word_of(const char *run, const char *slots)
{
    char text[512];
    nkvi_node_word word;
    (void)snprintf(
        text, sizeof text,
        "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:1@2,myself slave x 0 0 1 c\n" ID
        " 127.0.0.1:30004@31004 myself,master - 0 1426238317239 4 connected%s%s\n",
        *slots != '\0' ? " " : "", slots);
    cr_assert(nkvi_node_word_parse(nkv_cstr(text), &word), "%s", slots);
    (void)snprintf(word.run_id, sizeof word.run_id, "%s", run);
    return word;
}

static unsigned count(const nkvi_slots *slots)
{
    unsigned n = 0;
    for (unsigned i = 0; i < NKVI_KV_SLOTS; i++) {
        n += nkvi_slots_has(slots, i);
    }
    return n;
}

/* A scan from its beginning to its end. */
static void scan(nkvi_coverage *coverage, const char *before, const char *after)
{
    const nkvi_slots waiting = coverage->waiting;
    const nkvi_node_word words[2] = {word_of("r", before), word_of("r", after)};
    nkvi_coverage_scanned(coverage, &waiting, &words[0], &words[1]);
}

Test(kv_coverage, a_nodes_word)
{
    nkvi_node_word word = word_of("r", "0-2 5 16383 [7->-abc] [9-<-def]");
    cr_expect_eq(count(&word.owned), 5);
    cr_expect(nkvi_slots_has(&word.owned, 2) && nkvi_slots_has(&word.owned, 16383));
    cr_expect_eq(count(&word.leaving), 1);
    cr_expect(nkvi_slots_has(&word.leaving, 7));
    cr_expect(nkvi_slots_has(&word.coming, 9));
    word = word_of("r", "");
    cr_expect_eq(count(&word.owned), 0);
}

Test(kv_coverage, a_word_that_is_none)
{
    static const char *const rows[] = {
        "",
        "x",
        "\n\n",
        "-ERR unknown command",
        ID " a:1@2 master - 0 0 1 connected 0-5\n", /* nobody is myself */
        ID " a:1@2 myself,master - 0 0 1 connected 5-0\n",
        ID " a:1@2 myself,master - 0 0 1 connected 16384\n",
        ID " a:1@2 myself,master - 0 0 1 connected 0-16384\n",
        ID " a:1@2 myself,master - 0 0 1 connected 1-2-3\n",
        ID " a:1@2 myself,master - 0 0 1 connected [7-x\n",
        ID " a:1@2 myself,master - 0 0 1 connected [99999->-a]\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nkvi_node_word word;
        cr_expect_not(nkvi_node_word_parse(nkv_cstr(rows[i]), &word), "row %zu", i);
    }
}

Test(kv_coverage, run_ids)
{
    char id[NKVI_KV_ID_MAX];
    nkvi_run_id_parse(nkv_cstr("# Server\r\nredis_version:7\r\nrun_id:" ID "\r\ntcp_port:1\r\n"),
                      id);
    cr_expect_str_eq(id, ID);
    nkvi_run_id_parse(nkv_cstr("master_run_id:x\r\n"), id);
    cr_expect_str_eq(id, "");
    nkvi_run_id_parse(nkv_cstr("run_id:abc"), id);
    cr_expect_str_eq(id, "abc");
    nkvi_run_id_parse(nkv_cstr(""), id);
    cr_expect_str_eq(id, "");
}

Test(kv_coverage, all_nodes_that_stay_as_they_are)
{
    nkvi_coverage coverage;
    nkvi_coverage_begin(&coverage, -1);
    cr_expect_eq(nkvi_coverage_left(&coverage), NKVI_KV_SLOTS);
    scan(&coverage, "0-8000", "0-8000");
    cr_expect_eq(nkvi_coverage_left(&coverage), NKVI_KV_SLOTS - 8001);
    scan(&coverage, "8001-16383", "8001-16383");
    cr_expect_eq(nkvi_coverage_left(&coverage), 0);
}

Test(kv_coverage, a_slot_that_changed_hands_is_not_done)
{
    nkvi_coverage coverage;
    nkvi_coverage_begin(&coverage, -1);
    scan(&coverage, "0-8000", "0-7999"); /* 8000 went while it ran */
    scan(&coverage, "8001-16383", "8000-16383");
    cr_expect_eq(nkvi_coverage_left(&coverage), 1);
    nkvi_node_word heir = word_of("r", "8000-16383"), other = word_of("r", "0-7999");
    cr_expect(nkvi_coverage_wants(&coverage, &heir));
    cr_expect_not(nkvi_coverage_wants(&coverage, &other));
    scan(&coverage, "8000-16383", "8000-16383");
    cr_expect_eq(nkvi_coverage_left(&coverage), 0);
}

Test(kv_coverage, a_slot_on_its_way_needs_the_target_after_the_source)
{
    nkvi_coverage coverage;
    nkvi_coverage_begin(&coverage, 7);
    scan(&coverage, "[7-<-a]", "[7-<-a]"); /* the target first: keys were still to come */
    cr_expect_eq(nkvi_coverage_left(&coverage), 1);
    scan(&coverage, "0-9 [7->-b]", "0-9 [7->-b]");
    cr_expect_eq(nkvi_coverage_left(&coverage), 1);
    nkvi_node_word target = word_of("r", "[7-<-a]");
    cr_expect(nkvi_coverage_wants(&coverage, &target));
    scan(&coverage, "[7-<-a]", "7");
    cr_expect_eq(nkvi_coverage_left(&coverage), 0);
}

Test(kv_coverage, a_migration_that_begins_while_the_source_is_scanned)
{
    nkvi_coverage coverage;
    nkvi_coverage_begin(&coverage, 7);
    scan(&coverage, "7", "7 [7->-b]");
    cr_expect_eq(nkvi_coverage_left(&coverage), 1);
    scan(&coverage, "", "7"); /* it was not yet coming when this scan began */
    cr_expect_eq(nkvi_coverage_left(&coverage), 1);
    scan(&coverage, "7", "7");
    cr_expect_eq(nkvi_coverage_left(&coverage), 0);
}

Test(kv_coverage, a_target_whose_scan_began_too_early_does_not_count)
{
    nkvi_coverage coverage;
    nkvi_coverage_begin(&coverage, 7);
    const nkvi_slots too_early = coverage.waiting;
    scan(&coverage, "7 [7->-b]", "7 [7->-b]");
    const nkvi_node_word target = word_of("r", "[7-<-a]");
    nkvi_coverage_scanned(&coverage, &too_early, &target, &target);
    cr_expect_eq(nkvi_coverage_left(&coverage), 1);
}

Test(kv_coverage, a_restart_makes_a_scan_worthless)
{
    nkvi_coverage coverage;
    nkvi_coverage_begin(&coverage, -1);
    const nkvi_node_word before = word_of("one", "0-16383"), after = word_of("two", "0-16383");
    nkvi_coverage_scanned(&coverage, &coverage.waiting, &before, &after);
    cr_expect_eq(nkvi_coverage_left(&coverage), NKVI_KV_SLOTS);
}
