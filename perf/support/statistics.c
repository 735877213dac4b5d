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

/* The nearest rank. */
static double percentile(const double *sorted, size_t count, size_t percent)
{
    return sorted[(count - 1) * percent / 100];
}

struct perf_summary perf_summarize(double *samples, size_t count)
{
    qsort(samples, count, sizeof(*samples), by_value);
    return (struct perf_summary){.p10 = percentile(samples, count, 10),
                                 .median = percentile(samples, count, 50),
                                 .p90 = percentile(samples, count, 90)};
}
