/*
 * What each gate does. See gate.h. No gate knows of another.
 */
#include "command/gate.h"

#include "base/saturate.h"
#include "policy/deadline.h"

static weir_status refuses(struct wr_gate_context *context, weir_status reason,
                           uint64_t retry_after_ns)
{
    context->retry_after_ns = retry_after_ns;
    return reason;
}

/* ---- off ---- */

static weir_status off_look(struct wr_gate_context *context)
{
    /* A call that just misses it meets a closed pool, or runs as one begun before. */
    if (wr_dependency_stops(context->dependency)) {
        return refuses(context, WEIR_SHUTDOWN, 0);
    }
    return context->plan->mode == WR_MODE_OFF ? refuses(context, WEIR_OFF, 0) : WEIR_OK;
}

/* After a wait: a stop turns everybody away who has not begun. */
static weir_status off_again(struct wr_gate_context *context)
{
    return wr_dependency_stops(context->dependency) ? refuses(context, WEIR_SHUTDOWN, 0) : WEIR_OK;
}

/* ---- deadline ---- */

static weir_status deadline_look(struct wr_gate_context *context)
{
    return wr_deadline_over(context->attempt->deadline_ns, context->now_ns)
               ? refuses(context, WEIR_DEADLINE, 0)
               : WEIR_OK;
}

/* ---- breaker ---- */

static weir_status breaker_look(struct wr_gate_context *context)
{
    struct wr_breaker_answer answer;

    if (!context->plan->breaker_on) {
        return WEIR_OK;
    }
    /* A query has flagged no overdue calls: it must count them itself. */
    if (!context->query && wr_breaker_healthy(&context->dependency->breaker)) {
        return WEIR_OK;
    }
    answer = wr_breaker_look(&context->dependency->breaker, &context->plan->breaker,
                             context->now_ns, context->query);
    return answer.passes ? WEIR_OK : refuses(context, WEIR_OPEN, answer.retry_after_ns);
}

static weir_status breaker_take(struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;
    struct wr_breaker_answer answer;

    if (!context->plan->breaker_on ||
        wr_breaker_take_healthy(&context->dependency->breaker, &attempt->breaker)) {
        return WEIR_OK;
    }
    answer =
        wr_breaker_take(&context->dependency->breaker, &context->plan->breaker, context->now_ns);
    if (!answer.passes) {
        return refuses(context, WEIR_OPEN, answer.retry_after_ns);
    }
    attempt->breaker = answer.permit;
    return WEIR_OK;
}

static void breaker_give(struct wr_gate_context *context)
{
    wr_breaker_return(&context->dependency->breaker, &context->plan->breaker,
                      &context->attempt->breaker, context->now_ns);
    context->attempt->breaker = (struct wr_breaker_permit){.trial = WR_BREAKER_NO_TRIAL};
}

/* After a wait: in the same epoch what was taken stands; in another one ask as a new call. */
static weir_status breaker_again(struct wr_gate_context *context)
{
    struct wr_breaker *const breaker = &context->dependency->breaker;
    weir_status answer;

    if (!context->plan->breaker_on) {
        return WEIR_OK;
    }
    answer = breaker_look(context); /* overdue calls may open it now */
    if (wr_breaker_epoch(breaker) == context->attempt->breaker.epoch) {
        return WEIR_OK;
    }
    breaker_give(context);
    if (answer == WEIR_OK) {
        answer = breaker_look(context);
    }
    return answer == WEIR_OK ? breaker_take(context) : answer;
}

static void breaker_settle(struct wr_settlement *settlement)
{
    const struct wr_slot_data *const data = settlement->data;
    const struct wr_breaker_permit permit = {
        .epoch = data->epoch, .serial = data->trial_serial, .trial = data->trial};

    settlement->recorded = WR_RECORDED;
    if (settlement->plan->breaker_on && data->epoch != 0) {
        settlement->recorded =
            wr_breaker_record(&settlement->dependency->breaker, &settlement->plan->breaker, &permit,
                              wr_classify(settlement->kind, settlement->took_ns,
                                          settlement->plan->breaker.slow_call_ns),
                              settlement->now_ns);
    }
}

/* ---- bulkhead: a place, and the slot that goes with it ---- */

static weir_status bulkhead_look(struct wr_gate_context *context)
{
    const bool may_wait = context->may_wait && context->plan->max_wait_ns > 0;

    if (context->plan->abandoned_max != WR_OFF && context->dependency->pool != NULL &&
        atomic_load_explicit(&context->dependency->pool->abandoned, memory_order_relaxed) >=
            context->plan->abandoned_max) {
        return refuses(context, WEIR_BULKHEAD, 0);
    }
    return !may_wait && wr_bulkhead_full(wr_bulkhead_read(&context->dependency->bulkhead))
               ? refuses(context, WEIR_BULKHEAD, 0)
               : WEIR_OK;
}

static void bulkhead_give(struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;
    weir_dependency *const dependency = context->dependency;

    if (attempt->cell != NULL) {
        wr_cells_put(&dependency->pool->cells, attempt->cell);
        attempt->cell = NULL;
    }
    if (attempt->slot.index != WR_SLOT_NONE) {
        wr_count(&dependency->counters, WR_EV_TAKEN_IN_VAIN);
        wr_slots_free(&dependency->slots, attempt->slot.index, attempt->slot.generation);
        attempt->slot.index = WR_SLOT_NONE;
        wr_bulkhead_give(&dependency->bulkhead);
    }
}

