/*
 * What run and fallback may ask of their call. The functions that arm something for the moment in
 * which the caller leaves are in leave.c.
 */
#include "base/clock.h"
#include "isolation/isolator.h"
#include "policy/deadline.h"

uint64_t weir_call_left_ns(const weir_call *call)
{
    return call == NULL || call->deadline_ns == WR_NO_DEADLINE
               ? UINT64_MAX
               : wr_deadline_left(call->deadline_ns, wr_clock_now(call->clock));
}

void *weir_call_worker(const weir_call *call)
{
    return call != NULL ? call->worker_state : NULL;
}

const weir_outcome *weir_call_primary(const weir_call *call)
{
    return call != NULL ? call->primary : NULL;
}

void weir_call_pushback(weir_call *call, uint64_t retry_after_ns)
{
    if (call != NULL) {
        call->pushback_ns = retry_after_ns;
    }
}
