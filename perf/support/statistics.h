/*
 * Order statistics of samples.
 */
#ifndef PERF_STATISTICS_H
#define PERF_STATISTICS_H

#include <stddef.h>

struct perf_summary {
    double p10, median, p90;
};

void perf_sort(double *samples, size_t count);

/* The nearest rank of sorted samples; count > 0. */
double perf_percentile(const double *sorted, size_t count, size_t percent);

/* Sorts the samples. */
struct perf_summary perf_summarize(double *samples, size_t count);

#endif
