/*
 * Order statistics of samples.
 */
#ifndef PERF_STATISTICS_H
#define PERF_STATISTICS_H

#include <stddef.h>

struct perf_summary {
    double p10, median, p90;
};

/* Sorts the samples. */
struct perf_summary perf_summarize(double *samples, size_t count);

#endif
