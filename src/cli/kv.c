/* cli/kv.c - see kv.h. */
#include "cli/kv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nearkv/batch.h>
#include <nearkv/kv.h>

#include "cli/connect.h"
#include "cli/file.h"
#include "cli/help.h"
#include "cli/json_out.h"
#include "cli/must.h"
#include "cli/options.h"
#include "cli/secret.h"
#include "cli/tell.h"

#define NOTHING ((nkvi_about){NULL, NULL})

/* A command under way. */
typedef struct kv_run {
    nkvi_tell tell;
    const nkvi_settings *settings; /* rest: keys, …  */
    nkv_client *client;
    nkv_kv *kv;
} kv_run;

static nkv_str key_at(const kv_run *self, size_t i)
{
    return nkv_cstr(self->settings->rest[i]);
}

/* What became of a key: a line, or an object with `more` (",\"ttl\":…") behind the key. */
static void say_key(kv_run *self, nkv_str key, const char *text, const char *more)
{
    if (self->tell.json) {
        nkvi_tell_begin(&self->tell, (nkvi_about){&key, NULL});
        nkvi_out_printf(&self->tell.line, "%s}\n", more);
    } else {
        nkvi_tell_add_key(&self->tell.line, key);
        nkvi_out_printf(&self->tell.line, ": %s\n", text);
    }
    nkvi_tell_say(&self->tell);
}

static void fail_key(kv_run *self, nkv_str key, nkv_status status, const nkv_error *error)
{
    nkvi_tell_fail_item(&self->tell, (nkvi_about){&key, NULL}, status, error);
}

/* ---- get, set -------------------------------------------------------------------------------- */

static bool get_check(kv_run *self)
{
    const nkvi_settings *settings = self->settings;
    const char *why = NULL;
    if (settings->rest_n == 0) {
        why = "takes KEY, once or several times";
    } else if (settings->output != NULL && settings->rest_n > 1) {
        why = "--output takes the value of one KEY";
    } else if (settings->output != NULL && strcmp(settings->output, "-") == 0 && self->tell.json) {
        why = "with --json standard output is taken: name a FILE instead of -";
    }
    if (why != NULL) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING, why);
    }
    return why == NULL;
}

static void say_value(kv_run *self, nkv_str key, nkv_str value)
{
    nkvi_out *line = &self->tell.line;
    if (self->tell.json) {
        nkvi_tell_begin(&self->tell, (nkvi_about){&key, NULL});
        nkvi_out_text(line, ",\"found\":true,\"value\":");
        nkvi_json_out_str(line, value);
        nkvi_out_text(line, "}\n");
    } else {
        nkvi_tell_add_key(line, value);
        nkvi_out_char(line, '\n');
    }
    nkvi_tell_say(&self->tell);
}

static void write_value(kv_run *self, nkv_str key, nkv_str value)
{
    const char *file = self->settings->output;
    nkvi_about about = {&key, file};
    nkvi_out why = {0};
    if (!nkvi_file_write(file, value.data, value.len, &why)) {
        nkvi_tell_fail_out(&self->tell, NKVI_EXIT_FAILURE, about, &why);
    } else if (self->tell.json) {
        nkvi_tell_begin(&self->tell, about);
        nkvi_out_printf(&self->tell.line, ",\"found\":true,\"bytes\":%zu}\n", value.len);
        nkvi_tell_say(&self->tell);
    }
}

static void get(kv_run *self)
{
    for (size_t i = 0; i < self->settings->rest_n && !self->tell.deaf; i++) {
        nkv_value *value;
        nkv_call call;
        nkv_call_init(&call);
        nkv_status status = nkv_kv_get(self->kv, key_at(self, i), &call, &value);
        if (status != NKV_OK) {
            fail_key(self, key_at(self, i), status, &call.error);
        } else if (self->settings->output != NULL) {
            write_value(self, key_at(self, i), nkv_value_str(value));
        } else {
            say_value(self, key_at(self, i), nkv_value_str(value));
        }
        nkv_value_release(value);
    }
}

