/*
 * What each gate does. See gate.h. No gate knows of another.
 */
#include "command/gate.h"

#include "base/saturate.h"
#include "policy/deadline.h"

static struct wr_gate_answer passes(void)
{
    return (struct wr_gate_answer){.reason = WEIR_OK};
}

static struct wr_gate_answer refuses(weir_status reason, uint64_t retry_after_ns)
{
    return (struct wr_gate_answer){.reason = reason, .retry_after_ns = retry_after_ns};
}

/* ---- off ---- */

static struct wr_gate_answer off_look(const struct wr_gate_context *context)
{
    return context->plan->mode == WR_MODE_OFF ? refuses(WEIR_OFF, 0) : passes();
}

/* ---- deadline ---- */

static struct wr_gate_answer deadline_look(const struct wr_gate_context *context)
{
    return wr_deadline_over(context->attempt->deadline_ns, context->now_ns)
               ? refuses(WEIR_DEADLINE, 0)
               : passes();
}

/* ---- breaker ---- */

static struct wr_gate_answer breaker_look(const struct wr_gate_context *context)
{
    struct wr_breaker_answer answer;

    if (!context->plan->breaker_on) {
        return passes();
    }
    answer = wr_breaker_look(&context->dependency->breaker, &context->plan->breaker,
                             context->now_ns, context->query);
    return answer.passes ? passes() : refuses(WEIR_OPEN, answer.retry_after_ns);
}

static struct wr_gate_answer breaker_take(const struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;
    struct wr_breaker_answer answer;

    attempt->breaker = (struct wr_breaker_permit){.trial = WR_BREAKER_NO_TRIAL};
    if (!context->plan->breaker_on) {
        return passes();
    }
    answer =
        wr_breaker_take(&context->dependency->breaker, &context->plan->breaker, context->now_ns);
    if (!answer.passes) {
        return refuses(WEIR_OPEN, answer.retry_after_ns);
    }
    attempt->breaker = answer.permit;
    return passes();
}

static void breaker_give(const struct wr_gate_context *context)
{
    wr_breaker_return(&context->dependency->breaker, &context->plan->breaker,
                      &context->attempt->breaker, context->now_ns);
    context->attempt->breaker = (struct wr_breaker_permit){.trial = WR_BREAKER_NO_TRIAL};
}

/* After a wait: in the same epoch what was taken stands; in another one ask as a new call. */
static struct wr_gate_answer breaker_again(const struct wr_gate_context *context)
{
    struct wr_breaker *const breaker = &context->dependency->breaker;
    struct wr_gate_answer answer;

    if (!context->plan->breaker_on) {
        return passes();
    }
    answer = breaker_look(context); /* overdue calls may open it now */
    if (wr_breaker_epoch(breaker) == context->attempt->breaker.epoch) {
        return passes();
    }
    breaker_give(context);
    if (answer.reason == WEIR_OK) {
        answer = breaker_look(context);
    }
    return answer.reason == WEIR_OK ? breaker_take(context) : answer;
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

static struct wr_gate_answer bulkhead_look(const struct wr_gate_context *context)
{
    const bool may_wait = context->may_wait && context->plan->max_wait_ns > 0;

    return !may_wait && wr_bulkhead_full(wr_bulkhead_read(&context->dependency->bulkhead))
               ? refuses(WEIR_BULKHEAD, 0)
               : passes();
}

/* With a place in hand: find the slot. */
static struct wr_gate_answer claim_slot(const struct wr_gate_context *context)
{
    struct wr_slot_ref *const slot = &context->attempt->slot;

    if (wr_slots_claim(&context->dependency->slots, &slot->index, &slot->generation)) {
        return passes();
    }
    slot->index = WR_SLOT_NONE;
    wr_bulkhead_give(&context->dependency->bulkhead);
    /* Mode observe refuses nothing: the call goes on, but nothing is held for it. */
    return context->observe ? passes() : refuses(WEIR_CELLS, 0);
}

static struct wr_gate_answer wait_for_place(const struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;

    switch (wr_bulkhead_wait(&context->dependency->bulkhead, &attempt->waiter)) {
    case WR_JOINED:
        return (struct wr_gate_answer){
            .reason = WEIR_OK,
            .wait_until_ns = wr_min_u64(wr_sat_add(context->now_ns, context->plan->max_wait_ns),
                                        attempt->deadline_ns)};
    case WR_JOIN_TOOK:
        return claim_slot(context);
    case WR_JOIN_FULL:
    default:
        return refuses(WEIR_BULKHEAD, 0);
    }
}

static struct wr_gate_answer bulkhead_take(const struct wr_gate_context *context)
{
    struct wr_bulkhead *const bulkhead = &context->dependency->bulkhead;

