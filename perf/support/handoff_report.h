/*
 * What the hand-off bench found: a table for each row, and the targets. Ratios are taken within a
 * round, and the median is over the rounds.
 */
#ifndef PERF_HANDOFF_REPORT_H
#define PERF_HANDOFF_REPORT_H

#include "support/handoff_measure.h"

#include <stddef.h>

enum { HANDOFF_ROUNDS_MAX = 16, HANDOFF_SUBJECTS_MAX = 8 };

/* One subject in one row. */
struct handoff_cell {
    const struct handoff_subject *subject;
    bool measured; /* else it has no meaning here */
    double samples[HANDOFF_MEASURES][HANDOFF_ROUNDS_MAX];
};

struct handoff_table {
    const struct handoff_row *row;
    size_t rounds;
    size_t count; /* of cells */
    struct handoff_cell cells[HANDOFF_SUBJECTS_MAX];
};

void handoff_print_table(const struct handoff_table *table);

/* PASS or MISS for each target of this row; told, not enforced. */
void handoff_print_targets(const struct handoff_table *table);

#endif
