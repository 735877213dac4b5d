/*
 * One measured slice: an operation repeated by one or two pinned threads at once.
 */
#ifndef PERF_SLICES_H
#define PERF_SLICES_H

#include <stdbool.h>
#include <stdint.h>

/* Do it `count` times; `thread` is 0 or 1. False: it went wrong. */
typedef bool perf_operation(void *subject, unsigned thread, uint64_t count);

uint64_t perf_now_ns(void);

/* CPUs that this process may use. */
unsigned perf_cpus(void);

/* Pin the calling thread to the n-th CPU that this process may use. False: there is none. */
bool perf_pin(unsigned nth);

/*
 * ns per operation and thread (the mean of the threads). The caller is thread 0 and is pinned
 * already; a second thread is started, pinned and ended within the slice, outside its time. A slice
 * in which the caller lost its CPU is measured again, some times. Negative: it went wrong.
 */
double perf_slice(perf_operation *operation, void *subject, unsigned threads, uint64_t count);

/* How often to repeat so that a slice of one thread takes about `slice_ns`. 0: it went wrong. */
uint64_t perf_calibrate(perf_operation *operation, void *subject, uint64_t slice_ns);

#endif
