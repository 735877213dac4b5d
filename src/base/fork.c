/*
 * See fork.h. The handler does one atomic add: in a child of a threaded process nothing else is
 * safe.
 */
#include "base/fork.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic uint32_t forks;

static void count_fork(void)
{
    (void)atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork);
}

uint32_t wr_fork_count(void)
{
    /* Relaxed: it changes only while the process has one thread. */
    return atomic_load_explicit(&forks, memory_order_relaxed);
}
