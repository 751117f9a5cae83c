/* cli/lmcache.c - nearkv lmcache: which of its commands is meant, and how it says things. */
#include "cli/lmcache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/help.h"
#include "cli/json_out.h"
#include "cli/secret.h"

static const nkvi_lmc_command commands[] = {
    {"put", NKVI_FOR_PUT, nkvi_lmc_put_check, nkvi_lmc_put},
    {"get", NKVI_FOR_GET, nkvi_lmc_get_check, nkvi_lmc_get},
    {"contains", NKVI_FOR_CONTAINS, nkvi_lmc_keys_check, nkvi_lmc_contains},
    {"ls", NKVI_FOR_LS, nkvi_lmc_ls_check, nkvi_lmc_ls},
    {"rm", NKVI_FOR_RM, nkvi_lmc_keys_check, nkvi_lmc_rm},
};

#define COMMANDS (sizeof commands / sizeof commands[0])
#define NOTHING  ((nkvi_lmc_about){NULL, NULL})

/* ---- What is said ---------------------------------------------------------------------------- */

void nkvi_lmc_begin(nkvi_lmc *self, nkvi_lmc_about about)
{
    const char *before = "{";

    if (about.key != NULL) {
        nkvi_out_text(&self->line, "{\"key\":");
        nkvi_json_out_str(&self->line, *about.key);
        before = ",";
    }
    if (about.file != NULL) {
        nkvi_out_printf(&self->line, "%s\"file\":", before);
        nkvi_json_out_str(&self->line, nkv_cstr(about.file));
    }
}

void nkvi_lmc_add_key(nkvi_out *out, nkv_str key)
{
    bool plain = key.len > 0 && *key.data != '"' && nkv_utf8_valid(key);

    for (size_t i = 0; i < key.len && plain; i++) {
        plain = (unsigned char)key.data[i] >= 0x20 && key.data[i] != 0x7f;
    }
    if (plain) {
        nkvi_out_add(out, key.data, key.len);
    } else {
        nkvi_out_quoted(out, key);
    }
}

void nkvi_lmc_say(nkvi_lmc *self)
{
    if (!self->deaf && !nkvi_out_write(&self->line, stdout)) {
        self->deaf = true;
        self->status = self->status != NKVI_EXIT_OK ? self->status : NKVI_EXIT_FAILURE;
        if (errno != EPIPE) {
            fprintf(stderr, "nearkv: standard output: %s\n", strerrordesc_np(errno));
        }
    }
    self->line.len = 0;
}

void nkvi_lmc_fail(nkvi_lmc *self, int status, nkvi_lmc_about about, const char *why)
{
    self->status = status > self->status ? status : self->status;
    if (self->json) {
        nkvi_lmc_begin(self, about);
        nkvi_out_text(&self->line, about.key != NULL || about.file != NULL ? "," : "{");
        nkvi_out_text(&self->line, "\"error\":");
        nkvi_json_out_text(&self->line, why);
        nkvi_out_text(&self->line, "}\n");
        nkvi_lmc_say(self);
        return;
    }
    nkvi_out text = {0};
    nkvi_out_printf(&text, "nearkv %s: ", self->name);
    if (about.key != NULL) {
        nkvi_lmc_add_key(&text, *about.key);
        nkvi_out_text(&text, ": ");
    }
    nkvi_out_printf(&text, "%s\n", why);
    (void)nkvi_out_write(&text, stderr);
    nkvi_out_clear(&text);
}

void nkvi_lmc_fail_out(nkvi_lmc *self, int status, nkvi_lmc_about about, nkvi_out *why)
{
    nkvi_out_add(why, "", 1);
    nkvi_lmc_fail(self, status, about, why->data);
    nkvi_out_clear(why);
}

void nkvi_lmc_fail_item(nkvi_lmc *self, nkvi_lmc_about about, nkv_status status,
                        const nkv_error *error)
{
    if (status != NKV_NOT_FOUND) {
        bool detail = error != NULL && error->text[0] != '\0';
        nkvi_lmc_fail(self, NKVI_EXIT_FAILURE, about,
                      detail ? error->text : nkv_status_text(status));
    } else if (self->json) {
        self->status = self->status != NKVI_EXIT_OK ? self->status : NKVI_EXIT_FAILURE;
        nkvi_lmc_begin(self, about);
        nkvi_out_text(&self->line, ",\"found\":false}\n");
        nkvi_lmc_say(self);
    } else {
        nkvi_lmc_fail(self, NKVI_EXIT_FAILURE, about, "not there");
    }
}

