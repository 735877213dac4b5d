/*
 * All numbers of one dependency, read in one pass, and the laws that they obey.
 */
#ifndef WR_COMMAND_METRICS_H
#define WR_COMMAND_METRICS_H

#include "command/state.h"

struct wr_metrics {
    uint64_t value[WEIR_COUNT_END];
    uint64_t histogram[WR_HISTOGRAM_BUCKETS];
    uint64_t latencies; /* values in the histogram */
};

void wr_metrics_read(weir_dependency *dependency, struct wr_metrics *ret_metrics);

/* The law that does not hold in these numbers, as text: left side and right side; false: all hold.
 */
bool wr_metrics_broken_law(const struct wr_metrics *metrics, const char **ret_law,
                           uint64_t *ret_left, uint64_t *ret_right);

bool wr_count_is_counter(size_t index);
const char *wr_count_help(size_t index);

#endif
