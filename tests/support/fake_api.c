/* support/fake_api.c - the played server, seen from the test: scripts, rules, questions.
 *
 * Callers      tests of everything that talks to a server                                        */

#include "support/check.h"
#include "support/fake.h"
#include "support/fake_impl.h"
#include "support/thread.h"

#include <stdlib.h>
#include <string.h>

/* ---- Lock, change, wait ---------------------------------------------------------------------- */

static void lock(t_fake *fake)
{
    (void)pthread_mutex_lock(&fake->mu);
}

static void unlock(t_fake *fake)
{
    (void)pthread_mutex_unlock(&fake->mu);
}

/* Returns when the thread has acted on all changes made so far. @locks mu held */
static void settle(t_fake *fake)
{
    const uint64_t asked = ++fake->asked;
    t_fake_wake(fake);
    while (fake->done < asked) {
        (void)pthread_cond_wait(&fake->changed, &fake->mu);
    }
}

static t_fake_conn *conn_at(t_fake *fake, int conn)
{
    T_REQUIRE(conn >= 1 && conn <= T_FAKE_CONNS);
    return &fake->conns[conn];
}

/* What to wait for. */
typedef struct wish {
    int conn;
    size_t number;
    const char *const *words;
} wish;
typedef bool is_true(t_fake *fake, const wish *w);

static bool wait_for(t_fake *fake, is_true *fn, const wish *w, int64_t timeout_ms)
{
    const struct timespec end = t_deadline_after_ms(timeout_ms);
    lock(fake);
    bool holds = fn(fake, w);
    while (!holds && pthread_cond_timedwait(&fake->changed, &fake->mu, &end) == 0) {
        holds = fn(fake, w);
    }
    unlock(fake);
    return holds;
}

/* ---- Where it is ----------------------------------------------------------------------------- */

const char *t_fake_path(const t_fake *fake)
{
    return fake->path;
}

int t_fake_port(const t_fake *fake)
{
    return fake->port;
}

const char *t_fake_url(const t_fake *fake)
{
    return fake->url;
}

/* ---- Scripts --------------------------------------------------------------------------------- */

void t_fake_script(t_fake *fake, int conn, const t_step *steps, size_t count)
{
    lock(fake);
    if (conn == T_EVERY) {
        fake->steps_of_new = steps;
        fake->step_count_of_new = count;
        for (int i = 1; i <= T_FAKE_CONNS; i++) {
            if (fake->conns[i].opened) {
                t_fake_conn_script(&fake->conns[i], steps, count);
            }
        }
    } else {
        t_fake_conn_script(conn_at(fake, conn), steps, count);
    }
    settle(fake);
    unlock(fake);
}

/* The place of a T_SYNC in the connection's script. */
static size_t find_sync(const t_fake_conn *conn, const char *name)
{
    for (size_t i = 0; i < conn->step_count; i++) {
        if (conn->steps[i].kind == T_STEP_SYNC && strcmp(conn->steps[i].bytes, name) == 0) {
            return i;
        }
    }
    T_DIE("the script of connection %d has no T_SYNC(\"%s\")", conn->number, name);
}

static bool is_at_step(t_fake *fake, const wish *w)
{
    return fake->conns[w->conn].step >= w->number;
}

bool t_fake_wait_sync(t_fake *fake, int conn, const char *name, int64_t timeout_ms)
{
    lock(fake);
    const wish w = {.conn = conn, .number = find_sync(conn_at(fake, conn), name)};
    unlock(fake);
    return wait_for(fake, is_at_step, &w, timeout_ms);
}

void t_fake_go(t_fake *fake, int conn, const char *name)
{
    lock(fake);
    t_fake_conn *c = conn_at(fake, conn);
    c->released[find_sync(c, name)] = true;
    settle(fake);
    unlock(fake);
}

static bool is_through_or_failed(t_fake *fake, const wish *w)
{
    const t_fake_conn *conn = &fake->conns[w->conn];
    return conn->failed || (conn->steps != NULL && conn->step == conn->step_count);
}

bool t_fake_wait_script(t_fake *fake, int conn, int64_t timeout_ms)
{
    const wish w = {.conn = conn_at(fake, conn)->number};
    if (!wait_for(fake, is_through_or_failed, &w, timeout_ms)) {
        return false;
    }
    lock(fake);
    const bool failed = fake->conns[conn].failed;
    unlock(fake);
    return !failed;
}

const char *t_fake_error(t_fake *fake)
{
    lock(fake);
    const char *error = fake->error; /* never changes once it is there */
    unlock(fake);
    return error;
}

/* ---- Rules ----------------------------------------------------------------------------------- */

void t_fake_on_argv(t_fake *fake, const void *reply, size_t len, const char *const *words)
{
    lock(fake);
    T_REQUIRE(fake->rule_count < T_FAKE_RULES);
    t_fake_rule *rule = &fake->rules[fake->rule_count++];
    rule->reply = malloc(len + 1);
    T_REQUIRE(rule->reply != NULL);
    memcpy(rule->reply, reply, len);
    rule->len = len;
    for (size_t i = 0; words[i] != NULL; i++) {
        T_REQUIRE(i < T_FAKE_WORDS);
        rule->words[i] = t_format("%s", words[i]);
    }
    unlock(fake);
}

