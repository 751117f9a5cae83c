/* support/mem_hook_here.h - defines malloc and its kin for the program that includes it, once.
 *
 * They count (mem_hook.h) and call glibc's own, which it exports under second names. The names must
 * be visible to shared libraries, whatever -fvisibility says. Sanitizers have definitions of their
 * own, which these would only hide: there is nothing here for them.                              */

#ifndef T_SUPPORT_MEM_HOOK_HERE_H
#define T_SUPPORT_MEM_HOOK_HERE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "support/mem_hook.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define T_MEM_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define T_MEM_SANITIZED 1
#endif

#ifndef T_MEM_SANITIZED

#define T_MEM_EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

T_MEM_EXPORT void *malloc(size_t size);
T_MEM_EXPORT void *calloc(size_t count, size_t size);
T_MEM_EXPORT void *realloc(void *block, size_t size);
T_MEM_EXPORT void *reallocarray(void *block, size_t count, size_t size);
T_MEM_EXPORT void *memalign(size_t alignment, size_t size);
T_MEM_EXPORT void *aligned_alloc(size_t alignment, size_t size);
T_MEM_EXPORT int posix_memalign(void **block, size_t alignment, size_t size);
T_MEM_EXPORT void free(void *block);

void *malloc(size_t size)
{
    void *block = __libc_malloc(size);
    t_mem_note_alloc(block, size);
    return block;
}

void *calloc(size_t count, size_t size)
{
    void *block = __libc_calloc(count, size);
    t_mem_note_alloc(block, count * size); /* it has not overflowed if there is a block */
    return block;
}

void *realloc(void *block, size_t size)
{
    const size_t cost = t_mem_cost_of(block); /* later it may be gone */
    void *moved = __libc_realloc(block, size);
    if (moved != NULL || size == 0) {
        t_mem_note_free(cost);
    }
    t_mem_note_alloc(moved, size);
    return moved;
}

void *reallocarray(void *block, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, count * size);
}

void *memalign(size_t alignment, size_t size)
{
    void *block = __libc_memalign(alignment, size);
    t_mem_note_alloc(block, size);
    return block;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    void *aligned = memalign(alignment, size);
    if (aligned == NULL) {
        return ENOMEM;
    }
    *block = aligned;
    return 0;
}

void free(void *block)
{
    const int why = errno; /* free leaves it alone */
    t_mem_note_free(t_mem_cost_of(block));
    __libc_free(block);
    errno = why;
}

#endif
#endif
