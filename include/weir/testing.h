/**
 * weir/testing.h - clocks, random numbers and memory that a test holds in its hand.
 *
 * Library weir-testing (CMake weir::testing). Not for production.
 */
#ifndef WEIR_TESTING_H
#define WEIR_TESTING_H

#include <weir/base.h>
#include <weir/host.h>

WEIR_BEGIN_DECLS

typedef struct weir_manual_clock weir_manual_clock;

/**
 * A clock that moves only when told. Waits end when it is moved to their time, or by a wake.
 * Result: NULL when there is no memory. The caller frees it after every runtime that uses it.
 * Threads: all functions from any thread. Since 0.1.
 */
WEIR_API weir_manual_clock *weir_manual_clock_create(uint64_t now_ns);
WEIR_API void weir_manual_clock_destroy(weir_manual_clock *clock);

/** The ops table to give to weir_runtime_create(); borrowed until destroy. */
WEIR_API const weir_clock *weir_manual_clock_ops(const weir_manual_clock *clock);

/** Move by `ns`, or to `now_ns` (back is allowed: tests of stale stamps need it). Wakes the waiters
 *  whose time has come before it returns. */
WEIR_API void weir_manual_clock_advance(weir_manual_clock *clock, uint64_t ns);
WEIR_API void weir_manual_clock_set(weir_manual_clock *clock, uint64_t now_ns);
WEIR_API uint64_t weir_manual_clock_now(const weir_manual_clock *clock);

/** Block (in real time) until `count` threads wait on this clock: the test's way to know that a
 *  call is waiting, without sleeping. */
WEIR_API void weir_manual_clock_await_waiters(weir_manual_clock *clock, size_t count);

/** Random numbers from a script; after its end it repeats the last one (0 if empty). */
typedef struct weir_scripted_random {
    weir_random ops; /**< give &ops to weir_runtime_create() */
    const uint64_t *values;
    size_t count;
    size_t next;
} weir_scripted_random;

/** Prepare `random`; `values` is borrowed. One thread at a time. */
WEIR_API void weir_scripted_random_init(weir_scripted_random *random, const uint64_t *values,
                                        size_t count);

/** An allocator that counts, and fails on demand. One per test; any thread. */
typedef struct weir_failing_allocator {
    weir_allocator ops; /**< give &ops to weir_runtime_create() */
    uint64_t fail_at;   /**< 1: the first allocation fails, 2: the second ...; 0: none */
    int fail_forever;   /**< all from fail_at on fail */
    uint64_t calls;     /**< allocations asked for */
    uint64_t live;      /**< allocations not yet released */
    uint64_t live_bytes;
} weir_failing_allocator;

/** Prepare `allocator`. */
WEIR_API void weir_failing_allocator_init(weir_failing_allocator *allocator, uint64_t fail_at,
                                          int fail_forever);

WEIR_END_DECLS

#endif
