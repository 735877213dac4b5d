/*
 * Reading the runtime's clock. The built-in clock is called directly; only a foreign one (the
 * manual clock of tests and of the simulator) costs an indirect call.
 */
#ifndef WR_BASE_CLOCK_H
#define WR_BASE_CLOCK_H

#include <weir/host.h>

#include <stdatomic.h>
#include <string.h>

uint64_t wr_system_now(void *user);

extern const weir_clock wr_system_clock;

static inline uint64_t wr_clock_now(const weir_clock *clock)
{
    return clock->now == wr_system_now ? wr_system_now(NULL) : clock->now(clock->user);
}

/* The same word as the host sees it: the qualifier is dropped on purpose, the layout is the same.
 */
static inline uint32_t *wr_clock_word(_Atomic uint32_t *word)
{
    uint32_t *plain;

    memcpy(&plain, &word, sizeof(plain));
    return plain;
}

/* Waits take words that we access as C11 atomics and the host sees as plain 32-bit words. */
static inline int wr_clock_wait(const weir_clock *clock, _Atomic uint32_t *word, uint32_t old,
                                uint64_t until_ns)
{
    return clock->wait(clock->user, wr_clock_word(word), old, until_ns);
}

/* Threads of our own that wait for work wait in real time, whatever clock the calls read. */
static inline void wr_park(_Atomic uint32_t *word, uint32_t old)
{
    (void)wr_clock_wait(&wr_system_clock, word, old, UINT64_MAX);
}

static inline void wr_clock_wake(const weir_clock *clock, _Atomic uint32_t *word, uint32_t count)
{
    clock->wake(clock->user, wr_clock_word(word), count);
}

static inline void wr_unpark(_Atomic uint32_t *word, uint32_t count)
{
    wr_clock_wake(&wr_system_clock, word, count);
}

#endif
