/*
 * Answering instead of run: a call that has no value asks its command's fallback, after its outcome
 * has been decided. The answer stands beside the outcome and never changes it. The caller's own
 * mistake gets none, nor does a call that was given up: nobody wants an answer.
 */
#ifndef WR_COMMAND_FALLBACK_H
#define WR_COMMAND_FALLBACK_H

#include "context/crossing.h"

#include <weir/call.h>

#include <stdbool.h>

struct wr_fallback {
    int (*answer)(weir_call *call, const void *argument, void *result); /* NULL: none */
    const void *argument;
    void *result;
    const struct wr_crossing *crossing; /* what the call carries */
    const weir_clock *clock;
    uint64_t by_ns; /* the end of the caller's own budget; UINT64_MAX: none */
};

/* Is there anything to ask? Cheap: most calls have a value. */
static inline bool wr_may_fall_back(int (*answer)(weir_call *call, const void *argument,
                                                  void *result),
                                    weir_status status)
{
    return answer != NULL && status != WEIR_OK;
}

/* `status` and *outcome are those of the call without a value. WEIR_OK: there is one now; else
 * `status`. User code, on this thread. */
weir_status wr_fall_back(const struct wr_fallback *fallback, weir_status status,
                         weir_outcome *outcome);

#endif
