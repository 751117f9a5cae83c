/* base/mem.c - malloc behind a gate that tests can close, and before the eyes of a watcher.
 *
 * Reading the gate costs one load; tests set it before their threads start, others never do.     */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <nearkv/status.h>

#define HUGE_PAGE ((size_t)2 << 20)

static nkvi_mem_gate_fn gate_fn;
static void *gate_ud;
static nkvi_mem_watch_fn watch_fn;
static void *watch_ud;

static bool gate_open(size_t size)
{
    nkvi_mem_gate_fn gate = __atomic_load_n(&gate_fn, __ATOMIC_ACQUIRE);
    return gate == NULL || gate(size, __atomic_load_n(&gate_ud, __ATOMIC_RELAXED));
}

void nkvi_mem_set_gate(nkvi_mem_gate_fn gate, void *ud)
{
    __atomic_store_n(&gate_ud, ud, __ATOMIC_RELAXED);
    __atomic_store_n(&gate_fn, gate, __ATOMIC_RELEASE);
}

void nkvi_mem_set_watch(nkvi_mem_watch_fn watch, void *ud)
{
    __atomic_store_n(&watch_ud, ud, __ATOMIC_RELAXED);
    __atomic_store_n(&watch_fn, watch, __ATOMIC_RELEASE);
}

/* Tells the watcher, if there is one, and hands the block on. */
static void *watched(void *block, size_t size)
{
    nkvi_mem_watch_fn watch = __atomic_load_n(&watch_fn, __ATOMIC_ACQUIRE);
    if (watch != NULL && block != NULL) {
        watch(block, size, __atomic_load_n(&watch_ud, __ATOMIC_RELAXED));
    }
    return block;
}

void *nkvi_alloc(size_t size)
{
    return gate_open(size) ? watched(malloc(size), size) : NULL;
}

void *nkvi_calloc(size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total) || !gate_open(total)) {
        return NULL;
    }
    return watched(calloc(count, size), total);
}

void *nkvi_realloc(void *block, size_t size)
{
    if (!gate_open(size)) {
        return NULL;
    }
    void *old = watched(block, 0);
    void *moved = realloc(old, size);
    (void)watched(moved, size);
    return moved;
}

void *nkvi_alloc_aligned(size_t alignment, size_t size)
{
    void *block = NULL;
    if (!gate_open(size) || posix_memalign(&block, alignment, size) != 0) {
        return NULL;
    }
    return watched(block, size);
}

void *nkvi_alloc_huge(size_t size)
{
    if (size < HUGE_PAGE) {
        return nkvi_alloc_aligned(128, size);
    }
    void *block = nkvi_alloc_aligned(HUGE_PAGE, size);
    if (block != NULL) {
        (void)madvise(block, size, MADV_HUGEPAGE); /* a wish: without it everything works, slower */
    }
    return block;
}

void nkvi_free(void *block)
{
    free(watched(block, 0));
}

char *nkvi_strndup(const char *data, size_t len)
{
    char *copy = len < SIZE_MAX ? nkvi_alloc(len + 1) : NULL;
    if (copy != NULL) {
        if (len > 0) {
            memcpy(copy, data, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

void nkv_free(void *buffer)
{
    nkvi_free(buffer);
}
