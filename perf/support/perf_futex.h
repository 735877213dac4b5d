/*
 * The bare futex calls that the benches measure weir against. Private to one process.
 */
#ifndef PERF_FUTEX_H
#define PERF_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PERF_FUTEX_ALL = INT_MAX };

/* Sleep while *word is `value`, at most until `until` on the monotonic clock (NULL: for ever). It
 * also returns for no reason: look at the word again. */
static inline void perf_futex_wait(_Atomic uint32_t *word, uint32_t value,
                                   const struct timespec *until)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, until, NULL,
                  FUTEX_BITSET_MATCH_ANY);
}

static inline void perf_futex_wake(_Atomic uint32_t *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

#endif
