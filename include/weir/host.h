/**
 * weir/host.h - what a runtime takes from its host: clock, random numbers, memory.
 *
 * Each is a small table of functions. NULL in weir_runtime_options means the built-in one:
 * CLOCK_MONOTONIC with futex waits, a seeded splitmix64, malloc. A table is copied at creation;
 * what `user` points to must outlive the runtime. All functions may be called from any thread at
 * the same time. They must not call weir: some are called while it is between two steps.
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

/** Returned by weir_clock.wait. */
enum {
    WEIR_WAIT_WOKEN,  /**< woken, the word differed, or woken for no reason: look at the word again
                       */
    WEIR_WAIT_EXPIRED /**< until_ns has come */
};

/**
 * The clock. A manual clock (weir/testing.h) replaces all three functions together, so that waits
 * follow the same time that calls read.
 */
typedef struct weir_clock {
    size_t size;
    void *user;
    /** Monotonic nanoseconds; never goes back in one thread. */
    uint64_t (*now)(void *user);
    /** Sleep while *word == old, until now() >= until_ns (UINT64_MAX: for ever) or a wake. The word
     *  is read atomically. Must not miss a wake() that follows a change of the word. */
    int (*wait)(void *user, uint32_t *word, uint32_t old, uint64_t until_ns);
    /** Wake at most `count` waiters of the word. The word's memory may be gone by then: use its
     *  address only, as futex(2) does. */
    void (*wake)(void *user, uint32_t *word, uint32_t count);
} weir_clock;

/** Random numbers: 64 uniformly distributed bits a call. Used for jitter and the recovery ramp. */
typedef struct weir_random {
    size_t size;
    void *user;
    uint64_t (*next)(void *user);
} weir_random;

/**
 * Memory. Called by set-up functions, by weir_runtime_apply() and by the runtime's helper thread
 * (for workers that it replaces); never by execute, submit, begin or end. `allocate` returns memory
 * aligned to `alignment` (a power of two, at most 64), or NULL; `release` gets the same size and
 * alignment back. Both may be called with no lock of the caller's that they need themselves.
 */
typedef struct weir_allocator {
    size_t size;
    void *user;
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory, size_t bytes, size_t alignment);
} weir_allocator;

WEIR_END_DECLS

#endif