static bool set_check(kv_run *self)
{
    size_t words = self->settings->input != NULL ? 1 : 2;
    if (self->settings->rest_n == words) {
        return true;
    }
    nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING,
                   words == 1 ? "takes KEY alone: the value is --input's" : "takes KEY VALUE");
    return false;
}

static void set_value(kv_run *self, nkv_str value)
{
    const nkvi_settings *settings = self->settings;
    nkv_str *tags = nkvi_must_alloc(settings->tags.n + 1, sizeof *tags);
    nkv_kv_set_options how;
    nkv_call call;
    for (size_t i = 0; i < settings->tags.n; i++) {
        tags[i] = nkv_cstr(settings->tags.text[i]);
    }
    nkv_kv_set_options_init(&how);
    how.tags = tags;
    how.tags_len = settings->tags.n;
    how.keep_ttl = (int)settings->keep_ttl;
    how.when = settings->if_absent    ? NKV_KV_IF_ABSENT
               : settings->if_present ? NKV_KV_IF_PRESENT
                                      : NKV_KV_ALWAYS;
    if (!settings->keep_ttl && settings->kv_ttl_ms > 0) {
        how.ttl_ms = settings->kv_ttl_ms;
    }
    nkv_call_init(&call);
    nkv_status status = nkv_kv_set(self->kv, key_at(self, 0), value, &how, &call);
    free(tags);
    if (status == NKV_MISS) {
        nkv_str key = key_at(self, 0);
        nkvi_tell_fail(&self->tell, NKVI_EXIT_FAILURE, (nkvi_about){&key, NULL},
                       "it is there already");
    } else if (status != NKV_OK) {
        fail_key(self, key_at(self, 0), status, &call.error);
    } else if (self->tell.json) {
        say_key(self, key_at(self, 0), "", ",\"stored\":true");
    }
}

static void set(kv_run *self)
{
    nkvi_block block = {0};
    nkvi_out why = {0};
    const char *file = self->settings->input;
    if (file == NULL) {
        set_value(self, key_at(self, 1));
    } else if (nkvi_file_read(file, NKV_VALUE_MAX, &block, &why)) {
        set_value(self, nkv_str_make(block.data, block.len));
    } else {
        nkv_str key = key_at(self, 0);
        nkvi_tell_fail_out(&self->tell, NKVI_EXIT_FAILURE, (nkvi_about){&key, file}, &why);
    }
    nkvi_block_clear(&block);
}

/* ---- del, exists, ttl ------------------------------------------------------------------------ */

static bool keys_check(kv_run *self)
{
    if (self->settings->rest_n == 0) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING, "takes KEY, once or several times");
    }
    return self->settings->rest_n > 0;
}

static void del(kv_run *self)
{
    for (size_t i = 0; i < self->settings->rest_n; i++) {
        nkv_str key = key_at(self, i);
        int64_t removed;
        nkv_call call;
        nkv_call_init(&call);
        nkv_status status = nkv_kv_delete(self->kv, &key, 1, &call, &removed);
        if (status == NKV_OK && removed == 0) {
            status = NKV_NOT_FOUND;
        }
        if (status != NKV_OK) {
            fail_key(self, key, status, &call.error);
        } else if (self->tell.json) {
            say_key(self, key, "", ",\"found\":true");
        }
    }
}

/* That a key is not there is an answer here, so it goes to standard output. */
static void exists(kv_run *self)
{
    for (size_t i = 0; i < self->settings->rest_n && !self->tell.deaf; i++) {
        nkv_str key = key_at(self, i);
        nkv_result result;
        nkv_call call;
        nkv_call_init(&call);
        nkv_status status = nkv_kv_exists(self->kv, &key, 1, &call, &result);
        if (status < 0) {
            fail_key(self, key, status, &call.error);
        } else if (result.status == NKV_OK) {
            say_key(self, key, "there", ",\"found\":true");
        } else {
            self->tell.status = self->tell.status > 0 ? self->tell.status : NKVI_EXIT_FAILURE;
            say_key(self, key, "not there", ",\"found\":false");
        }
    }
}

