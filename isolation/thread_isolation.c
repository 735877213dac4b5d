/*
 * Thread isolation: the work runs on a worker of the dependency's pool, so that its caller can
 * leave. A crash takes the process with it; work that never returns keeps its thread for ever.
 */
#include "isolation/isolator.h"

const struct wr_isolator wr_thread_isolator = {.name = "thread", .isolation = WEIR_THREAD};
