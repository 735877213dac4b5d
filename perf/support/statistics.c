/*
 * Order statistics. See statistics.h.
 */
#include "support/statistics.h"

#include <stdlib.h>

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;

    return (a > b) - (a < b);
}

void perf_sort(double *samples, size_t count)
{
    qsort(samples, count, sizeof(*samples), by_value);
}

double perf_percentile(const double *sorted, size_t count, size_t percent)
{
    return sorted[(count - 1) * percent / 100];
}

struct perf_summary perf_summarize(double *samples, size_t count)
{
    perf_sort(samples, count);
    return (struct perf_summary){.p10 = perf_percentile(samples, count, 10),
                                 .median = perf_percentile(samples, count, 50),
                                 .p90 = perf_percentile(samples, count, 90)};
}