static void show_ttl(kv_run *self, nkv_str key)
{
    char text[48], more[64];
    int64_t ms;
    nkv_call call;
    nkv_call_init(&call);
    nkv_status status = nkv_kv_ttl(self->kv, key, &call, &ms);
    if (status != NKV_OK) {
        fail_key(self, key, status, &call.error);
        return;
    }
    if (ms == NKV_KV_TTL_NONE) {
        (void)snprintf(text, sizeof text, "does not expire");
        (void)snprintf(more, sizeof more, ",\"found\":true,\"ttl_ms\":null");
    } else {
        (void)snprintf(text, sizeof text, "%" PRId64 " ms", ms);
        (void)snprintf(more, sizeof more, ",\"found\":true,\"ttl_ms\":%" PRId64, ms);
    }
    say_key(self, key, text, more);
}

static void ttl(kv_run *self)
{
    const int64_t ms = self->settings->kv_ttl_ms;
    for (size_t i = 0; i < self->settings->rest_n && !self->tell.deaf; i++) {
        nkv_call call;
        nkv_status status = NKV_OK;
        nkv_call_init(&call);
        if (ms != NKVI_KV_TTL_NOT_GIVEN) {
            status = nkv_kv_touch(self->kv, key_at(self, i), ms > 0 ? ms : NKV_KV_TTL_NONE, &call);
        }
        if (status != NKV_OK) {
            fail_key(self, key_at(self, i), status, &call.error);
        } else {
            show_ttl(self, key_at(self, i));
        }
    }
}

/* ---- clear, tags ----------------------------------------------------------------------------- */

static bool clear_check(kv_run *self)
{
    const nkvi_settings *settings = self->settings;
    const char *why = NULL;
    if (settings->rest_n > 0) {
        why = "takes no words: --prefix says what is cleared";
    } else if (*settings->kv_prefix == '\0' && !settings->flush && !settings->count) {
        why = "without --prefix this flushes the whole database: give --flush too if you mean it";
    }
    if (why != NULL) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING, why);
    }
    return why == NULL;
}

static void say_number(kv_run *self, const char *name, int64_t number)
{
    nkvi_out *line = &self->tell.line;
    if (number < 0) {
        nkvi_out_printf(line, self->tell.json ? "{\"%s\":null}\n" : "all %s\n", name);
    } else {
        nkvi_out_printf(line, self->tell.json ? "{\"%s\":%" PRId64 "}\n" : "%s: %" PRId64 "\n",
                        name, number);
    }
    nkvi_tell_say(&self->tell);
}

static void clear(kv_run *self)
{
    nkv_kv_clear_options options;
    nkv_error error;
    int64_t number;
    bool counts = self->settings->count != 0;
    nkv_kv_clear_options_init(&options);
    options.page = self->settings->page;
    options.pause_ms = self->settings->pause_ms;
    nkv_status status = counts ? nkv_kv_count(self->kv, &options, &error, &number)
                               : nkv_kv_clear(self->kv, &options, &error, &number);
    if (status != NKV_OK) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_FAILURE, NOTHING, error.text);
    } else {
        say_number(self, counts ? "keys" : "removed", number);
    }
}

static bool tags_check(kv_run *self)
{
    bool names = self->settings->rest_n > 0, wanted = self->settings->invalidate != 0;
    if (names != wanted) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING,
                       wanted ? "--invalidate takes TAG, once or several times"
                              : "takes no words, or TAGs with --invalidate");
    }
    return names == wanted;
}

static int list_tag(nkv_str tag, int64_t keys, void *ud)
{
    kv_run *self = ud;
    nkvi_out *line = &self->tell.line;
    if (self->tell.json) {
        nkvi_out_text(line, "{\"tag\":");
        nkvi_json_out_str(line, tag);
        nkvi_out_printf(line, ",\"keys\":%" PRId64 "}\n", keys);
    } else {
        nkvi_tell_add_key(line, tag);
        nkvi_out_printf(line, ": %" PRId64 "\n", keys);
    }
    nkvi_tell_say(&self->tell);
    return self->tell.deaf;
}

