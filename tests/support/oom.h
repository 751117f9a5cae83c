/* support/oom.h - allocations that fail from the n-th on, for a while.
 *
 *      t_oom_open();                           before any thread is there that allocates
 *      for (long n = 0; more; n++) {
 *          t_oom_fail(n, 1);                   counts from 0 again
 *          … the scenario …                    t_oom_failed(): it may say NKV_ENOMEM
 *          more = t_oom_failed();              there were that many
 *          t_oom_relent();                     none fails any more
 *      }
 *      t_oom_close();                          when no such thread is left
 *
 * Threads     fail, failed, relent: any.                                                         */

#ifndef T_SUPPORT_OOM_H
#define T_SUPPORT_OOM_H

#include <stdbool.h>

void t_oom_open(void);
void t_oom_close(void);

/* From now on the allocations `from` to `from + count - 1` fail. */
void t_oom_fail(long from, long count);
void t_oom_relent(void);

/* Whether one has failed since; after t_oom_relent() none has. */
bool t_oom_failed(void);

#endif
