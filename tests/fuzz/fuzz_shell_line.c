/* tests/fuzz/fuzz_shell_line.c - any line is split or refused, and split words can be typed again.
 *
 * Promises  The words and their NULs fit into what the line takes.  A word written with quotes and
 *           split again is the same word.  Its JSON is JSON, and base64 if and only if it is no
 *           UTF-8.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/json_out.h"
#include "cli/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

/* Writes all words with quotes, splits that line and compares. */
static void type_again(const nkvi_words *words)
{
    nkvi_out line = {0};
    nkvi_words again = {0};

    for (size_t i = 0; i < words->n; i++) {
        nkvi_out_quoted(&line, words->word[i]);
        nkvi_out_char(&line, ' ');
    }
    require(nkvi_words_split(&again, line.data != NULL ? line.data : "", line.len) == NULL);
    require(again.n == words->n);
    for (size_t i = 0; i < words->n; i++) {
        require(again.word[i].len == words->word[i].len &&
                memcmp(again.word[i].data, words->word[i].data, again.word[i].len) == 0);
    }
    nkvi_words_clear(&again);
    nkvi_out_clear(&line);
}

static void as_json(nkv_str word)
{
    nkvi_out out = {0};

    nkvi_json_out_str(&out, word);
    json_t *read = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    require(read != NULL);
    require(json_is_string(read) == nkv_utf8_valid(word));
    if (json_is_string(read)) {
        require(json_string_length(read) == word.len &&
                memcmp(json_string_value(read), word.data, word.len) == 0);
    }
    json_decref(read);
    nkvi_out_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nkvi_words words = {0};
    const char *wrong = nkvi_words_split(&words, (const char *)data, size);
    size_t bytes = 0;

    require(wrong == NULL || words.n == 0);
    for (size_t i = 0; i < words.n; i++) {
        bytes += words.word[i].len + 1;
        require(words.word[i].data[words.word[i].len] == '\0');
        as_json(words.word[i]);
    }
    require(bytes <= size + 1);
    (void)nkvi_words_secret(&words);
    type_again(&words);
    nkvi_words_clear(&words);
    return 0;
}