static void tags(kv_run *self)
{
    nkv_call call;
    nkv_call_init(&call);
    if (!self->settings->invalidate) {
        if (nkv_kv_tags(self->kv, list_tag, self, &call) != NKV_OK) {
            nkvi_tell_fail(&self->tell, NKVI_EXIT_FAILURE, NOTHING, call.error.text);
        }
        return;
    }
    for (size_t i = 0; i < self->settings->rest_n; i++) {
        int64_t removed;
        nkv_str tag = key_at(self, i);
        nkv_status status = nkv_kv_invalidate_tag(self->kv, tag, &call, &removed);
        if (status != NKV_OK) {
            fail_key(self, tag, status, &call.error);
        } else {
            say_number(self, "removed", removed);
        }
    }
}

/* ---- one command ----------------------------------------------------------------------------- */

static const struct kv_command {
    const char *name;
    unsigned option;
    bool (*check)(kv_run *self);
    void (*run)(kv_run *self);
} commands[] = {
    {"get", NKVI_FOR_KV_GET, get_check, get},
    {"set", NKVI_FOR_KV_SET, set_check, set},
    {"del", NKVI_FOR_KV_DEL, keys_check, del},
    {"exists", NKVI_FOR_KV_EXISTS, keys_check, exists},
    {"ttl", NKVI_FOR_KV_TTL, keys_check, ttl},
    {"clear", NKVI_FOR_KV_CLEAR, clear_check, clear},
    {"tags", NKVI_FOR_KV_TAGS, tags_check, tags},
};

static bool open_handle(kv_run *self)
{
    const nkvi_settings *settings = self->settings;
    nkv_kv_options options;
    nkv_error error;
    nkvi_out said = {0};
    int status = nkvi_connect_silently(settings, true, &self->client, &said);

    if (status != NKVI_EXIT_OK) {
        nkvi_tell_fail_out(&self->tell, status, NOTHING, &said);
        return false;
    }
    nkvi_out_clear(&said);
    nkv_kv_options_init(&options);
    options.prefix = nkv_cstr(settings->kv_prefix);
    options.codec = settings->codec != 0 ? nkv_kv_codec_pickle() : NULL;
    options.compress_above = settings->compress_above;
    options.forbid_flush = !settings->flush;
    if (nkv_kv_create(self->client, &options, &self->kv, &error) < 0) {
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING, error.text);
        return false;
    }
    return true;
}

static void run(kv_run *self, const struct kv_command *command, nkvi_settings *settings)
{
    nkvi_out error = {0};

    if (!nkvi_secret_find(settings, &error)) {
        nkvi_tell_fail_line(&self->tell, NKVI_EXIT_FAILURE, &error);
    } else if (command->check(self) && open_handle(self)) {
        command->run(self);
    }
    nkv_kv_destroy(self->kv);
    nkv_client_destroy(self->client);
}

int nkvi_kv_main(int argc, char **argv)
{
    kv_run self = {.tell = {.name = "kv", .json = nkvi_tell_wants_json(argc, argv)}};
    const struct kv_command *command = NULL;
    nkvi_settings settings;
    nkvi_out error = {0};

    if (argc > 0 && nkvi_tell_is_help(argv[0])) {
        return nkvi_help_print("kv");
    }
    for (size_t i = 0; argc > 0 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[0], commands[i].name) == 0) {
            command = &commands[i];
        }
    }
    if (command == NULL) {
        return nkvi_tell_unknown(&self.tell, argc, argv, "kv",
                                 "get, set, del, exists, ttl, clear, tags");
    }
    self.tell.name = nkvi_options_command(command->option);
    self.settings = &settings;
    if (!nkvi_options_parse(&settings, command->option, argc - 1, argv + 1, &error)) {
        nkvi_tell_fail_line(&self.tell, NKVI_EXIT_USAGE, &error);
    } else if (settings.help) {
        self.tell.status = nkvi_help_print("kv");
    } else {
        run(&self, command, &settings);
    }
    nkvi_settings_clear(&settings);
    nkvi_out_clear(&self.tell.line);
    nkvi_out_clear(&error);
    return self.tell.status;
}
