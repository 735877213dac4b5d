/*
 * What an outcome means to the policies.
 *
 * counted good    ok
 * counted bad     failed, timed_out, crashed
 * neutral         ignored, cancelled (and lost permits)
 * Refusals never get here: they never feed the breaker.
 */
#ifndef WR_POLICY_CLASSIFY_H
#define WR_POLICY_CLASSIFY_H

#include <weir/call.h>

#include <stdbool.h>
#include <stdint.h>

struct wr_observation {
    bool neutral;
    bool failure;
    bool slow; /* strictly longer than slow_call */
};

/* The outcome that a verdict states; -1 if it is no verdict. */
static inline weir_status wr_verdict_kind(weir_verdict verdict)
{
    switch (verdict) {
    case WEIR_V_OK:
        return WEIR_OK;
    case WEIR_V_FAILED:
    case WEIR_V_RETRYABLE:
    case WEIR_V_OVERLOADED:
        return WEIR_FAILED;
    case WEIR_V_IGNORED:
        return WEIR_IGNORED;
    case WEIR_V_TIMED_OUT:
        return WEIR_TIMED_OUT;
    case WEIR_V_CANCELLED:
        return WEIR_CANCELLED;
    default:
        return WEIR_E_ARGUMENT;
    }
}

/* What happened, from what run said and when. Ignored and cancelled stay what they are even when
 * they came late: they say nothing of the dependency. */
static inline weir_status wr_judge(weir_verdict verdict, bool late)
{
    const weir_status kind = wr_verdict_kind(verdict);

    if (kind == WEIR_IGNORED || kind == WEIR_CANCELLED) {
        return kind;
    }
    if (late) {
        return WEIR_TIMED_OUT;
    }
    return kind < 0 ? WEIR_FAILED : kind;
}

static inline struct wr_observation wr_classify(weir_status kind, uint64_t took_ns,
                                                uint64_t slow_call_ns)
{
    const bool neutral = kind == WEIR_IGNORED || kind == WEIR_CANCELLED;

    return (struct wr_observation){.neutral = neutral,
                                   .failure = !neutral && kind != WEIR_OK,
                                   .slow = !neutral && took_ns > slow_call_ns};
}

#endif
