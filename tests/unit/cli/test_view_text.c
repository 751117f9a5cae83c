/* tests/unit/cli/test_view_text.c - answers for people look as they do in redis-cli. */
#include <math.h>

#include "cli/view.h"
#include "unit/cli/out_text.h"
#include "unit/cli/replies.h"

static nkvi_out text(nkv_reply reply)
{
    nkvi_out out = {0};

    nkvi_text_out_reply(&out, &reply);
    return out;
}

#define TEXT_IS(reply, wanted)       \
    do {                             \
        nkvi_out out_ = text(reply); \
        OUT_IS(&out_, wanted);       \
    } while (0)

Test(cli_view_text, scalars)
{
    TEXT_IS(r_str("a\nb"), "\"a\\nb\"");
    TEXT_IS(r_status("OK"), "OK");
    TEXT_IS(r_error("ERR no"), "(error) ERR no");
    TEXT_IS(r_int(-3), "(integer) -3");
    TEXT_IS(r_nil(), "(nil)");
    TEXT_IS(r_double(1.5), "(double) 1.5");
    TEXT_IS(r_double(-INFINITY), "(double) -inf");
    TEXT_IS(r_bool(1), "(true)");
    TEXT_IS(r_bool(0), "(false)");
    TEXT_IS(r_big("12345678901234567890"), "12345678901234567890");
    TEXT_IS(r_verbatim("txt", "two\nlines"), "two\nlines");
}

Test(cli_view_text, empty_aggregates)
{
    TEXT_IS(r_array(NULL, 0), "(empty array)");
    TEXT_IS(r_set(NULL, 0), "(empty set)");
    TEXT_IS(r_map(NULL, 0), "(empty hash)");
}

Test(cli_view_text, arrays_are_numbered_and_set_in)
{
    nkv_reply deep[] = {r_str("x"), r_int(7)};
    nkv_reply inner[] = {r_str("a"), r_array(deep, 2)};
    nkv_reply outer[] = {r_array(inner, 2), r_nil()};

    TEXT_IS(r_array(outer, 2), "1) 1) \"a\"\n"
                               "   2) 1) \"x\"\n"
                               "      2) (integer) 7\n"
                               "2) (nil)");
}

Test(cli_view_text, numbers_of_ten_and_more_are_aligned)
{
    nkv_reply elements[10];

    for (int i = 0; i < 10; i++) {
        elements[i] = r_int(i);
    }
    nkvi_out out = text(r_array(elements, 10));
    cr_assert(memcmp(out.data, " 1) (integer) 0\n 2) ", 20) == 0);
    OUT_HAS(&out, "\n 9) (integer) 8\n10) (integer) 9");
    nkvi_out_clear(&out);
}

Test(cli_view_text, maps_and_sets_have_marks_of_their_own)
{
    nkv_reply inner[] = {r_int(1), r_int(2)};
    nkv_reply members[] = {r_str("k"), r_set(inner, 2), r_str("l"), r_nil()};

    TEXT_IS(r_map(members, 4), "1# \"k\" => 1~ (integer) 1\n"
                               "   2~ (integer) 2\n"
                               "2# \"l\" => (nil)");
}

Test(cli_view_text, the_tag_tells_source_and_time)
{
    static const nkv_from one = NKV_FROM_CACHE;
    static const nkv_from mixed[] = {NKV_FROM_SERVER, NKV_FROM_CACHE, NKV_FROM_CACHE};
    static const nkv_from same[] = {NKV_FROM_SERVER, NKV_FROM_SERVER};
    nkv_reply reply = r_int(2);
    nkvi_out out = {0};

    nkvi_view_text.answer(&out, &(nkvi_answer){"GET", &reply, NULL, &one, 1, false, 0.41});
    nkvi_view_text.answer(&out, &(nkvi_answer){"EXISTS", &reply, NULL, mixed, 3, true, 38.2});
    nkvi_view_text.answer(&out, &(nkvi_answer){"EXISTS", &reply, NULL, same, 2, true, 5});
    nkvi_view_text.answer(&out, &(nkvi_answer){.command = "X", .error = "ERR no"});
    nkvi_view_text_color.answer(&out, &(nkvi_answer){"GET", &reply, NULL, &one, 1, false, 0.41});
    OUT_IS(&out, "(integer) 2 (cache, 0.4 µs)\n"
                 "(integer) 2 (2 cache, 1 server, 38 µs)\n"
                 "(integer) 2 (server, 5.0 µs)\n"
                 "(error) ERR no\n"
                 "(integer) 2 \033[2m(cache, 0.4 µs)\033[0m\n");
}

static void is_time(double us, const char *wanted)
{
    nkvi_out out = {0};

    nkvi_text_out_us(&out, us);
    cr_assert(out.len == strlen(wanted) && memcmp(out.data, wanted, out.len) == 0, "%s: %.*s",
              wanted, (int)out.len, out.data);
    nkvi_out_clear(&out);
}

Test(cli_view_text, times_have_a_unit_that_fits)
{
    is_time(0, "0.0 µs");
    is_time(0.44, "0.4 µs");
    is_time(9.94, "9.9 µs");
    is_time(9.96, "10 µs");
    is_time(999, "999 µs");
    is_time(1000, "1.0 ms");
    is_time(12345, "12 ms");
    is_time(2.5e6, "2.5 s");
}

Test(cli_view_text, own_commands_are_told_in_words)
{
    nkvi_out out = {0};

    nkvi_view_text.error(&out, NULL, "unbalanced quotes");
    nkvi_view_text.error(&out, ":x", "no such command");
    nkvi_view_text.note(&out, &(nkvi_note){NKVI_NOTE_LEVEL, "drain", 0});
    nkvi_view_text.prefix(&out, 3, 2, 1.5);
    OUT_IS(&out, "(error) unbalanced quotes\n"
                 "(error) :x: no such command\n"
                 "reads are drain\n"
                 "3 leading keys exist (2 from the cache, 1.5 µs)\n");
}
