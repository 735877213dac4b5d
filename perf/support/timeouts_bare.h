/*
 * Waiting for a deadline without weir: one futex wait, and a raw hand-off that its caller leaves.
 * And the gate at which the work of a call blocks until its caller has left.
 */
#ifndef PERF_TIMEOUTS_BARE_H
#define PERF_TIMEOUTS_BARE_H

#include <stdbool.h>
#include <stdint.h>

/* Each returns by how many ns it came back later than `wait_ns` after it began. */

/* One futex wait with an absolute timeout; nobody wakes it. */
double perf_bare_late_ns(uint64_t wait_ns);

/* Wake a worker that then blocks at the gate, wait as above, let the worker go and wait for it. One
 * thread may call this. Negative: no thread. */
double perf_raw_late_ns(uint64_t wait_ns);

/* Calls that block at the gate have numbers that count from 1. */
uint32_t perf_gate_next(void);

/* In the work: block until the caller has left, then say that it is over. */
void perf_gate_block(uint32_t number);

/* By the caller, when it has left: let the work go; wait for its end, if it began at all. */
void perf_gate_leave(uint32_t number, bool begun);

#endif
