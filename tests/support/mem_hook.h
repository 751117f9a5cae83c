/* support/mem_hook.h - counts what is allocated, by whom, and how much memory it really takes.
 *
 *      const t_mem before = t_mem_of_thread();
 *      … a hit …
 *      cr_assert_eq(t_mem_diff(t_mem_of_thread(), before).allocs, 0);
 *
 * A program is counted if one of its files includes support/mem_hook_here.h, which defines malloc
 * and its kin around glibc's own: then every allocation of every library in it counts, hiredis' and
 * libc's included. Under a sanitizer or valgrind the definitions are not in force: t_mem_hooked()
 * says so, and all counts stay zero.
 *
 * Threads    Any. Counts of a thread are its own and exact; those of the process are exact when no
 *            other thread allocates at that moment.                                              */

#ifndef T_SUPPORT_MEM_HOOK_H
#define T_SUPPORT_MEM_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct t_mem {
    int64_t allocs;    /* malloc, calloc, realloc, aligned ones                                   */
    int64_t frees;     /* free of a block, realloc of one                                         */
    int64_t requested; /* bytes asked for                                                         */
    int64_t heap;      /* bytes taken minus given back, with the allocator's header and rounding  */
} t_mem;

/* Are allocations of this program counted? */
bool t_mem_hooked(void);

/* Since the thread's, the process's start. A block may be freed by another thread than the one that
 * has allocated it, so that the heap of a thread may be negative.                                */
t_mem t_mem_of_thread(void);
t_mem t_mem_of_process(void);

t_mem t_mem_diff(t_mem after, t_mem before);

/* The most that the heap of the process was since the last reset (in the sense of t_mem.heap). */
void t_mem_peak_reset(void);
int64_t t_mem_peak(void);

/* What a block takes, header and rounding included. Works without the hook too. */
size_t t_mem_cost_of(const void *block);

/* ---- For mem_hook_here.h alone --------------------------------------------------------------- */

void t_mem_note_alloc(const void *block, size_t requested); /* NULL: the allocation has failed    */
void t_mem_note_free(size_t cost);                          /* 0: there was no block              */

#endif
