/* support/topology_traffic.h - clients at work, whose answers are checked, while the servers behind
 * them change.
 *
 *      t_load *load = t_load_start(&(t_load_options){.url = t_cluster_url(cluster),
 *                                                    .barrier_percent = 50, .bound_ms = 100});
 *      t_load_mark(load);
 *      t_cluster_migrate_slot(cluster, 4242, 2);
 *      cr_assert(t_load_wait_service(load, 5000) >= 0);
 *      const t_load_report report = t_load_stop(load);
 *      cr_assert_eq(report.wrong, 0);
 *
 * Threads read and write keys all over the slots, by the public API alone. Each key has one
 * writer; each value tells its key and version. When all is over, every read is judged
 * (support/history.h): a BARRIER read must see every write that was acknowledged before it
 * began; any read those of its own client; an EVENTUAL read those older than `bound_ms`; and
 * none what was never written to that key. A write that failed may have happened or not, at any
 * time.
 *
 * Two sorts of writers: `writers` use the readers' client, `other_writers` one of their own, of
 * which the readers hear from the servers alone.
 *
 * Threads     One thread at a time calls.                                                        */

#ifndef T_SUPPORT_TOPOLOGY_TRAFFIC_H
#define T_SUPPORT_TOPOLOGY_TRAFFIC_H

#include <nearkv/nearkv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "support/history.h"

typedef struct t_load t_load;

typedef struct t_load_options {
    const char *url;
    const nkv_options *client; /* settings of the clients, the URL apart; NULL: the defaults      */
    int readers;               /* 0: 2                                                            */
    int writers;               /* -1: none; 0: 1                                                  */
    int other_writers;         /* -1: none; 0: 1                                                  */
    int keys;                  /* 0: 128                                                          */
    int barrier_percent;       /* of the reads; the others are EVENTUAL                           */
    int64_t bound_ms;          /* of EVENTUAL reads; -1: any age will do                          */
    int64_t timeout_ms;        /* of a call; 0: the client's                                      */
    int read_pause_us;         /* after a read; 0: 200                                            */
    int write_pause_us;        /* after a write; 0: 1000                                          */
    bool no_own_writes;        /* a client need not see what it wrote (replicas are read)         */
    bool monotonic;            /* no reader may go back to an older version                       */
    bool absent_is_fine;       /* keys may vanish                                                 */
} t_load_options;

enum { T_LOAD_STATUSES = 14, T_LOAD_TEXT = 160 };

typedef struct t_load_report {
    uint64_t reads;                                /* that succeeded                             */
    uint64_t hits;                                 /* of these, from the cache                   */
    uint64_t writes;                               /* acknowledged                               */
    uint64_t unknown_writes;                       /* NKV_ECONN, NKV_ETIMEDOUT                   */
    uint64_t read_errors;                          /* all statuses                               */
    uint64_t write_errors;                         /* the same, unknown ones included            */
    uint64_t errors[T_LOAD_STATUSES];              /* [-status], reads and writes                */
    char first_text[T_LOAD_STATUSES][T_LOAD_TEXT]; /* of each status: the first error's          */
    int64_t gap_ms;        /* the longest time without a success of anybody                       */
    int64_t server_gap_ms; /* the same, cache hits not counted                                    */
    int64_t call_ms;       /* the longest call                                                    */
    int64_t disturbed_ms;  /* from the mark to the end of the last call that failed or was slow   */
    t_history_verdict verdict;
    size_t wrong; /* reads that are proved wrong: 0 is what a test wants                          */
} t_load_report;

enum { T_LOAD_SLOW_MS = 200 };

/* Makes the clients and starts the threads; waits until every key was written and read once. */
t_load *t_load_start(const t_load_options *options);

/* The readers' client. */
nkv_client *t_load_client(t_load *load);

/* The name of key 0, 1, … Even numbers have hash tags, and their slots are spread evenly; the slots
 * of the others are anywhere. No two loads of a process use the same.                            */
const char *t_load_key(const t_load *load, int number);

/* `disturbed_ms` counts from now on. */
void t_load_mark(t_load *load);

/* Waits until every key was read and written, both begun after this call; how many milliseconds
 * that took, or -1 after `timeout_ms`.                                                           */
int64_t t_load_wait_service(t_load *load, int64_t timeout_ms);

/* Acknowledgements between these times (t_now_ns) prove nothing: servers may lose what they had
 * acknowledged when a replica takes over that was behind.                                        */
void t_load_forgive(t_load *load, int64_t from_ns, int64_t to_ns);

/* Ends all threads, judges, frees. If a read is wrong, the smallest history that proves it is
 * printed to standard error.                                                                     */
t_load_report t_load_stop(t_load *load);

void t_load_print(const t_load_report *report, FILE *out);

#endif