/* With a slot in hand: find the cell of a pooled call. */
static weir_status take_cell(struct wr_gate_context *context)
{
    struct wr_pool *const pool = context->dependency->pool;

    if (pool == NULL) {
        return WEIR_OK;
    }
    context->attempt->cell = wr_cells_take(&pool->cells);
    if (context->attempt->cell != NULL) {
        return WEIR_OK;
    }
    bulkhead_give(context);
    return refuses(context, WEIR_CELLS, 0);
}

/* With a place in hand: find the slot. */
static weir_status claim_slot(struct wr_gate_context *context)
{
    struct wr_slot_ref *const slot = &context->attempt->slot;

    if (wr_slots_claim(&context->dependency->slots, &slot->index, &slot->generation)) {
        return take_cell(context);
    }
    slot->index = WR_SLOT_NONE;
    wr_bulkhead_give(&context->dependency->bulkhead);
    /* Mode observe refuses nothing: the call goes on, but nothing is held for it. A pooled call
     * cannot go on without a cell. */
    return context->observe && context->dependency->pool == NULL ? WEIR_OK
                                                                 : refuses(context, WEIR_CELLS, 0);
}

static weir_status wait_for_place(struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;

    switch (wr_bulkhead_wait(&context->dependency->bulkhead, &attempt->waiter)) {
    case WR_JOINED:
        context->wait_until_ns = wr_min_u64(wr_sat_add(context->now_ns, context->plan->max_wait_ns),
                                            attempt->deadline_ns);
        return WEIR_OK;
    case WR_JOIN_TOOK:
        return claim_slot(context);
    case WR_JOIN_FULL:
    default:
        return refuses(context, WEIR_BULKHEAD, 0);
    }
}

static weir_status bulkhead_take(struct wr_gate_context *context)
{
    struct wr_bulkhead *const bulkhead = &context->dependency->bulkhead;

    if (wr_bulkhead_take(bulkhead)) {
        return claim_slot(context);
    }
    if (context->observe && wr_bulkhead_take_anyway(bulkhead)) {
        /* Noted; the call goes on, if there is anything to go on with. */
        return claim_slot(context) == WEIR_OK ? refuses(context, WEIR_BULKHEAD, 0) : WEIR_CELLS;
    }
    if (context->may_wait && context->plan->max_wait_ns > 0) {
        return wait_for_place(context);
    }
    return refuses(context, WEIR_BULKHEAD, 0);
}

/* The wait for a place is over. */
static weir_status bulkhead_again(struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;
    struct wr_bulkhead *const bulkhead = &context->dependency->bulkhead;

    if (wr_attempt_granted(attempt) || !wr_bulkhead_quit(bulkhead, &attempt->waiter)) {
        return claim_slot(context);
    }
    if (off_again(context) != WEIR_OK) {
        return WEIR_SHUTDOWN;
    }
    return refuses(
        context, attempt->wait_until_ns >= attempt->deadline_ns ? WEIR_DEADLINE : WEIR_BULKHEAD, 0);
}

/* ---- rate limit ---- */

/* The longest wait that is granted; the call must still have time left after it. */
static uint64_t rate_patience(struct wr_gate_context *context)
{
    const uint64_t left = wr_deadline_left(context->attempt->deadline_ns, context->now_ns);

    return context->may_wait ? wr_min_u64(context->plan->rate_max_wait_ns, wr_sat_sub(left, 1)) : 0;
}

static weir_status rate_verdict(struct wr_gate_context *context, struct wr_rate_answer answer)
{
    switch (answer.verdict) {
    case WR_RATE_PASS:
        return WEIR_OK;
    case WR_RATE_COST:
        return refuses(context, WEIR_COST, 0);
    case WR_RATE_REFUSE:
        return refuses(context, WEIR_RATE, answer.wait_ns);
    case WR_RATE_NEVER:
    case WR_RATE_MOVED:
    default:
        return refuses(context, WEIR_RATE, 0);
    }
}

static weir_status rate_look(struct wr_gate_context *context)
{
    struct wr_rate *const rate = wr_rate_of(context->dependency);
    struct wr_rate_answer answer;

    if (rate == NULL) {
        return WEIR_OK;
    }
    answer = wr_rate_look(rate, context->now_ns, context->attempt->ask.cost);
    if (answer.verdict == WR_RATE_REFUSE && !context->query &&
        answer.wait_ns <= rate_patience(context)) {
        return WEIR_OK;
    }
    return rate_verdict(context, answer);
}

static weir_status rate_take(struct wr_gate_context *context)
{
    struct wr_rate_answer answer;

    do {
        struct wr_rate *const rate = wr_rate_of(context->dependency);

        if (rate == NULL) {
            return WEIR_OK;
        }
        answer =
            wr_rate_take(rate, context->now_ns, context->attempt->ask.cost, rate_patience(context));
    } while (answer.verdict == WR_RATE_MOVED);
    if (answer.verdict == WR_RATE_PASS && answer.wait_ns > 0) {
        context->wait_until_ns = wr_sat_add(context->now_ns, answer.wait_ns);
    }
    return rate_verdict(context, answer);
}

const struct wr_gate wr_gates[WR_GATE_COUNT] = {
    [WR_GATE_OFF] = {.name = "off", .look = off_look, .again = off_again},
    [WR_GATE_DEADLINE] = {.name = "deadline", .look = deadline_look, .again = deadline_look},
    [WR_GATE_BREAKER] = {.name = "breaker",
                         .look = breaker_look,
                         .take = breaker_take,
                         .again = breaker_again,
                         .give = breaker_give,
                         .settle = breaker_settle},
    [WR_GATE_BULKHEAD] = {.name = "bulkhead",
                          .look = bulkhead_look,
                          .take = bulkhead_take,
                          .again = bulkhead_again,
                          .give = bulkhead_give},
    [WR_GATE_RATE] = {.name = "rate", .look = rate_look, .take = rate_take},
};
