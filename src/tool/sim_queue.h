/*
 * The simulator's calls that wait or run, and the queue of those that wait for a place.
 *
 * The library hands places out first come, first served, so those who have been handed one are
 * always the head of the queue: they are counted as they are seen, and resumed from the head.
 */
#ifndef WR_TOOL_SIM_QUEUE_H
#define WR_TOOL_SIM_QUEUE_H

#include "command/attempt.h"

/* One call of a `call` line, from its question to its settlement. */
struct wr_sim_call {
    struct wr_sim_dependency *dependency; /* borrowed */
    uint64_t id;
    uint64_t line;
    uint64_t took_ns;
    weir_status outcome;
    struct wr_slot_ref slot;
    uint64_t due;                        /* sequence of its event; any other event is void */
    struct wr_attempt *attempt;          /* owned while it waits; NULL while it runs */
    bool queued;                         /* it is in the queue */
    struct wr_sim_call *previous, *next; /* in the queue */
};

/* Those that wait for a place of one dependency, in order of asking. */
struct wr_sim_queue {
    struct wr_sim_call *first, *last;
    struct wr_sim_call *ungranted; /* the first who has not been handed a place, as far as seen */
    uint32_t granted;              /* those before it: handed a place and not resumed yet */
};

void wr_sim_queue_add(struct wr_sim_queue *queue, struct wr_sim_call *call);
void wr_sim_queue_remove(struct wr_sim_queue *queue, struct wr_sim_call *call);

/* See who has been handed a place meanwhile. */
void wr_sim_queue_look(struct wr_sim_queue *queue);

#endif
