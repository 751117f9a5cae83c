/* support/reads.h - reads for which nobody waits (client/read.h), in few words.
 *
 *      t_reads *reads = t_reads_of(client, "a", "b", "a");
 *      t_reads_start(reads, 1000);
 *      t_reads_wait(reads);
 *      cr_assert_str_eq(t_reads_text(reads), "v/server _/server v/joined");
 *      t_reads_free(reads);
 *
 * Threads     start and free: one at a time; cancel and is_done: any.                            */

#ifndef T_SUPPORT_READS_H
#define T_SUPPORT_READS_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/read.h"

typedef struct t_reads {
    nkvi_reads all;
    nkv_client *client;
    nkv_call call; /* what the reads ask for; to be changed before a start                        */
    nkv_result *results;
    /* Of the last start. */
    _Atomic int done; /* how often done() was called                                              */
    nkv_status first;
    nkv_error error;
    pthread_t thread; /* that called done()                                                       */
    void (*then)(struct t_reads *reads); /* called at the end of done(), or NULL                  */
    void *ud;
    char *text;
    char *names;
} t_reads;

/* GET of these keys. */
t_reads *t_reads_argv(nkv_client *client, const char *const *keys);
#define t_reads_of(client, ...) t_reads_argv((client), (const char *const[]){__VA_ARGS__, NULL})

/* GET of PREFIX0, PREFIX1, … */
t_reads *t_reads_many(nkv_client *client, const char *prefix, size_t n);

/* Starts them, perhaps again; the results of the start before are released. */
void t_reads_start(t_reads *reads, int64_t timeout_ms);

bool t_reads_is_done(t_reads *reads);

/* Waits for done(); ends the process when it does not come. */
void t_reads_wait(t_reads *reads);

void t_reads_cancel(t_reads *reads);

/* The results in words, one for each key, with blanks between: an answer (support/near.h) and where
 * it is from, "v/cache", or "!canceled". Lives until the next call.                              */
const char *t_reads_text(t_reads *reads);

/* How many results there are of that status. */
size_t t_reads_count(const t_reads *reads, nkv_status status);

/* True if all are answers from there. */
bool t_reads_all_from(const t_reads *reads, nkv_from from);

/* Waits for done() if they were started. */
void t_reads_free(t_reads *reads);

#endif
