/* tests/unit/cli/test_view_json.c - the shell's JSON, line by line. */
#include "cli/view.h"
#include "unit/cli/out_text.h"
#include "unit/cli/replies.h"

static const nkvi_view *const view = &nkvi_view_json;

Test(cli_view_json, an_answer_tells_command_source_value_and_time)
{
    static const nkv_from from[] = {NKV_FROM_CACHE, NKV_FROM_JOINED, NKV_FROM_SERVER,
                                    NKV_FROM_LOCAL};
    nkv_reply reply = r_str("bar");
    nkvi_answer answer = {.command = "GET", .reply = &reply, .from_n = 1, .us = 12.3};
    nkvi_out out = {0};

    for (size_t i = 0; i < 4; i++) {
        answer.from = &from[i];
        view->answer(&out, &answer);
    }
    OUT_IS(&out, "{\"cmd\":\"GET\",\"from\":\"cache\",\"value\":\"bar\",\"us\":12.300}\n"
                 "{\"cmd\":\"GET\",\"from\":\"joined\",\"value\":\"bar\",\"us\":12.300}\n"
                 "{\"cmd\":\"GET\",\"from\":\"server\",\"value\":\"bar\",\"us\":12.300}\n"
                 "{\"cmd\":\"GET\",\"from\":\"local\",\"value\":\"bar\",\"us\":12.300}\n");
}

Test(cli_view_json, by_key_the_sources_are_an_array)
{
    static const nkv_from from[] = {NKV_FROM_CACHE, NKV_FROM_SERVER};
    nkv_reply elements[] = {r_str("a"), r_nil()};
    nkv_reply reply = r_array(elements, 2);
    nkvi_answer answer = {"MGET", &reply, NULL, from, 2, true, 0.4};
    nkvi_out out = {0};

    view->answer(&out, &answer);
    OUT_IS(&out, "{\"cmd\":\"MGET\",\"from\":[\"cache\",\"server\"],\"value\":[\"a\",null],"
                 "\"us\":0.400}\n");
}

Test(cli_view_json, a_failure_has_an_error_and_no_value)
{
    nkvi_answer answer = {.command = "INCR", .error = "WRONGTYPE Operation \"x\"", .us = 3};
    nkvi_out out = {0};

    view->answer(&out, &answer);
    OUT_IS(&out, "{\"cmd\":\"INCR\",\"error\":\"WRONGTYPE Operation \\\"x\\\"\"}\n");
}

Test(cli_view_json, a_malformed_line_has_an_error_only)
{
    nkvi_out out = {0};

    view->error(&out, NULL, "unbalanced quotes");
    view->error(&out, ":nothing", "no such command");
    OUT_IS(&out, "{\"error\":\"unbalanced quotes\"}\n"
                 "{\"cmd\":\":nothing\",\"error\":\"no such command\"}\n");
}

Test(cli_view_json, stats_have_the_promised_names)
{
    static const char *const names[] = {"\"stats\":{",          "\"hits\":2,",
                                        "\"misses\":3,",        "\"invalidations\":14,",
                                        "\"dirty\":52,",        "\"keys\":59,",
                                        "\"bypass\":{",         "\"coalesced\":4,",
                                        "\"evictions\":56,",    "\"bytes\":60,",
                                        "\"reads\":1,",         "\"round_trips\":19,",
                                        "\"confidence\":99.5",  "\"bulk_connections\":21,",
                                        "\"bulk_waiting\":22,", "\"bulk_copied\":23,"};
    nkv_stats stats = {.struct_size = sizeof stats,
                       .reads = 1,
                       .hits = 2,
                       .misses = 3,
                       .coalesced = 4,
                       .invalidations = 14,
                       .round_trips = 19,
                       .bulk_connections = 21,
                       .bulk_waiting = 22,
                       .bulk_copied = 23,
                       .confidence = 99.5};
    nkvi_out out = {0};

    stats.bypass[NKV_BYPASS_DISABLED] = 5;
    stats.cache.dirty = 52;
    stats.cache.evictions = 56;
    stats.cache.keys = 59;
    stats.cache.bytes = 60;
    view->stats(&out, &stats);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        OUT_HAS(&out, names[i]);
    }
    for (int i = 0; i < NKV_BYPASS_COUNT; i++) {
        char reason[64];
        snprintf(reason, sizeof reason, "\"%s\":%d", nkv_bypass_name((nkv_bypass)i),
                 i == 0 ? 5 : 0);
        OUT_HAS(&out, reason);
    }
    cr_assert(memmem(out.data, out.len, "}}\n", 3) == out.data + out.len - 3);
    nkvi_out_clear(&out);
}

Test(cli_view_json, health_names_every_node)
{
    nkv_node_health nodes[2] = {
        {.address = "h:1", .state = "armed", .generation = 3, .tracking = 1, .client_id = 9},
        {.address = "/tmp/s", .state = "down", .idle_ms = -1}};
    nkvi_health health = {0, 100, nodes, 2};
    nkvi_out out = {0};

    view->health(&out, &health);
    OUT_IS(&out,
           "{\"healthy\":false,\"confidence\":100,\"nodes\":["
           "{\"addr\":\"h:1\",\"state\":\"armed\",\"generation\":3,\"tracking\":true,\"idle_ms\":0,"
           "\"client_id\":9},"
           "{\"addr\":\"/tmp/s\",\"state\":\"down\",\"generation\":0,\"tracking\":false,"
           "\"idle_ms\":-1,\"client_id\":0}]}\n");
    health = (nkvi_health){1, 99.25, NULL, 0};
    view->health(&out, &health);
    OUT_IS(&out, "{\"healthy\":true,\"confidence\":99.25,\"nodes\":[]}\n");
}

Test(cli_view_json, own_commands_have_an_object_each)
{
    nkvi_local_help rows[] = {{":a", "does a"}, {":b X", "does \"b\""}};
    nkvi_out out = {0};

    view->prefix(&out, 7, 5, 1.5);
    view->note(&out, &(nkvi_note){NKVI_NOTE_LEVEL, "barrier", 0});
    view->note(&out, &(nkvi_note){NKVI_NOTE_INVALIDATED, NULL, 2});
    view->note(&out, &(nkvi_note){NKVI_NOTE_RESET, NULL, 0});
    view->note(&out, &(nkvi_note){NKVI_NOTE_SLEPT, NULL, 1.5});
    view->help(&out, rows, 2);
    OUT_IS(&out, "{\"prefix\":7,\"from_cache\":5}\n"
                 "{\"level\":\"barrier\"}\n"
                 "{\"invalidated\":2}\n"
                 "{\"reset\":true}\n"
                 "{\"slept_ms\":1.5}\n"
                 "{\"help\":[{\"usage\":\":a\",\"text\":\"does a\"},"
                 "{\"usage\":\":b X\",\"text\":\"does \\\"b\\\"\"}]}\n");
}
