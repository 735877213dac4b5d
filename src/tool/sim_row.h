/*
 * One row of the simulator's output.
 */
#ifndef WR_TOOL_SIM_ROW_H
#define WR_TOOL_SIM_ROW_H

#include "command/attempt.h"

#include <stdio.h>

struct wr_sim_row {
    uint64_t now_ns;
    const char *dependency;
    const char *event;
    const char *name; /* of the permit; NULL: `id` counts */
    uint64_t id;      /* of the call; 0: none, shown as - */
    const char *verdict;
    const char *reason;
    uint64_t retry_after_ns; /* 0: not known, shown as - */
    struct wr_view view;     /* the state after the decision */
};

/* The names of the columns. False: the stream is in error. */
bool wr_sim_row_header(FILE *out);

bool wr_sim_row_write(FILE *out, const struct wr_sim_row *row);

#endif
