/*
 * A simulation that goes on: dependencies on virtual time, their calls, and what is still to come.
 *
 * Events of one instant are taken in the order (script line, sequence). A line is one event; what
 * it leaves behind (settlements, ends of waits) are later events of the same line. After each event
 * those who have been handed a place by it go on, first come, first served.
 */
#ifndef WR_TOOL_SIMULATION_H
#define WR_TOOL_SIMULATION_H

#include "tool/event_heap.h"
#include "tool/item_pool.h"
#include "tool/permit_book.h"
#include "tool/script.h"
#include "tool/sim_queue.h"
#include "tool/sim_row.h"

#include <weir/testing.h>

/* One dependency of the configuration. */
struct wr_sim_dependency {
    const char *name;        /* the configuration's */
    weir_dependency *handle; /* the runtime's */
    struct wr_sim_queue queue;
};

/* A simulation that goes on. */
struct wr_simulation {
    weir_manual_clock *clock;
    weir_runtime *runtime;
    struct wr_sim_dependency *dependencies; /* owned; sorted by name */
    size_t dependency_count;
    const char **names; /* owned; the same names, for messages */
    struct wr_script script;
    struct wr_event_heap events;
    struct wr_permit_book permits;
    struct wr_item_pool calls;
    struct wr_item_pool attempts;
    uint64_t now_ns;
    uint64_t sequence; /* of the last event planned */
    uint64_t last_id;  /* of the calls */
    bool silent;       /* write no more rows: only ending what goes on */
    FILE *out;
    weir_error *error;
};

/* Complete the row with time, dependency and state, and write it. */
weir_status wr_sim_show(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                        struct wr_sim_row row);

/* The row of a call or begin that has been decided: admitted or refused. */
weir_status wr_sim_show_decision(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                                 struct wr_sim_row row, enum wr_step step,
                                 const struct wr_attempt *attempt);

/* One call of a `call` line asks now. */
weir_status wr_sim_call(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                        const struct wr_line *line);

/* Those who have been handed a place go on. */
weir_status wr_sim_hand_over(struct wr_simulation *sim, struct wr_sim_dependency *dependency);

/* Everything planned up to and including `until_ns`. The clock stays at the last event. */
weir_status wr_sim_run_until(struct wr_simulation *sim, uint64_t until_ns);

/* Move the clock, which tells the library's own functions the time. */
void wr_sim_move_to(struct wr_simulation *sim, uint64_t now_ns);

const char *wr_sim_settled_name(enum wr_settled settled);

weir_status wr_sim_no_memory(const struct wr_simulation *sim);

#endif
