/* support/oom.c - see oom.h: the gate of base/mem.h, and what it counts. */

#include "support/oom.h"

#include <stdatomic.h>

#include "base/mem.h"

static atomic_long allocations;
static atomic_long fail_from = -1; /* the first to fail; -1: none */
static atomic_long fail_count;

static bool gate(size_t size, void *ud)
{
    (void)size;
    (void)ud;
    const long number = atomic_fetch_add(&allocations, 1);
    const long from = atomic_load(&fail_from);
    return from < 0 || number < from || number >= from + atomic_load(&fail_count);
}

void t_oom_open(void)
{
    t_oom_relent();
    nkvi_mem_set_gate(gate, NULL);
}

void t_oom_close(void)
{
    nkvi_mem_set_gate(NULL, NULL);
}

void t_oom_fail(long from, long count)
{
    atomic_store(&fail_count, count);
    atomic_store(&allocations, 0);
    atomic_store(&fail_from, from);
}

void t_oom_relent(void)
{
    atomic_store(&fail_from, -1);
}

bool t_oom_failed(void)
{
    const long from = atomic_load(&fail_from);
    return from >= 0 && atomic_load(&allocations) > from;
}
