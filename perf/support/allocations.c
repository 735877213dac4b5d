/*
 * malloc and its relatives, counted and handed on to glibc's. See allocations.h.
 */
#define _GNU_SOURCE
#include "support/allocations.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* glibc's own entry points, kept for programs that replace malloc. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* Seen by shared libraries too, which is the point. */
#define REPLACES __attribute__((visibility("default")))

static _Atomic uint64_t counted;

static void count(void)
{
    (void)atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
}

uint64_t perf_allocations(void)
{
    return atomic_load_explicit(&counted, memory_order_relaxed);
}

REPLACES void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

REPLACES void *calloc(size_t nmemb, size_t size)
{
    count();
    return __libc_calloc(nmemb, size);
}

REPLACES void *realloc(void *ptr, size_t size)
{
    count();
    return __libc_realloc(ptr, size);
}

REPLACES void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

REPLACES int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    void *const memory = __libc_memalign(alignment, size);

    count();
    if (memory == NULL) {
        return ENOMEM;
    }
    *memptr = memory;
    return 0;
}
