/*
 * Inline isolation: the work runs on the caller's thread, bounded by the bulkhead alone. A timeout
 * is seen when the work returns; a crash takes the process with it.
 */
#include "isolation/isolator.h"

#include "base/clock.h"
#include "policy/deadline.h"

static int run_inline(weir_call *call, const weir_command *command, const void *argument,
                      void *result)
{
    return command->run(call, argument, result);
}

const struct wr_isolator wr_inline_isolator = {
    .name = "inline", .isolation = WEIR_INLINE, .begin_end = true, .run = run_inline};

uint64_t weir_call_left_ns(const weir_call *call)
{
    return call == NULL || call->deadline_ns == WR_NO_DEADLINE
               ? UINT64_MAX
               : wr_deadline_left(call->deadline_ns, wr_clock_now(call->clock));
}

void weir_call_pushback(weir_call *call, uint64_t retry_after_ns)
{
    if (call != NULL) {
        call->pushback_ns = retry_after_ns;
    }
}
