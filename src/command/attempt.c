/*
 * Driving the gates: look at all, take in order, wait. See attempt.h and gate.h; the end of an
 * attempt is in settle.c.
 */
#include "command/attempt.h"

#include "base/raw.h"
#include "base/rcu.h"
#include "base/saturate.h"
#include "command/gate.h"
#include "context/crossing.h"
#include "policy/deadline.h"

static uint32_t bit(uint32_t gate)
{
    return 1U << gate;
}

void wr_count_refusal(weir_dependency *dependency, weir_status reason)
{
    switch (reason) {
    case WEIR_OPEN:
        wr_count(&dependency->counters, WR_EV_REFUSED_OPEN);
        break;
    case WEIR_RATE:
        wr_count(&dependency->counters, WR_EV_REFUSED_RATE);
        break;
    case WEIR_BULKHEAD:
        wr_count(&dependency->counters, WR_EV_REFUSED_BULKHEAD);
        break;
    case WEIR_DEADLINE:
        wr_count(&dependency->counters, WR_EV_REFUSED_DEADLINE);
        break;
    case WEIR_COST:
        wr_count(&dependency->counters, WR_EV_REFUSED_COST);
        break;
    case WEIR_SHUTDOWN:
        wr_count(&dependency->counters, WR_EV_REFUSED_SHUTDOWN);
        break;
    case WEIR_CELLS:
        wr_count(&dependency->counters, WR_EV_REFUSED_CELLS);
        break;
    default:
        wr_count(&dependency->counters, WR_EV_REFUSED_OFF);
        break;
    }
}

/* Mode observe: the first gate that would have refused is the reason told. */
static void note_observed(struct wr_attempt *attempt, weir_status reason)
{
    if (reason != WEIR_OK && (attempt->flags & WEIR_FLAG_OBSERVED) == 0) {
        attempt->flags |= WEIR_FLAG_OBSERVED;
        attempt->reason = reason;
    }
}

static void count_observed(struct wr_attempt *attempt)
{
    struct wr_counters *const counters = &attempt->dependency->counters;

    switch (attempt->reason) {
    case WEIR_OPEN:
        wr_count(counters, WR_EV_WOULD_OPEN);
        break;
    case WEIR_RATE:
        wr_count(counters, WR_EV_WOULD_RATE);
        break;
    case WEIR_BULKHEAD:
        wr_count(counters, WR_EV_WOULD_BULKHEAD);
        break;
    case WEIR_DEADLINE:
        wr_count(counters, WR_EV_WOULD_DEADLINE);
        break;
    case WEIR_COST:
        wr_count(counters, WR_EV_WOULD_COST);
        break;
    default:
        break;
    }
}

/* Give back what has been taken, last first. */
static enum wr_step refuse(struct wr_gate_context *context, weir_status reason)
{
    struct wr_attempt *const attempt = context->attempt;

    for (uint32_t i = WR_GATE_COUNT; attempt->taken != 0 && i-- > 0;) {
        if ((attempt->taken & bit(i)) != 0 && wr_gates[i].give != NULL) {
            wr_gates[i].give(context);
        }
    }
    attempt->taken = 0;
    attempt->reason = reason;
    attempt->retry_after_ns = context->retry_after_ns;
    wr_count_refusal(context->dependency, reason);
    if (attempt->entered) {
        wr_count(&context->dependency->counters, WR_EV_TURNED_BACK);
    }
    return WR_REFUSED;
}

/* The slot says from now on what runs in its place. A permit's slot keeps its context. */
static void hold(struct wr_attempt *attempt, uint64_t now_ns)
{
    const struct wr_slot_data data = {
        /* A pooled call starts when a worker takes it. */
        .start_ns = attempt->cell != NULL ? WR_NOT_STARTED : now_ns,
        .deadline_ns = attempt->deadline_ns,
        .epoch = attempt->breaker.epoch,
        .trial_serial = attempt->breaker.serial,
        .trial = attempt->breaker.trial,
        .leased = attempt->ask.leased ? 1 : 0,
        .context = attempt->ask.leased ? weir_context_retain(attempt->ask.context) : NULL};

    wr_slots_hold(&attempt->dependency->slots, attempt->slot.index, attempt->slot.generation,
                  &data);
}