/* A line that others made, "nearkv …: what is wrong\n", as ours. */
static void fail_line(nkvi_lmc *self, int status, nkvi_out *line)
{
    nkvi_out_add(line, "", 1);
    line->data[strcspn(line->data, "\n")] = '\0';
    char *why = strncmp(line->data, "nearkv", 6) == 0 ? strstr(line->data, ": ") : NULL;
    nkvi_lmc_fail(self, status, NOTHING, why != NULL ? why + 2 : line->data);
    nkvi_out_clear(line);
}

/* ---- One command ----------------------------------------------------------------------------- */

/* Makes the client and what works on it. */
static bool open_handles(nkvi_lmc *self)
{
    const nkvi_settings *settings = self->settings;
    nkv_lmcache_options options;
    nkv_error error;
    nkvi_out said = {0};
    int status = nkvi_connect_silently(settings, true, &self->client, &said);

    if (status != NKVI_EXIT_OK) {
        nkvi_lmc_fail_out(self, status, NOTHING, &said);
        return false;
    }
    nkvi_out_clear(&said);
    nkv_lmcache_options_init(&options);
    options.layout = (nkv_lmcache_layout)settings->layout;
    options.padding = (nkv_lmcache_padding)settings->padding;
    options.ttl_s = settings->ttl_ms / 1000;
    options.timeout_ms = settings->timeout_ms;
    options.verify_payload = (int)settings->verify_payload;
    options.chunk_bytes = settings->chunk_bytes;
    if (nkv_lmcache_create(self->client, &options, &self->lmcache, &error) < 0) {
        nkvi_lmc_fail(self, NKVI_EXIT_USAGE, NOTHING, error.text);
        return false;
    }
    return true;
}

static void run(nkvi_lmc *self, const nkvi_lmc_command *command, nkvi_settings *settings)
{
    nkvi_out error = {0};

    if (!nkvi_secret_find(settings, &error)) {
        fail_line(self, NKVI_EXIT_FAILURE, &error);
    } else if (command->check(self) && open_handles(self)) {
        command->run(self);
    }
    nkv_lmcache_destroy(self->lmcache);
    nkv_client_destroy(self->client);
}

/* Whether errors are wanted as JSON, also those of the options themselves. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static const nkvi_lmc_command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* There is no such command. */
static int unknown(nkvi_lmc *self, int argc, char **argv)
{
    nkvi_out why = {0};

    for (int i = 0; i < argc; i++) {
        nkvi_secret_wipe_url(argv[i]);
    }
    if (argc > 0) {
        nkvi_out_printf(&why, "no such command: %s; ", argv[0]);
    } else {
        nkvi_out_text(&why, "a command is missing; ");
    }
    nkvi_out_text(&why, "commands: put, get, contains, ls, rm; nearkv help lmcache tells more");
    nkvi_lmc_fail_out(self, NKVI_EXIT_USAGE, NOTHING, &why);
    nkvi_out_clear(&self->line);
    return self->status;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int nkvi_lmc_main(int argc, char **argv)
{
    nkvi_lmc self = {.name = "lmcache", .json = wants_json(argc, argv)};
    const nkvi_lmc_command *command = argc > 0 ? find(argv[0]) : NULL;
    nkvi_settings settings;
    nkvi_out error = {0};

    if (argc > 0 && is_help(argv[0])) {
        return nkvi_help_print("lmcache");
    }
    if (command == NULL) {
        return unknown(&self, argc, argv);
    }
    self.name = nkvi_options_command(command->option);
    self.settings = &settings;
    if (!nkvi_options_parse(&settings, command->option, argc - 1, argv + 1, &error)) {
        fail_line(&self, NKVI_EXIT_USAGE, &error);
    } else if (settings.help) {
        self.status = nkvi_help_print("lmcache");
    } else {
        run(&self, command, &settings);
    }
    nkvi_settings_clear(&settings);
    nkvi_out_clear(&self.line);
    nkvi_out_clear(&error);
    return self.status;
}
