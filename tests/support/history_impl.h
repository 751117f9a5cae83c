/* support/history_impl.h - what history.c writes down and history_judge.c reads.
 *
 * Internal to the test kit.                                                                      */

#ifndef T_SUPPORT_HISTORY_IMPL_H
#define T_SUPPORT_HISTORY_IMPL_H

#include <pthread.h>

#include "support/history.h"

typedef struct t_history_write {
    uint32_t key;
    int group;
    int thread; /* from 1                                                                         */
    uint64_t version;
    int64_t sent_ns;
    int64_t acked_ns; /* INT64_MAX: never                                                         */
} t_history_write;

/* A read. */
typedef struct t_history_note {
    int group;
    int thread;
    t_history_got got;
    int64_t begin_ns;
    int64_t end_ns;
} t_history_note;

struct t_history_thread {
    int number; /* from 1                                                                         */
    int group;
    t_history_write *writes;
    size_t write_count;
    size_t write_room;
    t_history_note *reads; /* in the order in which they began                                    */
    size_t read_count;
    size_t read_room;
    struct t_history_thread *next;
};

struct t_history {
    pthread_mutex_t mu; /* guards the list                                                        */
    t_history_thread *threads;
    int thread_count;
};

#endif
