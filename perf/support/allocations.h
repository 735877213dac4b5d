/*
 * Every call of malloc and its relatives in this process is counted: by weir, by liburcu, by libc
 * for them. Linking this file is what switches it on.
 */
#ifndef PERF_ALLOCATIONS_H
#define PERF_ALLOCATIONS_H

#include <stdint.h>

/* So far; any thread. */
uint64_t perf_allocations(void);

#endif
