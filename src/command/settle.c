/*
 * The end of an attempt: settling (the outcome, by the one who ended the slot) and releasing (the
 * slot and the place); and the check that finds overdue calls and lost permits. See attempt.h and
 * gate.h.
 */
#include "base/raw.h"
#include "base/rcu.h"
#include "base/saturate.h"
#include "command/attempt.h"
#include "command/gate.h"

static enum wr_event event_of(weir_status kind)
{
    switch (kind) {
    case WEIR_OK:
        return WR_EV_OK;
    case WEIR_IGNORED:
        return WR_EV_IGNORED;
    case WEIR_TIMED_OUT:
        return WR_EV_TIMED_OUT;
    case WEIR_CANCELLED:
        return WR_EV_CANCELLED;
    case WEIR_CRASHED:
        return WR_EV_CRASHED;
    default:
        return WR_EV_FAILED;
    }
}

static void settle_gates(struct wr_settlement *settlement)
{
#pragma GCC unroll 8
    for (uint32_t i = 0; i < WR_GATE_COUNT; ++i) {
        if (wr_gates[i].settle != NULL) {
            wr_gates[i].settle(settlement);
        }
    }
}

/* Releasing: the slot, then the place. */
static void release(weir_dependency *dependency, uint32_t index, uint64_t generation)
{
    wr_slots_free(&dependency->slots, index, generation);
    wr_bulkhead_give(&dependency->bulkhead);
}

/* Permits whose lease has run out: neutral to the breaker, counted as lost. */
static void reclaim(weir_dependency *dependency, const struct wr_plan *plan,
                    const struct wr_slot_check *check)
{
    uint32_t cursor = 0;
    uint32_t index;
    uint64_t generation;

    while (wr_slots_expired(&dependency->slots, check, &cursor, &index, &generation)) {
        struct wr_slot_data data;
        struct wr_settlement settlement = {.dependency = dependency,
                                           .plan = plan,
                                           .data = &data,
                                           .kind = WEIR_CANCELLED,
                                           .now_ns = check->now_ns};

        if (wr_slots_end(&dependency->slots, index, generation, &data)) {
            settle_gates(&settlement);
            weir_context_release(data.context);
            release(dependency, index, generation);
            wr_count(&dependency->counters, WR_EV_LOST);
        }
    }
}

void wr_gates_check_now(weir_dependency *dependency, const struct wr_plan *plan, uint64_t now_ns)
{
    const struct wr_slot_check check = wr_slot_check_of(dependency, plan, now_ns);

    if (wr_slots_check(&dependency->slots, &check)) {
        reclaim(dependency, plan, &check);
    }
}

/*
 * Settle an ended slot, of work that ran since data->start_ns: inside an RCU section. The outcome
 * is counted by the caller, after it has released the slot or marked it as left.
 */
static enum wr_recorded record(weir_dependency *dependency, struct wr_slot_data *data,
                               weir_status kind, uint64_t now_ns, uint64_t *ret_took_ns)
{
    struct wr_settlement settlement = {.dependency = dependency,
                                       .plan = wr_plan_of(dependency),
                                       .data = data,
                                       .kind = kind,
                                       .now_ns = now_ns};

    settlement.took_ns = wr_sat_sub(now_ns, data->start_ns);
    settle_gates(&settlement);
    *ret_took_ns = settlement.took_ns;
    return settlement.recorded;
}

static void count_settled(weir_dependency *dependency, weir_status kind, enum wr_recorded recorded,
                          const struct wr_slot_data *data, uint64_t took_ns)
{
    if (recorded != WR_RECORDED) {
        wr_count(&dependency->counters, recorded == WR_RECORDED_LATE ? WR_EV_LATE : WR_EV_OUTSIDE);
    }
    wr_count(&dependency->counters, event_of(kind));
    if (data->start_ns != WR_NOT_STARTED) {
        wr_count_latency(&dependency->counters, took_ns);
    }
}

enum wr_settled wr_attempt_settle(weir_dependency *dependency, struct wr_slot_ref slot,
                                  weir_status kind, uint64_t now_ns, uint64_t *ret_took_ns)
{
    WR_RAW struct wr_slot_data data;
    enum wr_recorded recorded;
    WR_RAW uint64_t took_ns;

    if (slot.index == WR_SLOT_NONE) {
        return WR_SETTLED; /* let through by mode observe beyond the slot table: not tracked */
    }
    wr_rcu_enter();
    /* Before the end: a permit whose lease has run out is lost, also when it is its own end that
     * finds it so. */
    wr_gates_check(dependency, wr_plan_of(dependency), now_ns);
    if (!wr_slots_end(&dependency->slots, slot.index, slot.generation, &data)) {
        wr_rcu_leave();
        wr_count(&dependency->counters, WR_EV_STALE);
        return WR_SETTLED_STALE;
    }
    recorded = record(dependency, &data, kind, now_ns, &took_ns);
    wr_rcu_leave();
    if (data.context != NULL) {
        weir_context_release(data.context);
    }
    release(dependency, slot.index, slot.generation);
    /* After the release: a reader never finds a call both ended and open. */
    count_settled(dependency, kind, recorded, &data, took_ns);
    if (ret_took_ns != NULL) {
        *ret_took_ns = took_ns;
    }
    return recorded == WR_RECORDED_LATE ? WR_SETTLED_LATE : WR_SETTLED;
}

void wr_attempt_leave(weir_dependency *dependency, struct wr_slot_ref slot, weir_status kind,
                      uint64_t start_ns, uint64_t now_ns)
{
    struct wr_slot_data data;
    enum wr_recorded recorded;
    uint64_t took_ns;

    wr_rcu_enter();
    wr_gates_check(dependency, wr_plan_of(dependency), now_ns);
    if (!wr_slots_end(&dependency->slots, slot.index, slot.generation, &data)) {
        wr_rcu_leave(); /* cannot be: the call's cell decides who ends it */
        return;
    }
    data.start_ns = start_ns; /* the worker may not have stored it yet */
    recorded = record(dependency, &data, kind, now_ns, &took_ns);
    wr_rcu_leave();
    wr_slots_leave(&dependency->slots, slot.index, slot.generation, now_ns);
    count_settled(dependency, kind, recorded, &data, took_ns);
}

void wr_attempt_release(weir_dependency *dependency, struct wr_slot_ref slot)
{
    release(dependency, slot.index, slot.generation);
}

void wr_attempt_withdraw(weir_dependency *dependency, struct wr_slot_ref slot, weir_status reason,
                         uint64_t now_ns)
{
    struct wr_slot_data data;
    struct wr_breaker_permit permit;

    if (!wr_slots_end(&dependency->slots, slot.index, slot.generation, &data)) {
        return; /* cannot be: the call's cell decides who ends it */
    }
    permit = (struct wr_breaker_permit){
        .epoch = data.epoch, .serial = data.trial_serial, .trial = data.trial};
    wr_rcu_enter();
    wr_breaker_return(&dependency->breaker, &wr_plan_of(dependency)->breaker, &permit, now_ns);
    wr_rcu_leave();
    wr_count(&dependency->counters, WR_EV_TAKEN_IN_VAIN);
    release(dependency, slot.index, slot.generation);
    wr_count_refusal(dependency, reason);
    wr_count(&dependency->counters, WR_EV_TURNED_BACK);
}
