/*
 * Telling what happened. See event.h.
 */
#include "command/event.h"

#include "command/state.h"

static void count(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void wr_emit(weir_dependency *dependency, const struct wr_event_note *note)
{
    switch (note->kind) {
    case WR_BREAKER_CHANGED:
        count(&dependency->transitions);
        if (note->after == WEIR_BREAKER_OPEN) {
            count(&dependency->opened);
        }
        break;
    case WR_SETTINGS_CHANGED:
        count(&dependency->reloads);
        break;
    default:
        break;
    }
}
