/* support/history.h - who read what when: records reads and writes, and judges them afterwards.
 *
 * Writers write versions: a number that is never used twice for a key. Readers note which version
 * they got. All times are t_now_ns(), taken outside: a write's before it is sent and after it is
 * acknowledged, a read's before it begins and after it has returned. Only what those times prove is
 * called an error, so a correct cache never fails, however the threads were scheduled.
 *
 *      version v is OLDER than w       v was acknowledged before w was sent
 *
 *      STALE       a read began more than `bound` after w was acknowledged, and got an older one
 *      OWN WRITE   the same with a bound of 0, where reader and writer are of one group (P2)
 *      BACKWARDS   a thread that has read w got an older one in a later read
 *      FUTURE      a read had returned before the write that it got was sent
 *      UNKNOWN     nobody has written that version of that key
 *
 * A version is a number from 1; T_ABSENT is «the key is not there», which is what a key begins with
 * and what a deletion writes. Several writers of a key are fine: writes that overlap have no order.
 *
 * Threads     A notebook belongs to one thread. The judge comes when all of them are done.       */

#ifndef T_SUPPORT_HISTORY_H
#define T_SUPPORT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { T_ABSENT = 0, T_LEVELS = 3 };

typedef enum t_level { T_LEVEL_EVENTUAL, T_LEVEL_DRAIN, T_LEVEL_BARRIER } t_level;

typedef struct t_history t_history;
typedef struct t_history_thread t_history_thread;

t_history *t_history_create(void);
void t_history_destroy(t_history *history); /* NULL is allowed */

/* ---- Record ---------------------------------------------------------------------------------- */

/* The notebook of one thread. Threads of the same group (say, of clients that share a cache) see
 * each other's writes at once; each group has a number of the caller's choice. May be called from
 * any thread; the history frees it.                                                              */
t_history_thread *t_history_thread_new(t_history *history, int group);

/* Notes a write that is about to be sent. Its number is for the end; if that never comes, or comes
 * with `acked` false (an error, a timeout), the write may have happened at any time, or never.   */
size_t t_history_write_begin(t_history_thread *thread, uint32_t key, uint64_t version);
void t_history_write_end(t_history_thread *thread, size_t write, bool acked);

/* What a read got. `from` is for the report alone ("cache", "server"); it must live as long. */
typedef struct t_history_got {
    uint32_t key;
    uint64_t version;
    t_level level;
    const char *from;
} t_history_got;

/* Notes a read that has just returned. `begin_ns` is t_now_ns() from before it began. */
void t_history_read(t_history_thread *thread, int64_t begin_ns, t_history_got got);

/* The same with times of the caller's own: for tests of the judge, and for recorded histories. An
 * `acked_ns` of INT64_MAX: never acknowledged.                                                   */
void t_history_write_at(t_history_thread *thread, uint32_t key, uint64_t version, int64_t sent_ns,
                        int64_t acked_ns);
void t_history_read_at(t_history_thread *thread, t_history_got got, int64_t begin_ns,
                       int64_t end_ns);

/* ---- Judge ----------------------------------------------------------------------------------- */

typedef struct t_history_rules {
    int64_t bound_ns[T_LEVELS]; /* by level; -1: any age will do                                  */
    bool no_own_writes;         /* leave out OWN WRITE                                            */
    bool monotonic;             /* include BACKWARDS                                              */
    bool absent_is_fine;        /* keys may vanish (expiry, eviction): T_ABSENT is never an error */
} t_history_rules;

typedef struct t_history_verdict {
    size_t reads;
    size_t writes;
    size_t stale;
    size_t own_write;
    size_t backwards;
    size_t future;
    size_t unknown;
    int64_t worst_ns; /* the longest time by which a STALE or OWN WRITE read was too late         */
} t_history_verdict;

/* The number of errors; 0: nothing is proved against it. */
size_t t_history_errors(const t_history_verdict *verdict);

/* Judges everything. If there are errors and `out` is not NULL, the smallest history that proves
 * one of them is printed to it: a few lines, in the order of time.                               */
t_history_verdict t_history_judge(const t_history *history, const t_history_rules *rules,
                                  FILE *out);

/* ---- Values ---------------------------------------------------------------------------------- */

enum { T_VALUE_LEN_MIN = 24 };

/* Fills `out` with bytes that say which version of which key they are, from end to end: len >=
 * T_VALUE_LEN_MIN.                                                                               */
void t_history_value(void *out, size_t len, uint32_t key, uint64_t version);

/* The version that the bytes say they are; UINT64_MAX if they are no whole value of that key: torn,
 * cut short, or another's. No bytes at all (NULL) are T_ABSENT.                                  */
uint64_t t_history_version(const void *bytes, size_t len, uint32_t key);

#endif
