/* cli/tell.c - see tell.h. */
#include "cli/tell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/json_out.h"
#include "cli/secret.h"

#define NOTHING ((nkvi_about){NULL, NULL})

void nkvi_tell_begin(nkvi_tell *self, nkvi_about about)
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

void nkvi_tell_add_key(nkvi_out *out, nkv_str key)
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

void nkvi_tell_say(nkvi_tell *self)
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

void nkvi_tell_fail(nkvi_tell *self, int status, nkvi_about about, const char *why)
{
    self->status = status > self->status ? status : self->status;
    if (self->json) {
        nkvi_tell_begin(self, about);
        nkvi_out_text(&self->line, about.key != NULL || about.file != NULL ? "," : "{");
        nkvi_out_text(&self->line, "\"error\":");
        nkvi_json_out_text(&self->line, why);
        nkvi_out_text(&self->line, "}\n");
        nkvi_tell_say(self);
        return;
    }
    nkvi_out text = {0};
    nkvi_out_printf(&text, "nearkv %s: ", self->name);
    if (about.key != NULL) {
        nkvi_tell_add_key(&text, *about.key);
        nkvi_out_text(&text, ": ");
    }
    nkvi_out_printf(&text, "%s\n", why);
    (void)nkvi_out_write(&text, stderr);
    nkvi_out_clear(&text);
}

void nkvi_tell_fail_out(nkvi_tell *self, int status, nkvi_about about, nkvi_out *why)
{
    nkvi_out_add(why, "", 1);
    nkvi_tell_fail(self, status, about, why->data);
    nkvi_out_clear(why);
}

void nkvi_tell_fail_item(nkvi_tell *self, nkvi_about about, nkv_status status,
                         const nkv_error *error)
{
    if (status != NKV_NOT_FOUND) {
        bool detail = error != NULL && error->text[0] != '\0';
        nkvi_tell_fail(self, NKVI_EXIT_FAILURE, about,
                       detail ? error->text : nkv_status_text(status));
    } else if (self->json) {
        self->status = self->status != NKVI_EXIT_OK ? self->status : NKVI_EXIT_FAILURE;
        nkvi_tell_begin(self, about);
        nkvi_out_text(&self->line, ",\"found\":false}\n");
        nkvi_tell_say(self);
    } else {
        nkvi_tell_fail(self, NKVI_EXIT_FAILURE, about, "not there");
    }
}

void nkvi_tell_fail_line(nkvi_tell *self, int status, nkvi_out *line)
{
    nkvi_out_add(line, "", 1);
    line->data[strcspn(line->data, "\n")] = '\0';
    char *why = strncmp(line->data, "nearkv", 6) == 0 ? strstr(line->data, ": ") : NULL;
    nkvi_tell_fail(self, status, NOTHING, why != NULL ? why + 2 : line->data);
    nkvi_out_clear(line);
}

bool nkvi_tell_wants_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

int nkvi_tell_unknown(nkvi_tell *self, int argc, char **argv, const char *topic,
                      const char *commands)
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
    nkvi_out_printf(&why, "commands: %s; nearkv help %s tells more", commands, topic);
    nkvi_tell_fail_out(self, NKVI_EXIT_USAGE, NOTHING, &why);
    nkvi_out_clear(&self->line);
    return self->status;
}

bool nkvi_tell_is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}
