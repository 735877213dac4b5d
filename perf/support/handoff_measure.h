/*
 * Measuring one slice of one row of the hand-off bench, whatever the subject.
 */
#ifndef PERF_HANDOFF_MEASURE_H
#define PERF_HANDOFF_MEASURE_H

#include "support/handoff_subject.h"

/* Where caller and worker of a blocking row run. */
enum handoff_placement {
    HANDOFF_UNPINNED, /* wherever the kernel puts them */
    HANDOFF_SAME_CPU, /* both on the first CPU */
    HANDOFF_TWO_CPUS  /* caller on the first, worker on the second */
};

struct handoff_row {
    const char *what;
    unsigned part; /* HANDOFF_BLOCKING ... */
    enum handoff_placement placement;
    unsigned per_s;   /* calls are due at this rate; 0: back to back */
    unsigned callers; /* or submitters */
    unsigned workers;
    uint64_t work_ns; /* what a call sleeps; 0: it does nothing */
    uint64_t slice_ns;
    const struct handoff_subject *base; /* of the ratios */
};

enum handoff_measure {
    HANDOFF_P50, /* ns, of the round trip */
    HANDOFF_P90,
    HANDOFF_P99,
    HANDOFF_CPU,      /* ns a call, all threads */
    HANDOFF_SWITCHES, /* a call, all threads */
    HANDOFF_PER_S,
    HANDOFF_MEASURES
};

struct handoff_result {
    double of[HANDOFF_MEASURES]; /* 0: not measured */
};

/* Each says on stderr what went wrong. `in_flight` counts for each submitter. */
bool handoff_measure_blocking(const struct handoff_row *row, const struct handoff_subject *subject,
                              struct handoff_result *ret_result);
bool handoff_measure_crowd(const struct handoff_row *row, const struct handoff_subject *subject,
                           struct handoff_result *ret_result);
bool handoff_measure_post(const struct handoff_row *row, const struct handoff_subject *subject,
                          struct handoff_result *ret_result);

#endif