static enum wr_step admit(struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;
    weir_dependency *const dependency = context->dependency;

    attempt->start_ns = context->now_ns;
    if (attempt->breaker.trial != WR_BREAKER_NO_TRIAL) {
        attempt->flags |= WEIR_FLAG_TRIAL;
        wr_breaker_begin(&dependency->breaker, &context->plan->breaker, &attempt->breaker,
                         context->now_ns);
    }
    if ((attempt->flags & WEIR_FLAG_OBSERVED) != 0) {
        count_observed(attempt);
    }
    if (attempt->slot.index == WR_SLOT_NONE) {
        wr_breaker_return(&dependency->breaker, &context->plan->breaker, &attempt->breaker,
                          context->now_ns);
        wr_count(&dependency->counters, WR_EV_UNTRACKED);
        return WR_ADMITTED;
    }
    hold(attempt, context->now_ns);
    return WR_ADMITTED;
}

/* Refusals that mode observe does not pass over: there is nothing to run the call with. */
static bool refuses_always(weir_status answer)
{
    return answer == WEIR_CELLS || answer == WEIR_SHUTDOWN;
}

/* Does this answer end the attempt? */
static bool ends(const struct wr_gate_context *context, weir_status answer)
{
    return answer != WEIR_OK && (!context->observe || refuses_always(answer));
}

/* Has this gate refused already, in mode observe? Then only the bulkhead is still taken. */
static bool passed_over(uint32_t gate, uint32_t refused)
{
    return (refused & bit(gate)) != 0 && gate != WR_GATE_BULKHEAD;
}

static enum wr_step wait_at(struct wr_attempt *attempt, uint32_t gate, uint64_t until_ns)
{
    if (gate == WR_GATE_RATE) {
        attempt->taken |= bit(gate);
    }
    attempt->at = gate;
    attempt->wait_until_ns = until_ns;
    attempt->flags |= WEIR_FLAG_WAITED;
    return WR_WAIT;
}

/* Take the gates from `first` on. `refused`: bits of those that refused the look, in mode observe.
 */
static enum wr_step take(struct wr_gate_context *context, uint32_t first, uint32_t refused)
{
    struct wr_attempt *const attempt = context->attempt;

#pragma GCC unroll 8
    for (uint32_t i = first; i < WR_GATE_COUNT; ++i) {
        weir_status answer;

        if (wr_gates[i].take == NULL || passed_over(i, refused)) {
            continue;
        }
        answer = wr_gates[i].take(context);
        if (ends(context, answer)) {
            return refuse(context, answer);
        }
        if (context->wait_until_ns != 0) {
            return wait_at(attempt, i, context->wait_until_ns);
        }
        note_observed(attempt, answer);
        attempt->taken |= bit(i);
    }
    return admit(context);
}

static enum wr_step look_and_take(struct wr_gate_context *context)
{
    uint32_t refused = 0;

#pragma GCC unroll 8
    for (uint32_t i = 0; i < WR_GATE_COUNT; ++i) {
        const weir_status answer = wr_gates[i].look(context);

        if (ends(context, answer)) {
            return refuse(context, answer);
        }
        note_observed(context->attempt, answer);
        refused |= answer != WEIR_OK ? bit(i) : 0U;
    }
    /* Counted before anything is taken, so that a reader never finds more held than begun. */
    context->attempt->entered = true;
    wr_count(&context->dependency->counters, WR_EV_ENTERED);
    return take(context, 0, refused);
}

static void context_init(struct wr_gate_context *context, struct wr_attempt *attempt,
                         const struct wr_plan *plan, uint64_t now_ns)
{
    context->dependency = attempt->dependency;
    context->plan = plan;
    context->attempt = attempt;
    context->now_ns = now_ns;
    context->query = false;
    context->observe = plan->mode == WR_MODE_OBSERVE;
    context->may_wait = attempt->ask.may_wait && !context->observe;
    context->retry_after_ns = 0;
    context->wait_until_ns = 0;
}