    if (wr_bulkhead_take(bulkhead)) {
        return claim_slot(context);
    }
    if (context->observe && wr_bulkhead_take_anyway(bulkhead)) {
        (void)claim_slot(context);
        return refuses(WEIR_BULKHEAD, 0); /* noted; the call goes on */
    }
    if (context->may_wait && context->plan->max_wait_ns > 0) {
        return wait_for_place(context);
    }
    return refuses(WEIR_BULKHEAD, 0);
}

/* The wait for a place is over. */
static struct wr_gate_answer bulkhead_again(const struct wr_gate_context *context)
{
    struct wr_attempt *const attempt = context->attempt;
    struct wr_bulkhead *const bulkhead = &context->dependency->bulkhead;

    if (!wr_attempt_granted(attempt) && wr_bulkhead_quit(bulkhead, &attempt->waiter)) {
        return refuses(
            attempt->wait_until_ns >= attempt->deadline_ns ? WEIR_DEADLINE : WEIR_BULKHEAD, 0);
    }
    return claim_slot(context);
}

static void bulkhead_give(const struct wr_gate_context *context)
{
    const struct wr_slot_ref *const slot = &context->attempt->slot;

    if (slot->index != WR_SLOT_NONE) {
        wr_count(&context->dependency->counters, WR_EV_TAKEN_IN_VAIN);
        wr_slots_free(&context->dependency->slots, slot->index, slot->generation);
        wr_bulkhead_give(&context->dependency->bulkhead);
    }
}

/* ---- rate limit ---- */

/* The longest wait that is granted; the call must still have time left after it. */
static uint64_t rate_patience(const struct wr_gate_context *context)
{
    const uint64_t left = wr_deadline_left(context->attempt->deadline_ns, context->now_ns);

    return context->may_wait ? wr_min_u64(context->plan->rate_max_wait_ns, wr_sat_sub(left, 1)) : 0;
}

static struct wr_gate_answer rate_verdict(struct wr_rate_answer answer)
{
    switch (answer.verdict) {
    case WR_RATE_PASS:
        return passes();
    case WR_RATE_COST:
        return refuses(WEIR_COST, 0);
    case WR_RATE_REFUSE:
        return refuses(WEIR_RATE, answer.wait_ns);
    case WR_RATE_NEVER:
    case WR_RATE_MOVED:
    default:
        return refuses(WEIR_RATE, 0);
    }
}

static struct wr_gate_answer rate_look(const struct wr_gate_context *context)
{
    struct wr_rate *const rate = wr_rate_of(context->dependency);
    struct wr_rate_answer answer;

    if (rate == NULL) {
        return passes();
    }
    answer = wr_rate_look(rate, context->now_ns, context->attempt->ask.cost);
    if (answer.verdict == WR_RATE_REFUSE && !context->query &&
        answer.wait_ns <= rate_patience(context)) {
        return passes();
    }
    return rate_verdict(answer);
}

static struct wr_gate_answer rate_take(const struct wr_gate_context *context)
{
    struct wr_gate_answer verdict;
    struct wr_rate_answer answer;

    do {
        struct wr_rate *const rate = wr_rate_of(context->dependency);

        if (rate == NULL) {
            return passes();
        }
        answer =
            wr_rate_take(rate, context->now_ns, context->attempt->ask.cost, rate_patience(context));
    } while (answer.verdict == WR_RATE_MOVED);
    verdict = rate_verdict(answer);
    if (answer.verdict == WR_RATE_PASS && answer.wait_ns > 0) {
        verdict.wait_until_ns = wr_sat_add(context->now_ns, answer.wait_ns);
    }
    return verdict;
}

const struct wr_gate wr_gates[WR_GATE_COUNT] = {
    [WR_GATE_OFF] = {.name = "off", .look = off_look},
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
