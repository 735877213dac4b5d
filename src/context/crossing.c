/*
 * Taking a context and the carriers' values over to another thread. See crossing.h.
 *
 * Restores, never clears: after leave the thread has what it had before enter, even when it is the
 * very thread that made the call. Enters in ascending order and leaves in reverse, by the table of
 * the capture. errno is what the caller left there, whatever a carrier does.
 */
#include "context/crossing.h"

#include "context/carrier.h"
#include "context/scope.h"

#include <errno.h>
#include <stdbool.h>

/* Decides alike on entering and on leaving, so that each enter has its leave. */
static bool takes_part(const weir_carrier *carrier, const void *captured)
{
    return captured != NULL || carrier->policy == WEIR_CARRY_CLEAR;
}

static void capture_values(struct wr_crossing *crossing)
{
    const int before = errno;

    for (size_t i = 0; i < crossing->table->count; ++i) {
        const weir_carrier *const carrier = &crossing->table->slots[i]->carrier;

        crossing->captured[i] = carrier->capture(carrier->user);
    }
    errno = before;
}

static void enter_values(const struct wr_crossing *crossing, struct wr_crossed *crossed)
{
    const int before = errno;

    for (size_t i = 0; i < crossing->table->count; ++i) {
        const weir_carrier *const carrier = &crossing->table->slots[i]->carrier;

        if (takes_part(carrier, crossing->captured[i])) {
            crossed->saved[i] = carrier->enter(carrier->user, crossing->captured[i]);
        }
    }
    errno = before;
}

static void leave_values(const struct wr_crossing *crossing, const struct wr_crossed *crossed)
{
    const int before = errno;

    for (size_t i = crossing->table->count; i-- > 0;) {
        const weir_carrier *const carrier = &crossing->table->slots[i]->carrier;

        if (takes_part(carrier, crossing->captured[i])) {
            carrier->leave(carrier->user, crossed->saved[i]);
        }
    }
    errno = before;
}

static void release_values(const struct wr_crossing *crossing)
{
    const int before = errno;

    for (size_t i = 0; i < crossing->table->count; ++i) {
        const weir_carrier *const carrier = &crossing->table->slots[i]->carrier;

        if (crossing->captured[i] != NULL) {
            carrier->release(carrier->user, crossing->captured[i]);
        }
    }
    errno = before;
}

void wr_crossing_capture_context(struct wr_crossing *crossing, const weir_context *context)
{
    crossing->context = weir_context_retain(context != NULL ? context : wr_scope_current());
    crossing->table = NULL;
}

void wr_crossing_capture(struct wr_crossing *crossing, const weir_context *context)
{
    wr_crossing_capture_context(crossing, context);
    crossing->table = wr_carriers_acquire();
    if (crossing->table != NULL) {
        capture_values(crossing);
    }
}

/* Close what user code left open, then set what is current. Scopes from before that it has closed
 * stay closed: what they had set may be gone, and what was around them is current already. */
static void restore(const weir_context *current, uint64_t depth)
{
    if (wr_scope_self.depth < depth) {
        return;
    }
    if (wr_scope_self.depth > depth) {
        wr_scope_unwind(depth);
    }
    wr_scope_set(current);
}

void wr_crossing_enter(const struct wr_crossing *crossing, struct wr_crossed *ret_crossed)
{
    ret_crossed->current = wr_scope_current();
    ret_crossed->depth = wr_scope_self.depth;
    wr_scope_set(crossing->context);
    if (crossing->table != NULL) {
        enter_values(crossing, ret_crossed);
    }
}

void wr_crossing_leave(const struct wr_crossing *crossing, const struct wr_crossed *crossed)
{
    if (crossing->table != NULL) {
        restore(crossing->context, crossed->depth); /* carriers leave as they entered */
        leave_values(crossing, crossed);
    }
    restore(crossed->current, crossed->depth);
}

void wr_crossing_release(struct wr_crossing *crossing)
{
    if (crossing->table != NULL) {
        release_values(crossing);
        wr_carriers_release(crossing->table);
    }
    weir_context_release(crossing->context);
    crossing->table = NULL;
    crossing->context = NULL;
}
