/*
 * Inline isolation: the work runs on the caller's thread, bounded by the bulkhead alone. A timeout
 * is seen when the work returns; a crash takes the process with it.
 */
#include "isolation/isolator.h"

static int run_inline(weir_call *call, const weir_command *command, const void *argument,
                      void *result)
{
    return command->run(call, argument, result);
}

const struct wr_isolator wr_inline_isolator = {
    .name = "inline", .isolation = WEIR_INLINE, .begin_end = true, .run = run_inline};
