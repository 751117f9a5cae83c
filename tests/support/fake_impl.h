/* support/fake_impl.h - what fake.c (the thread), fake_conn.c (one connection) and fake_api.c (the
 * test's side) see of a fake. Internal to the test kit.                                          */

#ifndef T_SUPPORT_FAKE_IMPL_H
#define T_SUPPORT_FAKE_IMPL_H

#include <pthread.h>

#include "support/check.h"
#include "support/fake.h"
#include "support/resp.h"

enum { T_FAKE_COMMAND_BYTES = 4 << 20, T_FAKE_ALL_BYTES = 256 << 20, T_FAKE_RULES = 128 };

/* A command, written down. One allocation: this, the words' places and lengths, the words. */
typedef struct t_fake_record {
    t_fake_command command;
    struct t_fake_record *next_of_conn; /* the next command of the same connection                */
} t_fake_record;

typedef struct t_fake_rule {
    char *words[T_FAKE_WORDS + 1];
    char *reply;
    size_t len;
} t_fake_rule;

typedef struct t_fake_conn {
    int number;
    int fd;      /* -1: to come, or closed                                                        */
    bool resp3;  /* HELLO 3 was said                                                              */
    bool opened; /* it has been accepted                                                          */
    t_resp in;   /* not yet a whole command                                                       */
    t_resp out;  /* not yet taken by the kernel                                                   */
    bool close_when_sent;
    bool close_now; /* with a reset                                                               */

    t_fake_record *first; /* commands not treated yet                                             */
    t_fake_record **last;

    const t_step *steps;
    size_t step_count;
    size_t step;
    bool *released; /* by step                                                                    */
    bool failed;
} t_fake_conn;

struct t_fake {
    pthread_t thread;
    pthread_mutex_t mu; /* guards all below                                                       */
    pthread_cond_t changed;
    int wake;
    bool stop;
    uint64_t asked; /* changes by the test, and those acted on: as in the proxy                   */
    uint64_t done;

    t_fake_options options;
    char dir[T_PATH_MAX];
    char *path;
    int port;
    char *url;
    int listener;
    bool refuse;

    t_fake_conn conns[T_FAKE_CONNS + 1]; /* by number                                             */
    int accepted;
    const t_step *steps_of_new; /* the script of connections to come; NULL: none                  */
    size_t step_count_of_new;

    t_fake_rule rules[T_FAKE_RULES];
    size_t rule_count;
    t_fake_answer_fn answer_by; /* NULL: nobody                                                   */
    void *answer_by_ud;

    t_fake_record **records;
    size_t record_count;
    size_t record_room;
    size_t record_bytes;
    char *error;
};

/* Does the command fit the words? */
bool t_fake_fits(const t_fake_command *command, const char *const *words);

/* @locks mu held, all below */

/* Sets the script of a connection, from its first step. */
void t_fake_conn_script(t_fake_conn *conn, const t_step *steps, size_t count);

/* Takes `len` bytes that have come in. Commands that are whole now are written down. */
void t_fake_conn_input(t_fake *fake, t_fake_conn *conn, const char *bytes, size_t len);

/* Treats what can be treated: steps and commands, in order. True if anything has changed. */
bool t_fake_conn_play(t_fake *fake, t_fake_conn *conn);

/* Notes the first error, and ends this connection when all is sent. */
void t_fake_conn_fail(t_fake *fake, t_fake_conn *conn, const char *what,
                      const t_fake_command *command);

void t_fake_wake(t_fake *fake);

#endif
