/*
 * Deadlines without weir. See timeouts_bare.h.
 */
#define _GNU_SOURCE
#include "support/timeouts_bare.h"
#include "support/perf_futex.h"
#include "support/slices.h"

#include <pthread.h>

#define NS_PER_S 1000000000U

static struct {
    _Atomic uint32_t released; /* calls whose caller has left; caller's */
    _Atomic uint32_t over;     /* calls whose work has ended; worker's */
} gate;

/* The worker of raw calls: `asked` is the number of the last one. */
static struct {
    bool started;
    _Atomic uint32_t asked;
    _Atomic uint32_t answered; /* never */
    pthread_t thread;
} raw;

static double wait_until(_Atomic uint32_t *word, uint64_t due_ns)
{
    const struct timespec due = {.tv_sec = (time_t)(due_ns / NS_PER_S),
                                 .tv_nsec = (long)(due_ns % NS_PER_S)};
    uint64_t now_ns = 0;

    while (now_ns < due_ns) {
        perf_futex_wait(word, 0, &due);
        now_ns = perf_now_ns();
    }
    return (double)(now_ns - due_ns);
}

double perf_bare_late_ns(uint64_t wait_ns)
{
    _Atomic uint32_t word = 0;

    return wait_until(&word, perf_now_ns() + wait_ns);
}

uint32_t perf_gate_next(void)
{
    return atomic_load_explicit(&gate.released, memory_order_relaxed) + 1;
}

static void await(_Atomic uint32_t *word, uint32_t number)
{
    uint32_t seen = atomic_load_explicit(word, memory_order_acquire);

    while (seen < number) {
        perf_futex_wait(word, seen, NULL);
        seen = atomic_load_explicit(word, memory_order_acquire);
    }
}

static void advance(_Atomic uint32_t *word, uint32_t number)
{
    atomic_store_explicit(word, number, memory_order_release);
    perf_futex_wake(word, 1);
}

void perf_gate_block(uint32_t number)
{
    await(&gate.released, number);
    advance(&gate.over, number);
}

void perf_gate_leave(uint32_t number, bool begun)
{
    advance(&gate.released, number);
    if (begun) {
        await(&gate.over, number);
    }
}

/* Ends with the process. */
static void *work(void *argument)
{
    for (uint32_t seen = 0;;) {
        await(&raw.asked, seen + 1);
        seen = atomic_load_explicit(&raw.asked, memory_order_acquire);
        perf_gate_block(seen);
    }
    return argument;
}

double perf_raw_late_ns(uint64_t wait_ns)
{
    const uint32_t number = perf_gate_next();
    double late_ns;
    uint64_t due_ns;

    raw.started = raw.started || pthread_create(&raw.thread, NULL, work, NULL) == 0;
    if (!raw.started) {
        return -1;
    }
    due_ns = perf_now_ns() + wait_ns;
    advance(&raw.asked, number);
    late_ns = wait_until(&raw.answered, due_ns);
    perf_gate_leave(number, true);
    return late_ns;
}