static void attempt_init(struct wr_attempt *attempt, weir_dependency *dependency,
                         const struct wr_ask *ask, const struct wr_plan *plan)
{
    /* Member by member: the waiter needs no beginning, clearing it all would cost more than the
     * gates do, and a copy of what has just been written in parts would wait for it. */
    attempt->dependency = dependency;
    attempt->ask.now_ns = ask->now_ns;
    attempt->ask.within_ns = ask->within_ns;
    attempt->ask.cost = ask->cost;
    attempt->ask.key = ask->key;
    attempt->ask.priority = ask->priority;
    attempt->ask.may_wait = ask->may_wait;
    attempt->ask.leased = ask->leased;
    attempt->ask.context = ask->context;
    attempt->began_ns = ask->now_ns;
    attempt->deadline_ns = wr_deadline(ask->now_ns, plan->timeout_ns, ask->within_ns);
    if (ask->context != NULL) {
        attempt->deadline_ns =
            wr_context_deadline(ask->context, attempt->deadline_ns, ask->now_ns,
                                dependency->host->clock.now == wr_system_now ? 1 : 0);
    }
    attempt->observe = plan->mode == WR_MODE_OBSERVE;
    attempt->breaker.epoch = 0;
    attempt->breaker.serial = 0;
    attempt->breaker.trial = WR_BREAKER_NO_TRIAL;
    attempt->slot.generation = 0;
    attempt->slot.index = WR_SLOT_NONE;
    attempt->cell = NULL;
    attempt->plan_generation = plan->generation;
    attempt->taken = 0;
    attempt->entered = false;
    attempt->at = 0;
    attempt->flags = 0;
    attempt->reason = WEIR_OK;
    attempt->retry_after_ns = 0;
    attempt->wait_until_ns = 0;
}

/* A call that waits has entered and not begun; one that waits for its place has taken no slot. */
static void count_wait(struct wr_attempt *attempt, bool begins)
{
    static const enum wr_event events[2][2] = {{WR_EV_PLACE_WAIT_ENDED, WR_EV_PLACE_WAIT_BEGUN},
                                               {WR_EV_TOKEN_WAIT_ENDED, WR_EV_TOKEN_WAIT_BEGUN}};

    wr_count(&attempt->dependency->counters,
             events[attempt->at == WR_GATE_RATE ? 1 : 0][begins ? 1 : 0]);
}

enum wr_step wr_attempt_ask(weir_dependency *dependency, const struct wr_ask *ask,
                            struct wr_attempt *attempt)
{
    WR_RAW struct wr_gate_context context;
    const struct wr_plan *plan;
    enum wr_step step;

    wr_rcu_enter();
    plan = wr_plan_of(dependency);
    attempt_init(attempt, dependency, ask, plan);
    wr_gates_check(dependency, plan, ask->now_ns);
    context_init(&context, attempt, plan, ask->now_ns);
    step = look_and_take(&context);
    if (step == WR_WAIT) {
        count_wait(attempt, true);
    }
    wr_rcu_leave();
    return step;
}

bool wr_attempt_granted(const struct wr_attempt *attempt)
{
    /* Acquire: pairs with the release of whoever handed the place over. */
    return attempt->at == WR_GATE_BULKHEAD &&
           atomic_load_explicit(&attempt->waiter.granted, memory_order_acquire) == WR_GRANTED;
}

_Atomic uint32_t *wr_attempt_word(struct wr_attempt *attempt)
{
    /* Nobody hands tokens over; but a stop wakes those who wait for them. */
    return attempt->at == WR_GATE_BULKHEAD ? &attempt->waiter.granted
                                           : &attempt->dependency->stopping;
}