void t_fake_answer_by(t_fake *fake, t_fake_answer_fn answer, void *ud)
{
    lock(fake);
    fake->answer_by = answer;
    fake->answer_by_ud = ud;
    unlock(fake);
}

/* ---- By hand --------------------------------------------------------------------------------- */

void t_fake_send(t_fake *fake, int conn, const void *bytes, size_t len)
{
    lock(fake);
    const int first = conn == T_EVERY ? 1 : conn_at(fake, conn)->number;
    const int last = conn == T_EVERY ? fake->accepted : conn;
    for (int i = first; i <= last; i++) {
        if (fake->conns[i].fd >= 0) {
            t_resp_raw(&fake->conns[i].out, bytes, len);
        } else if (conn != T_EVERY) {
            T_DIE("connection %d is not open", conn);
        }
    }
    settle(fake);
    unlock(fake);
}

bool t_fake_try_send(t_fake *fake, int conn, const void *bytes, size_t len)
{
    lock(fake);
    const bool open = conn_at(fake, conn)->fd >= 0;
    if (open) {
        t_resp_raw(&fake->conns[conn].out, bytes, len);
        settle(fake);
    }
    unlock(fake);
    return open;
}

void t_fake_close(t_fake *fake, int conn, bool reset)
{
    lock(fake);
    const int first = conn == T_EVERY ? 1 : conn_at(fake, conn)->number;
    const int last = conn == T_EVERY ? fake->accepted : conn;
    for (int i = first; i <= last; i++) {
        if (fake->conns[i].fd >= 0) {
            fake->conns[i].close_now = reset;
            fake->conns[i].close_when_sent = true;
        }
    }
    settle(fake);
    unlock(fake);
}

void t_fake_refuse(t_fake *fake, bool on)
{
    lock(fake);
    fake->refuse = on;
    settle(fake);
    unlock(fake);
}

/* ---- What it was told ------------------------------------------------------------------------ */

size_t t_fake_count(t_fake *fake)
{
    lock(fake);
    const size_t count = fake->record_count;
    unlock(fake);
    return count;
}

t_fake_command t_fake_command_at(t_fake *fake, size_t index)
{
    lock(fake);
    T_REQUIRE(index < fake->record_count);
    const t_fake_command command = fake->records[index]->command;
    unlock(fake);
    return command;
}

/* @locks mu held */
static long find(const t_fake *fake, size_t from, const char *const *words)
{
    for (size_t i = from; i < fake->record_count; i++) {
        if (t_fake_fits(&fake->records[i]->command, words)) {
            return (long)i;
        }
    }
    return -1;
}

/* @locks mu held */
static size_t count_hits(const t_fake *fake, const char *const *words)
{
    size_t hits = 0;
    for (long at = 0; (at = find(fake, (size_t)at, words)) >= 0; at++) {
        hits++;
    }
    return hits;
}

long t_fake_find_argv(t_fake *fake, size_t from, const char *const *words)
{
    lock(fake);
    const long at = find(fake, from, words);
    unlock(fake);
    return at;
}

size_t t_fake_hits_argv(t_fake *fake, const char *const *words)
{
    lock(fake);
    const size_t hits = count_hits(fake, words);
    unlock(fake);
    return hits;
}

static bool are_told(t_fake *fake, const wish *w)
{
    return count_hits(fake, w->words) >= w->number;
}

bool t_fake_wait_hits_argv(t_fake *fake, size_t count, int64_t timeout_ms, const char *const *words)
{
    return wait_for(fake, are_told, &(const wish){.number = count, .words = words}, timeout_ms);
}

int t_fake_accepted(t_fake *fake)
{
    lock(fake);
    const int accepted = fake->accepted;
    unlock(fake);
    return accepted;
}

static bool are_accepted(t_fake *fake, const wish *w)
{
    return fake->accepted >= (int)w->number;
}

bool t_fake_wait_accepted(t_fake *fake, int count, int64_t timeout_ms)
{
    return wait_for(fake, are_accepted, &(const wish){.number = (size_t)count}, timeout_ms);
}

static bool is_closed(t_fake *fake, const wish *w)
{
    return fake->conns[w->conn].opened && fake->conns[w->conn].fd < 0;
}

bool t_fake_wait_closed(t_fake *fake, int conn, int64_t timeout_ms)
{
    return wait_for(fake, is_closed, &(const wish){.conn = conn_at(fake, conn)->number},
                    timeout_ms);
}

void t_fake_print(t_fake *fake)
{
    const size_t count = t_fake_count(fake);
    for (size_t i = 0; i < count; i++) {
        const t_fake_command command = t_fake_command_at(fake, i);
        (void)fprintf(stderr, "  %zu [%d]", i, command.conn);
        for (size_t k = 0; k < command.argc; k++) {
            (void)fprintf(stderr, " %s", command.argv[k]);
        }
        (void)fputc('\n', stderr);
    }
    const char *error = t_fake_error(fake);
    if (error != NULL) {
        (void)fprintf(stderr, "  error: %s\n", error);
    }
}
