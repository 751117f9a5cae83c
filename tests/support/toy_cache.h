/* support/toy_cache.h - a cache of one's own, as small as it can be: a list under a mutex. It can
 * be told to be wrong in ways that the conformance suite must see. */

#ifndef T_SUPPORT_TOY_CACHE_H
#define T_SUPPORT_TOY_CACHE_H

#include <nearkv/cache.h>
#include <pthread.h>

typedef enum t_toy_fault {
    T_TOY_RIGHT = 0,
    T_TOY_ONE_SPACE,        /* answers of all spaces are one                                     */
    T_TOY_ONE_COMMAND,      /* the command is not looked at                                      */
    T_TOY_TEXT_KEYS,        /* keys end at a NUL                                                 */
    T_TOY_KEEPS_FIRST,      /* put does not replace                                              */
    T_TOY_INVALIDATES_GET,  /* invalidate forgets one command only                               */
    T_TOY_INVALIDATES_NONE, /* … or nothing, and the first answer stays                          */
    T_TOY_INVALIDATES_SPACE, /* … or everything of all spaces under that key                      */
    T_TOY_RESET_NOTHING,     /* reset does nothing                                                */
    T_TOY_RESET_ZERO,        /* reset of all drops space 0 only                                   */
    T_TOY_LEAKS,             /* a reference too many                                              */
    T_TOY_NAN,               /* a confidence that is no number                                    */
    T_TOY_KEEPS_NOTHING,     /* not wrong, but no use                                             */
    T_TOY_FAULTS
} t_toy_fault;

typedef struct t_toy {
    pthread_mutex_t lock;
    struct t_toy_entry *entries;
    t_toy_fault fault;
    double confidence; /* what confidence() says                                                  */
    int healthy;
    int gets, hits, puts, invalidations, resets; /* calls so far                                  */
    int matches, mismatches;                     /* of feedback()                                 */
    int destroyed;
    const char *instead; /* not NULL: get() looks for this key, whatever it was asked for         */
} t_toy;

/* Prepares a toy of the caller's memory. ops.destroy empties it and counts; the memory stays. */
void t_toy_init(t_toy *toy);

/* The table. */
extern const nkv_cache_ops t_toy_ops;

/* Makes and destroys one on the heap, for the conformance suite. */
extern const nkv_cache_ops t_toy_heap_ops;
void *t_toy_new(void);
extern t_toy_fault t_toy_new_fault; /* of those made from now on */

/* Gives back what T_TOY_LEAKS has kept. */
void t_toy_free_leaks(void);

#endif
