/*
 * A mutex that clang's -Wthread-safety can follow: functions that need it end in _locked and carry
 * WR_REQUIRES. Held for a bounded number of instructions, never over a callback or a wait.
 */
#ifndef WR_BASE_MUTEX_H
#define WR_BASE_MUTEX_H

#include <pthread.h>

#if defined(__clang__)
#    define WR_CAPABILITY  __attribute__((capability("mutex")))
#    define WR_REQUIRES(m) __attribute__((requires_capability(m)))
#    define WR_ACQUIRES(m) __attribute__((acquire_capability(m)))
#    define WR_RELEASES(m) __attribute__((release_capability(m)))
#    define WR_UNCHECKED   __attribute__((no_thread_safety_analysis))
#else
#    define WR_CAPABILITY
#    define WR_REQUIRES(m)
#    define WR_ACQUIRES(m)
#    define WR_RELEASES(m)
#    define WR_UNCHECKED
#endif

struct WR_CAPABILITY wr_mutex {
    pthread_mutex_t raw;
};

static inline void wr_mutex_init(struct wr_mutex *mutex)
{
    (void)pthread_mutex_init(&mutex->raw, NULL); /* default attributes: cannot fail on Linux */
}

static inline void wr_mutex_destroy(struct wr_mutex *mutex)
{
    (void)pthread_mutex_destroy(&mutex->raw);
}

static inline void wr_mutex_lock(struct wr_mutex *mutex) WR_ACQUIRES(*mutex) WR_UNCHECKED
{
    (void)pthread_mutex_lock(&mutex->raw);
}

static inline void wr_mutex_unlock(struct wr_mutex *mutex) WR_RELEASES(*mutex) WR_UNCHECKED
{
    (void)pthread_mutex_unlock(&mutex->raw);
}

#endif
