/*
 * See fallback.h.
 */
#include "command/fallback.h"

#include "base/clock.h"
#include "isolation/isolator.h"
#include "policy/deadline.h"

weir_status wr_fall_back(const struct wr_fallback *fallback, weir_status status,
                         weir_outcome *outcome)
{
    weir_call call = {.clock = fallback->clock, .deadline_ns = fallback->by_ns, .primary = outcome};
    struct wr_crossed crossed;
    int code;

    if (outcome->kind == WEIR_IGNORED || outcome->kind == WEIR_CANCELLED ||
        (fallback->by_ns != WR_NO_DEADLINE &&
         wr_deadline_over(fallback->by_ns, wr_clock_now(fallback->clock)))) {
        return status;
    }
    wr_crossing_enter(fallback->crossing, &crossed);
    code = fallback->answer(&call, fallback->argument, fallback->result);
    wr_crossing_leave(fallback->crossing, &crossed);
    outcome->fallback_code = code;
    if (code != 0) {
        return status;
    }
    outcome->source = WEIR_BY_FALLBACK;
    return WEIR_OK;
}