uint64_t wr_attempt_wake_ns(const struct wr_attempt *attempt, uint64_t now_ns)
{
    weir_dependency *const dependency = attempt->dependency;
    uint64_t lease_ns;
    uint64_t next_ns;

    wr_rcu_enter();
    lease_ns = wr_plan_of(dependency)->permit_lease_ns;
    wr_rcu_leave();
    if (attempt->at != WR_GATE_BULKHEAD || lease_ns == WR_OFF) {
        return attempt->wait_until_ns;
    }
    next_ns = atomic_load_explicit(&dependency->slots.next_check, memory_order_relaxed);
    if (next_ns >= 1ULL << 63U) {
        next_ns = wr_sat_add(now_ns, lease_ns); /* a check is under way */
    }
    return wr_min_u64(attempt->wait_until_ns, next_ns);
}

static enum wr_step ask_gate_again(struct wr_gate_context *context, uint32_t gate)
{
    const weir_status answer = wr_gates[gate].again(context);

    if (answer != WEIR_OK) {
        return refuse(context, answer);
    }
    context->attempt->taken |= bit(gate);
    return WR_ADMITTED;
}

/* Does what was taken still stand? First the gate waited at, then those before it, in order. */
static enum wr_step ask_again(struct wr_gate_context *context)
{
    const uint32_t waited_at = context->attempt->at;

    if (wr_gates[waited_at].again != NULL && ask_gate_again(context, waited_at) == WR_REFUSED) {
        return WR_REFUSED;
    }
    for (uint32_t i = 0; i < waited_at; ++i) {
        /* The bulkhead has nothing to say after a wait for tokens. */
        if (wr_gates[i].again != NULL && i != WR_GATE_BULKHEAD &&
            ask_gate_again(context, i) == WR_REFUSED) {
            return WR_REFUSED;
        }
    }
    return WR_ADMITTED;
}

static enum wr_step resume(struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;
    const uint32_t waited_at = attempt->at;
    weir_status answer;

    if (ask_again(context) == WR_REFUSED) {
        return WR_REFUSED;
    }
    if (waited_at == WR_GATE_RATE) {
        return admit(context);
    }
    answer = wr_gates[WR_GATE_RATE].look(context);
    return answer == WEIR_OK ? take(context, WR_GATE_RATE, 0) : refuse(context, answer);
}

enum wr_step wr_attempt_resume(struct wr_attempt *attempt, uint64_t now_ns)
{
    struct wr_gate_context context;
    const struct wr_plan *plan;
    enum wr_step step;

    wr_rcu_enter();
    plan = wr_plan_of(attempt->dependency);
    wr_gates_check(attempt->dependency, plan, now_ns); /* may reclaim the place that we wait for */
    if (!wr_attempt_granted(attempt) && now_ns < attempt->wait_until_ns &&
        !wr_dependency_stops(attempt->dependency)) {
        wr_rcu_leave();
        return WR_WAIT;
    }
    context_init(&context, attempt, plan, now_ns);
    context.observe = false; /* it began to wait before the mode changed */
    context.may_wait = true;
    count_wait(attempt, false);
    step = resume(&context);
    if (step == WR_WAIT) {
        count_wait(attempt, true);
    }
    wr_rcu_leave();
    return step;
}

weir_status wr_attempt_query(weir_dependency *dependency, const struct wr_ask *ask,
                             uint64_t *ret_retry_after_ns)
{
    struct wr_attempt attempt;
    struct wr_gate_context context;
    weir_status answer = WEIR_OK;
    const struct wr_plan *plan;

    wr_rcu_enter();
    plan = wr_plan_of(dependency);
    attempt_init(&attempt, dependency, ask, plan);
    context_init(&context, &attempt, plan, ask->now_ns);
    context.may_wait = false;
    context.query = true;
    for (uint32_t i = 0; i < WR_GATE_COUNT && answer == WEIR_OK; ++i) {
        answer = wr_gates[i].look(&context);
    }
    wr_rcu_leave();
    *ret_retry_after_ns = context.retry_after_ns;
    return answer;
}
