/*
 * What a call carries over a thread boundary: its context and the carriers' values. Captured once,
 * entered and left any number of times (run, then perhaps a fallback), released once.
 *
 *   capture   on the thread that makes the call
 *   enter     on the thread that is to run user code; saves what that thread had
 *   leave     on the same thread; puts it back whatever the user code left behind
 *   release   once, after the last leave
 */
#ifndef WR_CONTEXT_CROSSING_H
#define WR_CONTEXT_CROSSING_H

#include <weir/context.h>

#include <string.h>

struct wr_carrier_table; /* immutable, counted: a call leaves by the table that it was captured by
                          */

struct wr_crossing {
    weir_context *context;          /* counted; NULL: none */
    struct wr_carrier_table *table; /* counted; NULL: no carriers */
    void *captured[WEIR_CARRIERS_MAX];
};

/* What a thread had before; in the frame of the code that enters. */
struct wr_crossed {
    const weir_context *current;
    uint64_t depth;
    void *saved[WEIR_CARRIERS_MAX];
};

/* `context` NULL: the thread's current one. Allocates nothing. Cost with neither context nor
 * carriers: two loads. */
void wr_crossing_capture(struct wr_crossing *crossing, const weir_context *context);

/* The same without carriers: for calls that stay on their thread. */
void wr_crossing_capture_context(struct wr_crossing *crossing, const weir_context *context);

/* Nothing is captured or counted: `context` outlives the crossing, which is not released. */
static inline void wr_crossing_borrow(struct wr_crossing *crossing, const weir_context *context)
{
    memcpy(&crossing->context, &context, sizeof(void *)); /* drops the qualifier on purpose */
    crossing->table = NULL;
}

void wr_crossing_enter(const struct wr_crossing *crossing, struct wr_crossed *ret_crossed);

/* Also closes scopes that the user code left open. Those from before enter() that it closed stay
 * closed: then the thread keeps what was around them. */
void wr_crossing_leave(const struct wr_crossing *crossing, const struct wr_crossed *crossed);

void wr_crossing_release(struct wr_crossing *crossing);

/* Earlier of `deadline_ns` (on the clock that says now_ns) and the context's own deadline.
 * `monotonic`: that clock is CLOCK_MONOTONIC itself; else the time left is carried over. */
uint64_t wr_context_deadline(const weir_context *context, uint64_t deadline_ns, uint64_t now_ns,
                             int monotonic);

/* The 16 bytes; zeroes for NULL. */
void wr_context_trace_id(const weir_context *context, uint8_t ret_trace_id[16]);

#endif
