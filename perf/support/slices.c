/*
 * Timing one slice. See slices.h.
 */
#define _GNU_SOURCE
#include "support/slices.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/resource.h>
#include <time.h>

#define NS_PER_S 1000000000U

struct runner {
    perf_operation *operation;
    void *subject;
    uint64_t count;
    unsigned thread;
    _Atomic unsigned *missing; /* threads that have not come to the start yet */
    double ns;                 /* per operation; negative: it went wrong */
};

uint64_t perf_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* As they were before the first pin. */
static const cpu_set_t *allowed_cpus(void)
{
    static cpu_set_t allowed;
    static bool known;

    if (!known) {
        known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
    }
    return &allowed;
}

unsigned perf_cpus(void)
{
    return (unsigned)CPU_COUNT(allowed_cpus());
}

bool perf_pin(unsigned nth)
{
    const cpu_set_t *const allowed = allowed_cpus();
    cpu_set_t one;

    for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, allowed) && nth-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            return sched_setaffinity(0, sizeof(one), &one) == 0;
        }
    }
    return false;
}

/* All threads start together: each spins until none is missing. */
static void run(struct runner *runner)
{
    uint64_t began_ns;
    bool fine;

    (void)atomic_fetch_sub_explicit(runner->missing, 1, memory_order_acq_rel);
    while (atomic_load_explicit(runner->missing, memory_order_acquire) != 0) {
    }
    began_ns = perf_now_ns();
    fine = runner->operation(runner->subject, runner->thread, runner->count);
    runner->ns = fine ? (double)(perf_now_ns() - began_ns) / (double)runner->count : -1;
}

static void *run_second(void *argument)
{
    struct runner *const runner = argument;

    if (!perf_pin(1)) {
        runner->count = 0;
    }
    run(runner);
    return NULL;
}

static double measure(perf_operation *operation, void *subject, unsigned threads, uint64_t count)
{
    _Atomic unsigned missing = threads;
    struct runner first = {.operation = operation,
                           .subject = subject,
                           .count = count,
                           .thread = 0,
                           .missing = &missing};
    struct runner second = first;
    pthread_t thread;

    second.thread = 1;
    if (threads == 1) {
        run(&first);
        return first.ns;
    }
    if (pthread_create(&thread, NULL, run_second, &second) != 0) {
        return -1;
    }
    run(&first);
    (void)pthread_join(thread, NULL);
    return first.ns < 0 || second.count == 0 || second.ns < 0 ? -1 : (first.ns + second.ns) / 2;
}

/* How often this thread had to leave its CPU to another one. */
static long preemptions(void)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

double perf_slice(perf_operation *operation, void *subject, unsigned threads, uint64_t count)
{
    enum { AGAIN = 10 };
    double ns = -1;

    for (unsigned i = 0; i < AGAIN; ++i) {
        const long before = preemptions();

        ns = measure(operation, subject, threads, count);
        if (ns < 0 || preemptions() == before) {
            break;
        }
    }
    return ns;
}

uint64_t perf_calibrate(perf_operation *operation, void *subject, uint64_t slice_ns)
{
    enum { PROBE = 2000 };
    const double ns = perf_slice(operation, subject, 1, PROBE);

    return ns <= 0 ? 0 : (uint64_t)((double)slice_ns / ns) + 1;
}
