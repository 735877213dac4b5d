/*
 * The isolator seam: where a call's work runs. A dependency has one, chosen by its setting
 * `isolation`. Isolators know nothing of gates and windows: a call reaches them admitted.
 *
 * Inline has `run`. A pooled isolation has none: its calls travel as cells (cell.h) through a pool
 * (pool.h: offer, recall, resize, close, join), and end on whatever thread settles them.
 */
#ifndef WR_ISOLATION_ISOLATOR_H
#define WR_ISOLATION_ISOLATOR_H

#include <weir/call.h>

#include <stdbool.h>

struct wr_cell;

/* The running call, as run and fallback see it. */
struct weir_call {
    const weir_clock *clock;     /* borrowed */
    uint64_t deadline_ns;        /* UINT64_MAX: none */
    uint64_t pushback_ns;        /* retry_after that run reported; 0: none */
    struct wr_cell *cell;        /* NULL: nobody can leave (inline, fallback) */
    void *worker_state;          /* of worker_start; NULL: none */
    const weir_outcome *primary; /* in fallback: what it answers instead of */
};

struct wr_isolator {
    const char *name;
    uint32_t isolation; /* WEIR_INLINE ... */
    bool begin_end;     /* is the begin / end shape allowed? */
    /* Run the admitted work on this thread and return its code. NULL: pooled. */
    int (*run)(weir_call *call, const weir_command *command, const void *argument, void *result);
};

extern const struct wr_isolator wr_inline_isolator;
extern const struct wr_isolator wr_thread_isolator;

#endif
