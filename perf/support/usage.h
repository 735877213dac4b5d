/*
 * What the process has used so far, and where its threads may run.
 */
#ifndef PERF_USAGE_H
#define PERF_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct perf_usage {
    uint64_t cpu_ns;   /* user and system, all threads, also those that have ended */
    uint64_t switches; /* a thread left its CPU, willingly or not */
};

struct perf_usage perf_usage_now(void);

/* CPU time of the calling thread alone. */
uint64_t perf_thread_cpu_ns(void);

/* Let the calling thread run where the process could when this was called first: call it once
 * before any thread is pinned. */
bool perf_unpin(void);

/* Sleep until then, on the monotonic clock. */
void perf_sleep_until(uint64_t until_ns);

#endif
