/*
 * The gates, in one table, in the order in which they are asked.
 *
 * look     would it refuse? Loads only.
 * take     take what the gate gives; may refuse after all, or have to wait
 * again    after a wait, at this gate or a later one: does what was taken still stand?
 * give     give back what was taken by a call that never ran
 * settle   the call has ended
 * look, take and again return WEIR_OK or the reason of the refusal. A NULL function means that the
 * gate has nothing to do there.
 */
#ifndef WR_COMMAND_GATE_H
#define WR_COMMAND_GATE_H

#include "command/attempt.h"
#include "command/state.h"

enum wr_gate_index {
    WR_GATE_OFF,
    WR_GATE_DEADLINE,
    WR_GATE_BREAKER,
    WR_GATE_BULKHEAD,
    WR_GATE_RATE,
    WR_GATE_COUNT
};

/* One gate's view of one moment of one attempt; inside an RCU section. */
struct wr_gate_context {
    weir_dependency *dependency;
    const struct wr_plan *plan;
    struct wr_attempt *attempt;
    uint64_t now_ns;
    bool query;    /* write nothing */
    bool may_wait; /* execute, and not in mode observe */
    bool observe;  /* take even what would be refused, where something must be held */
    /* Answers beside the status. */
    uint64_t retry_after_ns; /* with a refusal: 0 means not known */
    uint64_t wait_until_ns;  /* with WEIR_OK from take: not 0 means wait until then */
};

/* An ended call. */
struct wr_settlement {
    weir_dependency *dependency;
    const struct wr_plan *plan;
    const struct wr_slot_data *data;
    weir_status kind; /* WEIR_OK ...; a lost permit is WEIR_CANCELLED here */
    uint64_t now_ns;
    uint64_t took_ns;
    enum wr_recorded recorded; /* set by the breaker's gate */
};

struct wr_gate {
    const char *name;
    weir_status (*look)(struct wr_gate_context *context);
    weir_status (*take)(struct wr_gate_context *context);
    weir_status (*again)(struct wr_gate_context *context);
    void (*give)(struct wr_gate_context *context);
    void (*settle)(struct wr_settlement *settlement);
};

extern const struct wr_gate wr_gates[WR_GATE_COUNT];

/* Flag overdue calls, reclaim lost permits. */
void wr_gates_check_now(weir_dependency *dependency, const struct wr_plan *plan, uint64_t now_ns);

/* The same, if it is due. */
static inline void wr_gates_check(weir_dependency *dependency, const struct wr_plan *plan,
                                  uint64_t now_ns)
{
    if (wr_slots_check_due(&dependency->slots, now_ns)) {
        wr_gates_check_now(dependency, plan, now_ns);
    }
}

#endif
