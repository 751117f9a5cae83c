/* kv_cache.c - a cache of answers: computed once, kept for a while, removed by what they are about.
 *
 *      kv_cache URL
 */
#include <stdio.h>
#include <string.h>

#include <nearkv/nearkv.h>

/* What takes its time: here, counting letters. */
static nkv_status answer(nkv_str question, nkv_value **out, nkv_kv_set_options *how,
                         nkv_error *error, void *ud)
{
    char text[128];
    int *asked = ud;
    (void)error;
    ++*asked;
    int len = snprintf(text, sizeof text, "\"%.*s\" has %zu letters", (int)question.len,
                       question.data, question.len);
    how->ttl_ms = 60000;
    *out = nkv_value_from_bytes(text, (size_t)len);
    return *out != NULL ? NKV_OK : NKV_ENOMEM;
}

static void ask(nkv_kv *kv, const char *question, int *asked)
{
    static const nkv_str about[] = {{"letters", 7}};
    nkv_kv_set_options how;
    nkv_call call;
    nkv_value *value;
    nkv_kv_set_options_init(&how);
    how.tags = about;
    how.tags_len = 1;
    nkv_call_init(&call);
    const nkv_kv_maker maker = {.compute = answer, .ud = asked, .how = &how};
    if (nkv_kv_get_or_compute(kv, nkv_cstr(question), &maker, &call, &value) == NKV_OK) {
        printf("%s, computed %d times so far\n", nkv_value_str(value).data, *asked);
    } else {
        printf("%s: %s\n", question, call.error.text);
    }
    nkv_value_release(value);
}

int main(int argc, char **argv)
{
    nkv_options client;
    nkv_kv_options options;
    nkv_kv *kv;
    nkv_error error;
    int64_t removed = 0;
    int asked = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: kv_cache URL\n");
        return 2;
    }
    nkv_options_init(&client);
    client.url = argv[1];
    nkv_kv_options_init(&options);
    options.prefix = nkv_cstr("kv_cache:");
    if (nkv_kv_open(&client, &options, &kv, &error) != NKV_OK) {
        fprintf(stderr, "kv_cache: %s\n", error.text);
        return 1;
    }
    ask(kv, "hello", &asked);
    ask(kv, "hello", &asked);
    if (nkv_kv_invalidate_tag(kv, nkv_cstr("letters"), NULL, &removed) == NKV_OK) {
        printf("%d answers about letters removed\n", (int)removed);
    }
    ask(kv, "hello", &asked);
    if (nkv_kv_clear(kv, NULL, &error, &removed) == NKV_OK) {
        printf("%d keys cleared\n", (int)removed);
    }
    nkv_kv_destroy(kv);
    return 0;
}
