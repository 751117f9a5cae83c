/* cli/view.h - how the shell shows what it learnt: for people, or as JSON for programs.
 *
 *      shell ---- what happened ----> view ---- text ----> nkvi_out
 *
 * A view is a table of functions that write into an nkvi_out and know nothing of clients and
 * streams. Each function writes whole lines.                                                     */
#ifndef NKVI_CLI_VIEW_H
#define NKVI_CLI_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include <nearkv/stats.h>

#include "cli/out.h"

/* What a server command came to. */
typedef struct nkvi_answer {
    const char *command; /* upper case                                                            */
    const nkv_reply
        *reply;        /* NULL: it failed                                                       */
    const char *error; /* then: why, as the server or the library says it                       */
    const nkv_from
        *from; /* one for the whole answer, or one for each key                         */
    size_t from_n;
    bool by_key; /* whether `from` is one for each key                                    */
    double us;
} nkvi_answer;

typedef struct nkvi_health {
    int healthy;
    double confidence;
    const nkv_node_health *nodes;
    size_t n;
} nkvi_health;

/* What else the shell has to say: the result of one of its own commands. */
typedef enum nkvi_note_kind {
    NKVI_NOTE_LEVEL, /* the level reads have now: text                                         */
    NKVI_NOTE_INVALIDATED, /* so many keys were forgotten: number                                 */
    NKVI_NOTE_RESET, /* all was forgotten                                                      */
    NKVI_NOTE_SLEPT  /* so many milliseconds: number                                           */
} nkvi_note_kind;

typedef struct nkvi_note {
    nkvi_note_kind kind;
    const char *text;
    double number;
} nkvi_note;

/* One of the shell's own commands, as :help lists them. */
typedef struct nkvi_local_help {
    const char *usage, *text;
} nkvi_local_help;

typedef struct nkvi_view {
    void (*answer)(nkvi_out *out, const nkvi_answer *answer);
    void (*stats)(nkvi_out *out, const nkv_stats *stats);
    void (*health)(nkvi_out *out, const nkvi_health *health);
    void (*prefix)(nkvi_out *out, size_t prefix, size_t from_cache, double us);
    void (*note)(nkvi_out *out, const nkvi_note *note);
    void (*help)(nkvi_out *out, const nkvi_local_help *rows, size_t n);
    /* What went wrong with one of the shell's own commands, or (command NULL) with a whole line. */
    void (*error)(nkvi_out *out, const char *command, const char *text);
} nkvi_view;

extern const nkvi_view nkvi_view_text; /* as redis-cli prints, and a tag                       */
extern const nkvi_view
    nkvi_view_text_color;              /* the same, the tag in a dim colour                    */
extern const nkvi_view nkvi_view_json; /* one object a line                                    */

/* "cache", "joined", "server" or "local". */
const char *nkvi_from_name(nkv_from from);

/* An answer as redis-cli prints it, without a newline at its end. */
void nkvi_text_out_reply(nkvi_out *out, const nkv_reply *reply);

/* A time: "0.4 µs", "12 µs", "3.4 ms", "1.2 s". */
void nkvi_text_out_us(nkvi_out *out, double us);

#endif
