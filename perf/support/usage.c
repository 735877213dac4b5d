/*
 * CPU time, context switches and affinity. See usage.h.
 */
#define _GNU_SOURCE
#include "support/usage.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#define NS_PER_S 1000000000U

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

struct perf_usage perf_usage_now(void)
{
    struct rusage usage = {0};

    (void)getrusage(RUSAGE_SELF, &usage);
    return (struct perf_usage){.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
                               .switches = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw};
}

uint64_t perf_thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

bool perf_unpin(void)
{
    static cpu_set_t allowed;
    static bool known;

    if (!known) {
        known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
    }
    return known && sched_setaffinity(0, sizeof(allowed), &allowed) == 0;
}

void perf_sleep_until(uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}
