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
#define NOTHING  ((nkvi_about){NULL, NULL})

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
        nkvi_tell_fail_out(&self->tell, status, NOTHING, &said);
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
        nkvi_tell_fail(&self->tell, NKVI_EXIT_USAGE, NOTHING, error.text);
        return false;
    }
    return true;
}

static void run(nkvi_lmc *self, const nkvi_lmc_command *command, nkvi_settings *settings)
{
    nkvi_out error = {0};

    if (!nkvi_secret_find(settings, &error)) {
        nkvi_tell_fail_line(&self->tell, NKVI_EXIT_FAILURE, &error);
    } else if (command->check(self) && open_handles(self)) {
        command->run(self);
    }
    nkv_lmcache_destroy(self->lmcache);
    nkv_client_destroy(self->client);
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

int nkvi_lmc_main(int argc, char **argv)
{
    nkvi_lmc self = {.tell = {.name = "lmcache", .json = nkvi_tell_wants_json(argc, argv)}};
    const nkvi_lmc_command *command = argc > 0 ? find(argv[0]) : NULL;
    nkvi_settings settings;
    nkvi_out error = {0};

    if (argc > 0 && nkvi_tell_is_help(argv[0])) {
        return nkvi_help_print("lmcache");
    }
    if (command == NULL) {
        return nkvi_tell_unknown(&self.tell, argc, argv, "lmcache", "put, get, contains, ls, rm");
    }
    self.tell.name = nkvi_options_command(command->option);
    self.settings = &settings;
    if (!nkvi_options_parse(&settings, command->option, argc - 1, argv + 1, &error)) {
        nkvi_tell_fail_line(&self.tell, NKVI_EXIT_USAGE, &error);
    } else if (settings.help) {
        self.tell.status = nkvi_help_print("lmcache");
    } else {
        run(&self, command, &settings);
    }
    nkvi_settings_clear(&settings);
    nkvi_out_clear(&self.tell.line);
    nkvi_out_clear(&error);
    return self.tell.status;
}
