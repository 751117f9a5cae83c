/* tests/unit/cli/test_words.c - lines are split by the rules that redis-cli's users know. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/words.h"

#define WORDS_MAX 6

/* A line, and its words or what is wrong with it. */
typedef struct line_case {
    const char *line;
    const char *word[WORDS_MAX];
    const char *wrong;
} line_case;

static const line_case cases[] = {
    {"", {0}, NULL},
    {"   \t\r\n ", {0}, NULL},
    {"get foo", {"get", "foo"}, NULL},
    {"  get \t foo  ", {"get", "foo"}, NULL},
    {"set a \"\"", {"set", "a", ""}, NULL},
    {"set a ''", {"set", "a", ""}, NULL},
    {"set a \"b c\"", {"set", "a", "b c"}, NULL},
    {"set a 'b c'", {"set", "a", "b c"}, NULL},
    {"\"\\n\\r\\t\\b\\a\"", {"\n\r\t\b\a"}, NULL},
    {"\"\\x41\\x7a\\xFf\"", {"Az\xff"}, NULL},
    {"\"\\x4\"", {"x4"}, NULL},
    {"\"\\xzz\"", {"xzz"}, NULL},
    {"\"\\\"\\\\\\q\"", {"\"\\q"}, NULL},
    {"'\\n\\x41\\''", {"\\n\\x41'"}, NULL},
    {"'a\"b'", {"a\"b"}, NULL},
    {"\"a'b\"", {"a'b"}, NULL},
    {"a\\nb", {"a\\nb"}, NULL},
    {"foo\"bar\"", {"foobar"}, NULL},
    {"foo'bar' x", {"foobar", "x"}, NULL},
    {"\xc3\xa4 \xff", {"\xc3\xa4", "\xff"}, NULL},
    {"\"abc", {0}, "unbalanced quotes: a \" is not closed"},
    {"get 'abc", {0}, "unbalanced quotes: a ' is not closed"},
    {"get \"abc\\\"", {0}, "unbalanced quotes: a \" is not closed"},
    {"get 'abc\\'", {0}, "unbalanced quotes: a ' is not closed"},
    {"get \"abc\\", {0}, "unbalanced quotes: a \" is not closed"},
    {"\"foo\"bar", {0}, "a blank must follow a closing quote"},
    {"'foo''bar'", {0}, "a blank must follow a closing quote"},
};

static void check(nkvi_words *words, const line_case *test)
{
    const char *wrong = nkvi_words_split(words, test->line, strlen(test->line));

    if (test->wrong != NULL) {
        cr_assert_not_null(wrong, "%s is taken", test->line);
        cr_assert_str_eq(wrong, test->wrong, "%s: %s", test->line, wrong);
        cr_assert_eq(words->n, 0);
        return;
    }
    cr_assert_null(wrong, "%s: %s", test->line, wrong);
    size_t n = 0;
    for (; n < WORDS_MAX && test->word[n] != NULL; n++) {
        cr_assert_lt(n, words->n, "%s: too few words", test->line);
        cr_assert_eq(words->word[n].len, strlen(test->word[n]), "%s", test->line);
        /* Terminated, so a C string as well. */
        cr_assert_str_eq(words->word[n].data, test->word[n], "%s", test->line);
    }
    cr_assert_eq(words->n, n, "%s: %zu words", test->line, words->n);
}

Test(cli_words, split_by_the_table)
{
    nkvi_words words = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&words, &cases[i]);
    }
    nkvi_words_clear(&words);
}

Test(cli_words, a_nul_is_a_byte_like_others)
{
    nkvi_words words = {0};

    cr_assert_null(nkvi_words_split(&words, "a\0b \"\\x00\" c", 12));
    cr_assert_eq(words.n, 3);
    cr_assert(words.word[0].len == 3 && memcmp(words.word[0].data, "a\0b", 3) == 0);
    cr_assert(words.word[1].len == 1 && words.word[1].data[0] == '\0');
    nkvi_words_clear(&words);
}

Test(cli_words, every_byte_survives_the_way_through_a_quoted_word)
{
    nkvi_words words = {0};
    char line[2 + 4 * 256 + 1] = "\"";

    for (int i = 0; i < 256; i++) {
        snprintf(line + 1 + 4 * (size_t)i, 5, "\\x%02x", (unsigned)i);
    }
    line[1 + 4 * 256] = '"';
    cr_assert_null(nkvi_words_split(&words, line, 2 + 4 * 256));
    cr_assert_eq(words.n, 1);
    cr_assert_eq(words.word[0].len, 256);
    for (int i = 0; i < 256; i++) {
        cr_assert_eq((unsigned char)words.word[0].data[i], i);
    }
    nkvi_words_clear(&words);
}

Test(cli_words, too_many_words_are_refused)
{
    nkvi_words words = {0};
    size_t len = 2 * (NKVI_WORDS_MAX + 1);
    char *line = malloc(len);

    cr_assert_not_null(line);
    for (size_t i = 0; i < len; i += 2) {
        memcpy(line + i, "a ", 2);
    }
    cr_assert_null(nkvi_words_split(&words, line, len - 2));
    cr_assert_eq(words.n, NKVI_WORDS_MAX);
    cr_assert_str_eq(nkvi_words_split(&words, line, len), "more than 1048576 words");
    cr_assert_eq(words.n, 0);
    free(line);
    nkvi_words_clear(&words);
}

Test(cli_words, words_from_arguments_are_taken_as_they_are)
{
    nkvi_words words = {0};
    char *texts[] = {"SET", "a b", "", "\"x\""};

    nkvi_words_from(&words, 4, texts);
    cr_assert_eq(words.n, 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_str_eq(words.word[i].data, texts[i]);
        cr_assert_eq(words.word[i].len, strlen(texts[i]));
    }
    cr_assert(nkvi_words_is(&words, 0, "set"));
    cr_assert_not(nkvi_words_is(&words, 0, "se"));
    cr_assert_not(nkvi_words_is(&words, 4, "set"));
    nkvi_words_clear(&words);
}

Test(cli_words, a_line_with_a_password_is_known)
{
    static const char *const secret[] = {"AUTH x",
                                         "auth user x",
                                         "HELLO 3 AUTH default x",
                                         "config set requirepass x",
                                         "CONFIG SET masterauth x",
                                         "ACL SETUSER ann on >x",
                                         "MIGRATE h 1 k 0 5 AUTH2 u x",
                                         "SENTINEL SET m auth-pass x",
                                         "\"auth\" x"};
    static const char *const open[] = {"GET auth:1", "HELLO 3", "SET a b", "CONFIG GET maxmemory",
                                       ":stats"};
    nkvi_words words = {0};

    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++) {
        cr_assert_null(nkvi_words_split(&words, secret[i], strlen(secret[i])));
        cr_assert(nkvi_words_secret(&words), "%s", secret[i]);
    }
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        cr_assert_null(nkvi_words_split(&words, open[i], strlen(open[i])));
        cr_assert_not(nkvi_words_secret(&words), "%s", open[i]);
    }
    nkvi_words_clear(&words);
}
